//! What a client says before it has a daemon: who it is, what it wants to open. Answered as a daemon
//! answers.

use std::time::Duration;

use gate::stream::Stream;
use gate::tls::Link;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep_until};
use virt_proto::{
    DecodeError, Feature, FrameHead, FrameLimit, Header, MessageType, Open, OpenFlags, Payload,
    Procedure, Program, RemoteError, Status, Supported, SupportsFeature, keepalive,
};

use crate::auth::Authentication;
use crate::clients::Presence;
use crate::frames::{Frame, FrameError, FrameReader};
use crate::heartbeat::{Beat, Heartbeat};
use crate::session::{Caller, Live, Shared};
use crate::upstream::{self, Opened, Request};
use crate::who::Describe;

/// Procedures of the remote program that some libvirt has (its version 11.9 has the last of them);
/// before a daemon is chosen, nobody knows which of them it will have.
const LAST_PROCEDURE: i32 = 453;

/// The category of the log that says who opened what: `log_filters = "2:access"` keeps it where
/// nothing else of this priority is kept.
pub(crate) const ACCESS: &str = "virtproxyd::access";

/// A session that the relay can have.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) client: Link,
    pub(crate) daemon: Stream,
    pub(crate) uri: String,
    /// What was read of the client's next frame.
    pub(crate) early: Vec<u8>,
    pub(crate) heartbeat: Heartbeat,
}

/// Why a client is gone that had no daemon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Goodbye {
    /// It left.
    #[error("it closed the connection")]
    Left,
    /// Its frames make no sense, or its connection failed.
    #[error("{0}")]
    Broken(#[from] FrameError),
    /// It took too long.
    #[error("it took longer than {} s", .0.as_secs())]
    Stalled(Duration),
    /// It does not answer.
    #[error("it has not answered {0} pings")]
    Dead(u32),
    /// It was told to go: by an administrator, or to make room.
    #[error("it was told to go")]
    Dismissed,
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

impl Goodbye {
    /// Whether it goes into the log as a warning.
    pub(crate) fn is_noteworthy(&self) -> bool {
        !matches!(self, Goodbye::Left | Goodbye::Broken(FrameError::Io(_)))
    }
}

/// One client's first words.
pub(crate) struct Conversation<'a> {
    shared: &'a Shared,
    caller: &'a Caller,
    live: &'a Live,
    presence: &'a Presence,
    link: Link,
    reader: FrameReader,
    auth: Authentication,
    heartbeat: Heartbeat,
    /// Whether anything came since the last beat.
    heard: bool,
    next_beat: Instant,
}

/// What follows from a frame.
enum Next {
    /// The next frame.
    Stay,
    /// A driver is to be opened; the header is that of the call.
    Open(Open, Header),
    /// The client has closed.
    Close,
}

impl<'a> Conversation<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        caller: &'a Caller,
        live: &'a Live,
        presence: &'a Presence,
        link: Link,
        auth: Authentication,
    ) -> Conversation<'a> {
        let mut reader = FrameReader::new(FrameLimit::CURRENT);
        reader.await_sasl(auth.awaits_sasl());
        Conversation {
            shared,
            caller,
            live,
            presence,
            link,
            reader,
            auth,
            heartbeat: Heartbeat::new(live.config.keepalive),
            heard: false,
            next_beat: Instant::now(),
        }
    }

    /// Answers the client until it has a daemon.
    pub(crate) async fn run(mut self) -> Result<Ready, Goodbye> {
        loop {
            let frame = tokio::select! {
                frame = self.reader.next(&mut self.link) => frame?.ok_or(Goodbye::Left)?,
                () = beat_at(&self.heartbeat, self.next_beat) => {
                    self.beat().await?;
                    continue;
                }
            };
            self.heard = true;
            match self.answer(frame).await? {
                Next::Stay => {}
                Next::Close => return Err(Goodbye::Left),
                Next::Open(open, header) => {
                    if let Some((opened, uri)) = self.open(open, header).await? {
                        return Ok(Ready {
                            client: self.link,
                            daemon: opened.stream,
                            uri,
                            early: self.reader.into_early(),
                            heartbeat: self.heartbeat,
                        });
                    }
                }
            }
        }
    }

    async fn answer(&mut self, frame: Frame) -> Result<Next, Goodbye> {
        let header = frame.header;
        if let Some(procedure) = keepalive::procedure(header) {
            if procedure == keepalive::PING {
                self.send(&keepalive::header(keepalive::PONG).frame(&()))
                    .await?;
            }
            return Ok(Next::Stay);
        }
        let is_call = [MessageType::CALL, MessageType::CALL_WITH_FDS];
        if !is_call.contains(&header.message_type) {
            // Late data of a stream, or nonsense: daemons pass over both.
            return Ok(Next::Stay);
        }
        let result = match self.check(header) {
            Ok(()) => self.obey(header, frame.payload).await?,
            Err(error) => Err(error),
        };
        match result {
            Ok(Obeyed::Reply(payload)) => {
                self.send(&header.reply().frame_around(&payload)).await?;
                if is_about_auth(header) {
                    self.after_auth()?;
                }
                match header.procedure {
                    Procedure::CONNECT_CLOSE => Ok(Next::Close),
                    _ => Ok(Next::Stay),
                }
            }
            Ok(Obeyed::Open(open)) => Ok(Next::Open(open, header)),
            Err(error) => {
                tracing::debug!("client {}: {header:?}: {error}", self.presence.id());
                self.send(&header.refusal().frame(&error)).await?;
                if self.auth.is_hopeless() {
                    return Err(Goodbye::Failed(
                        "it failed to authenticate too often".into(),
                    ));
                }
                Ok(Next::Stay)
            }
        }
    }

    /// Takes note of how far the client has come, and lets SASL's security layer begin behind the
    /// reply that was just sent.
    fn after_auth(&mut self) -> Result<(), Goodbye> {
        if !self.auth.is_done() {
            return Ok(());
        }
        self.reader.await_sasl(false);
        let name = self.auth.sasl_name().map(str::to_owned);
        self.presence.update(|about| {
            about.authenticated = true;
            about.identity.sasl_user_name = name.map(Into::into);
        });
        if let Some(layer) = self.auth.take_security_layer() {
            self.link.layer(layer).map_err(FrameError::from)?;
        }
        Ok(())
    }

    /// What makes a call wrong before its arguments are looked at, in the order of a daemon.
    fn check(&self, header: Header) -> Result<(), RemoteError> {
        let known = [Program::REMOTE, Program::QEMU, Program::LXC];
        if !known.contains(&header.program) || header.version != Program::VERSION {
            return Err(RemoteError::unknown_program(header.program, header.version));
        }
        if header.status != Status::OK {
            return Err(RemoteError::unexpected_status(header.status));
        }
        if header.program == Program::REMOTE && !(1..=LAST_PROCEDURE).contains(&header.procedure.0)
        {
            return Err(RemoteError::unknown_procedure(header.procedure));
        }
        if !self.auth.is_done() && !is_about_auth(header) {
            return Err(RemoteError::auth_required());
        }
        Ok(())
    }

    async fn obey(
        &mut self,
        header: Header,
        payload: Option<Vec<u8>>,
    ) -> Result<Result<Obeyed, RemoteError>, Goodbye> {
        if header.program != Program::REMOTE {
            return Ok(Err(RemoteError::not_open()));
        }
        let Some(payload) = payload else {
            return Ok(Err(RemoteError::undecodable()));
        };
        if is_about_auth(header) {
            let answered = self.authenticate(header.procedure, &payload).await?;
            return Ok(answered.map(Obeyed::Reply));
        }
        let undecodable = |_: DecodeError| RemoteError::undecodable();
        Ok(match header.procedure {
            Procedure::CONNECT_OPEN => Open::decode(&payload)
                .map(Obeyed::Open)
                .map_err(undecodable),
            Procedure::CONNECT_CLOSE => Ok(Obeyed::Reply(Vec::new())),
            Procedure::CONNECT_SUPPORTS_FEATURE => SupportsFeature::decode(&payload)
                .map_err(undecodable)
                .and_then(|asked| self.supports(asked.0)),
            _ => Err(RemoteError::not_open()),
        })
    }

    /// The client may leave meanwhile, which withdraws a question of polkit's. Nothing more is read
    /// before the answer: in SASL what came too early would pass for something that came inside the
    /// security layer.
    async fn authenticate(
        &mut self,
        procedure: Procedure,
        payload: &[u8],
    ) -> Result<Result<Vec<u8>, RemoteError>, Goodbye> {
        tokio::select! {
            biased;
            answered = self.auth.answer(procedure, payload) => Ok(answered),
            () = self.link.left() => Err(Goodbye::Left),
        }
    }

    fn supports(&mut self, feature: Feature) -> Result<Obeyed, RemoteError> {
        if feature != Feature::PROGRAM_KEEPALIVE {
            return Err(RemoteError::not_open());
        }
        self.heartbeat.begin();
        if let Some(interval) = self.heartbeat.interval() {
            self.next_beat = Instant::now() + interval;
        }
        Ok(Obeyed::Reply(Supported(true).encode()))
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), Goodbye> {
        let sent = async {
            self.link.write_all(frame).await?;
            self.link.flush().await
        };
        Ok(sent.await.map_err(FrameError::from)?)
    }

    /// Pings a silent client, or gives it up.
    async fn beat(&mut self) -> Result<(), Goodbye> {
        if let Some(interval) = self.heartbeat.interval() {
            self.next_beat = Instant::now() + interval;
        }
        match self.heartbeat.beat(std::mem::take(&mut self.heard)) {
            Beat::Rest => Ok(()),
            Beat::Ping => {
                self.send(&keepalive::header(keepalive::PING).frame(&()))
                    .await
            }
            Beat::Dead(pings) => Err(Goodbye::Dead(pings)),
        }
    }

    /// Opens a driver; `None` if that failed, which the client was told and may try again.
    async fn open(
        &mut self,
        open: Open,
        header: Header,
    ) -> Result<Option<(Opened, String)>, Goodbye> {
        let mut flags = open.flags;
        if self.caller.door.read_only {
            flags = flags.with(OpenFlags::READ_ONLY);
        }
        let about = self.presence.about();
        let who = Describe(&about).to_string();
        let id = self.presence.id();
        let request = match self.request(open.name.as_deref(), flags) {
            Ok(request) => request,
            Err(error) => {
                let name = open.name.unwrap_or_default();
                self.shared
                    .warn(|| format!("client {id} ({who}) may not open {name:?}: {error}"));
                self.send(&header.refusal().frame(&error)).await?;
                return Ok(None);
            }
        };
        let (uri, socket) = (request.uri.clone(), request.socket.clone());
        let read_only = request.flags.contains(OpenFlags::READ_ONLY);
        match self.wait_for(upstream::open(request)).await? {
            Ok(opened) => {
                self.presence.update(|about| about.read_only = read_only);
                let how = if read_only { " read-only" } else { "" };
                let socket = socket.display();
                tracing::info!(target: ACCESS, "client {id} ({who}) opened {uri}{how} at {socket}");
                if let Some(reason) = &opened.unaware {
                    self.shared.warn(|| {
                        format!("the daemon at {socket} cannot be told who a client is: {reason}")
                    });
                }
                self.send(&header.reply().frame(&())).await?;
                Ok(Some((opened, uri)))
            }
            Err(error) => {
                self.shared
                    .warn(|| format!("client {id} ({who}) could not open {uri}: {error}"));
                let refusal = header.refusal().frame_around(&error.into_payload());
                self.send(&refusal).await?;
                Ok(None)
            }
        }
    }

    /// Which daemon is to open what, if the client may.
    fn request(&self, name: Option<&str>, flags: OpenFlags) -> Result<Request, RemoteError> {
        let read_only = |flags: OpenFlags| flags.contains(OpenFlags::READ_ONLY);
        let drivers = &self.live.drivers;
        let choice = drivers.choose(name, read_only(flags))?;
        let identity = self.presence.about().identity;
        let granted = self
            .live
            .access
            .judge(self.caller.peer, &identity, &choice.uri)?;
        let flags = if granted.read_only {
            flags.with(OpenFlags::READ_ONLY)
        } else {
            flags
        };
        // A grant may have made it read-only just now.
        let choice = drivers.choose(Some(&choice.uri), read_only(flags))?;
        Ok(Request {
            socket: choice.socket,
            uri: choice.uri,
            flags,
            identity,
            program: choice.program,
        })
    }

    /// Waits for the daemon. The client may leave meanwhile, and pings are answered; what else it
    /// sends waits.
    async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Goodbye> {
        tokio::pin!(work);
        let mut more_waits = false;
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                head = next_head(&mut self.reader, &mut self.link, more_waits) => {
                    let head = head?.ok_or(Goodbye::Left)?;
                    self.heard = true;
                    let is_whole = head.len as usize == FrameHead::SIZE;
                    match keepalive::procedure(head.header).filter(|_| is_whole) {
                        Some(procedure) => {
                            self.reader.drop_head();
                            if procedure == keepalive::PING {
                                let pong = keepalive::header(keepalive::PONG).frame(&());
                                self.send(&pong).await?;
                            }
                        }
                        None => more_waits = true,
                    }
                }
                () = beat_at(&self.heartbeat, self.next_beat), if !more_waits => self.beat().await?,
            }
        }
    }
}

/// The head of the client's next frame, `None` once the client has left. If that frame `waits`
/// already, nothing more is read.
async fn next_head(
    reader: &mut FrameReader,
    link: &mut Link,
    waits: bool,
) -> Result<Option<FrameHead>, FrameError> {
    if waits {
        link.left().await;
        return Ok(None);
    }
    reader.head(link).await
}

/// A call that was obeyed.
enum Obeyed {
    /// The payload of its reply.
    Reply(Vec<u8>),
    Open(Open),
}

fn is_about_auth(header: Header) -> bool {
    let procedures = [
        Procedure::AUTH_LIST,
        Procedure::AUTH_SASL_INIT,
        Procedure::AUTH_SASL_START,
        Procedure::AUTH_SASL_STEP,
        Procedure::AUTH_POLKIT,
    ];
    header.program == Program::REMOTE && procedures.contains(&header.procedure)
}

/// Waits until a client is to be looked after; for ever if it is not pinged.
async fn beat_at(heartbeat: &Heartbeat, time: Instant) {
    match heartbeat.interval() {
        Some(_) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
