//! Sessions through our pmproxy: real clients of Debian's PCP with a real pmcd, and peers that
//! behave well or badly byte by byte.

#![forbid(unsafe_code)]

mod clients;
mod endings;
mod errors;
mod greeting;
mod house;
mod lengths;
mod pace;
mod room;
