//! Certificates with their chains and private keys.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use nss_db::{NssError, Password};

use crate::maker::{IS_AUTHORITY, Nss, P_256, P_384, P_521, PASSWORD, RSA, pem, verify_chain};

/// The default nickname of pmproxy's certificate.
const NICKNAME: &str = "PCP Collector certificate";

/// An identity comes out whole: chain, order, key.
fn comes_out(password: Option<&'static str>, key: &[&str]) -> Result<()> {
    let nss = Nss::new(password)?;
    nss.root("Root", key, "CT,,")?;
    nss.leaf(NICKNAME, key, "Root")?;

    let database = nss.open()?;
    assert_eq!(database.needs_password(), password.is_some());
    assert_eq!(database.nicknames(), [NICKNAME, "Root"]);

    let identity = database.identity(NICKNAME, &nss.password())?;
    assert_eq!(identity.chain.len(), 2);
    assert_eq!(pem(nss.scratch(), &identity.chain[0])?, nss.pem(NICKNAME)?);
    assert_eq!(pem(nss.scratch(), &identity.chain[1])?, nss.pem("Root")?);
    verify_chain(nss.scratch(), &identity)?;
    nss.judge(&identity)
}

#[test]
fn an_rsa_key_comes_out_of_a_database_with_a_password() {
    comes_out(Some(PASSWORD), RSA).unwrap();
}

#[test]
fn an_rsa_key_comes_out_of_a_database_without_a_password() {
    comes_out(None, RSA).unwrap();
}

#[test]
fn an_elliptic_curve_key_comes_out_of_a_database_with_a_password() {
    comes_out(Some(PASSWORD), P_256).unwrap();
}

#[test]
fn an_elliptic_curve_key_comes_out_of_a_database_without_a_password() {
    comes_out(None, P_256).unwrap();
}

#[test]
fn the_longer_curves_come_out() {
    comes_out(None, P_384).unwrap();
    comes_out(None, P_521).unwrap();
}

#[test]
fn a_chain_goes_through_all_issuers_up_to_the_root() {
    let nss = Nss::new(None).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    nss.root("Another root", P_256, "CT,,").unwrap();
    nss.intermediate("Region", "Root").unwrap();
    nss.intermediate("Town", "Region").unwrap();
    nss.leaf(NICKNAME, P_256, "Town").unwrap();

    let identity = nss.identity(NICKNAME).unwrap();
    let chain: Vec<String> = identity
        .chain
        .iter()
        .map(|der| pem(nss.scratch(), der).unwrap())
        .collect();
    let expected = [NICKNAME, "Town", "Region", "Root"].map(|name| nss.pem(name).unwrap());
    assert_eq!(chain, expected);
    verify_chain(nss.scratch(), &identity).unwrap();
}

#[test]
fn a_chain_ends_where_the_database_does() {
    let nss = Nss::new(None).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    nss.intermediate("Town", "Root").unwrap();
    nss.leaf(NICKNAME, P_256, "Town").unwrap();
    nss.certutil(&["-D", "-n", "Root"]).unwrap();
    assert_eq!(nss.identity(NICKNAME).unwrap().chain.len(), 2);
}

#[test]
fn of_two_issuers_of_one_name_the_one_with_the_right_key_is_taken() {
    let key_of_old = ("2.5.29.14", [0x04, 0x01, 0xaa].as_slice());
    let key_of_new = ("2.5.29.14", [0x04, 0x01, 0xbb].as_slice());
    let by_old = ("2.5.29.35", [0x30, 0x03, 0x80, 0x01, 0xaa].as_slice());
    let root = ["-x", "-t", "CT,,"];
    let old_root = ["-x", "-t", "CT,,", "-w", "-1"];

    let nss = Nss::new(None).unwrap();
    nss.issue("Root", P_256, &old_root, &[IS_AUTHORITY, key_of_old])
        .unwrap();
    let by_root = ["-c", "Root", "-t", ",,"];
    nss.issue(NICKNAME, P_256, &by_root, &[by_old]).unwrap();
    let before = nss.identity(NICKNAME).unwrap();
    verify_chain(nss.scratch(), &before).unwrap();

    for newer in [&[IS_AUTHORITY, key_of_new][..], &[IS_AUTHORITY]] {
        nss.issue("Root", P_256, &root, newer).unwrap();
        assert_eq!(nss.identity(NICKNAME).unwrap().chain, before.chain);
    }
}

#[test]
fn a_certificate_that_did_not_issue_another_is_left_out_of_its_chain() {
    let key = ("2.5.29.14", [0x04, 0x01, 0xaa].as_slice());
    let by_another = ("2.5.29.35", [0x30, 0x03, 0x80, 0x01, 0xbb].as_slice());
    let nss = Nss::new(None).unwrap();
    nss.issue("Root", P_256, &["-x", "-t", ",,"], &[IS_AUTHORITY, key])
        .unwrap();
    let by_root = ["-c", "Root", "-t", ",,"];
    nss.issue(NICKNAME, P_256, &by_root, &[by_another]).unwrap();
    assert_eq!(nss.identity(NICKNAME).unwrap().chain.len(), 1);
}

/// Of two certificates with one nickname, issued in either order, it is the one valid now.
fn the_valid_one_is_taken(first: &[&str], second: &[&str], newest_is_valid: bool) -> Result<()> {
    let nss = Nss::new(None)?;
    nss.root("Root", P_256, "CT,,")?;
    nss.leaf_with(NICKNAME, P_256, "Root", first)?;
    let before = nss.identity(NICKNAME)?;
    nss.leaf_with(NICKNAME, P_256, "Root", second)?;
    let after = nss.identity(NICKNAME)?;
    assert_eq!(before.chain[0] != after.chain[0], newest_is_valid);
    nss.judge(&after)
}

#[test]
fn of_a_renewed_certificate_the_newest_valid_one_is_taken() {
    let expired = ["-w", "-24", "-v", "12"];
    let older = ["-w", "-1", "-v", "12"];
    let future = ["-w", "6", "-v", "12"];
    let current = ["-v", "12"];
    the_valid_one_is_taken(&expired, &current, true).unwrap();
    the_valid_one_is_taken(&current, &expired, false).unwrap();
    the_valid_one_is_taken(&older, &current, true).unwrap();
    the_valid_one_is_taken(&current, &future, false).unwrap();
    the_valid_one_is_taken(&current, &older, false).unwrap();
}

#[test]
fn the_name_of_the_token_may_stand_before_a_nickname() {
    let nss = Nss::new(None).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    assert!(nss.identity("NSS Certificate DB:Root").is_ok());
}

#[test]
fn a_password_for_a_database_without_one_is_ignored_as_by_nss() {
    let nss = Nss::new(None).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    let database = nss.open().unwrap();
    let identity = database
        .identity("Root", &Password::new("needless"))
        .unwrap();
    nss.judge(&identity).unwrap();
}

#[test]
fn a_changed_password_is_the_one_that_counts() {
    let nss = Nss::new(Some(PASSWORD)).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    let new = nss.scratch().write("new-password", "another").unwrap();
    nss.certutil(&["-W", "-@", &new.display().to_string()])
        .unwrap();
    let database = nss.open().unwrap();
    let refused = database.identity("Root", &nss.password()).unwrap_err();
    assert!(
        matches!(refused, NssError::WrongPassword { .. }),
        "{refused}"
    );
    let identity = database
        .identity("Root", &Password::new("another"))
        .unwrap();
    nss.judge(&identity).unwrap();
}

/// Every file with what would change if it were written.
fn state(folder: &Path) -> Result<BTreeMap<OsString, (Vec<u8>, i64)>> {
    let mut state = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let changed = entry.metadata()?.mtime_nsec();
        state.insert(entry.file_name(), (fs::read(entry.path())?, changed));
    }
    Ok(state)
}

#[test]
fn reading_leaves_the_folder_as_it_was() {
    let nss = Nss::new(Some(PASSWORD)).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    let before = state(nss.folder()).unwrap();
    let database = nss.open().unwrap();
    assert_eq!(state(nss.folder()).unwrap(), before);
    database.identity("Root", &nss.password()).unwrap();
    drop(database);
    assert_eq!(state(nss.folder()).unwrap(), before);
}
