//! `cargo xtask demo`: live metrics that come through our pmproxy, on a machine of any state.

mod board;
mod client;
mod counters;
mod peers;
mod quantity;
mod screen;
mod series;
mod sparkline;

use std::time::Duration;

use anyhow::{Context, Result};
use lexopt::Arg;

use crate::interrupt::Interrupt;
use board::Board;
use client::Client;
use peers::{Peers, Programs};
use screen::Screen;

const USAGE: &str = "\
Usage: cargo xtask demo [--once]

Builds the release programs, starts pmproxy and shows live metrics that are fetched through it, once
a second, until Ctrl-C. They come from the pmcd on localhost:44321 if one answers, and otherwise from
the collector, a small pmcd of ours. pmproxy listens on the loopback port 44322, or on another one if
that is taken.

  --once    show one sample and end

It installs nothing. What it starts ends with it, and the temporary folder with pmproxy's log and
sockets is removed. When standard output is no terminal it prints plain lines.";

/// Time between two samples.
const PACE: Duration = Duration::from_secs(1);

pub(crate) fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut once = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            Arg::Long("once") => once = true,
            other => return Err(other.unexpected().into()),
        }
    }
    demonstrate(once)
}

fn demonstrate(once: bool) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    eprintln!(
        "Building pmproxy and the collector, then starting what is needed on this machine.\n\
         Nothing is installed; at the end everything that was started ends, and its temporary\n\
         folder goes."
    );
    let programs = Programs::build();
    // Ctrl-C ends cargo too: that it was interrupted is then the better reason.
    interrupt.check()?;
    let peers = Peers::start(&programs?)?;
    interrupt.check()?;
    let mut client = Client::through(peers.proxy_port(), peers.pmcd())
        .with_context(|| format!("cannot reach {} through pmproxy", peers.pmcd()))?;
    let mut board = Board::prepare(&mut client)?;
    if once {
        let lines = board.plain(&peers);
        return Screen::plain().show(&lines).context("cannot print");
    }
    let host = peers.host_specification();
    eprintln!(
        "Try from another terminal (Debian's package pcp has these clients); Ctrl-C ends it:\n  \
         pminfo -h {host} -f kernel.all.load\n  \
         pmrep -h {host} -t 1 kernel.all.load mem.util.free\n"
    );
    watch(&mut client, &mut board, &peers, &interrupt)
}

/// Takes and shows samples until a signal comes, or nobody reads them any more.
fn watch(
    client: &mut Client,
    board: &mut Board,
    peers: &Peers,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut screen = Screen::of_stdout();
    loop {
        let lines = if screen.is_live() {
            board.table(peers)
        } else {
            board.plain(peers)
        };
        if screen.show(&lines).is_err() {
            return Ok(());
        }
        if interrupt.sleep(PACE) {
            return Ok(());
        }
        board.sample(client).context("pmproxy or pmcd is gone")?;
    }
}
