//! Triple DES. NSS keeps it for what it converts from the format before SQLite.

use std::fs;

use anyhow::{Context, Result, ensure};
use nss_db::{NssDatabase, NssError, Password};

use crate::maker::{Nss, P_256, PASSWORD, RSA};

/// The object identifiers of triple DES in NSS's fashion, and of AES-256-CBC, in DER.
const TRIPLE_DES: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x05\x01\x03";
const AES: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a";

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// A database of the old format, converted as [`NssError::OldFormat`] says.
fn converted(password: Option<&'static str>) -> Result<Nss> {
    let nss = Nss::in_old_format(password)?;
    nss.root("Root", RSA, "CT,,")?;
    nss.leaf("RSA", RSA, "Root")?;
    nss.leaf("EC", P_256, "Root")?;
    let refused = nss.open().err().context("NSS has converted it already")?;
    let command = format!("certutil -K -X -d sql:{}", nss.folder().display());
    ensure!(refused.to_string().contains(&command), "{refused}");

    let nss = nss.into_sql();
    nss.certutil(&["-K", "-X"])?;
    let keys = fs::read(nss.folder().join("key4.db"))?;
    ensure!(contains(&keys, TRIPLE_DES), "NSS has not used triple DES");
    ensure!(!contains(&keys, AES), "NSS has used AES");
    Ok(nss)
}

fn comes_out(password: Option<&'static str>) -> Result<()> {
    let nss = converted(password)?;
    assert_eq!(nss.open()?.needs_password(), password.is_some());
    for nickname in ["RSA", "EC"] {
        let identity = nss.identity(nickname)?;
        assert_eq!(identity.chain.len(), 2);
        nss.judge(&identity)?;
    }
    Ok(())
}

#[test]
fn keys_under_triple_des_come_out_with_a_password() {
    comes_out(Some(PASSWORD)).unwrap();
}

#[test]
fn keys_under_triple_des_come_out_without_a_password() {
    comes_out(None).unwrap();
}

#[test]
fn a_wrong_password_is_told_under_triple_des_too() {
    let nss = converted(Some(PASSWORD)).unwrap();
    let refused = nss
        .open()
        .unwrap()
        .identity("RSA", &Password::new("guess"))
        .unwrap_err();
    assert!(
        matches!(refused, NssError::WrongPassword { .. }),
        "{refused}"
    );
}

#[test]
fn a_database_of_the_old_format_is_named_as_such() {
    let nss = Nss::in_old_format(None).unwrap();
    let refused = NssDatabase::open(nss.folder()).unwrap_err();
    assert!(matches!(refused, NssError::OldFormat { .. }), "{refused}");
    assert!(refused.to_string().contains("dbm"), "{refused}");
}
