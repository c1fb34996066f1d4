//! Listening sockets: TCP on IPv4 and IPv6, and unix sockets; and taking connections from them.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::stream::{Peer, Stream};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port of one address, or of all addresses of a family.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The TCP address, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A socket that listens, made before there is an async runtime (a daemon forks in between).
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    address: Address,
    /// Removes a unix socket's file when the daemon ends.
    file: Option<SocketFile>,
}

/// The file of a unix socket, removed on drop if it is still the one that was made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// Only the process that made it removes it, not one forked off before.
    active: bool,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.active && identity(&self.path).is_ok_and(|now| now == self.identity) {
            // Without the right to remove it, the next start finds it dead and replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::symlink_metadata(path)?;
    Ok((data.dev(), data.ino()))
}

/// Listens on `address`. `backlog` is the longest queue of connections that wait to be taken.
///
/// IPv6 sockets take IPv6 only, so that both families can have the same port. A unix socket that
/// nobody listens on any more is replaced; `mode` are the permissions of the new one.
///
/// # Errors
/// What the system says; `AddrInUse` also for a unix socket on which somebody listens.
pub fn bind(address: &Address, backlog: i32, mode: u32) -> io::Result<Bound> {
    match address {
        Address::Tcp(tcp) => bind_tcp(*tcp, backlog),
        Address::Unix(path) => bind_unix(path, backlog, mode, None),
    }
}

/// Listens on a unix socket that belongs to `group`; the rest is as for [`bind`].
///
/// # Errors
/// As for [`bind`], and when this user may not give files to that group.
pub fn bind_for_group(path: &Path, backlog: i32, mode: u32, group: u32) -> io::Result<Bound> {
    bind_unix(path, backlog, mode, Some(group))
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    let actual = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(Bound {
        socket,
        address: Address::Tcp(actual),
        file: None,
    })
}

fn bind_unix(path: &Path, backlog: i32, mode: u32, group: Option<u32>) -> io::Result<Bound> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let name = SockAddr::unix(path)?;
    if let Err(error) = socket.bind(&name) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_dead_socket(path)? {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        socket.bind(&name)?;
    }
    let file = SocketFile {
        path: path.into(),
        identity: identity(path)?,
        active: true,
    };
    // Nobody can connect before it listens.
    if let Some(group) = group {
        with_socket_file(path, |opened| {
            std::os::unix::fs::chown(opened, None, Some(group))
        })?;
    }
    set_socket_mode(path, mode)?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(Bound {
        socket,
        address: Address::Unix(path.into()),
        file: Some(file),
    })
}

/// Takes over a socket that another process has opened and listens on. Its file, if it has one, is
/// that process's to remove.
///
/// # Errors
/// When it is no stream socket, or nothing listens on it.
pub fn adopt(socket: Socket) -> io::Result<Bound> {
    if socket.r#type()? != Type::STREAM {
        return Err(io::Error::other("it is not a stream socket"));
    }
    if !socket.is_listener()? {
        return Err(io::Error::other("it does not listen"));
    }
    let address = socket.local_addr()?;
    let address = match address.as_socket() {
        Some(tcp) => Address::Tcp(tcp),
        None => Address::Unix(name_of(&address)),
    };
    socket.set_nonblocking(true)?;
    Ok(Bound {
        socket,
        address,
        file: None,
    })
}

/// The path of a unix socket, for display: that of an abstract one begins with `@`.
fn name_of(address: &SockAddr) -> PathBuf {
    match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => path.into(),
        (None, Some(name)) => format!("@{}", String::from_utf8_lossy(name)).into(),
        (None, None) => "(without a name)".into(),
    }
}

/// Sets the permissions of a socket's file, and of nothing else: root may do this in a folder where
/// others could put a link in its place meanwhile.
fn set_socket_mode(path: &Path, mode: u32) -> io::Result<()> {
    let permissions = std::fs::Permissions::from_mode(mode);
    with_socket_file(path, |opened| std::fs::set_permissions(opened, permissions))
}

/// Gives `action` a path that names the socket's file that is at `path` now, whatever stands there
/// afterwards.
fn with_socket_file(path: &Path, action: impl FnOnce(&str) -> io::Result<()>) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, open};
    let handle = open(
        path,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let file = std::fs::File::from(handle);
    if !file.metadata()?.file_type().is_socket() {
        return Err(io::Error::other(
            "the socket's file was replaced by another",
        ));
    }
    action(&format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Whether `path` is a unix socket that an earlier process left behind.
fn is_dead_socket(path: &Path) -> io::Result<bool> {
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose queue is full would hold us up; it is alive.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        // It is another user's, and perhaps dead.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(false),
    }
}

impl Bound {
    /// Where it listens; for a TCP port of 0, the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The TCP addresses at which it can be reached: two for a socket that takes both families, none
    /// for a unix socket. An unspecified one stands for all addresses of its family.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<SocketAddr> = self.address.tcp().into_iter().collect();
        let takes_both = |address: &SocketAddr| {
            address.is_ipv6()
                && address.ip().is_unspecified()
                && !self.socket.only_v6().unwrap_or(true)
        };
        if let Some(port) = addresses
            .iter()
            .find(|a| takes_both(a))
            .map(SocketAddr::port)
        {
            addresses.push((Ipv4Addr::UNSPECIFIED, port).into());
        }
        addresses
    }

    /// The descriptor's number, for display.
    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Leaves the unix socket's file alone when this process ends: another process has taken over.
    pub fn disown(&mut self) {
        if let Some(file) = &mut self.file {
            file.active = false;
        }
    }

    /// Begins to take connections. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub fn into_listener(self) -> io::Result<Listener> {
        let kind = match &self.address {
            Address::Tcp(_) => Kind::Tcp(TcpListener::from_std(self.socket.into())?),
            Address::Unix(_) => Kind::Unix(UnixListener::from_std(self.socket.into())?),
        };
        Ok(Listener {
            kind,
            address: self.address,
            _file: self.file,
        })
    }
}

/// Takes connections.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    address: Address,
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection. Cancel safe.
    ///
    /// # Errors
    /// What the system says; see [`is_exhaustion`] for the errors that pass.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                tune(&SockRef::from(&stream))?;
                Ok((Stream::Tcp(stream), Peer::Tcp(address)))
            }
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let credentials = stream.peer_cred()?;
                let peer = Peer::Unix {
                    uid: credentials.uid(),
                    pid: credentials.pid(),
                };
                Ok((Stream::Unix(stream), peer))
            }
        }
    }
}

/// What a long-lived relayed connection needs: small writes go out at once, and a peer whose
/// machine has gone is noticed.
pub(crate) fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    use std::time::Duration;
    socket.set_tcp_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    socket.set_tcp_keepalive(&keepalive)
}

/// Whether an error of accepting means that the process or the system has no room just now: the
/// connection waits in the queue, and trying again later helps.
pub fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let address = Address::Unix(path.clone());
        let mut first = bind(&address, 5, 0o666).unwrap();
        let taken = bind(&address, 5, 0o666).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        first.disown();
        drop(first);
        assert!(path.exists());
        let second = bind(&address, 5, 0o600).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_with_a_full_queue_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let address = Address::Unix(path.clone());
        let _busy = bind(&address, 1, 0o666).unwrap();
        let mut waiting = Vec::new();
        loop {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            if client.connect(&SockAddr::unix(&path).unwrap()).is_err() {
                break;
            }
            waiting.push(client);
        }
        let taken = bind(&address, 5, 0o666).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        assert!(bind(&Address::Unix(path.clone()), 5, 0o666).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }

    #[test]
    fn only_a_socket_that_listens_is_adopted_and_its_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        let error = adopt(socket.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "it does not listen");
        socket.listen(5).unwrap();
        let bound = adopt(socket).unwrap();
        assert_eq!(bound.address(), &Address::Unix(path.clone()));
        drop(bound);
        assert!(path.exists());

        // As systemd opens a port for which no address is named.
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        socket.set_only_v6(false).unwrap();
        let any = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0));
        socket.bind(&any.into()).unwrap();
        socket.listen(5).unwrap();
        let addresses = adopt(socket).unwrap().tcp_addresses();
        let unspecified = |address: &SocketAddr| address.ip().is_unspecified();
        assert!(addresses.len() == 2 && addresses.iter().all(unspecified));

        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = adopt(datagrams.into()).unwrap_err();
        assert_eq!(error.to_string(), "it is not a stream socket");

        let name = SockAddr::unix(format!("\0gatehouse-{}", std::process::id())).unwrap();
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&name).unwrap();
        socket.listen(5).unwrap();
        let shown = adopt(socket).unwrap().address().to_string();
        assert_eq!(shown, format!("@gatehouse-{}", std::process::id()));
    }

    #[test]
    fn both_families_can_have_one_port() {
        let v4 = bind(&Address::Tcp("127.0.0.1:0".parse().unwrap()), 5, 0).unwrap();
        let Address::Tcp(v4_address) = v4.address() else {
            panic!("not TCP")
        };
        let v6 = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), v4_address.port());
        assert!(bind(&Address::Tcp(v6), 5, 0).is_ok());
    }
}
