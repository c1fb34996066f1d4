//! Which authorities a database trusts, and for what.

use anyhow::Result;
use nss_db::{NssError, TrustedAuthority};
use rusqlite::Connection;

use crate::maker::{Nss, P_256, PASSWORD, pem};

/// What an authority may do, and its nickname.
fn summary(authorities: &[TrustedAuthority]) -> Vec<(String, bool, bool)> {
    let mut summary: Vec<_> = authorities
        .iter()
        .map(|authority| {
            let nickname = authority.nickname.clone().unwrap_or_default();
            (nickname, authority.for_servers, authority.for_clients)
        })
        .collect();
    summary.sort();
    summary
}

/// Authorities with every kind of trust.
fn with_authorities(password: Option<&'static str>) -> Result<Nss> {
    let nss = Nss::new(password)?;
    for (nickname, trust) in [
        ("both", "CT,,"),
        ("clients", "T,,"),
        ("mail", ",C,"),
        ("none", ",,"),
        ("peer", "P,,"),
        ("prohibited", "p,,"),
        ("servers", "C,,"),
    ] {
        nss.root(nickname, P_256, trust)?;
    }
    nss.leaf("leaf", P_256, "both")?;
    Ok(nss)
}

fn expected() -> Vec<(String, bool, bool)> {
    [
        ("both", true, true),
        ("clients", false, true),
        ("servers", true, false),
    ]
    .map(|(nickname, servers, clients)| (nickname.to_owned(), servers, clients))
    .to_vec()
}

#[test]
fn authorities_are_trusted_for_what_certutil_says() {
    for password in [None, Some(PASSWORD)] {
        let nss = with_authorities(password).unwrap();
        let database = nss.open().unwrap();
        let locked = database.trusted_authorities();
        assert_eq!(summary(&locked), expected());
        let unlocked = database.unlock(&nss.password()).unwrap();
        assert_eq!(unlocked.trusted_authorities().unwrap(), locked);
        let both = locked
            .iter()
            .find(|authority| authority.nickname.as_deref() == Some("both"))
            .unwrap();
        assert_eq!(
            pem(nss.scratch(), &both.der).unwrap(),
            nss.pem("both").unwrap()
        );
    }
}

#[test]
fn trust_that_was_withdrawn_is_gone() {
    let nss = Nss::new(Some(PASSWORD)).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    nss.certutil(&["-M", "-n", "Root", "-t", ",,"]).unwrap();
    let database = nss.open().unwrap();
    assert_eq!(database.trusted_authorities(), []);
    let unlocked = database.unlock(&nss.password()).unwrap();
    assert_eq!(unlocked.trusted_authorities().unwrap(), []);
}

#[test]
fn trust_that_was_set_without_the_password_is_refused() {
    let nss = Nss::new(Some(PASSWORD)).unwrap();
    nss.root("Root", P_256, ",,").unwrap();
    let files = Connection::open(nss.folder().join("cert9.db")).unwrap();
    let changed = files
        .execute(
            "UPDATE nssPublic SET ace536358 = x'ce534352' WHERE a0 = x'ce534353'",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(files);

    let database = nss.open().unwrap();
    let unlocked = database.unlock(&nss.password()).unwrap();
    let refused = unlocked.trusted_authorities().unwrap_err();
    assert!(
        matches!(&refused, NssError::TrustNotAuthentic { nickname, .. } if nickname == "Root"),
        "{refused}"
    );
    assert!(refused.to_string().contains("certutil -M -n \"Root\""));
}

#[test]
fn trust_does_not_pass_to_another_certificate_of_the_same_name_and_number() {
    let nss = Nss::new(None).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    let other = Nss::new(None).unwrap();
    other.root("Root", P_256, "CT,,").unwrap();
    let theirs = other.identity("Root").unwrap().chain.remove(0);
    let files = Connection::open(nss.folder().join("cert9.db")).unwrap();
    files
        .execute(
            "UPDATE nssPublic SET a11 = ?1 WHERE a0 = x'00000001'",
            [theirs],
        )
        .unwrap();
    drop(files);
    assert_eq!(nss.open().unwrap().trusted_authorities(), []);
}
