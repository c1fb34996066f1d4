//! What holds for any bytes, however they are cut.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::*;

/// The longest answers that a dialogue can have, all together.
const MOST: usize = 2 + 2 + 4 + 1 + 255 + 2;

const FAR: Target<'_> = Target::Name {
    host: "far.example",
    port: 44321,
};

const NEAR: Target<'_> = Target::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 44321));

const REQUESTS: [(Version, Target<'_>); 3] =
    [(Version::V4, NEAR), (Version::V4a, FAR), (Version::V5, FAR)];

/// How a dialogue ended, or that it did not.
type End = Result<Progress, DialogueError>;

/// Everything that was seen of a dialogue.
#[derive(Debug, PartialEq)]
struct Course {
    end: End,
    sent: Vec<u8>,
    /// How many bytes of the stream were taken.
    taken: usize,
}

/// Lets a client talk to a server that sends these bytes whatever it hears. `cuts` bound each read
/// and each write, over and over.
fn talk(mut client: Client, stream: &[u8], cuts: &[usize]) -> Course {
    let mut cuts = cuts.iter().copied().cycle();
    let mut cut = || cuts.next().unwrap_or(usize::MAX);
    let mut course = Course {
        end: Ok(Progress::More),
        sent: Vec::new(),
        taken: 0,
    };
    while course.end == Ok(Progress::More) {
        if client.outgoing().is_empty() {
            let rest = &stream[course.taken..];
            let piece = &rest[..rest.len().min(client.wanted()).min(cut())];
            if piece.is_empty() {
                assert!(rest.is_empty(), "a client that waits wants something");
                break;
            }
            course.taken += piece.len();
            course.end = client.received(piece);
        } else {
            assert_eq!(client.wanted(), 0);
            let count = client.outgoing().len().min(cut());
            course.sent.extend(&client.outgoing()[..count]);
            client.sent(count);
        }
    }
    if course.end != Ok(Progress::More) {
        assert_eq!((client.wanted(), client.outgoing()), (0, &b""[..]));
    }
    course
}

fn client(version: Version, target: &Target<'_>, with_password: bool) -> Client {
    let credentials = Credentials {
        user: "anna",
        password: "secret",
    };
    let credentials = Some(&credentials).filter(|_| with_password);
    Client::new(version, target, "login", credentials).unwrap()
}

/// Answers that are right up to some byte, since those of chance end the dialogue at once.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let beginning = prop_oneof![
        Just(vec![]),
        Just(vec![0, 90]),
        Just(vec![5, 0]),
        Just(vec![5, 2]),
        Just(vec![5, 2, 1, 0]),
    ];
    let reply = prop_oneof![
        Just(vec![]),
        Just(vec![5, 0, 0, 1]),
        Just(vec![5, 0, 0, 3]),
        Just(vec![5, 0, 0, 4]),
    ];
    (beginning, reply, vec(any::<u8>(), 0..300))
        .prop_map(|(beginning, reply, rest)| [beginning, reply, rest].concat())
}

/// The whole answers of a server that connects.
fn right(version: Version, asks_for_password: bool) -> BoxedStrategy<(Vec<u8>, Vec<u8>)> {
    if version != Version::V5 {
        let reply = any::<[u8; 6]>().prop_map(|bound| [&[0, 90], &bound[..]].concat());
        return reply.prop_map(|reply| (vec![], reply)).boxed();
    }
    let opening = if asks_for_password {
        vec![5, 2, 1, 0]
    } else {
        vec![5, 0]
    };
    let address = prop_oneof![
        vec(any::<u8>(), 4).prop_map(|address| [vec![1], address].concat()),
        vec(any::<u8>(), 16).prop_map(|address| [vec![4], address].concat()),
        prop_oneof![vec(any::<u8>(), 0..4), vec(any::<u8>(), 0..=255)].prop_map(|name| {
            let length = u8::try_from(name.len()).unwrap();
            [vec![3, length], name].concat()
        }),
    ];
    (address, any::<[u8; 2]>(), any::<u8>())
        .prop_map(move |(address, port, reserved)| {
            let reply = [&[5, 0, reserved], &address[..], &port].concat();
            (opening.clone(), reply)
        })
        .boxed()
}

proptest! {
    #[test]
    fn any_bytes_give_the_same_result_however_they_are_cut(
        stream in prop_oneof![nearly_right(), vec(any::<u8>(), 0..400)],
        cuts in vec(1usize..20, 1..8),
        which in 0usize..3,
        with_password: bool,
    ) {
        let (version, target) = REQUESTS[which];
        let new = || client(version, &target, with_password);
        let at_once = talk(new(), &stream, &[usize::MAX]);
        prop_assert!(at_once.taken <= MOST);

        // Where it fails, the byte that is wrong may come with others behind it.
        let in_pieces = talk(new(), &stream, &cuts);
        prop_assert!(in_pieces.taken <= at_once.taken || at_once.end.is_ok());
        prop_assert_eq!(&in_pieces.end, &at_once.end);
        prop_assert_eq!(&in_pieces.sent, &at_once.sent);
        if at_once.end.is_ok() {
            prop_assert_eq!(in_pieces.taken, at_once.taken);
        }
    }

    #[test]
    fn no_byte_beyond_the_dialogue_is_taken(
        (version, asks, (opening, reply)) in (0usize..3, any::<bool>()).prop_flat_map(|(which, asks)| {
            let (version, _) = REQUESTS[which];
            (Just(which), Just(asks), right(version, asks))
        }),
        payload in vec(any::<u8>(), 0..300),
        cuts in vec(1usize..20, 1..8),
    ) {
        let (version, target) = REQUESTS[version];
        let stream = [&opening[..], &reply, &payload].concat();
        let course = talk(client(version, &target, asks), &stream, &cuts);
        prop_assert!(matches!(course.end, Ok(Progress::Connected(_))), "{:?}", course.end);
        prop_assert_eq!(course.taken, opening.len() + reply.len());

        // One byte less, and it is not connected yet.
        let all_but_one = &stream[..course.taken - 1];
        let course = talk(client(version, &target, asks), all_but_one, &cuts);
        prop_assert_eq!(course.end, Ok(Progress::More));
    }

    #[test]
    fn any_target_and_any_credentials_are_taken_or_refused(
        which in 0usize..3,
        host in "\\PC{0,300}|[a-z\\x00.]{0,20}",
        login in "\\PC{0,300}|[a-z\\x00]{0,20}",
        user in "\\PC{0,300}",
        password in "\\PC{0,300}",
        port: u16,
    ) {
        let (version, _) = REQUESTS[which];
        let credentials = Credentials { user: &user, password: &password };
        let target = Target::Name { host: &host, port };
        if let Ok(client) = Client::new(version, &target, &login, Some(&credentials)) {
            let sent = talk(client, &[5, 2, 1, 0], &[]).sent;
            let length = u8::try_from(host.len()).unwrap();
            let name = match version {
                Version::V5 => [&[length], host.as_bytes(), &port.to_be_bytes()].concat(),
                _ => [host.as_bytes(), &[0]].concat(),
            };
            prop_assert!(sent.ends_with(&name));
        }
    }
}
