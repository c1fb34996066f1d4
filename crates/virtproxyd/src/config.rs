//! The settings of `virtproxyd.conf`, as values. Where they come from is not here.

use std::path::PathBuf;

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
    pub(crate) uri_access: Vec<String>,
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
    /// The group of the unix sockets, by name.
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
    /// The least strength of SASL's security layer on TCP: 1 is integrity, more are bits of a key.
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
    /// Clients that have not authenticated themselves.
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
    /// Pings without an answer before the client is dead.
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
