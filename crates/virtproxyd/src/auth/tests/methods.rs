//! What is asked for, and what comes of calls that nobody asked for.

use virt_proto::{AuthList, AuthPolkit, AuthType, SaslInit};

use super::*;
use crate::who::UnixPeer;

fn peer(uid: u32) -> Option<UnixPeer> {
    Some(UnixPeer {
        uid,
        gid: 0,
        process: None,
    })
}

#[tokio::test]
async fn where_nothing_is_asked_for_everyone_is_in() {
    let subject = subject(Method::None, Transport::Unix);
    let mut auth = Authentication::new(subject, settings(Method::None));
    assert!(auth.is_done());
    let types = call(&mut auth, &AuthList).await;
    assert_eq!(types, Ok(AuthTypes(vec![AuthType::NONE])));
    for error in [
        call(&mut auth, &SaslInit).await.unwrap_err(),
        call(&mut auth, &AuthPolkit).await.unwrap_err(),
    ] {
        assert_eq!(error, RemoteError::auth_failed());
    }
    assert!(auth.is_done() && !auth.is_hopeless());
}

#[tokio::test]
async fn root_is_in_without_polkit_once_it_has_asked_for_the_list() {
    let mut subject = subject(Method::Polkit, Transport::Unix);
    subject.unix = peer(0);
    let mut auth = Authentication::new(subject, settings(Method::Polkit));
    assert!(!auth.is_done());
    for _ in 0..2 {
        let types = call(&mut auth, &AuthList).await;
        assert_eq!(types, Ok(AuthTypes(vec![AuthType::NONE])));
        assert!(auth.is_done());
    }
}

#[tokio::test]
async fn others_than_root_are_asked_for_polkit() {
    let mut subject = subject(Method::Polkit, Transport::Unix);
    subject.unix = peer(1);
    let mut auth = Authentication::new(subject, settings(Method::Polkit));
    let types = call(&mut auth, &AuthList).await;
    assert_eq!(types, Ok(AuthTypes(vec![AuthType::POLKIT])));
    assert!(!auth.is_done());
    // Nobody knows its process.
    let error = call(&mut auth, &AuthPolkit).await.unwrap_err();
    assert_eq!(error, RemoteError::auth_failed());
    assert!(!auth.is_done());
}

#[tokio::test]
async fn another_way_than_the_one_asked_for_is_refused() {
    let subject = subject(Method::Polkit, Transport::Unix);
    let mut auth = Authentication::new(subject, settings(Method::Polkit));
    let error = call(&mut auth, &SaslInit).await.unwrap_err();
    assert_eq!(error, RemoteError::auth_failed());
    let start = SaslStart {
        mechanism: "PLAIN".to_owned(),
        data: SaslData(None),
    };
    assert!(call(&mut auth, &start).await.is_err());
    assert!(!auth.is_done());
}

#[tokio::test]
async fn what_cannot_be_understood_is_no_attempt() {
    let subject = subject(Method::Polkit, Transport::Unix);
    let mut auth = Authentication::new(subject, settings(Method::Polkit));
    for _ in 0..100 {
        let answer = auth.answer(Procedure::AUTH_SASL_START, b"\0\0\0\x09").await;
        assert_eq!(answer, Err(RemoteError::undecodable()));
        let answer = auth.answer(Procedure::CONNECT_OPEN, b"").await;
        assert_eq!(answer.unwrap_err().number, ErrorNumber::RPC);
    }
    assert!(!auth.is_hopeless());
}

#[tokio::test]
async fn whoever_fails_again_and_again_is_given_up() {
    let subject = subject(Method::Polkit, Transport::Unix);
    let mut auth = Authentication::new(subject, settings(Method::Polkit));
    for _ in 0..10 {
        assert!(!auth.is_hopeless());
        assert!(call(&mut auth, &AuthPolkit).await.is_err());
    }
    assert!(auth.is_hopeless());
}
