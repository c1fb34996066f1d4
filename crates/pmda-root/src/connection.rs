//! A connection of its own to pmdaroot.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcp_env::Environment;
use pcp_proto::root::{SOCKET, Version};

use crate::transport::{Deadline, connect_to};
use crate::{
    ANSWER_TIMEOUT, AnyEnded, Channel, Container, Ended, EndedProcesses, Error, Features, IpcType,
    Started,
};

/// A connection to pmdaroot. Its socket is close-on-exec and is closed when this is dropped.
#[derive(Debug)]
pub struct RootConnection {
    socket: OwnedFd,
    version: Version,
    features: Features,
    within: Duration,
    kept: EndedProcesses,
}

/// Where pmdaroot's socket lies, unless one is told another place: `$PCP_VAR_DIR/pmcd/root.socket`.
///
/// # Errors
/// [`Error::Environment`] when `pcp.conf` cannot be read.
pub fn default_socket() -> Result<PathBuf, Error> {
    let folder = Environment::load()?.path("PCP_VAR_DIR");
    Ok(folder.unwrap_or_default().join(SOCKET))
}

impl RootConnection {
    /// Connects to the socket of the installation ([`default_socket`]).
    ///
    /// # Errors
    /// Those of [`default_socket`] and [`RootConnection::open_at`].
    pub fn open() -> Result<RootConnection, Error> {
        RootConnection::open_at(default_socket()?)
    }

    /// Connects to a socket.
    ///
    /// # Errors
    /// [`Error::Connect`], or what is wrong with the server's greeting. A server that does not let
    /// this user in closes the connection: [`Error::Closed`].
    pub fn open_at(path: impl AsRef<Path>) -> Result<RootConnection, Error> {
        RootConnection::open_within(path, ANSWER_TIMEOUT)
    }

    /// The same with another time for this and all answers that follow.
    ///
    /// # Errors
    /// Those of [`RootConnection::open_at`].
    pub fn open_within(path: impl AsRef<Path>, within: Duration) -> Result<RootConnection, Error> {
        let socket = connect_to(path.as_ref(), &Deadline::after(within))?;
        let channel = Channel::new(socket.as_fd(), Version::default());
        let (version, features) = channel.within(within).greeting()?;
        Ok(RootConnection {
            socket,
            version,
            features,
            within,
            kept: EndedProcesses::default(),
        })
    }

    /// Changes how long answers may take from now on.
    pub fn set_timeout(&mut self, within: Duration) {
        self.within = within;
    }

    /// The version of the protocol that the server speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What the server says that it can do.
    pub fn features(&self) -> Features {
        self.features
    }

    /// The socket, which is now the caller's to close.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    fn channel(&self) -> Channel<'_> {
        Channel::new(self.socket.as_fd(), self.version).within(self.within)
    }

    /// As [`Channel::container_host_name`].
    ///
    /// # Errors
    /// The same.
    pub fn container_host_name<'a>(
        &mut self,
        container: impl Into<Container<'a>>,
    ) -> Result<OsString, Error> {
        self.channel().container_host_name(container)
    }

    /// As [`Channel::container_process_id`].
    ///
    /// # Errors
    /// The same.
    pub fn container_process_id<'a>(
        &mut self,
        container: impl Into<Container<'a>>,
    ) -> Result<i32, Error> {
        self.channel().container_process_id(container)
    }

    /// As [`Channel::container_cgroup_name`].
    ///
    /// # Errors
    /// The same.
    pub fn container_cgroup_name<'a>(
        &mut self,
        container: impl Into<Container<'a>>,
    ) -> Result<OsString, Error> {
        self.channel().container_cgroup_name(container)
    }

    /// As [`Channel::start`].
    ///
    /// # Errors
    /// The same.
    pub fn start(
        &mut self,
        ipc: IpcType,
        label: impl AsRef<OsStr>,
        arguments: impl AsRef<OsStr>,
    ) -> Result<Started, Error> {
        self.channel()
            .start(ipc, label.as_ref(), arguments.as_ref())
    }

    /// Tells of a process that has ended, without waiting for it.
    ///
    /// # Errors
    /// Those of [`Channel::ended`].
    pub fn ended(&mut self) -> Result<AnyEnded, Error> {
        Channel::new(self.socket.as_fd(), self.version)
            .within(self.within)
            .ended(&mut self.kept)
    }

    /// Waits until a process has ended.
    ///
    /// # Errors
    /// Those of [`Channel::wait`].
    pub fn wait(&mut self, pid: i32) -> Result<Ended, Error> {
        self.wait_within(pid, None)?.ok_or(Error::NoChild(pid))
    }

    /// Waits until a process has ended, but no longer than `within`: then it is `None`.
    ///
    /// # Errors
    /// Those of [`Channel::wait`].
    pub fn wait_timeout(&mut self, pid: i32, within: Duration) -> Result<Option<Ended>, Error> {
        self.wait_within(pid, Some(within))
    }

    fn wait_within(&mut self, pid: i32, within: Option<Duration>) -> Result<Option<Ended>, Error> {
        Channel::new(self.socket.as_fd(), self.version)
            .within(self.within)
            .wait(pid, within, &mut self.kept)
    }

    /// As [`Channel::terminate`].
    ///
    /// # Errors
    /// The same.
    pub fn terminate(&mut self, pid: i32) -> Result<(), Error> {
        self.channel().terminate(pid)
    }

    /// As [`Channel::kill`].
    ///
    /// # Errors
    /// The same.
    pub fn kill(&mut self, pid: i32) -> Result<(), Error> {
        self.channel().kill(pid)
    }
}

impl AsFd for RootConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
