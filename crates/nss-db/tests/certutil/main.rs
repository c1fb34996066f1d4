//! Databases that the real `certutil` makes, read by the library.

#![forbid(unsafe_code)]

mod damage;
mod identities;
mod maker;
mod old_cipher;
mod refusals;
mod trust;
