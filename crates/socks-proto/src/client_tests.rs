//! Dialogues byte by byte: every layout, every refusal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::*;

const ANNA: Credentials<'_> = Credentials {
    user: "anna",
    password: "secret",
};

const BY_NAME: Target<'_> = Target::Name {
    host: "far.example",
    port: 44321,
};

fn by_address(address: &str) -> Target<'static> {
    Target::Address(address.parse().unwrap())
}

fn at(address: &str) -> Result<Progress, DialogueError> {
    let address: SocketAddr = address.parse().unwrap();
    Ok(Progress::Connected(Bound::Address(address)))
}

/// A client that has sent its first message, which is given too.
fn opened(version: Version, target: &Target<'_>, login: &str) -> (Client, Vec<u8>) {
    let mut client = Client::new(version, target, login, None).unwrap();
    let message = send(&mut client);
    (client, message)
}

/// Sends all that is to be sent.
fn send(client: &mut Client) -> Vec<u8> {
    assert_eq!(
        client.wanted(),
        0,
        "nothing is wanted before all has been sent"
    );
    let message = client.outgoing().to_vec();
    client.sent(message.len());
    assert_eq!(client.outgoing(), b"");
    message
}

/// Gives the client an answer in pieces as large as it wants them. All of it must be taken.
fn answer(client: &mut Client, mut bytes: &[u8]) -> Result<Progress, DialogueError> {
    loop {
        let (piece, rest) = bytes.split_at(client.wanted().min(bytes.len()));
        bytes = rest;
        match client.received(piece) {
            Ok(Progress::More) if !bytes.is_empty() => {}
            end => {
                assert_eq!(bytes, b"", "the client left bytes behind");
                return end;
            }
        }
    }
}

/// A client of SOCKS 5 that waits for the reply to its request, which is given too.
fn requested(target: &Target<'_>) -> (Client, Vec<u8>) {
    let (mut client, _) = opened(Version::V5, target, "");
    assert_eq!(answer(&mut client, &[5, 0]), Ok(Progress::More));
    let request = send(&mut client);
    (client, request)
}

/// A client of SOCKS 5 that waits to hear whether its password is right; what it sent for it.
fn authenticating() -> (Client, Vec<u8>) {
    let mut client = Client::new(Version::V5, &BY_NAME, "", Some(&ANNA)).unwrap();
    assert_eq!(send(&mut client), [5, 2, 0, 2]);
    assert_eq!(answer(&mut client, &[5, 2]), Ok(Progress::More));
    let message = send(&mut client);
    (client, message)
}

fn refusal(version: Version, target: &Target<'_>) -> RequestError {
    Client::new(version, target, "", None).unwrap_err()
}

#[test]
fn socks_4_asks_for_an_address_in_the_name_of_the_user() {
    let (_, request) = opened(Version::V4, &by_address("10.1.2.3:44321"), "anna");
    assert_eq!(request, b"\x04\x01\xad\x21\x0a\x01\x02\x03anna\0");
    let (_, request) = opened(Version::V4a, &by_address("10.1.2.3:80"), "");
    assert_eq!(request, b"\x04\x01\x00\x50\x0a\x01\x02\x03\0");
}

#[test]
fn socks_4a_sends_a_name_behind_an_address_that_cannot_be() {
    let (_, request) = opened(Version::V4a, &BY_NAME, "anna");
    assert_eq!(
        request,
        b"\x04\x01\xad\x21\x00\x00\x00\x01anna\0far.example\0"
    );
}

#[test]
fn socks_4_is_connected_after_eight_bytes() {
    let (mut client, _) = opened(Version::V4, &by_address("10.1.2.3:44321"), "anna");
    assert_eq!(client.wanted(), 8);
    let reply = [0, 90, 0xad, 0x21, 10, 9, 8, 7];
    assert_eq!(answer(&mut client, &reply), at("10.9.8.7:44321"));
    assert_eq!(client.wanted(), 0);
}

#[test]
fn socks_4_names_every_refusal_at_its_code() {
    for code in (0..=u8::MAX).filter(|code| *code != 90) {
        let (mut client, _) = opened(Version::V4a, &BY_NAME, "");
        let expected = match code {
            91 => Reply4::RejectedOrFailed,
            92 => Reply4::NoIdentd,
            93 => Reply4::IdentdMismatch,
            other => Reply4::Unknown(other),
        };
        let refused = Err(DialogueError::Refused4(expected));
        assert_eq!(answer(&mut client, &[0, code]), refused);
    }
}

#[test]
fn socks_4_knows_a_server_that_does_not_speak_it() {
    for found in [4, 5, b'H'] {
        let (mut client, _) = opened(Version::V4, &by_address("10.1.2.3:1"), "");
        let error = answer(&mut client, &[found]).unwrap_err();
        let expected = 0;
        assert_eq!(error, DialogueError::BadVersion { expected, found });
        assert!(error.looks_like_another_version());
    }
}

#[test]
fn socks_5_asks_for_addresses_of_both_families_and_for_names() {
    let (_, request) = requested(&by_address("10.1.2.3:44321"));
    assert_eq!(request, b"\x05\x01\x00\x01\x0a\x01\x02\x03\xad\x21");
    let (_, request) = requested(&by_address("[2001:db8::7]:44321"));
    assert_eq!(
        request,
        b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\xad\x21"
    );
    let (_, request) = requested(&BY_NAME);
    assert_eq!(request, b"\x05\x01\x00\x03\x0bfar.example\xad\x21");
}

#[test]
fn an_address_of_ipv4_that_is_mapped_to_ipv6_is_one_of_ipv4() {
    let mapped = by_address("[::ffff:10.1.2.3]:44321");
    let (_, request) = requested(&mapped);
    assert_eq!(request, b"\x05\x01\x00\x01\x0a\x01\x02\x03\xad\x21");
    let (_, request) = opened(Version::V4, &mapped, "");
    assert_eq!(request, b"\x04\x01\xad\x21\x0a\x01\x02\x03\0");
}

#[test]
fn socks_5_without_credentials_offers_no_authentication_only() {
    let (client, offer) = opened(Version::V5, &BY_NAME, "anna");
    assert_eq!(offer, [5, 1, 0]);
    assert_eq!(client.wanted(), 2);
}

#[test]
fn socks_5_is_connected_with_an_address_of_either_family_or_a_name() {
    let (mut client, _) = requested(&BY_NAME);
    let reply = b"\x05\x00\x00\x01\x0a\x09\x08\x07\x04\x38";
    assert_eq!(answer(&mut client, reply), at("10.9.8.7:1080"));

    let (mut client, _) = requested(&BY_NAME);
    let reply = b"\x05\x00\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x04\x38";
    assert_eq!(answer(&mut client, reply), at("[2001:db8::7]:1080"));

    for name in ["", "f", "fw", "firewall.example", &"n".repeat(255)] {
        let (mut client, _) = requested(&BY_NAME);
        let mut reply = vec![5, 0, 0, 3, u8::try_from(name.len()).unwrap()];
        reply.extend(name.bytes());
        reply.extend([4, 56]);
        let bound = match answer(&mut client, &reply) {
            Ok(Progress::Connected(Bound::Name(bound))) => bound,
            other => panic!("{other:?}"),
        };
        assert_eq!((bound.host(), bound.port()), (name.as_bytes(), 1080));
    }
}

#[test]
fn the_reserved_byte_of_a_reply_is_not_looked_at() {
    for reserved in 0..=u8::MAX {
        let (mut client, _) = requested(&BY_NAME);
        let reply = [5, 0, reserved, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(answer(&mut client, &reply), at("0.0.0.0:0"));
    }
}

#[test]
fn socks_5_names_every_refusal_at_its_code() {
    let known = [
        Reply5::GeneralFailure,
        Reply5::NotAllowed,
        Reply5::NetworkUnreachable,
        Reply5::HostUnreachable,
        Reply5::ConnectionRefused,
        Reply5::TtlExpired,
        Reply5::CommandNotSupported,
        Reply5::AddressTypeNotSupported,
    ];
    for code in 1..=u8::MAX {
        let (mut client, _) = requested(&BY_NAME);
        let place = usize::from(code) - 1;
        let expected = known.get(place).copied().unwrap_or(Reply5::Unknown(code));
        let refused = Err(DialogueError::Refused5(expected));
        assert_eq!(answer(&mut client, &[5, code]), refused);
    }
}

#[test]
fn every_other_type_of_the_bound_address_is_refused() {
    for kind in (0..=u8::MAX).filter(|kind| ![1, 3, 4].contains(kind)) {
        let (mut client, _) = requested(&BY_NAME);
        let unknown = Err(DialogueError::UnknownAddressType(kind));
        assert_eq!(answer(&mut client, &[5, 0, 0, kind]), unknown);
    }
}

#[test]
fn a_password_is_sent_when_the_server_asks_for_it_and_forgotten_at_once() {
    let (mut client, message) = authenticating();
    assert_eq!(message, b"\x01\x04anna\x06secret");
    assert!(!client.still_holds("secret"));
    assert_eq!(answer(&mut client, &[1, 0]), Ok(Progress::More));
    assert_eq!(
        send(&mut client),
        b"\x05\x01\x00\x03\x0bfar.example\xad\x21"
    );
    let reply = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(answer(&mut client, &reply), at("0.0.0.0:0"));
}

#[test]
fn a_password_that_no_server_asks_for_is_forgotten_at_the_end() {
    for reply in [[5, 0, 0, 1, 0, 0, 0, 0, 0, 0].as_slice(), &[5, 5]] {
        let mut client = Client::new(Version::V5, &BY_NAME, "", Some(&ANNA)).unwrap();
        send(&mut client);
        assert_eq!(answer(&mut client, &[5, 0]), Ok(Progress::More));
        assert_eq!(
            send(&mut client),
            b"\x05\x01\x00\x03\x0bfar.example\xad\x21"
        );
        assert!(client.still_holds("secret"));
        let _ = answer(&mut client, reply);
        assert!(!client.still_holds("secret"));
    }
}

#[test]
fn a_client_shows_no_password() {
    let mut client = Client::new(Version::V5, &BY_NAME, "", Some(&ANNA)).unwrap();
    send(&mut client);
    assert_eq!(answer(&mut client, &[5, 2]), Ok(Progress::More));
    let shown = format!("{client:?}");
    assert!(shown.contains("authentication"), "{shown}");
    let in_decimal = b"secret".map(|byte| byte.to_string()).join(", ");
    assert!(!shown.contains("secret") && !shown.contains(&in_decimal));
}

#[test]
fn a_wrong_password_is_told_with_its_status() {
    for status in 1..=u8::MAX {
        let (mut client, _) = authenticating();
        let failed = Err(DialogueError::AuthenticationFailed(status));
        assert_eq!(answer(&mut client, &[1, status]), failed);
    }
}

#[test]
fn the_answer_to_a_password_may_begin_with_the_version_of_socks() {
    let (mut client, _) = authenticating();
    assert_eq!(answer(&mut client, &[5, 0]), Ok(Progress::More));
    let (mut client, _) = authenticating();
    let changed = DialogueError::ChangedVersion {
        expected: 1,
        found: 0,
    };
    assert_eq!(answer(&mut client, &[0]), Err(changed));
}

#[test]
fn a_server_may_only_choose_what_it_was_offered() {
    for method in 1..=u8::MAX {
        let (mut client, _) = opened(Version::V5, &BY_NAME, "");
        let expected = match method {
            255 => DialogueError::NoAcceptableMethod,
            other => DialogueError::UnofferedMethod(other),
        };
        assert_eq!(answer(&mut client, &[5, method]), Err(expected));
    }
    let mut client = Client::new(Version::V5, &BY_NAME, "", Some(&ANNA)).unwrap();
    send(&mut client);
    let unoffered = Err(DialogueError::UnofferedMethod(1));
    assert_eq!(answer(&mut client, &[5, 1]), unoffered);
}

#[test]
fn socks_5_knows_a_server_that_does_not_speak_it() {
    for found in [0, 4, b'H'] {
        let (mut client, _) = opened(Version::V5, &BY_NAME, "");
        let error = answer(&mut client, &[found]).unwrap_err();
        let expected = 5;
        assert_eq!(error, DialogueError::BadVersion { expected, found });
        assert!(error.looks_like_another_version());
    }
    let (mut client, _) = requested(&BY_NAME);
    let error = answer(&mut client, &[4]).unwrap_err();
    let changed = DialogueError::ChangedVersion {
        expected: 5,
        found: 4,
    };
    assert_eq!(error, changed);
    assert!(!error.looks_like_another_version());
}

#[test]
fn what_follows_a_reply_is_not_wanted() {
    let port = [4, 56];
    let names = (0..=u8::MAX).map(|length| [vec![3, length], vec![b'n'; length.into()]].concat());
    let addresses = [[&[1][..], &[9; 4]].concat(), [&[4][..], &[9; 16]].concat()];
    for address in addresses.into_iter().chain(names) {
        let reply = [&[5, 0, 0], &address[..], &port].concat();
        let (mut client, _) = requested(&BY_NAME);
        let mut rest = &reply[..];
        while !rest.is_empty() {
            let wanted = client.wanted();
            assert!((1..=rest.len()).contains(&wanted), "{reply:?}: {wanted}");
            let (piece, behind) = rest.split_at(wanted);
            rest = behind;
            client.received(piece).unwrap();
        }
        assert_eq!(client.wanted(), 0);
    }
}

#[test]
fn more_than_is_wanted_ends_the_dialogue() {
    let (mut client, _) = opened(Version::V5, &BY_NAME, "");
    let surplus = DialogueError::Surplus {
        wanted: 2,
        given: 3,
    };
    assert_eq!(client.received(&[5, 0, 5]), Err(surplus));
    assert_eq!((client.wanted(), client.outgoing()), (0, &b""[..]));

    let mut client = Client::new(Version::V5, &BY_NAME, "", None).unwrap();
    let surplus = DialogueError::Surplus {
        wanted: 0,
        given: 1,
    };
    assert_eq!(client.received(&[5]), Err(surplus));
}

#[test]
fn a_client_tells_whether_it_has_heard_a_word() {
    let (mut client, _) = opened(Version::V5, &BY_NAME, "");
    assert_eq!(client.received(&[]), Ok(Progress::More));
    assert!(!client.has_heard());
    assert_eq!(client.received(&[5]), Ok(Progress::More));
    assert!(client.has_heard());
}

#[test]
fn what_a_version_has_no_words_for_is_refused() {
    let v6 = by_address("[2001:db8::7]:1");
    assert_eq!(
        refusal(Version::V4, &BY_NAME),
        RequestError::NameUnsupported
    );
    for version in [Version::V4, Version::V4a] {
        let unsupported = RequestError::Ipv6Unsupported(version);
        assert_eq!(refusal(version, &v6), unsupported);
        for last in [1, 255] {
            let address = Ipv4Addr::new(0, 0, 0, last);
            let target = Target::Address((address, 1).into());
            let reserved = RequestError::ReservedAddress(address);
            assert_eq!(refusal(version, &target), reserved);
        }
        let anywhere = Target::Address((Ipv4Addr::UNSPECIFIED, 1).into());
        assert!(Client::new(version, &anywhere, "", None).is_ok());
    }
    let reserved = IpAddr::V6(Ipv4Addr::new(0, 0, 0, 1).to_ipv6_mapped());
    let target = Target::Address((reserved, 1).into());
    assert!(Client::new(Version::V5, &target, "", None).is_ok());
    let unspecified = Target::Address((Ipv6Addr::UNSPECIFIED, 1).into());
    assert!(Client::new(Version::V5, &unspecified, "", None).is_ok());
}

#[test]
fn names_have_1_to_255_bytes_and_no_zero() {
    let name = |host| Target::Name { host, port: 1 };
    let (longest, longer) = ("n".repeat(255), "n".repeat(256));
    for version in [Version::V4a, Version::V5] {
        assert!(Client::new(version, &name(&longest), "", None).is_ok());
        for (host, error) in [
            ("", RequestError::NameEmpty),
            (longer.as_str(), RequestError::NameTooLong(256)),
            ("far\0.example", RequestError::NameWithNul),
        ] {
            assert_eq!(refusal(version, &name(host)), error);
        }
    }
}

#[test]
fn a_login_has_255_bytes_at_most_and_no_zero() {
    let ask = |login: &str| Client::new(Version::V4a, &BY_NAME, login, None);
    assert!(ask(&"a".repeat(255)).is_ok());
    let too_long = ask(&"a".repeat(256)).unwrap_err();
    assert_eq!(too_long, RequestError::LoginTooLong(256));
    assert_eq!(ask("an\0na").unwrap_err(), RequestError::LoginWithNul);
    // SOCKS 5 does not send it.
    assert!(Client::new(Version::V5, &BY_NAME, "an\0na", None).is_ok());
}

#[test]
fn user_and_password_have_1_to_255_bytes_each() {
    let ask = |user: &str, password: &str| {
        let credentials = Credentials { user, password };
        Client::new(Version::V5, &BY_NAME, "", Some(&credentials)).map(|_| ())
    };
    let (longest, longer) = ("x".repeat(255), "x".repeat(256));
    assert_eq!(ask(&longest, &longest), Ok(()));
    assert_eq!(ask("", "x"), Err(RequestError::UserLength(0)));
    assert_eq!(ask(&longer, "x"), Err(RequestError::UserLength(256)));
    assert_eq!(ask("x", ""), Err(RequestError::PasswordLength(0)));
    assert_eq!(ask("x", &longer), Err(RequestError::PasswordLength(256)));
}

#[test]
fn the_longest_of_everything_has_room() {
    let long = "x".repeat(255);
    let target = Target::Name {
        host: &long,
        port: 1,
    };
    let credentials = Credentials {
        user: &long,
        password: &long,
    };
    let mut client = Client::new(Version::V5, &target, "", Some(&credentials)).unwrap();
    send(&mut client);
    assert_eq!(answer(&mut client, &[5, 2]), Ok(Progress::More));
    assert_eq!(send(&mut client).len(), 3 + 255 + 255);
    assert_eq!(answer(&mut client, &[1, 0]), Ok(Progress::More));
    assert_eq!(send(&mut client).len(), 4 + 1 + 255 + 2);
    let (_, request) = opened(Version::V4a, &target, &long);
    assert_eq!(request.len(), 8 + 255 + 1 + 255 + 1);
}
