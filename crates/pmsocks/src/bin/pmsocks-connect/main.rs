//! `pmsocks-connect`: the part of `pmsocks(1)` that makes connections itself: those of a program that it
//! supervises, one to try, or those to a name server. `pmsocks` executes it.

#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]

mod around;
mod check;
mod configuration;
mod name_server;
mod order;
mod supervise;

use std::ffi::OsString;

use pmsocks_common::{Environment, FAILURE, complain, print};

use configuration::{Configuration, ConfigurationError};
use order::Order;
use supervise::SuperviseError;

pmsocks_common::main!(run);

/// Why it did not do what it was told to.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(
        "pmsocks-connect is a part of pmsocks, which executes it: see pmsocks(1) for what to run"
    )]
    NoOrder,
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
}

/// Does what pmsocks says. The exit status.
fn run(arguments: Vec<OsString>) -> u8 {
    obey(arguments).unwrap_or_else(|error| {
        complain(&format!("{error}\n"));
        FAILURE
    })
}

fn obey(arguments: Vec<OsString>) -> Result<u8, ConnectError> {
    let order = Order::parse(arguments, Environment::own()).ok_or(ConnectError::NoOrder)?;
    let configuration = Configuration::load()?;
    match order {
        Order::Servers => Ok(print(&format!("{}\n", configuration.settings.handed_on))),
        Order::Check(goal) => Ok(check::run(&goal, configuration)),
        Order::Supervise(program) => {
            let Configuration { settings, routes } = &configuration;
            settings.tell_what_is_off(routes);
            Ok(supervise::run(&program, configuration)?)
        }
    }
}
