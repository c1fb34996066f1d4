//! What cannot be used, and what is said about it.

use std::fmt::Debug;
use std::fs;

use nss_db::{NssDatabase, NssError, Password};
use rusqlite::Connection;
use testbed::Scratch;

use crate::maker::{Nss, P_256, PASSWORD};

/// Asserts that something was refused with an error of the kind named, whose message has all these
/// parts.
#[track_caller]
fn says<T: Debug>(refused: Result<T, NssError>, kind: &str, parts: &[&str]) {
    let error = match refused {
        Ok(accepted) => panic!("accepted: {accepted:?}"),
        Err(error) => error,
    };
    let debug = format!("{error:?}");
    assert!(debug.starts_with(kind), "{debug}");
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn a_missing_folder_is_named() {
    let refused = NssDatabase::open("/no/such/folder");
    says(refused, "NoSuchFolder", &["/no/such/folder", "certutil -N"]);
    let refused = NssDatabase::open("/etc/passwd/nssdb");
    says(refused, "NoSuchFolder", &["/etc/passwd/nssdb"]);
}

#[test]
fn a_folder_without_a_database_is_named_with_the_file_that_is_missing() {
    let scratch = Scratch::new().unwrap();
    let folder = scratch.path().display().to_string();
    let refused = NssDatabase::open(scratch.path());
    says(refused, "NoDatabase", &[&folder, "cert9.db", "certutil -N"]);

    let nss = Nss::new(None).unwrap();
    fs::remove_file(nss.folder().join("key4.db")).unwrap();
    says(NssDatabase::open(nss.folder()), "NoDatabase", &["key4.db"]);
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let nss = Nss::new(None).unwrap();
    let file = nss.folder().join("cert9.db");
    let name = file.display().to_string();
    for content in ["", "no database at all"] {
        fs::write(&file, content).unwrap();
        says(
            NssDatabase::open(nss.folder()),
            "Corrupt",
            &[&name, "no SQLite"],
        );
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    says(
        NssDatabase::open(nss.folder()),
        "Corrupt",
        &[&name, "no file"],
    );
}

#[test]
fn a_database_of_something_else_is_named() {
    let nss = Nss::new(None).unwrap();
    for (file, table) in [("cert9.db", "nssPublic"), ("key4.db", "nssPrivate")] {
        let file = nss.folder().join(file);
        let whole = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let other = Connection::open(&file).unwrap();
        other.execute("CREATE TABLE other (x)", []).unwrap();
        drop(other);
        let name = file.display().to_string();
        says(NssDatabase::open(nss.folder()), "Corrupt", &[&name, table]);
        fs::write(&file, whole).unwrap();
    }
    nss.open().unwrap();
}

#[test]
fn a_value_of_the_wrong_type_is_corrupt() {
    let nss = Nss::new(None).unwrap();
    nss.root("Root", P_256, ",,").unwrap();
    let files = Connection::open(nss.folder().join("cert9.db")).unwrap();
    files.execute("UPDATE nssPublic SET a3 = 17", []).unwrap();
    says(NssDatabase::open(nss.folder()), "Corrupt", &["cert9.db"]);
}

#[test]
fn a_view_in_the_place_of_a_table_is_not_read() {
    let nss = Nss::new(None).unwrap();
    let files = Connection::open(nss.folder().join("cert9.db")).unwrap();
    files
        .execute_batch(
            "ALTER TABLE nssPublic RENAME TO real;
             CREATE VIEW nssPublic AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n)
             SELECT real.* FROM real, n;",
        )
        .unwrap();
    says(
        NssDatabase::open(nss.folder()),
        "Corrupt",
        &["no table nssPublic"],
    );
}

#[test]
fn a_write_ahead_log_is_refused_before_it_is_written() {
    let nss = Nss::new(None).unwrap();
    let file = nss.folder().join("key4.db");
    let files = Connection::open(&file).unwrap();
    files.pragma_update(None, "journal_mode", "wal").unwrap();
    drop(files);
    let refused = NssDatabase::open(nss.folder());
    says(
        refused,
        "WriteAheadLog",
        &["key4.db", "journal_mode=DELETE"],
    );
    assert!(!nss.folder().join("key4.db-shm").exists());

    let files = Connection::open(&file).unwrap();
    files.pragma_update(None, "journal_mode", "delete").unwrap();
    drop(files);
    nss.open().unwrap();
}

#[test]
fn a_database_that_is_being_written_is_busy() {
    let nss = Nss::new(None).unwrap();
    let files = Connection::open(nss.folder().join("cert9.db")).unwrap();
    files.execute_batch("BEGIN EXCLUSIVE").unwrap();
    says(
        NssDatabase::open(nss.folder()),
        "Busy",
        &["cert9.db", "try again"],
    );
    files.execute_batch("ROLLBACK").unwrap();
    nss.open().unwrap();
}

#[test]
fn a_database_that_was_left_half_written_is_not_believed() {
    let nss = Nss::new(None).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    let scratch = Scratch::new().unwrap();
    let files = Connection::open(nss.folder().join("cert9.db")).unwrap();
    // What is spilled from the smallest cache makes the journal needed; then the writer "dies".
    files
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN IMMEDIATE;
             UPDATE nssPublic SET a11 = zeroblob(9000);
             CREATE TABLE more AS SELECT zeroblob(9000) FROM nssPublic;",
        )
        .unwrap();
    for file in ["cert9.db", "cert9.db-journal", "key4.db"] {
        fs::copy(nss.folder().join(file), scratch.join(file)).unwrap();
    }
    let refused = NssDatabase::open(scratch.path());
    says(
        refused,
        "HalfWritten",
        &["cert9.db", "certutil -K -X -d sql:"],
    );
}

#[test]
fn a_missing_and_a_wrong_password_are_two_things() {
    let nss = Nss::new(Some(PASSWORD)).unwrap();
    let folder = nss.folder().display().to_string();
    nss.root("Root", P_256, "CT,,").unwrap();
    let database = nss.open().unwrap();
    let refused = database.unlock(&Password::empty());
    says(refused, "PasswordNeeded", &[&folder, "none was given"]);
    for wrong in ["guess", "sekrit pass ", "sekrit pas", "Sekrit pass"] {
        let refused = database.unlock(&Password::new(wrong));
        says(refused, "WrongPassword", &[&folder, "wrong"]);
    }
}

#[test]
fn an_unknown_nickname_is_answered_with_those_that_exist() {
    let nss = Nss::new(Some(PASSWORD)).unwrap();
    nss.root("Root", P_256, "CT,,").unwrap();
    nss.leaf("A leaf", P_256, "Root").unwrap();
    let database = nss.open().unwrap();
    let refused = database.identity("root", &nss.password());
    says(
        refused,
        "UnknownNickname",
        &["\"root\"", "\"A leaf\", \"Root\""],
    );
}

#[test]
fn a_certificate_without_its_key_is_told_from_an_unknown_one() {
    let maker = Nss::new(None).unwrap();
    maker.root("Root", P_256, "CT,,").unwrap();
    let nss = Nss::new(None).unwrap();
    let file = nss.scratch().write("root.pem", maker.pem("Root").unwrap());
    let file = file.unwrap().display().to_string();
    nss.certutil(&["-A", "-n", "Root", "-t", "CT,,", "-a", "-i", &file])
        .unwrap();
    let database = nss.open().unwrap();
    let refused = database.identity("Root", &nss.password());
    says(refused, "NoPrivateKey", &["\"Root\"", "pk12util -i"]);
    assert_eq!(database.trusted_authorities().len(), 1);
}

#[test]
fn an_unsupported_kind_of_key_is_named() {
    let nss = Nss::new(None).unwrap();
    nss.root("DSA", &["-k", "dsa", "-g", "1024"], "CT,,")
        .unwrap();
    let refused = nss.open().unwrap().identity("DSA", &nss.password());
    let parts = ["key4.db", "\"DSA\"", "1.2.840.10040.4.1"];
    says(refused, "UnsupportedAlgorithm", &parts);
}

#[test]
fn a_database_that_was_never_initialised_has_no_keys_but_opens() {
    let nss = Nss::new(None).unwrap();
    let files = Connection::open(nss.folder().join("key4.db")).unwrap();
    files.execute("DELETE FROM metaData", []).unwrap();
    drop(files);
    let database = nss.open().unwrap();
    assert!(!database.needs_password());
    let refused = database.identity("Root", &Password::empty());
    says(
        refused,
        "UnknownNickname",
        &["it has no certificate at all"],
    );
}
