//! A program in C that connects in all the ways that programs connect, and tells what it sees.

use std::path::PathBuf;

use anyhow::Result;

use crate::compile::compile;
use crate::scratch::Scratch;

const SOURCE: &str = include_str!("net_calls.c");

/// How the program gets at the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Through the shared libc.
    Dynamic,
    /// Through a libc that is part of it, so that nothing can be loaded before that.
    Static,
    /// By itself, though it has the shared libc as well.
    Raw,
}

/// The program, in a folder that every user may enter. What it does is told by its source; its
/// arguments are a command, an address and a port.
#[derive(Debug)]
pub struct NetProgram {
    scratch: Scratch,
}

impl NetProgram {
    /// Compiles it.
    ///
    /// # Errors
    /// When a Debian package is missing.
    pub fn make(linkage: Linkage) -> Result<NetProgram> {
        let flags: &[&str] = match linkage {
            Linkage::Dynamic => &["-pthread"],
            Linkage::Static => &["-pthread", "-static", "-DSTATIC"],
            Linkage::Raw => &["-pthread", "-DRAW"],
        };
        let scratch = compile("net_calls", SOURCE, flags)?;
        Ok(NetProgram { scratch })
    }

    /// Where it is, as long as this is there.
    pub fn path(&self) -> PathBuf {
        self.scratch.join("net_calls")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Firewall, PATIENCE, Who};

    /// What it prints when nothing is between it and the server.
    fn direct(linkage: Linkage, commands: &[(&str, &str)]) -> Vec<String> {
        let wall = Firewall::new().unwrap();
        let _servers =
            [Firewall::OUTSIDE, Firewall::OUTSIDE6].map(|it| wall.outside().echo(it, 7).unwrap());
        let program = NetProgram::make(linkage).unwrap();
        let run = |(command, more): &(&str, &str)| {
            let address = if more.is_empty() {
                Firewall::OUTSIDE6
            } else {
                Firewall::OUTSIDE
            };
            let client = wall.gate().client_as(Who::Nobody, program.path());
            let client = client.args([command, address, "7", more]).within(PATIENCE);
            client.run().unwrap().succeeded().unwrap()
        };
        commands.iter().map(run).collect()
    }

    const COMMANDS: [(&str, &str, &str); 8] = [
        ("connect", "", "connected\npeer: the target\necho\n"),
        ("threads", "50", "50 of 50\n"),
        ("loop", "100", "100 of 100\n"),
        (
            "fork",
            "",
            "connect: connected\nchild: good\npeer: the target\necho\n",
        ),
        ("exec", "", "connect: connected\necho\n"),
        ("storm", "5", "5 of 5\n"),
        ("bound", "10.2.0.1", "connect: connected\necho\n"),
        (
            "nonblock",
            "epoll before",
            "connect: EINPROGRESS\nbefore: out\nerror before: none\npeer before: the target\n\
             connect again: connected\nsettings: nonblock cloexec nodelay keepalive\n\
             pending\n",
        ),
    ];

    /// A refused connection, over a network without delay.
    const REFUSED: &str = "connect: EINPROGRESS\nafter: error\nerror: ECONNREFUSED\n\
                           error again: none\npeer: ENOTCONN\n";

    fn sees_the_same(linkage: Linkage) {
        let commands: Vec<_> = COMMANDS.map(|(command, more, _)| (command, more)).to_vec();
        for (shown, (command, _, wanted)) in direct(linkage, &commands).iter().zip(COMMANDS) {
            assert!(shown.starts_with(wanted), "{linkage:?} {command}: {shown}");
        }
        let wall = Firewall::new().unwrap();
        let program = NetProgram::make(linkage).unwrap();
        for how in ["poll", "epoll"] {
            let client = wall
                .gate()
                .client(program.path())
                .args(["fail", "10.2.0.2", "9", how]);
            assert_eq!(
                client.run().unwrap().succeeded().unwrap(),
                REFUSED,
                "{linkage:?} {how}"
            );
        }
    }

    #[test]
    fn a_dynamic_program_tells_what_it_sees() {
        sees_the_same(Linkage::Dynamic);
    }

    #[test]
    fn a_static_program_tells_what_it_sees() {
        sees_the_same(Linkage::Static);
    }

    #[test]
    fn a_program_that_calls_the_kernel_tells_what_it_sees() {
        sees_the_same(Linkage::Raw);
    }
}
