//! The sockets on which clients come in: opened here, or handed over by the service manager.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::clients::Transport;
use crate::config::{Limits, Listening, group_id};
use crate::paths::Sockets;
use anyhow::{Result, bail};
use gate::lifecycle::take_named_sockets;
use gate::listen::{Address, Bound, bind, bind_for_group};

/// Where a client comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) transport: Transport,
    pub(crate) read_only: bool,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Clients of the modular daemons.
    Clients(Door),
    /// Administrators of virtproxyd itself.
    Admin,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct OpenDoor {
    pub(crate) purpose: Purpose,
    pub(crate) socket: Bound,
}

/// The right of everyone to connect to a unix socket.
const OTHERS_WRITE: u32 = 0o002;

/// The right of everyone to reach what is in a folder.
const OTHERS_ENTER: u32 = 0o001;

const UNIX: Purpose = Purpose::Clients(Door {
    transport: Transport::Unix,
    read_only: false,
});
const UNIX_READ_ONLY: Purpose = Purpose::Clients(Door {
    transport: Transport::Unix,
    read_only: true,
});
const TCP: Purpose = Purpose::Clients(Door {
    transport: Transport::Tcp,
    read_only: false,
});
const TLS: Purpose = Purpose::Clients(Door {
    transport: Transport::Tls,
    read_only: false,
});

impl Purpose {
    /// Whether it goes with a unix socket, and not with TCP: authentication depends on it.
    fn is_unix(self) -> bool {
        match self {
            Purpose::Clients(door) => door.transport == Transport::Unix,
            Purpose::Admin => true,
        }
    }
}

impl OpenDoor {
    /// The unix socket, if clients that come in by it may change things.
    pub(crate) fn writers_socket(&self) -> Option<&Path> {
        match self.socket.address() {
            Address::Unix(path) if self.purpose == UNIX => Some(path),
            _ => None,
        }
    }

    /// Whether its clients come with TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.purpose == TLS
    }

    /// What it is and where, for the log.
    pub(crate) fn describe(&self) -> String {
        let kind = match self.purpose {
            UNIX => "clients",
            UNIX_READ_ONLY => "read-only clients",
            TCP => "TCP clients",
            TLS => "TLS clients",
            Purpose::Clients(_) => "clients",
            Purpose::Admin => "administrators",
        };
        format!("{} for {kind}", self.socket.address())
    }
}

/// The sockets that the service manager has handed over; none if it has none. Its unit files name
/// them as libvirt's do; a socket without such a name is known by its path or port.
pub(crate) fn handed_over(sockets: &Sockets, listening: &Listening) -> Result<Vec<OpenDoor>> {
    let given = take_named_sockets().map_err(anyhow::Error::msg)?;
    given
        .into_iter()
        .map(|(name, socket)| {
            let by_name = purpose_by_name(&name);
            let purpose = by_name.or_else(|| by_address(socket.address(), sockets, listening));
            match purpose {
                Some(purpose) if purpose.is_unix() != socket.address().tcp().is_none() => bail!(
                    "the service manager handed over {} under the name {name:?}, which is for \
                     sockets of another kind",
                    socket.address()
                ),
                Some(purpose) => Ok(OpenDoor { purpose, socket }),
                None => bail!(
                    "the service manager handed over the socket {} under the name {name:?}, which \
                     is none of virtproxyd.socket, virtproxyd-ro.socket, virtproxyd-admin.socket, \
                     virtproxyd-tcp.socket and virtproxyd-tls.socket",
                    socket.address()
                ),
            }
        })
        .collect()
}

/// Whether every user of this host may connect to a unix socket, as far as its file and the folders
/// above tell. One without a file (its path begins with `@`) keeps nobody out.
pub(crate) fn is_open_to_everyone(socket: &Path) -> bool {
    let has = |path: &Path, right: u32| {
        std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & right != 0)
    };
    let mut folders = socket.ancestors().skip(1);
    !socket.is_absolute()
        || has(socket, OTHERS_WRITE) && folders.all(|path| has(path, OTHERS_ENTER))
}

fn purpose_by_name(name: &str) -> Option<Purpose> {
    Some(match name {
        "virtproxyd.socket" => UNIX,
        "virtproxyd-ro.socket" => UNIX_READ_ONLY,
        "virtproxyd-admin.socket" => Purpose::Admin,
        "virtproxyd-tcp.socket" => TCP,
        "virtproxyd-tls.socket" => TLS,
        _ => return None,
    })
}

fn by_address(address: &Address, sockets: &Sockets, listening: &Listening) -> Option<Purpose> {
    match address {
        Address::Unix(path) if *path == sockets.rw => Some(UNIX),
        Address::Unix(path) if Some(path) == sockets.ro.as_ref() => Some(UNIX_READ_ONLY),
        Address::Unix(path) if *path == sockets.admin => Some(Purpose::Admin),
        Address::Tcp(tcp) if tcp.port() == listening.tls_port => Some(TLS),
        Address::Tcp(tcp) if tcp.port() == listening.tcp_port => Some(TCP),
        _ => None,
    }
}

/// Opens all sockets that the configuration wants.
pub(crate) fn open(
    sockets: &Sockets,
    listening: &Listening,
    limits: &Limits,
) -> Result<Vec<OpenDoor>> {
    let unix = UnixMaker {
        group: find_group(listening)?,
    };
    let backlog = limits.queued_clients;
    let mut doors = vec![unix.make(UNIX, &sockets.rw, listening.unix_rw_mode, backlog)?];
    if let Some(path) = &sockets.ro {
        doors.push(unix.make(UNIX_READ_ONLY, path, listening.unix_ro_mode, backlog)?);
    }
    let admin_backlog = limits.admin_queued_clients;
    let mode = listening.unix_admin_mode;
    doors.push(unix.make(Purpose::Admin, &sockets.admin, mode, admin_backlog)?);
    if listening.tcp {
        doors.extend(open_port(TCP, listening, listening.tcp_port, backlog)?);
    }
    if listening.tls {
        doors.extend(open_port(TLS, listening, listening.tls_port, backlog)?);
    }
    Ok(doors)
}

fn find_group(listening: &Listening) -> Result<Option<u32>> {
    let group = listening.unix_group.as_deref().map(group_id).transpose();
    group.map_err(|error| anyhow::anyhow!("unix_sock_group: {error}"))
}

struct UnixMaker {
    group: Option<u32>,
}

impl UnixMaker {
    fn make(&self, purpose: Purpose, path: &Path, mode: u32, backlog: i32) -> Result<OpenDoor> {
        // Administrators are told apart by who they are, not by a group.
        let socket = match self.group.filter(|_| purpose != Purpose::Admin) {
            Some(group) => bind_for_group(path, backlog, mode, group),
            None => bind(&Address::Unix(path.into()), backlog, mode),
        };
        let socket = socket.map_err(|error| explain(&error, &path.display()))?;
        Ok(OpenDoor { purpose, socket })
    }
}

/// A port on all addresses that `listen_addr` stands for.
fn open_port(
    purpose: Purpose,
    listening: &Listening,
    port: u16,
    backlog: i32,
) -> Result<Vec<OpenDoor>> {
    let Some(name) = &listening.address else {
        return open_everywhere(purpose, port, backlog);
    };
    let addresses = (name.as_str(), port).to_socket_addrs();
    let addresses = addresses.map_err(|error| {
        let error = gate::describe(&error);
        anyhow::anyhow!("listen_addr: cannot resolve {name:?}: {error}")
    })?;
    let mut doors: Vec<OpenDoor> = Vec::new();
    for address in addresses {
        let socket = bind_tcp(address, backlog)?;
        doors.push(OpenDoor { purpose, socket });
    }
    if doors.is_empty() {
        bail!("listen_addr: {name:?} has no address");
    }
    Ok(doors)
}

/// Hosts may lack one of the families.
fn open_everywhere(purpose: Purpose, port: u16, backlog: i32) -> Result<Vec<OpenDoor>> {
    let families = [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    ];
    let (mut doors, mut missing) = (Vec::new(), None);
    for address in families {
        match bind(&Address::Tcp(address), backlog, 0) {
            Ok(socket) => doors.push(OpenDoor { purpose, socket }),
            Err(error) if is_missing_family(&error) => missing = Some(explain(&error, &address)),
            Err(error) => return Err(explain(&error, &address)),
        }
    }
    match missing {
        Some(error) if doors.is_empty() => Err(error),
        _ => Ok(doors),
    }
}

/// Whether the host has no addresses of that kind.
fn is_missing_family(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> Result<Bound> {
    bind(&Address::Tcp(address), backlog, 0).map_err(|error| explain(&error, &address))
}

fn explain(error: &io::Error, place: &dyn fmt::Display) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => " (is another virtproxyd or libvirtd running?)",
        io::ErrorKind::NotFound => " (its folder is missing)",
        _ => "",
    };
    let error = gate::describe(error);
    anyhow::anyhow!("cannot listen on {place}: {error}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_has_in_one_family_is_an_error() {
        let other = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let error = open_everywhere(TCP, port, 5).unwrap_err().to_string();
        let expected = format!("cannot listen on 0.0.0.0:{port}: ");
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.contains("another virtproxyd"), "{error}");
    }
}
