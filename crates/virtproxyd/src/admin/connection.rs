//! One connection to the admin interface, from its first frame to its end.

use std::sync::Arc;
use std::time::Duration;

use gate::stream::Stream;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinError;
use tracing::{debug, info, warn};
use virt_proto::{ErrorDomain, ErrorNumber, FrameLimit, Program, RemoteError};

use super::Administered;
use super::dispatch::{Answer, Outcome, change, dispatch, is_call};
use super::keepalive::{Pings, Silence};
use crate::clients::{About, Presence};
use crate::frames::{Frame, FrameError, FrameReader};

/// How long a client that is refused has to ask for something, be told, and go.
const REFUSAL_WAIT: Duration = Duration::from_secs(5);

/// The longest frame that is taken.
const FRAME_MAX: u32 = 1024 * 1024;

/// Frames in both directions.
struct Frames {
    stream: Stream,
    reader: FrameReader,
}

impl Frames {
    fn new(stream: Stream) -> Frames {
        let limit = FrameLimit::new(FRAME_MAX).unwrap_or(FrameLimit::LEGACY);
        Frames {
            stream,
            reader: FrameReader::new(limit),
        }
    }

    /// The next frame, or nothing at the end. Cancel safe.
    async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        self.reader.next(&mut self.stream).await
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        Ok(self.stream.write_all(frame).await?)
    }
}

/// Only root and the daemon's own user may administer it (`remoteAdmClientNew` in libvirt, which
/// does not know root as an exception).
fn admit(about: &About) -> Answer<()> {
    let own = rustix::process::geteuid().as_raw();
    let uid = match about.identity.unix_user_id {
        Some(uid) if uid == 0 || uid == u64::from(own) => return Ok(()),
        Some(uid) => uid.to_string(),
        None => "unknown".to_owned(),
    };
    let detail = format!("uid {uid} may not administer the daemon, only root and uid {own} may");
    let number = ErrorNumber::OPERATION_DENIED;
    Err(Box::new(RemoteError::new(
        number,
        ErrorDomain::ADMIN,
        &detail,
    )))
}

/// A client for the log.
fn who(about: &About) -> String {
    let known = |id: Option<String>| id.unwrap_or_else(|| "unknown".to_owned());
    format!(
        "uid {} pid {}",
        known(about.identity.unix_user_id.map(|uid| uid.to_string())),
        known(about.identity.process_id.map(|pid| pid.to_string())),
    )
}

impl Administered {
    /// Serves one client until it goes, has to go, or is dead. May be dropped at any time.
    ///
    /// `about` says who it is: without a user on a unix socket, or with another user than root and
    /// the daemon's own, it is refused.
    pub(crate) async fn serve(self: Arc<Administered>, stream: Stream, about: About) {
        let who = who(&about);
        let frames = Frames::new(stream);
        match self.enter(about) {
            Ok(presence) => {
                debug!("admin client {} ({who}) is there", presence.id());
                let connection = Connection {
                    pings: Pings::new(self.keepalive),
                    administered: self,
                    frames,
                    presence,
                    who,
                };
                connection.run().await;
            }
            Err(error) => self.refuse(frames, &who, &error).await,
        }
    }

    /// A place for a client, if it may have one.
    fn enter(&self, about: About) -> Answer<Presence> {
        admit(&about)?;
        self.clients.enter(about).map_err(|_| {
            let (limit, _) = self.clients.limits();
            Box::new(RemoteError::rpc(&format!(
                "there are {limit} clients of the admin interface already (admin_max_clients)"
            )))
        })
    }

    /// Answers all calls with an error, so that the user sees why. libvirt closes the connection
    /// without a word. It is left to the client to close it: virt-admin says goodbye even so, and
    /// would die of it (SIGPIPE) if nobody was there any more.
    async fn refuse(&self, mut frames: Frames, who: &str, error: &RemoteError) {
        match self.refusals_logged.admit() {
            None => {}
            Some(0) => warn!("admin client ({who}) is refused: {error}"),
            Some(more) => {
                warn!("admin client ({who}) is refused: {error} ({more} more were kept back)");
            }
        }
        let Ok(_place) = self.refusals.try_acquire() else {
            return;
        };
        let tell = async {
            while let Ok(Some(frame)) = frames.next().await {
                if is_call(frame.header) {
                    let answer = frame.header.refusal().frame(error);
                    frames.write(&answer).await?;
                }
            }
            Ok::<(), FrameError>(())
        };
        // Whether it heard the reason is its own affair.
        let _ = tokio::time::timeout(REFUSAL_WAIT, tell).await;
    }
}

/// A client that was let in.
struct Connection {
    administered: Arc<Administered>,
    frames: Frames,
    presence: Presence,
    pings: Pings,
    who: String,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("it was disconnected")]
    Dismissed,
    #[error("it has not been heard of for too long")]
    Dead,
    #[error(transparent)]
    Broken(#[from] FrameError),
    #[error("its call could not be carried out: {0}")]
    Failed(#[from] JoinError),
}

/// What there is to do.
enum Event {
    Frame(Option<Frame>),
    Silence,
}

impl Connection {
    async fn run(mut self) {
        let ended = self.serve().await;
        let id = self.presence.id();
        match ended {
            Ok(()) => debug!("admin client {id} ({}) has gone", self.who),
            Err(end) => info!("admin client {id} ({}) is let go: {end}", self.who),
        }
    }

    /// Answers one frame after the other. Meanwhile nothing is read, so that a client has at most
    /// one call under way, whatever `admin_max_client_requests` says.
    async fn serve(&mut self) -> Result<(), End> {
        loop {
            match self.event().await? {
                Event::Frame(None) => return Ok(()),
                Event::Frame(Some(frame)) => {
                    self.pings.heard(frame.header.program == Program::KEEPALIVE);
                    if self.answer(frame).await? {
                        return Ok(());
                    }
                }
                Event::Silence => match self.pings.next() {
                    Silence::Rest => {}
                    Silence::Ping(ping) => self.write(&ping).await?,
                    Silence::Dead => return Err(End::Dead),
                },
            }
        }
    }

    async fn event(&mut self) -> Result<Event, End> {
        tokio::select! {
            biased;
            () = self.presence.dismissed() => Err(End::Dismissed),
            frame = self.frames.next() => Ok(Event::Frame(frame?)),
            () = self.pings.silence() => Ok(Event::Silence),
        }
    }

    /// Answers a frame; says whether it was the last one.
    async fn answer(&mut self, frame: Frame) -> Result<bool, End> {
        if let Some(procedure) = change(frame.header) {
            let id = self.presence.id();
            info!("admin client {id} ({}) asks for {procedure}", self.who);
        }
        let administered = Arc::clone(&self.administered);
        let act = move || dispatch(&administered, &frame);
        match tokio::task::spawn_blocking(act).await? {
            Outcome::Nothing => Ok(false),
            Outcome::Answer(answer) => self.write(&answer).await.map(|()| false),
            Outcome::Last(answer) => self.write(&answer).await.map(|()| true),
            Outcome::Shutdown(answer) => {
                let told = self.write(&answer).await;
                self.administered.hooks.shutdown();
                told.map(|()| false)
            }
        }
    }

    /// Writes a frame, unless the client has to go before it takes it. Who makes itself go still gets
    /// the answer.
    async fn write(&mut self, frame: &[u8]) -> Result<(), End> {
        let patience = self.pings.patience();
        let too_long = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            written = self.frames.write(frame) => Ok(written?),
            () = self.presence.dismissed() => Err(End::Dismissed),
            () = too_long => Err(End::Dead),
        }
    }
}
