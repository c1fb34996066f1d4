//! Runs the shell command of a line that has decided. Nobody waits for it.

use std::env;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command as Process, Stdio};

use socks_conf::{Command, Facts, User, service_name};

/// What the shell is to do with the command, which is its first argument.
const RUN_IT: &str = r#"eval "$1""#;

/// Starts the command for a process that wants to connect.
pub(super) fn run(command: &Command, process: u32, target: SocketAddr, user: User<'_>) {
    let host = rustix::system::uname();
    let login = env::var("LOGNAME").ok();
    let text = command.expand(&Facts {
        client_name: &host.nodename().to_string_lossy(),
        client_address: None,
        pid: process,
        port: target.port(),
        service: service_name(target.port()).as_deref(),
        login: login.as_deref().or(user.name).unwrap_or_default(),
        user,
        name: None,
        address: Some(target.ip()),
    });
    // One that can't be started is not worth a connection. It is waited for as all children are.
    let _ = Process::new("/bin/sh")
        .args(["-c", RUN_IT, "pmsocks", &text])
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        // What ends the program from its terminal is not to end this.
        .process_group(0)
        .spawn();
}
