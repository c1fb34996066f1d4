//! Tests of the admin interface: a server of it on a socket of its own, the real virt-admin, and
//! clients that do what virt-admin never does.

mod commands;
mod frames;
mod keepalive;

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use gate::stream::Stream;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use testbed::{Client, Finished, PATIENCE, Scratch};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use virt_proto::admin::{LibVersion, procedure};
use virt_proto::xdr::Payload;
use virt_proto::{FrameHead, Header, Identity, Procedure, Program, RemoteError, Serial, Status};

use super::{Administered, Hooks, Server};
use crate::clients::{About, Clients, Transport};
use crate::config::{Keepalive, Workers};

/// What the hooks were called with, and what they say.
#[derive(Debug, Default)]
struct Asked {
    calls: Vec<String>,
    outputs: String,
    filters: String,
    /// What goes wrong in whatever is asked for next.
    trouble: Option<String>,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Asked>>);

impl Recorder {
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    fn act(&self, call: String, act: impl FnOnce(&mut Asked)) -> Result<(), String> {
        let mut asked = self.0.lock().unwrap();
        asked.calls.push(call);
        match asked.trouble.take() {
            Some(trouble) => Err(trouble),
            None => {
                act(&mut asked);
                Ok(())
            }
        }
    }
}

impl Hooks for Recorder {
    fn update_tls(&self) -> Result<(), String> {
        self.act("update_tls".into(), |_| ())
    }

    fn log_outputs(&self) -> String {
        self.0.lock().unwrap().outputs.clone()
    }

    fn log_filters(&self) -> String {
        self.0.lock().unwrap().filters.clone()
    }

    fn set_log_outputs(&self, outputs: &str) -> Result<(), String> {
        self.act(format!("set_log_outputs {outputs:?}"), |asked| {
            asked.outputs = outputs.into();
        })
    }

    fn set_log_filters(&self, filters: &str) -> Result<(), String> {
        self.act(format!("set_log_filters {filters:?}"), |asked| {
            asked.filters = filters.into();
        })
    }

    fn set_timeout(&self, seconds: u32) -> Result<(), String> {
        self.act(format!("set_timeout {seconds}"), |_| ())
    }

    fn shutdown(&self) {
        self.act("shutdown".into(), |_| ()).unwrap();
    }
}

const NO_PINGS: Keepalive = Keepalive {
    interval: None,
    count: 1,
};

/// A running server of the admin interface.
struct Daemon {
    scratch: Scratch,
    hooks: Recorder,
    main: Arc<Clients>,
    admin: Arc<Clients>,
    /// Last, so that the sessions end before what they use.
    _runtime: Runtime,
}

impl Daemon {
    fn start() -> Daemon {
        Daemon::start_with(5, NO_PINGS)
    }

    fn start_with(admin_clients: usize, keepalive: Keepalive) -> Daemon {
        let scratch = Scratch::new().unwrap();
        let hooks = Recorder::default();
        let main = Clients::new(5000, 20);
        let admin = Clients::new(admin_clients, 0);
        let workers = Workers {
            min: 5,
            max: 20,
            prio: 5,
        };
        let administered = Administered::new(
            Server::new("virtproxyd", &main, workers, true),
            Server::new("admin", &admin, workers, false),
            keepalive,
            hooks.clone(),
        );
        let runtime = Runtime::new().unwrap();
        let _entered = runtime.enter();
        let listener = UnixListener::bind(scratch.join("sock")).unwrap();
        runtime.spawn(accept(listener, administered));
        drop(_entered);
        Daemon {
            scratch,
            hooks,
            main,
            admin,
            _runtime: runtime,
        }
    }

    fn socket(&self) -> PathBuf {
        self.scratch.join("sock")
    }

    /// virt-admin with a command, to be run.
    fn virt_admin<const N: usize>(&self, command: [&str; N]) -> Client {
        let uri = format!("libvirtd+unix:///system?socket={}", self.socket().display());
        Client::new("virt-admin").args(["-c", &uri]).args(command)
    }

    /// What virt-admin prints when all goes well.
    #[track_caller]
    fn shown<const N: usize>(&self, command: [&str; N]) -> String {
        let finished: Finished = self.virt_admin(command).run().unwrap();
        assert_eq!(finished.stderr, "", "{finished}");
        finished.succeeded().unwrap()
    }

    /// What virt-admin complains of.
    #[track_caller]
    fn refused<const N: usize>(&self, command: [&str; N]) -> String {
        let finished = self.virt_admin(command).run().unwrap();
        assert_eq!(finished.status.code(), Some(1), "{finished}");
        finished.stderr
    }

    fn connect(&self) -> Wire {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Wire(stream)
    }

    /// Lets every user reach the socket.
    fn open_to_all(&self) {
        for path in [self.scratch.path().to_owned(), self.socket()] {
            let all = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(path, all).unwrap();
        }
    }
}

async fn accept(listener: UnixListener, administered: Arc<Administered>) {
    while let Ok((stream, _)) = listener.accept().await {
        let peer = stream.peer_cred().unwrap();
        let identity = Identity {
            unix_user_id: Some(peer.uid().into()),
            unix_group_id: Some(peer.gid().into()),
            process_id: peer.pid().map(Into::into),
            user_name: Some("someone".into()),
            group_name: Some("some".into()),
            ..Identity::default()
        };
        let about = local(identity);
        tokio::spawn(Arc::clone(&administered).serve(Stream::Unix(stream), about));
    }
}

/// A client on a unix socket.
fn local(identity: Identity) -> About {
    About {
        transport: Transport::Unix,
        connected: SystemTime::now(),
        read_only: false,
        peer: gate::stream::Peer::Unix { uid: 0, pid: None },
        identity,
        authenticated: true,
    }
}

/// A client that writes frames by itself.
struct Wire(UnixStream);

impl Wire {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Sends a descriptor with its zero byte, as it follows a frame.
    fn send_descriptor(&self, descriptor: BorrowedFd<'_>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor];
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let byte = [IoSlice::new(&[0])];
        let sent = rustix::net::sendmsg(&self.0, &byte, &mut ancillary, SendFlags::empty());
        assert_eq!(sent, Ok(1));
    }

    /// Header and payload of the next frame.
    #[track_caller]
    fn receive(&mut self) -> (Header, Vec<u8>) {
        let mut head = [0; FrameHead::SIZE];
        self.0.read_exact(&mut head).unwrap();
        let head = FrameHead::decode(&head).unwrap();
        let mut payload = vec![0; head.len as usize - FrameHead::SIZE];
        self.0.read_exact(&mut payload).unwrap();
        (head.header, payload)
    }

    /// The error that comes next.
    #[track_caller]
    fn error(&mut self) -> RemoteError {
        let (header, payload) = self.receive();
        assert_eq!(header.status, Status::ERROR);
        RemoteError::decode(&payload).unwrap()
    }

    /// Makes sure that the connection still works, and that nothing else was on its way.
    #[track_caller]
    fn is_alive(&mut self) {
        let ask = call(procedure::CONNECT_GET_LIB_VERSION, 4711);
        self.send(&ask.frame(&()));
        let (header, payload) = self.receive();
        assert_eq!(header, ask.reply());
        assert_eq!(LibVersion::decode(&payload).unwrap().version, 11_002_000);
    }

    /// Makes sure that the server has closed the connection and said nothing more.
    #[track_caller]
    fn is_closed(&mut self) {
        match self.0.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            other => panic!("the connection should be closed: {other:?}"),
        }
    }

    /// Makes sure that nothing comes for a while. Only for what never comes.
    fn is_silent(&mut self, time: Duration) {
        self.0.set_read_timeout(Some(time)).unwrap();
        let read = self.0.read(&mut [0; 1]);
        let kind = read.map_err(|error| error.kind());
        assert_eq!(kind, Err(std::io::ErrorKind::WouldBlock));
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

fn call(procedure: Procedure, serial: u32) -> Header {
    Header::call(Program::ADMIN, procedure, Serial(serial))
}
