//! The thread that starts processes. It alone may start programs that get all of root's rights, and
//! nobody waits for it: a program on a slow disk delays the next one only.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;

use pcp_proto::root::IpcType;
use rustix::process::Rlimit;

use crate::inherited;
use crate::mailbox::Postman;

/// A process that somebody wants.
#[derive(Debug)]
pub(crate) struct Order {
    /// The client who wants it.
    pub(crate) client: u64,
    /// What messages call it.
    pub(crate) label: Vec<u8>,
    /// The program and its arguments.
    pub(crate) arguments: Vec<String>,
    /// How it is talked with.
    pub(crate) ipc: IpcType,
}

/// What became of an order.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) client: u64,
    pub(crate) label: Vec<u8>,
    pub(crate) process: io::Result<Process>,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Child,
    /// What to write to and what to read from, if it is talked with over pipes.
    pub(crate) pipes: Vec<OwnedFd>,
}

/// Takes orders.
#[derive(Debug)]
pub(crate) struct Starter(Sender<Order>);

impl Starter {
    /// Starts the thread. Processes get the limit of descriptors that this one had at first.
    pub(crate) fn start(deliveries: Postman<Delivery>, descriptors: Rlimit) -> io::Result<Starter> {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::Builder::new()
            .name("starter".into())
            .spawn(move || {
                for order in orders {
                    let process = carry_out(&order, descriptors);
                    deliveries.send(Delivery {
                        client: order.client,
                        label: order.label,
                        process,
                    });
                }
            })?;
        Ok(Starter(sender))
    }

    /// Takes an order. `false` if nobody will carry it out.
    pub(crate) fn order(&self, order: Order) -> bool {
        self.0.send(order).is_ok()
    }
}

/// What a started process keeps of the environment: where programs are, what language and time zone
/// people have, and the settings of PCP.
fn is_kept(name: &str) -> bool {
    let names = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR",
    ];
    let beginnings = ["LC_", "PCP_", "PMCD_", "PMDA_"];
    names.contains(&name) || beginnings.iter().any(|start| name.starts_with(start))
}

fn carry_out(order: &Order, descriptors: Rlimit) -> io::Result<Process> {
    let (program, arguments) = order
        .arguments
        .split_first()
        .ok_or(rustix::io::Errno::INVAL)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    let variables = std::env::vars_os();
    command.envs(variables.filter(|(name, _)| name.to_str().is_some_and(is_kept)));
    match order.ipc {
        IpcType::Pipe => command.stdin(Stdio::piped()).stdout(Stdio::piped()),
        IpcType::Socket => command.stdin(Stdio::null()).stdout(io::stderr()),
    };
    inherited::limit(&mut command, descriptors);
    let mut child = command.spawn()?;
    let to = child.stdin.take().map(OwnedFd::from);
    let from = child.stdout.take().map(OwnedFd::from);
    Ok(Process {
        child,
        pipes: to.into_iter().chain(from).collect(),
    })
}
