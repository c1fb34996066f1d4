//! SASL, with libsasl2's own database of users. It reads its configuration once for a process, so
//! that these tests need a runner that gives each a process.

use testbed::{Client, SaslUsers};
use tokio::net::TcpListener;
use virt_proto::{AuthList, AuthPolkit, AuthType, SaslInit, SaslMechanisms};

use super::wire::{REFUSED, Server};
use super::*;

/// A SASL of this test alone with the user `fred` (password `secret`).
struct Bed {
    users: SaslUsers,
}

impl Bed {
    fn new() -> Bed {
        let mechanisms = "SCRAM-SHA-256 DIGEST-MD5 PLAIN ANONYMOUS";
        let users = SaslUsers::new(&[("fred", "secret")], mechanisms).unwrap();
        Bed { users }
    }

    fn settings(&self, allowed: Option<&[&str]>) -> Arc<AuthSettings> {
        let names = |list: &[&str]| list.iter().copied().map(str::to_owned).collect();
        let auth = Auth {
            sasl_allowed_usernames: allowed.map(names),
            ..auth(Method::Sasl)
        };
        let elsewhere = Elsewhere {
            sasl_folder: Some(self.users.folder().to_owned()),
            bus_address: None,
        };
        Arc::new(AuthSettings::new(&auth, &sockets(), elsewhere).unwrap())
    }

    fn client(&self, transport: Transport, allowed: Option<&[&str]>) -> Authentication {
        Authentication::new(subject(Method::Sasl, transport), self.settings(allowed))
    }

    /// What virsh says when it connects to a server with these settings, and that server.
    async fn virsh(&self, password: &str, allowed: Option<&[&str]>) -> (String, Server) {
        let file = self.users.authfile("127.0.0.1", "fred", password).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let file = file.display();
        let uri = format!("qemu+tcp://{address}/system?authfile={file}");
        let virsh = Client::new("virsh").args(["-c", &uri, "list"]);
        let virsh = tokio::task::spawn_blocking(move || virsh.run().unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        let subject = Subject {
            local_address: Some(address.to_string().replace(':', ";")),
            remote_address: Some(stream.peer_addr().unwrap().to_string().replace(':', ";")),
            ..subject(Method::Sasl, Transport::Tcp)
        };
        let auth = Authentication::new(subject, self.settings(allowed));
        let mut server = Server::new(stream, auth);
        server.serve().await;
        let finished = virsh.await.unwrap();
        assert!(!finished.status.success(), "{finished}");
        (finished.stderr, server)
    }
}

fn start(mechanism: &str, data: Option<&[u8]>) -> SaslStart {
    SaslStart {
        mechanism: mechanism.to_owned(),
        data: SaslData(data.map(<[u8]>::to_vec)),
    }
}

fn step(data: &[u8]) -> SaslStep {
    SaslStep {
        data: SaslData(Some(data.to_vec())),
    }
}

const PASSWORD: Option<&[u8]> = Some(b"\0fred\0secret");

#[tokio::test]
async fn virsh_gets_in_with_its_password_and_goes_on_inside_the_security_layer() {
    let bed = Bed::new();
    let (said, mut server) = bed.virsh("secret", None).await;
    assert!(said.contains(REFUSED), "{said}");
    assert!(server.auth.is_done());
    assert_eq!(server.auth.sasl_name(), Some("fred"));
    let types = call(&mut server.auth, &AuthList).await;
    assert_eq!(types, Ok(AuthTypes(vec![AuthType::NONE])));
}

#[tokio::test]
async fn virsh_with_a_wrong_password_is_told_that_it_failed() {
    let bed = Bed::new();
    let (said, server) = bed.virsh("guess", None).await;
    assert!(
        said.contains("authentication failed: authentication failed"),
        "{said}"
    );
    assert!(!server.auth.is_done());
    assert_eq!(server.auth.sasl_name(), None);
}

#[tokio::test]
async fn a_list_of_names_lets_in_those_that_are_on_it() {
    let bed = Bed::new();
    let (said, server) = bed.virsh("secret", Some(&["mary", "fr?d*"])).await;
    assert!(said.contains(REFUSED), "{said}");
    assert!(server.auth.is_done());
}

#[tokio::test]
async fn a_list_of_names_keeps_out_those_that_are_not_on_it() {
    let bed = Bed::new();
    for list in [&["mary", "fre", "?fred"][..], &[]] {
        let (said, server) = bed.virsh("secret", Some(list)).await;
        assert!(said.contains("authentication failed"), "{said}");
        assert!(!server.auth.is_done());
        assert_eq!(server.auth.sasl_name(), None);
    }
}

#[tokio::test]
async fn where_the_socket_is_secure_any_mechanism_is_good_and_no_layer_follows() {
    let bed = Bed::new();
    for transport in [Transport::Unix, Transport::Tls] {
        let mut auth = bed.client(transport, None);
        let SaslMechanisms(names) = call(&mut auth, &SaslInit).await.unwrap();
        assert!(names.split(',').any(|name| name == "PLAIN"), "{names}");
        let reply = call(&mut auth, &start("PLAIN", PASSWORD)).await.unwrap();
        assert!(reply.complete);
        assert!(auth.is_done() && auth.take_security_layer().is_none());
        assert_eq!(auth.sasl_name(), Some("fred"));
    }
}

#[tokio::test]
async fn on_tcp_only_mechanisms_with_a_strong_layer_are_offered_and_taken() {
    let bed = Bed::new();
    let mut auth = bed.client(Transport::Tcp, None);
    let names = call(&mut auth, &SaslInit).await.unwrap();
    assert_eq!(names, SaslMechanisms("DIGEST-MD5".to_owned()));
    let error = call(&mut auth, &start("PLAIN", PASSWORD))
        .await
        .unwrap_err();
    assert_eq!(error, RemoteError::auth_failed());
    assert!(!auth.is_done());
}

#[tokio::test]
async fn whoever_fails_may_begin_again_on_the_same_connection() {
    let bed = Bed::new();
    let mut auth = bed.client(Transport::Unix, None);
    for wrong in [&b"\0fred\0guess"[..], b"\0nobody\0secret", b"", b"\0\0\0"] {
        call(&mut auth, &SaslInit).await.unwrap();
        let error = call(&mut auth, &start("PLAIN", Some(wrong)))
            .await
            .unwrap_err();
        assert_eq!(error, RemoteError::auth_failed());
    }
    call(&mut auth, &SaslInit).await.unwrap();
    let reply = call(&mut auth, &start("PLAIN", PASSWORD)).await.unwrap();
    assert!(reply.complete && auth.is_done());
}

#[tokio::test]
async fn whoever_guesses_for_long_is_given_up() {
    let bed = Bed::new();
    let mut auth = bed.client(Transport::Unix, None);
    for _ in 0..10 {
        call(&mut auth, &SaslInit).await.unwrap();
        let wrong = start("PLAIN", Some(b"\0fred\0guess"));
        assert!(call(&mut auth, &wrong).await.is_err());
    }
    assert!(auth.is_hopeless());
    assert!(call(&mut auth, &SaslInit).await.is_err());
    assert!(call(&mut auth, &start("PLAIN", PASSWORD)).await.is_err());
    assert!(!auth.is_done());
}

#[tokio::test]
async fn calls_out_of_turn_are_refused() {
    let bed = Bed::new();
    let mut auth = bed.client(Transport::Unix, None);
    let failed = RemoteError::auth_failed();
    // Before the beginning.
    let error = call(&mut auth, &start("PLAIN", PASSWORD))
        .await
        .unwrap_err();
    assert_eq!(error, failed);
    assert_eq!(call(&mut auth, &step(b"x")).await.unwrap_err(), failed);
    // A step before the start ends the session.
    call(&mut auth, &SaslInit).await.unwrap();
    assert_eq!(call(&mut auth, &step(b"x")).await.unwrap_err(), failed);
    assert!(call(&mut auth, &start("PLAIN", PASSWORD)).await.is_err());
    // A second beginning is refused, and the first one goes on.
    call(&mut auth, &SaslInit).await.unwrap();
    assert_eq!(call(&mut auth, &SaslInit).await.unwrap_err(), failed);
    assert_eq!(call(&mut auth, &AuthPolkit).await.unwrap_err(), failed);
    let SaslReply { complete, .. } = call(&mut auth, &start("PLAIN", None)).await.unwrap();
    assert!(!complete && !auth.is_done());
    let reply = call(&mut auth, &step(b"\0fred\0secret")).await.unwrap();
    assert!(reply.complete && auth.is_done());
    // After the end.
    assert_eq!(call(&mut auth, &SaslInit).await.unwrap_err(), failed);
    assert_eq!(call(&mut auth, &step(b"x")).await.unwrap_err(), failed);
    assert!(auth.is_done() && !auth.is_hopeless());
}

#[test]
fn a_call_that_is_dropped_half_way_leaves_nobody_in() {
    let bed = Bed::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut auth = bed.client(Transport::Unix, None);
        call(&mut auth, &SaslInit).await.unwrap();
        // Nothing else can block until this has an end.
        let (end, ended) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || ended.recv());
        let payload = start("PLAIN", PASSWORD).encode();
        {
            let answer = auth.answer(Procedure::AUTH_SASL_START, &payload);
            tokio::pin!(answer);
            let poll = std::future::poll_fn(|context| {
                std::task::Poll::Ready(answer.as_mut().poll(context).is_pending())
            });
            assert!(poll.await);
        }
        drop(end);
        assert!(!auth.is_done());
        let again = call(&mut auth, &start("PLAIN", PASSWORD)).await;
        assert_eq!(again.unwrap_err(), RemoteError::auth_failed());
        assert!(!auth.is_done());
    });
}
