//! `collector`: a small pmcd for demonstrations and tests.

#![forbid(unsafe_code)]

mod options;
mod parent;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use collector::{Host, Server};
use options::{Options, Request, USAGE};
use parent::Parent;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let request = match Request::parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("collector: {error}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let done = match request {
        Request::Help => print(USAGE),
        Request::Version => print(concat!("collector ", env!("CARGO_PKG_VERSION"), "\n")),
        Request::Serve(options) => serve(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("collector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}

/// Its work is short and seldom, so one thread does it all.
#[tokio::main(flavor = "current_thread")]
async fn serve(options: Options) -> Result<()> {
    let parent = Parent::remember();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .without_time()
        .with_target(false)
        .init();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate()).context("cannot catch SIGTERM")?,
        signal(SignalKind::interrupt()).context("cannot catch SIGINT")?,
    );
    let server = bind(options).await?;
    print(&format!("collector: listening on {}\n", server.address()))?;
    tokio::select! {
        () = server.run() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = parent.ended() => {}
    }
    Ok(())
}

async fn bind(options: Options) -> Result<Server> {
    let host = options.host_name.map_or_else(Host::this, Host::new);
    let address = options.address;
    Server::bind(address, host).await.with_context(|| {
        let hint = "is a pmcd running? -p 0 takes a free port";
        format!("cannot listen on {address} ({hint})")
    })
}
