//! Sessions with the real libsasl2, its mechanisms, its database of users, and its own client.
//! Each test initialises the library for its process with a configuration of its own, which is why
//! they need a runner that gives each a process.

#[allow(unsafe_code, reason = "it calls a library that is written in C")]
mod client;

use std::sync::Arc;

use crate::{MAX_DATA, Options, Sasl, SaslError, Session, Step};
use testbed::SaslUsers;

use client::{Client, Wanted};

/// A SASL of this test alone with the users `fred` (password `secret`) and `mary` (`other`).
struct Bed {
    sasl: Arc<Sasl>,
    users: SaslUsers,
}

impl Bed {
    fn new() -> Bed {
        let users = [("fred", "secret"), ("mary", "other")];
        let mechanisms = "SCRAM-SHA-256 DIGEST-MD5 PLAIN ANONYMOUS";
        let users = SaslUsers::new(&users, mechanisms).unwrap();
        let sasl = Sasl::load("libvirt", Some(users.folder())).unwrap();
        Bed { sasl, users }
    }

    fn session(&self, options: &Options) -> Session {
        Session::new(&self.sasl, options).unwrap()
    }
}

/// A session as on a channel that is safe by itself.
fn secure() -> Options {
    Options {
        service: "libvirt".to_owned(),
        local_address: None,
        remote_address: None,
        external_ssf: 0,
        external_name: None,
        min_ssf: 0,
        max_ssf: 0,
        allow_weak_mechanisms: true,
    }
}

/// A session as on plain TCP.
fn exposed(min_ssf: u32) -> Options {
    Options {
        local_address: Some("127.0.0.1;16509".to_owned()),
        remote_address: Some("127.0.0.1;40000".to_owned()),
        min_ssf,
        max_ssf: 100_000,
        allow_weak_mechanisms: false,
        ..secure()
    }
}

fn wanted(user: &'static str, password: &'static str) -> Wanted {
    Wanted {
        user,
        password,
        max_ssf: 100_000,
        max_packet: 65536,
    }
}

/// Goes the whole way of a mechanism.
fn converse(session: &mut Session, client: &mut Client, mechanism: &str) -> Result<(), SaslError> {
    let mut words = client.start(mechanism);
    let mut first = true;
    for _ in 0..10 {
        let step = match first {
            true => session.start(mechanism, words.as_deref())?,
            false => session.step(words.as_deref())?,
        };
        first = false;
        if step.complete {
            if let Some(last) = step.data {
                client.step(Some(&last)).expect("the server proves itself");
            }
            return Ok(());
        }
        words = client
            .step(step.data.as_deref())
            .expect("the client goes on");
    }
    panic!("{mechanism} does not end");
}

fn refused(error: &SaslError) -> i32 {
    match error {
        SaslError::Refused { code, .. } => *code,
        other => panic!("{other}"),
    }
}

/// Both ends of a DIGEST-MD5 that is through.
fn layered(bed: &Bed) -> (Session, Client) {
    let mut session = bed.session(&exposed(112));
    let mut client = Client::new(&wanted("fred", "secret"));
    converse(&mut session, &mut client, "DIGEST-MD5").unwrap();
    assert!(session.ssf() >= 112, "{}", session.ssf());
    (session, client)
}

#[test]
fn a_user_with_the_right_password_is_let_in_by_name() {
    let bed = Bed::new();
    for mechanism in ["SCRAM-SHA-256", "DIGEST-MD5", "PLAIN"] {
        let mut session = bed.session(&secure());
        let mut client = Client::new(&wanted("fred", "secret"));
        converse(&mut session, &mut client, mechanism).unwrap();
        assert_eq!(session.username().unwrap(), "fred", "{mechanism}");
        assert_eq!(session.ssf(), 0, "{mechanism}");
    }
}

#[test]
fn a_wrong_password_is_refused_and_ends_the_session() {
    let bed = Bed::new();
    for mechanism in ["SCRAM-SHA-256", "DIGEST-MD5", "PLAIN"] {
        let mut session = bed.session(&secure());
        let mut client = Client::new(&wanted("fred", "guess"));
        let error = converse(&mut session, &mut client, mechanism).unwrap_err();
        assert_eq!(refused(&error), -13, "{error}");
        assert!(!error.to_string().contains("guess"), "{error}");
        let again = session.step(Some(b"again")).unwrap_err();
        assert!(matches!(again, SaslError::OutOfTurn { .. }), "{again}");
        assert!(session.username().is_err());
    }
}

#[test]
fn an_unknown_user_is_refused() {
    let bed = Bed::new();
    for mechanism in ["SCRAM-SHA-256", "DIGEST-MD5"] {
        let mut session = bed.session(&secure());
        let mut client = Client::new(&wanted("nobody-of-that-name", "secret"));
        let error = converse(&mut session, &mut client, mechanism).unwrap_err();
        assert!(refused(&error) < 0, "{error}");
    }
}

#[test]
fn a_mechanism_that_is_not_there_is_refused() {
    let bed = Bed::new();
    for mechanism in ["NO-SUCH", "", "SCRAM-SHA-256,PLAIN", &"X".repeat(100_000)] {
        let mut session = bed.session(&secure());
        let error = session.start(mechanism, None).unwrap_err();
        assert_eq!(refused(&error), -4, "{error}");
    }
    let mut session = bed.session(&secure());
    let error = session.start("PLAIN\0", None).unwrap_err();
    assert!(matches!(error, SaslError::Zero { .. }), "{error}");
}

#[test]
fn mechanisms_are_those_that_are_strong_enough() {
    let bed = Bed::new();
    let names = |options: &Options| {
        let names = bed.session(options).mechanisms().unwrap();
        let mut names: Vec<String> = names.split(',').map(str::to_owned).collect();
        names.sort_unstable();
        names.join(",")
    };
    assert_eq!(names(&secure()), "ANONYMOUS,DIGEST-MD5,PLAIN,SCRAM-SHA-256");
    assert_eq!(names(&exposed(0)), "DIGEST-MD5,SCRAM-SHA-256");
    assert_eq!(names(&exposed(112)), "DIGEST-MD5");
    let behind_tls = Options {
        external_ssf: 256,
        external_name: Some("CN=fred".to_owned()),
        min_ssf: 112,
        ..secure()
    };
    assert_eq!(
        names(&behind_tls),
        "ANONYMOUS,DIGEST-MD5,PLAIN,SCRAM-SHA-256"
    );
    let error = bed.session(&exposed(1000)).mechanisms().unwrap_err();
    assert_eq!(error, SaslError::NoMechanism);
}

#[test]
fn a_mechanism_that_is_too_weak_is_refused_though_it_is_installed() {
    let bed = Bed::new();
    for mechanism in ["PLAIN", "ANONYMOUS", "SCRAM-SHA-256"] {
        let mut session = bed.session(&exposed(112));
        let error = session.start(mechanism, Some(b"x")).unwrap_err();
        assert!(refused(&error) < 0, "{error}");
    }
}

#[test]
fn a_client_that_wants_no_layer_is_refused_where_one_is_needed() {
    let bed = Bed::new();
    let mut session = bed.session(&exposed(112));
    let mut client = Client::new(&Wanted {
        max_ssf: 0,
        ..wanted("fred", "secret")
    });
    let words = client.start("DIGEST-MD5");
    let step = session.start("DIGEST-MD5", words.as_deref()).unwrap();
    // Its own library finds that it cannot be done.
    assert!(client.step(step.data.as_deref()).is_err());
}

#[test]
fn the_security_layer_carries_much_both_ways_however_it_is_cut() {
    let bed = Bed::new();
    let (mut session, mut client) = layered(&bed);
    let much: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();

    let mut sealed = Vec::new();
    session.encode(&much, &mut sealed).unwrap();
    assert!(sealed.len() > much.len());
    assert_eq!(client.decode(&sealed).unwrap(), much);

    let sealed = client.encode(&much);
    let mut plain = Vec::new();
    for piece in sealed.chunks(70_001) {
        session.decode(piece, &mut plain).unwrap();
    }
    assert_eq!(plain, much);

    plain.clear();
    for byte in client.encode(b"byte by byte") {
        session.decode(&[byte], &mut plain).unwrap();
    }
    assert_eq!(plain, b"byte by byte");
    session.encode(&[], &mut Vec::new()).unwrap();
    session.decode(&[], &mut Vec::new()).unwrap();
}

#[test]
fn what_the_client_did_not_seal_is_refused_and_ends_the_layer() {
    let bed = Bed::new();
    let huge: &[u8] = &[0xff; 4];
    for garbage in [
        huge,
        &[0, 0, 0, 20],
        &[0x16, 3, 1, 2, 0, 1],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let (mut session, _client) = layered(&bed);
        let mut bytes = garbage.to_vec();
        bytes.resize(200_000, 7);
        let mut plain = Vec::new();
        let error = session.decode(&bytes, &mut plain).unwrap_err();
        assert!(refused(&error) < 0, "{error}");
        assert_eq!(plain, b"");
        for error in [
            session.decode(b"more", &mut plain).unwrap_err(),
            session.encode(b"more", &mut plain).unwrap_err(),
        ] {
            assert!(matches!(error, SaslError::OutOfTurn { .. }), "{error}");
        }
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    let bed = Bed::new();
    let (mut session, mut client) = layered(&bed);
    let mut sealed = client.encode(b"as it was");
    sealed[6] ^= 1;
    let mut plain = Vec::new();
    assert!(session.decode(&sealed, &mut plain).is_err());
    assert_eq!(plain, b"");
}

#[test]
fn a_client_that_wants_tiny_pieces_is_refused() {
    let bed = Bed::new();
    let mut session = bed.session(&exposed(112));
    let mut client = Client::new(&Wanted {
        max_packet: 100,
        ..wanted("fred", "secret")
    });
    let error = converse(&mut session, &mut client, "DIGEST-MD5").unwrap_err();
    assert!(matches!(error, SaslError::SmallPieces { .. }), "{error}");
    assert!(session.username().is_err());
}

#[test]
fn more_than_a_client_may_send_is_refused() {
    let bed = Bed::new();
    let mut session = bed.session(&secure());
    let words = vec![b'a'; MAX_DATA + 1];
    let error = session.start("PLAIN", Some(&words)).unwrap_err();
    assert!(matches!(error, SaslError::TooLong { .. }), "{error}");
    let mut session = bed.session(&secure());
    assert!(session.start("PLAIN", Some(&words[1..])).is_err());
}

#[test]
fn what_comes_out_of_turn_is_refused() {
    let bed = Bed::new();
    let mut session = bed.session(&exposed(112));
    let mut bytes = Vec::new();
    for error in [
        session.step(Some(b"words")).unwrap_err(),
        session.encode(b"x", &mut bytes).unwrap_err(),
        session.decode(b"x", &mut bytes).unwrap_err(),
        session.username().unwrap_err(),
    ] {
        assert!(matches!(error, SaslError::OutOfTurn { .. }), "{error}");
    }
    session.start("DIGEST-MD5", None).unwrap();
    let error = session.start("DIGEST-MD5", None).unwrap_err();
    assert!(matches!(error, SaslError::OutOfTurn { .. }), "{error}");
    assert!(session.decode(b"x", &mut bytes).is_err());
}

#[test]
fn no_words_and_empty_words_are_two_things() {
    let bed = Bed::new();
    let mut session = bed.session(&secure());
    let Step { complete, data } = session.start("PLAIN", None).unwrap();
    assert_eq!((complete, data), (false, Some(Vec::new())));
    let mut session = bed.session(&secure());
    assert!(session.start("PLAIN", Some(b"")).is_err());
}

#[test]
fn many_sessions_go_on_at_once_and_from_thread_to_thread() {
    let bed = Bed::new();
    let sasl = &bed.sasl;
    std::thread::scope(|scope| {
        for n in 0..8 {
            scope.spawn(move || {
                for _ in 0..5 {
                    let right = n % 2 == 0;
                    let options = exposed(112);
                    let mut session = Session::new(sasl, &options).unwrap();
                    let password = if right { "other" } else { "secret" };
                    let mut client = Client::new(&wanted("mary", password));
                    let mechanism = "DIGEST-MD5";
                    let words = client.start(mechanism);
                    let first = session.start(mechanism, words.as_deref()).unwrap();
                    let words = client.step(first.data.as_deref()).unwrap();
                    // As a blocking task does: there and back.
                    let outcome = scope
                        .spawn(move || session.step(words.as_deref()).map(|step| step.complete))
                        .join()
                        .unwrap();
                    assert_eq!(outcome.is_ok_and(|complete| complete), right);
                }
            });
        }
    });
}

#[test]
fn the_library_is_initialised_once_and_for_one_application() {
    let bed = Bed::new();
    let error = Sasl::load("libvirt", None).unwrap_err();
    assert!(matches!(error, SaslError::LoadedBefore { .. }), "{error}");
    let again = Sasl::load("libvirt", Some(bed.users.folder())).unwrap();
    assert!(Arc::ptr_eq(&bed.sasl, &again));
}
