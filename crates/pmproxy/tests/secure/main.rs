//! Secure channels between real clients and a real pmcd: through pmproxy, ending in it, and at its
//! door.

mod demands;
mod door;
mod ending;
mod front;
mod house;
mod passing;
mod policy;
mod renewal;
