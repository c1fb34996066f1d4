//! What SOCKS servers answer, as bytes come: a client never panics, never reads beyond its dialogue,
//! and comes to the same end however the bytes are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socks_proto::{Client, Credentials, DialogueError, Progress, Target, Version};

/// The longest answers that a dialogue can have, all together.
const MOST: usize = 2 + 2 + 4 + 1 + 255 + 2;

// The first byte chooses the version, whether there is a password, and how answers are cut. Then
// come the length of a name and the name, and what the server sends.
fuzz_target!(|bytes: &[u8]| {
    let [choice, length, rest @ ..] = bytes else {
        return;
    };
    let (name, stream) = rest.split_at(rest.len().min(usize::from(*length)));
    let Some(client) = client(*choice, &String::from_utf8_lossy(name)) else {
        return;
    };
    let at_once = talk(client.clone(), stream, usize::MAX);
    let in_pieces = talk(client, stream, 1 + usize::from(choice >> 3));
    assert_eq!(in_pieces.0, at_once.0);
    assert!(in_pieces.1 <= at_once.1 && at_once.1 <= MOST);
});

fn client(choice: u8, name: &str) -> Option<Client> {
    let version = [Version::V4, Version::V4a, Version::V5, Version::V5][usize::from(choice & 3)];
    let target = match name.parse() {
        Ok(address) => Target::Address(address),
        Err(_) => Target::Name {
            host: name,
            port: 44321,
        },
    };
    let credentials = Credentials {
        user: "user",
        password: "password",
    };
    let credentials = Some(&credentials).filter(|_| choice & 4 != 0);
    Client::new(version, &target, "login", credentials).ok()
}

/// How the dialogue ends, and how many bytes of the stream were taken.
fn talk(mut client: Client, stream: &[u8], cut: usize) -> (Result<Progress, DialogueError>, usize) {
    let mut taken = 0;
    loop {
        client.sent(client.outgoing().len().min(cut));
        if !client.outgoing().is_empty() {
            assert_eq!(client.wanted(), 0);
            continue;
        }
        let wanted = client.wanted();
        assert!(wanted > 0);
        let rest = &stream[taken..];
        let piece = &rest[..rest.len().min(wanted).min(cut)];
        if piece.is_empty() {
            return (Ok(Progress::More), taken);
        }
        taken += piece.len();
        let progress = client.received(piece);
        if progress != Ok(Progress::More) {
            assert_eq!(client.wanted() + client.outgoing().len(), 0);
            return (progress, taken);
        }
    }
}
