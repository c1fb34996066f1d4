//! What every network daemon of gatehouse shares.

#![forbid(unsafe_code)]

pub mod relay;
