//! The encrypted items of NSS databases: read, and opened where that is quick.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nss_db::{EncryptedItem, Password, PasswordKey};

/// More would make the fuzzer slow without teaching it anything.
const ITERATIONS: u32 = 10;

fuzz_target!(|der: &[u8]| {
    let Ok(item) = EncryptedItem::from_der(der) else {
        return;
    };
    if item.iterations() <= ITERATIONS {
        let key = PasswordKey::derive(b"salt", &Password::empty());
        let _ = item.decrypt(&key);
        let _ = item.authenticate(&key, &[b"message"]);
    }
});
