//! `pmsocks`: runs any PCP client through a SOCKS server. A drop-in for `pmsocks(1)`. It only finds out
//! how, and executes the program or what supervises it.

#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]

mod connect;
mod executable;
mod find;
mod launch;
mod options;
mod parts;
mod preload;
mod rights;

use std::convert::Infallible;
use std::ffi::OsString;

use pmsocks_common::{FAILURE, complain, print};

use launch::LaunchError;
use options::{Order, USAGE};

pmsocks_common::main!(run);

/// That of musl asks the system for memory again and again, which was a tenth of the launcher's time.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Does what the command line says. The exit status, if it comes back at all.
fn run(arguments: Vec<OsString>) -> u8 {
    match Order::parse(arguments) {
        Err(error) => {
            complain(&format!("{error}\n\n{USAGE}"));
            FAILURE
        }
        Ok(Order::Help) => print(USAGE),
        Ok(Order::Version) => print(concat!("pmsocks ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Order::Check(goal)) => failed(launch::check(goal)),
        Ok(Order::Run(call)) => failed(launch::run(call)),
    }
}

fn failed(launch: Result<Infallible, LaunchError>) -> u8 {
    let Err(error) = launch;
    complain(&format!("{error}\n"));
    error.exit_status()
}
