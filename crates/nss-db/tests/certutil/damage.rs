//! Damaged databases: refused, or still read, but never a panic.

use std::fs;

use anyhow::{Context, Result, ensure};
use nss_db::{NssDatabase, NssError, Password};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use rusqlite::Connection;
use testbed::Scratch;

use crate::maker::{Nss, P_256, PASSWORD, RSA};

/// The two files of a database.
type Files = [(&'static str, Vec<u8>); 2];

/// Those of a sound database. It has no password, which makes trying quick.
fn sound() -> Result<Files> {
    let nss = Nss::new(None)?;
    nss.root("Root", RSA, "CT,,")?;
    nss.leaf("leaf", P_256, "Root")?;
    let read = |name| fs::read(nss.folder().join(name));
    Ok([
        ("cert9.db", read("cert9.db")?),
        ("key4.db", read("key4.db")?),
    ])
}

/// Everything that can be done with a folder.
fn exercise(scratch: &Scratch) {
    let Ok(database) = NssDatabase::open(scratch.path()) else {
        return;
    };
    let _ = database.nicknames();
    let _ = database.trusted_authorities();
    if let Ok(unlocked) = database.unlock(&Password::empty()) {
        let _ = unlocked.identity("Root");
        let _ = unlocked.identity("leaf");
        let _ = unlocked.trusted_authorities();
    }
}

/// What is done to one of the files.
#[derive(Clone, Debug)]
struct Damage {
    which: usize,
    bytes: Vec<(Index, u8)>,
    length: Option<Index>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = prop::collection::vec((any::<Index>(), any::<u8>()), 1..30);
    (0usize..2, bytes, any::<Option<Index>>()).prop_map(|(which, bytes, length)| Damage {
        which,
        bytes,
        length,
    })
}

fn damaged(sound: &Files, damage: &Damage) -> Files {
    let mut files = sound.clone();
    let (_, content) = &mut files[damage.which];
    for (place, byte) in &damage.bytes {
        // Behind the header of the file, without which it would be turned away at once.
        let place = 100 + place.index(content.len() - 100);
        content[place] = *byte;
    }
    if let Some(length) = damage.length {
        content.truncate(length.index(content.len()));
    }
    files
}

#[test]
fn bent_files_are_survived() {
    let sound = sound().unwrap();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(200));
    let survived = runner.run(&damage(), |damage| {
        let scratch = Scratch::new().unwrap();
        for (name, content) in damaged(&sound, &damage) {
            scratch.write(name, content).unwrap();
        }
        exercise(&scratch);
        Ok(())
    });
    survived.unwrap();
}

/// What is said about a database that was changed by SQL.
fn refused_after(sql: &str) -> Result<NssError> {
    let nss = Nss::new(Some(PASSWORD))?;
    nss.root("Root", RSA, "CT,,")?;
    nss.leaf("leaf", P_256, "Root")?;
    let files = Connection::open(nss.folder().join("key4.db"))?;
    ensure!(files.execute(sql, [])? != 0, "nothing was changed");
    drop(files);
    let database = nss.open()?;
    ["Root", "leaf"]
        .iter()
        .find_map(|nickname| database.identity(nickname, &nss.password()).err())
        .context("nothing was refused")
}

#[test]
fn a_secret_without_its_authentication_code_is_refused() {
    let error = refused_after("DELETE FROM metaData WHERE id LIKE 'sig_key_%'")
        .unwrap()
        .to_string();
    assert!(error.contains("the private key of \"Root\""), "{error}");
    assert!(error.contains("authentication code"), "{error}");
}

#[test]
fn a_secret_of_another_attribute_is_refused() {
    let error = refused_after("UPDATE nssPrivate SET a124 = a125 WHERE a125 IS NOT NULL").unwrap();
    assert!(matches!(error, NssError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("authentication code"), "{error}");
}

#[test]
fn a_missing_part_of_a_key_is_named() {
    let error = refused_after("UPDATE nssPrivate SET a128 = NULL").unwrap();
    assert!(
        error.to_string().contains("attribute 0x128 is missing"),
        "{error}"
    );
}

#[test]
fn the_key_of_another_certificate_is_refused() {
    let another_modulus = "UPDATE nssPrivate SET a120 = a122 WHERE a120 IS NOT NULL";
    let another_curve = "UPDATE nssPrivate SET a180 = x'06052b81040022'";
    for sql in [another_modulus, another_curve] {
        let error = refused_after(sql).unwrap().to_string();
        assert!(error.contains("not the key of the certificate"), "{error}");
    }
}
