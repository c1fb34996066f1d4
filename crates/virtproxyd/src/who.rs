//! Who a client is, as far as the system tells it: the process at the other end of a unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use gate::stream::{Peer, Stream};
use nix::unistd::{Gid, Group, Uid, User};
use virt_proto::Identity;

use crate::clients::About;
use crate::shared_text::shared;

/// The process at the other end of a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnixPeer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Where the kernel knows it.
    pub(crate) process: Option<Process>,
}

/// A process, which is not another of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Clock ticks since the system's start.
    pub(crate) started: u64,
}

impl UnixPeer {
    /// Asks the kernel; `None` for other sockets.
    pub(crate) fn of(stream: &Stream) -> io::Result<Option<UnixPeer>> {
        let Stream::Unix(stream) = stream else {
            return Ok(None);
        };
        let credentials = stream.peer_cred()?;
        let process = credentials.pid().filter(|pid| *pid > 0).and_then(|pid| {
            let started = start_of(pid)?;
            Some(Process { pid, started })
        });
        Ok(Some(UnixPeer {
            uid: credentials.uid(),
            gid: credentials.gid(),
            process,
        }))
    }

    /// What a daemon is told, without names.
    pub(crate) fn numbers(self) -> Identity {
        Identity {
            unix_user_id: Some(self.uid.into()),
            unix_group_id: Some(self.gid.into()),
            process_id: self.process.map(|process| process.pid.into()),
            process_time: self.process.map(|process| process.started),
            ..Identity::default()
        }
    }

    /// What a daemon is told. The user database, which may take its time, is asked elsewhere.
    pub(crate) async fn identity(self) -> Identity {
        let named = tokio::task::spawn_blocking(move || self.with_names()).await;
        named.unwrap_or_else(|_| self.numbers())
    }

    fn with_names(self) -> Identity {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        let group = Group::from_gid(Gid::from_raw(self.gid)).ok().flatten();
        Identity {
            user_name: user.map(|user| shared(&user.name)),
            group_name: group.map(|group| shared(&group.name)),
            ..self.numbers()
        }
    }
}

/// When a process started: field 22 of its `stat`, behind the name, which may hold anything.
pub(crate) fn start_of(pid: i32) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(19)?.parse().ok()
}

/// The address of a TCP client as libvirt shows it to administrators.
pub(crate) fn shown_address(peer: Peer) -> Option<String> {
    match peer {
        Peer::Tcp(address) => {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            Some(address.to_string())
        }
        Peer::Unix { .. } => None,
    }
}

/// The address of a TCP client as libvirt writes it for SASL.
pub(crate) fn address(peer: Peer) -> Option<String> {
    match peer {
        Peer::Tcp(address) => Some(format!(
            "{};{}",
            address.ip().to_canonical(),
            address.port()
        )),
        Peer::Unix { .. } => None,
    }
}

/// For the log: who a client is by all that is known.
pub(crate) struct Describe<'a>(pub(crate) &'a About);

impl fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let About { peer, identity, .. } = self.0;
        peer.fmt(f)?;
        if let Some(name) = &identity.user_name {
            write!(f, " user {name}")?;
        }
        if let Some(name) = &identity.x509_distinguished_name {
            write!(f, " certificate {name:?}")?;
        }
        if let Some(name) = &identity.sasl_user_name {
            write!(f, " SASL name {name:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_at_the_other_end_is_known() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let (near, _far) = tokio::net::UnixStream::pair().unwrap();
        let peer = UnixPeer::of(&Stream::Unix(near)).unwrap().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let process = peer.process.unwrap();
        assert_eq!(process.pid, pid);
        assert_eq!(Some(process.started), start_of(pid));
        let identity = runtime.block_on(peer.identity());
        assert_eq!(identity.unix_user_id, Some(Uid::current().as_raw().into()));
        assert_eq!(identity.process_id, Some(pid.into()));
        assert_eq!(start_of(i32::MAX), None);
    }

    #[test]
    fn addresses_are_written_as_libvirt_writes_them() {
        let peer = |text: &str| Peer::Tcp(text.parse().unwrap());
        assert_eq!(address(peer("127.0.0.1:99")).unwrap(), "127.0.0.1;99");
        assert_eq!(address(peer("[::1]:99")).unwrap(), "::1;99");
        assert_eq!(address(peer("[::ffff:10.0.0.1]:7")).unwrap(), "10.0.0.1;7");
        for (text, shown) in [
            ("127.0.0.1:99", "127.0.0.1:99"),
            ("[::1]:99", "[::1]:99"),
            ("[::ffff:10.0.0.1]:7", "10.0.0.1:7"),
        ] {
            assert_eq!(shown_address(peer(text)).unwrap(), shown);
        }
    }
}
