//! The admin interface, for virt-admin(1): the daemon's servers, their clients, and what of the
//! daemon can be changed while it runs.

mod connection;
mod daemon;
mod dispatch;
mod info;
mod keepalive;
mod servers;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use gate::throttle::Throttle;
use tokio::sync::Semaphore;

use crate::clients::Clients;
use crate::config::{Keepalive, Workers};

/// Connections that are being told why they are refused, at once. Those beyond are closed without a
/// word, so that nobody takes memory by being refused.
const REFUSALS_MAX: usize = 16;

/// All that the admin interface shows and changes.
pub(crate) struct Administered {
    /// In the order of their names, as libvirt shows them.
    servers: Vec<Server>,
    /// The clients of the admin interface itself.
    clients: Arc<Clients>,
    hooks: Box<dyn Hooks>,
    keepalive: Keepalive,
    refusals: Semaphore,
    refusals_logged: Throttle,
}

/// One server of the daemon: what the admin interface calls those who come in by one set of sockets.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    clients: Arc<Clients>,
    /// What was configured or set last. A relay has no threads of its own for calls, so that nothing
    /// comes of it.
    workers: Mutex<Workers>,
    has_tls: bool,
}

/// What the daemon does when the admin interface asks for it. An error is shown to the user. All are
/// called in a thread that may wait for files.
pub(crate) trait Hooks: Send + Sync {
    /// Reads the certificates again. When it fails, those from before stay in force.
    fn update_tls(&self) -> Result<(), String>;

    /// Where the log goes, in the syntax of `log_outputs`.
    fn log_outputs(&self) -> String;

    /// What is logged, in the syntax of `log_filters`; empty without filters.
    fn log_filters(&self) -> String;

    /// Changes where the log goes; empty stands for what the daemon began with.
    fn set_log_outputs(&self, outputs: &str) -> Result<(), String>;

    /// Changes what is logged; empty stands for no filters.
    fn set_log_filters(&self, filters: &str) -> Result<(), String>;

    /// Changes after how many seconds without clients the daemon ends; zero stands for never.
    fn set_timeout(&self, seconds: u32) -> Result<(), String>;

    /// Ends the daemon, as SIGTERM does. Called once the client has its answer.
    fn shutdown(&self);
}

impl Administered {
    /// `admin` is the server of the admin interface itself.
    pub(crate) fn new(
        main: Server,
        admin: Server,
        keepalive: Keepalive,
        hooks: impl Hooks + 'static,
    ) -> Arc<Administered> {
        let clients = Arc::clone(&admin.clients);
        let mut servers = vec![main, admin];
        servers.sort_by(|one, other| one.name.cmp(&other.name));
        Arc::new(Administered {
            servers,
            clients,
            hooks: Box::new(hooks),
            keepalive,
            refusals: Semaphore::new(REFUSALS_MAX),
            refusals_logged: Throttle::default(),
        })
    }
}

impl Server {
    /// A server with the clients that it lets in. `has_tls` says whether it has certificates that
    /// can be read again.
    pub(crate) fn new(
        name: &str,
        clients: &Arc<Clients>,
        workers: Workers,
        has_tls: bool,
    ) -> Server {
        Server {
            name: name.to_owned(),
            clients: Arc::clone(clients),
            workers: Mutex::new(workers),
            has_tls,
        }
    }

    fn workers(&self) -> Workers {
        *self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
