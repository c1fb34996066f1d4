//! The settings of `virtproxyd.conf`, as values with libvirt's defaults. `config/file.rs` reads them
//! from a file, `config/keys.rs` knows each key.

mod check;
mod error;
mod file;
mod fixed;
mod given;
mod group;
mod keys;
mod services;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::paths::Mode;

pub(crate) use group::group_id;
#[cfg(test)]
pub(crate) use keys::names as key_names;

/// How clients of one kind of socket authenticate themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Whoever can connect is in.
    None,
    /// SASL, over the system's libsasl2.
    Sasl,
    /// polkit is asked about the process at the other end of a unix socket.
    Polkit,
}

/// All settings. What is not in the file has libvirt's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) listening: Listening,
    pub(crate) auth: Auth,
    pub(crate) tls: Tls,
    pub(crate) limits: Limits,
    pub(crate) keepalive: Keepalive,
    /// Likewise for clients of the admin socket.
    pub(crate) admin_keepalive: Keepalive,
    pub(crate) logging: Logging,
    pub(crate) daemons: Daemons,
    /// Rules of `uri_access`, in their order; empty lets every client open every URI.
    pub(crate) uri_access: Vec<UriRule>,
    /// What the log should warn of: settings that are likely to be a mistake.
    pub(crate) warnings: Vec<String>,
    /// What the log should say: settings that are known and have no effect here.
    pub(crate) remarks: Vec<String>,
}

/// A rule of `uri_access` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UriRule {
    /// Its line in the file.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Where clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) tcp: bool,
    pub(crate) tls: bool,
    /// A host name, an address, or nothing for all addresses.
    pub(crate) address: Option<String>,
    pub(crate) tcp_port: u16,
    pub(crate) tls_port: u16,
    /// The group of the unix sockets, as for [`group_id`].
    pub(crate) unix_group: Option<String>,
    pub(crate) unix_ro_mode: u32,
    pub(crate) unix_rw_mode: u32,
    pub(crate) unix_admin_mode: u32,
    /// Where the sockets are, if not in libvirt's own folder.
    pub(crate) unix_folder: Option<PathBuf>,
}

/// Who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Auth {
    pub(crate) unix_ro: Method,
    pub(crate) unix_rw: Method,
    pub(crate) tcp: Method,
    pub(crate) tls: Method,
    /// The least strength of SASL's security layer on TCP, in bits of a key.
    pub(crate) tcp_min_ssf: u32,
    /// Wildcards for SASL names; without a list every name is good.
    pub(crate) sasl_allowed_usernames: Option<Vec<String>>,
}

/// Certificates for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Files; those that are not named are at the usual places.
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) crl_file: Option<PathBuf>,
    /// Whether our own certificates are looked over at the start.
    pub(crate) sanity_check: bool,
    /// Whether clients must show a certificate of our authority.
    pub(crate) verify_clients: bool,
    /// Wildcards for names of clients' certificates; without a list every name is good.
    pub(crate) allowed_names: Option<Vec<String>>,
    /// A GnuTLS priority string.
    pub(crate) priority: Option<String>,
}

/// How much there may be of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) clients: usize,
    /// The longest queue of connections that wait to be taken.
    pub(crate) queued_clients: i32,
    /// Clients that have not authenticated themselves; 0 for no limit but that of all clients.
    pub(crate) anonymous_clients: usize,
    /// Calls of one client that wait for their answer.
    pub(crate) client_requests: u32,
    pub(crate) admin_clients: usize,
    pub(crate) admin_queued_clients: i32,
    pub(crate) admin_client_requests: u32,
    /// For show only: a relay has no workers.
    pub(crate) workers: Workers,
    pub(crate) admin_workers: Workers,
}

/// What a pool of threads would be; clients of the admin interface see and set it, nothing else
/// comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) prio: u32,
}

/// How dead clients are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    /// Seconds of silence before a ping; `None` for no pings.
    pub(crate) interval: Option<u32>,
    /// Pings without an answer before the client is dead; with 0 a client is dead after one interval
    /// of silence, without a ping.
    pub(crate) count: u32,
}

/// What is logged, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logging {
    /// 1 debug, 2 info, 3 warning, 4 error; `None` where the file does not say.
    pub(crate) level: Option<u32>,
    pub(crate) filters: Option<String>,
    pub(crate) outputs: Option<String>,
}

/// Where the modular daemons are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Daemons {
    /// The folder of their sockets, if not libvirt's own.
    pub(crate) folder: Option<PathBuf>,
    /// Sockets of single schemes that are elsewhere.
    pub(crate) sockets: Vec<(String, PathBuf)>,
}

impl Default for Config {
    fn default() -> Config {
        Config::new(Mode::System)
    }
}

impl Config {
    /// What holds where a file says nothing: libvirt's defaults for virtproxyd, as in its
    /// `src/remote/remote_daemon_config.c`. Where root's daemon asks polkit, a user's own does not:
    /// its sockets are for that user alone.
    pub(crate) fn new(mode: Mode) -> Config {
        let keepalive = Keepalive {
            interval: Some(5),
            count: 5,
        };
        let auth = Auth::new(mode);
        Config {
            listening: Listening::new(&auth),
            auth,
            tls: Tls::new(),
            limits: Limits::new(),
            keepalive,
            admin_keepalive: keepalive,
            logging: Logging {
                level: None,
                filters: None,
                outputs: None,
            },
            daemons: Daemons {
                folder: None,
                sockets: Vec::new(),
            },
            uri_access: Vec::new(),
            warnings: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

impl Listening {
    fn new(auth: &Auth) -> Listening {
        Listening {
            tcp: false,
            tls: false,
            address: None,
            tcp_port: 16509,
            tls_port: 16514,
            unix_group: None,
            unix_ro_mode: 0o777,
            unix_rw_mode: auth.default_rw_mode(),
            unix_admin_mode: 0o700,
            unix_folder: None,
        }
    }
}

impl Auth {
    fn new(mode: Mode) -> Auth {
        let unix = match mode {
            Mode::System => Method::Polkit,
            Mode::Session => Method::None,
        };
        Auth {
            unix_ro: unix,
            unix_rw: unix,
            tcp: Method::Sasl,
            tls: Method::None,
            tcp_min_ssf: 56,
            sasl_allowed_usernames: None,
        }
    }

    /// Permissions of the socket for writing where they are not set: whoever has to authenticate may
    /// connect, otherwise the owner alone. (With libvirt's own virtproxyd, they stay open to everyone
    /// when root turns polkit off.)
    fn default_rw_mode(&self) -> u32 {
        match self.unix_rw {
            Method::None => 0o700,
            Method::Sasl | Method::Polkit => 0o777,
        }
    }
}

impl Tls {
    fn new() -> Tls {
        Tls {
            key_file: None,
            cert_file: None,
            ca_file: None,
            crl_file: None,
            sanity_check: true,
            verify_clients: true,
            allowed_names: None,
            priority: None,
        }
    }
}

impl Limits {
    fn new() -> Limits {
        let workers = Workers {
            min: 5,
            max: 20,
            prio: 5,
        };
        Limits {
            clients: 5000,
            queued_clients: 1000,
            anonymous_clients: 20,
            client_requests: 5,
            admin_clients: 5000,
            admin_queued_clients: 20,
            admin_client_requests: 5,
            workers,
            admin_workers: Workers { prio: 0, ..workers },
        }
    }
}
