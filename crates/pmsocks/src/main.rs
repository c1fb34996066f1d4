//! `pmsocks`: runs any PCP client through a SOCKS server. A drop-in for `pmsocks(1)`.

#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]

mod around;
mod check;
mod entry;
mod exec;
mod executable;
mod launch;
mod name_server;
mod options;
mod preload;
mod program;
mod rights;
mod routes;
mod streams;
mod supervise;

use std::io::{self, Write};

use options::{Order, USAGE};

/// What it says by exit status that is no program's: something is wrong with the call or the settings.
const FAILURE: u8 = 1;

/// Does what the command line says. The exit status, if it comes back at all.
#[cfg_attr(
    test,
    expect(
        dead_code,
        reason = "the beginning that calls it is not there in tests"
    )
)]
fn run() -> u8 {
    streams::fill();
    match Order::parse(std::env::args_os().skip(1)) {
        Err(error) => {
            complain(&format!("{error}\n\n{USAGE}"));
            FAILURE
        }
        Ok(Order::Help) => print(USAGE),
        Ok(Order::Version) => print(concat!("pmsocks ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Order::Check(goal)) => check::run(&goal).unwrap_or_else(|error| {
            complain(&format!("{error}\n"));
            FAILURE
        }),
        Ok(Order::Run(call)) => launch::run(call).unwrap_or_else(|error| {
            complain(&format!("{error}\n"));
            error.exit_status()
        }),
    }
}

fn print(text: &str) -> u8 {
    let mut stdout = io::stdout();
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    if printed.is_ok() { 0 } else { FAILURE }
}

fn complain(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = write!(io::stderr(), "pmsocks: {text}");
}
