//! Items that the real NSS (3.87, certutil) has made, and what becomes of them when they are bent.

use proptest::prelude::*;

use super::*;
use crate::password::Password;

/// The text in every check of a password.
const CHECK: &[u8] = b"password-check";

/// The password of the databases that the items with AES and a password, and with triple DES, are
/// from.
const PASSWORD: &str = "sekrit pass";

/// A database with a password: AES, 10 000 iterations.
mod aes {
    pub(super) const SALT: &str = "806d0d9758e40cf17ff27a039bf5c905a016d0eb";
    pub(super) const CHECK: &str = "308182306e06092a864886f70d01050d3061304206092a864886f70d010\
        50c303504206116e3b48ad624c90a4c83214da6c7e718efc7f84c1a998765f4dcc153c47c440202271002012\
        0300a06082a864886f70d0209301b060960864801650304012a040ea78357cc4acd25ff096c8c755c560410d\
        237e33202197bb11b0c63b56cd21702";
}

/// A database without a password: AES, one iteration.
mod open {
    pub(super) const SALT: &str = "2ea2e033af42b032b93f816a75c34a1890a95f1c";
    pub(super) const CHECK: &str = "308181306d06092a864886f70d01050d3060304106092a864886f70d010\
        50c303404208674358bb63168bfcd22ad0c1f6e8d2e60508652ed5e6e487521a8ce22d327d60201010201203\
        00a06082a864886f70d0209301b060960864801650304012a040e78a44c6bb9194f23dd79ccca78290410bce\
        c75c9248800b84cf387bd49fed52d";
    /// The private value of an elliptic curve key, and its authentication code.
    pub(super) const KEY: &str = "3081a1306d06092a864886f70d01050d3060304106092a864886f70d01050\
        c3034042031bedc01d54d1c8729b5891653b463c268c614f2a721ddd9734db068a84a773c020101020120300\
        a06082a864886f70d0209301b060960864801650304012a040e1204b7d4abf3013816a47301227d043075471\
        32b060a67d735ab4ab36c80ac1b1faa70564b4a9b48e300a7660472c7f2a21352413155455da642f4f31e68c\
        ba5";
    pub(super) const CODE: &str = "308180305c06092a864886f70d01050e304f304106092a864886f70d0105\
        0c30340420ae5bbfd8095aa37c8a42715007d63bdc2b7f33a20b94f095c06aeebac4efa21a02010102012030\
        0a06082a864886f70d0209300a06082a864886f70d02090420fe49471140bef99de42ac8598f9cc5900e2398\
        400e1dc715f2b996955eb44f54";
}

/// A database converted from the dbm format: triple DES.
mod triple_des {
    pub(super) const SALT: &str = "418d29fc933cd610b3db4bb2386a2e528082e92f";
    pub(super) const CHECK: &str = "303c3028060b2a864886f70d010c05010330190414dfee188e47e6915b6\
        eb80d025f714f08964460aa020101041064be6330ee5f98adcebf4997cdede0e0";
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn key(salt: &str, password: &str) -> PasswordKey {
    PasswordKey::derive(&unhex(salt), &Password::new(password))
}

fn decrypt(item: &str, key: &PasswordKey) -> Result<Vec<u8>, ItemError> {
    let item = unhex(item);
    Ok(EncryptedItem::from_der(&item)?.decrypt(key)?.to_vec())
}

#[test]
fn aes_items_of_nss_are_decrypted() {
    let opened = decrypt(aes::CHECK, &key(aes::SALT, PASSWORD));
    assert_eq!(opened.unwrap(), CHECK);
    let opened = decrypt(open::CHECK, &key(open::SALT, ""));
    assert_eq!(opened.unwrap(), CHECK);
}

#[test]
fn triple_des_items_of_nss_are_decrypted() {
    let opened = decrypt(triple_des::CHECK, &key(triple_des::SALT, PASSWORD));
    assert_eq!(opened.unwrap(), CHECK);
}

#[test]
fn a_wrong_password_does_not_open_an_item() {
    for (salt, item) in [
        (open::SALT, open::CHECK),
        (triple_des::SALT, triple_des::CHECK),
    ] {
        let opened = decrypt(item, &key(salt, "another"));
        assert_ne!(opened.ok().as_deref(), Some(CHECK));
    }
}

#[test]
fn an_authentication_code_of_nss_fits_its_secret_alone() {
    let key = key(open::SALT, "");
    let secret = decrypt(open::KEY, &key).unwrap();
    assert_eq!(secret.len(), 32);
    let code = unhex(open::CODE);
    let code = EncryptedItem::from_der(&code).unwrap();
    let [no_object, attribute] = [0u32, 0x11].map(u32::to_be_bytes);
    assert_eq!(
        code.authenticate(&key, &[&no_object, &attribute, &secret]),
        Ok(())
    );
    assert_eq!(
        code.authenticate(&key, &[&no_object, &attribute, &secret[1..]]),
        Err(ItemError::NotAuthentic)
    );
}

#[test]
fn a_secret_and_a_code_are_not_taken_for_each_other() {
    let key = key(open::SALT, "");
    assert_eq!(decrypt(open::CODE, &key), Err(ItemError::WrongKind));
    let secret = unhex(open::KEY);
    let secret = EncryptedItem::from_der(&secret).unwrap();
    assert_eq!(secret.authenticate(&key, &[]), Err(ItemError::WrongKind));
}

#[test]
fn iterations_are_counted_before_they_are_done() {
    let item = unhex(&aes::CHECK.replace("02022710", "02022711"));
    assert_eq!(EncryptedItem::from_der(&item).unwrap().iterations(), 10_001);
    let item = unhex(&open::CHECK.replace("020101020120", "020100020120"));
    let error = EncryptedItem::from_der(&item).unwrap_err();
    assert_eq!(error, ItemError::Iterations(0));
    // A negative number.
    let item = unhex(&aes::CHECK.replace("02022710", "0202ffff"));
    let error = EncryptedItem::from_der(&item).unwrap_err();
    assert!(matches!(error, ItemError::Malformed(_)), "{error:?}");
}

#[test]
fn a_million_and_one_iterations_are_too_many() {
    assert_eq!(allowed(MOST_ITERATIONS), Ok(MOST_ITERATIONS));
    assert_eq!(
        allowed(MOST_ITERATIONS + 1),
        Err(ItemError::Iterations(1_000_001))
    );
}

#[test]
fn an_unknown_algorithm_is_named() {
    // PBES1 with MD5 and DES in the place of triple DES.
    let item =
        triple_des::CHECK.replace("060b2a864886f70d010c050103", "060b2a864886f70d010c050104");
    assert_eq!(
        EncryptedItem::from_der(&unhex(&item))
            .unwrap_err()
            .to_string(),
        "the algorithm 1.2.840.113549.1.12.5.1.4 is not supported"
    );
    // AES-128 in the place of AES-256.
    let item = open::CHECK.replace("60864801650304012a", "608648016503040102");
    assert_eq!(
        EncryptedItem::from_der(&unhex(&item))
            .unwrap_err()
            .to_string(),
        "the algorithm 2.16.840.1.101.3.4.1.2 is not supported"
    );
}

#[test]
fn an_item_of_unlikely_length_is_not_looked_at() {
    let error = EncryptedItem::from_der(&[0x30; LONGEST + 1]).unwrap_err();
    assert_eq!(error, ItemError::TooLong(LONGEST + 1));
}

/// Everything that can be done with an item.
fn exercise(der: &[u8]) {
    let Ok(item) = EncryptedItem::from_der(der) else {
        return;
    };
    if item.iterations() <= 100 {
        let key = key(open::SALT, "");
        let _ = item.decrypt(&key);
        let _ = item.authenticate(&key, &[b"message"]);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        exercise(&bytes);
    }

    #[test]
    fn bent_items_are_survived(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length: prop::sample::Index,
    ) {
        let items = [aes::CHECK, open::CHECK, open::KEY, open::CODE, triple_des::CHECK];
        let mut der = unhex(items[which]);
        for (place, byte) in changes {
            let place = place.index(der.len());
            der[place] = byte;
        }
        exercise(&der);
        der.truncate(length.index(der.len()));
        exercise(&der);
    }
}
