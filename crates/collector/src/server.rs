//! Connections: they are accepted, each gets a session, and all of them end with the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pcp_proto::{ErrorPdu, LengthError, Pdu, PduAssembler, PduLimit, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::host::Host;
use crate::session::{Refusal, Session, greeting};

/// How many connections are served at the same time; more are turned away. With the limits on PDUs
/// and profiles it bounds the memory that clients can make the collector use.
pub const MAX_CONNECTIONS: usize = 128;

/// How long to wait when the system has no descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many bytes are read at a time.
const PIECE: usize = 4096;

/// A socket that listens, and the host that its clients ask about.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    host: Arc<Host>,
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Length(#[from] LengthError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    /// When the system does not allow it; the address may be in use.
    pub async fn bind(address: SocketAddr, host: Host) -> io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        Ok(Server {
            address: listener.local_addr()?,
            listener,
            host: Arc::new(host),
        })
    }

    /// The address, with the port that the system chose if it was to choose one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves clients until the future is dropped, which ends all connections.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = self.listener.accept().await;
            // Those that have ended are let go.
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer)) => {
                    let place = Arc::clone(&places).try_acquire_owned().ok();
                    let host = Arc::clone(&self.host);
                    connections.spawn(connection(stream, peer, host, place));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    host: Arc<Host>,
    place: Option<OwnedSemaphorePermit>,
) {
    let ended = match place {
        Some(_place) => serve(&mut stream, &host).await,
        None => turn_away(&mut stream).await,
    };
    match ended {
        Err(fault) if !fault.is_departure() => tracing::warn!("{peer}: {fault}"),
        _ => {}
    }
}

impl Fault {
    /// Whether the client has only left: many do without waiting for the last answer.
    fn is_departure(&self) -> bool {
        let Fault::Io(error) = self else { return false };
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        )
    }
}

async fn turn_away(stream: &mut TcpStream) -> Result<(), Fault> {
    let refusal = ErrorPdu::refusal(Status::CONNECTION_LIMIT);
    stream.write_all(&refusal.encode(0)).await?;
    Ok(())
}

/// Answers one PDU after the other. Nothing is read while an answer waits to be written, so a
/// client that does not read holds no more than one.
async fn serve(stream: &mut TcpStream, host: &Host) -> Result<(), Fault> {
    stream.set_nodelay(true)?;
    stream.write_all(&greeting()).await?;
    let mut session = Session::default();
    let mut assembler = PduAssembler::new(PduLimit::DEFAULT);
    let mut piece = [0; PIECE];
    loop {
        while let Some(pdu) = assembler.next_pdu()? {
            match session.answer(&pdu, host, SystemTime::now()) {
                Ok(Some(answer)) => stream.write_all(&answer).await?,
                Ok(None) => {}
                Err(refusal) => {
                    stream.write_all(&refusal.pdu()).await?;
                    return Err(refusal.into());
                }
            }
        }
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            len => assembler.push(&piece[..len]),
        }
    }
}
