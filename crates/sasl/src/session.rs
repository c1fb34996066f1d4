//! One client's way through a mechanism, and the security layer after that.

use std::fmt;
use std::sync::Arc;

use crate::error::SaslError;
use crate::ffi::{Connection, Progress, Security};
use crate::{Sasl, c_string};

/// More bytes are not taken from a client at once.
pub const MAX_DATA: usize = 65536;

/// The largest packet of the security layer that a client may send, without its length field.
const MAX_PACKET: u32 = 65536;

/// A client that takes smaller pieces is refused: each costs some thirty bytes and a cipher's run,
/// and mechanisms count wrongly near zero.
const MIN_PIECE: usize = 512;

/// What a session is to know and to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The service whose keys and users are meant, `libvirt` for instance.
    pub service: String,
    /// Our address as `ip;port`, if the connection has one.
    pub local_address: Option<String>,
    /// The client's address as `ip;port`, if the connection has one.
    pub remote_address: Option<String>,
    /// The strength of a channel that is there already, such as TLS, in bits of its key.
    pub external_ssf: u32,
    /// Whom that channel has found the client to be.
    pub external_name: Option<String>,
    /// The least strength of the security layer: 0 is none, 1 is integrity, more are bits of a key.
    /// What the channel has counts for it.
    pub min_ssf: u32,
    /// The most strength of the security layer; 0 for no layer.
    pub max_ssf: u32,
    /// Whether mechanisms without a name or with a readable password are possible.
    pub allow_weak_mechanisms: bool,
}

/// What the server says next.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    /// Whether that was all, and the client is who it says.
    pub complete: bool,
    /// The server's words. Nothing and no bytes are two different things.
    pub data: Option<Vec<u8>>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.data.as_ref().map(Vec::len);
        write!(f, "Step {{ complete: {}, len: {len:?} }}", self.complete)
    }
}

/// One client's way through a mechanism.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The client may choose a mechanism.
    Fresh,
    /// The client's next words are awaited.
    Started,
    /// The client is who it says.
    Complete { ssf: u32, piece: usize },
    /// Something was wrong, and nothing more is possible.
    Failed,
}

impl State {
    fn words(self) -> &'static str {
        match self {
            State::Fresh => "has not started",
            State::Started => "is in the middle of a mechanism",
            State::Complete { ssf: 0, .. } => "is complete and has no security layer",
            State::Complete { .. } => "is complete",
            State::Failed => "has failed",
        }
    }
}

impl Session {
    /// A session for a new client. May block: our host's name is looked up.
    ///
    /// # Errors
    /// When the library cannot make it, or a text of the options cannot be given to it.
    pub fn new(sasl: &Arc<Sasl>, options: &Options) -> Result<Session, SaslError> {
        let service = c_string(options.service.as_bytes(), "name of the service")?;
        let optional = |text: &Option<String>, what| match text {
            Some(text) => c_string(text.as_bytes(), what).map(Some),
            None => Ok(None),
        };
        let local = optional(&options.local_address, "local address")?;
        let remote = optional(&options.remote_address, "remote address")?;
        let name = optional(&options.external_name, "name found by the channel")?;
        let mut connection =
            Connection::new(&sasl.library, &service, local.as_deref(), remote.as_deref())?;
        if options.external_ssf > 0 {
            connection.set_external_ssf(options.external_ssf)?;
        }
        if let Some(name) = &name {
            connection.set_external_name(name)?;
        }
        connection.set_security(&Security {
            min_ssf: options.min_ssf,
            max_ssf: options.max_ssf,
            max_packet: MAX_PACKET,
            weak_mechanisms: options.allow_weak_mechanisms,
        })?;
        Ok(Session {
            connection,
            state: State::Fresh,
        })
    }

    /// The names of the mechanisms that are possible, with commas between.
    ///
    /// # Errors
    /// When there is none, or the library does not tell.
    pub fn mechanisms(&mut self) -> Result<String, SaslError> {
        let names = self.connection.mechanisms(c",")?;
        if names.is_empty() {
            return Err(SaslError::NoMechanism);
        }
        String::from_utf8(names).map_err(|_| SaslError::NotUtf8 {
            what: "list of mechanisms",
        })
    }

    /// Begins with the mechanism that the client chose, and its first words if it has any. May block.
    ///
    /// # Errors
    /// When the mechanism is not possible or the client is not who it says; the session is of no use
    /// after that.
    pub fn start(&mut self, mechanism: &str, data: Option<&[u8]>) -> Result<Step, SaslError> {
        self.expect(self.state == State::Fresh, "start")?;
        self.state = State::Failed;
        check_length(data)?;
        let mechanism = c_string(mechanism.as_bytes(), "name of the mechanism")?;
        let progress = self.connection.start(&mechanism, data)?;
        self.advance(progress)
    }

    /// Goes on with the client's next words. May block.
    ///
    /// # Errors
    /// When the client is not who it says; the session is of no use after that.
    pub fn step(&mut self, data: Option<&[u8]>) -> Result<Step, SaslError> {
        self.expect(self.state == State::Started, "step")?;
        self.state = State::Failed;
        check_length(data)?;
        let progress = self.connection.step(data)?;
        self.advance(progress)
    }

    fn advance(&mut self, progress: Progress) -> Result<Step, SaslError> {
        check_length(progress.data.as_deref())?;
        self.state = match progress.complete {
            false => State::Started,
            true => {
                let ssf = self.connection.ssf()?;
                let limit = usize::try_from(self.connection.max_piece()?).unwrap_or(usize::MAX);
                if ssf > 0 && limit < MIN_PIECE {
                    return Err(SaslError::SmallPieces {
                        len: limit,
                        limit: MIN_PIECE,
                    });
                }
                State::Complete {
                    ssf,
                    piece: limit.min(MAX_DATA),
                }
            }
        };
        Ok(Step {
            complete: progress.complete,
            data: progress.data,
        })
    }

    /// Who the client is.
    ///
    /// # Errors
    /// When that is not known yet, or the name is not UTF-8.
    pub fn username(&mut self) -> Result<String, SaslError> {
        self.expect(
            matches!(self.state, State::Complete { .. }),
            "tell the name",
        )?;
        String::from_utf8(self.connection.username()?).map_err(|_| SaslError::NotUtf8 {
            what: "client's name",
        })
    }

    /// The strength of the security layer: 0 where there is none, 1 for integrity, more are bits of
    /// a key. 0 before the session is complete.
    pub fn ssf(&self) -> u32 {
        match self.state {
            State::Complete { ssf, .. } => ssf,
            _ => 0,
        }
    }

    /// Seals `plain` in as many pieces as the client wants it in, and appends them to `sealed`.
    ///
    /// # Errors
    /// When there is no security layer, or the library fails. Part of it may be in `sealed` then.
    pub fn encode(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), SaslError> {
        let piece = self.layer("seal")?;
        for piece in plain.chunks(piece) {
            if let Err(error) = self.connection.encode(piece, sealed) {
                self.state = State::Failed;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Opens what the client has sealed, and appends what was in it to `plain`. A packet that has
    /// not come whole stays inside, up to 64 KiB of it. `plain` grows by less than `sealed` has and
    /// those 64 KiB.
    ///
    /// # Errors
    /// When there is no security layer, or these are not the bytes that the client sealed. Nothing
    /// more can be sealed or opened then.
    pub fn decode(&mut self, sealed: &[u8], plain: &mut Vec<u8>) -> Result<(), SaslError> {
        self.layer("open")?;
        for piece in sealed.chunks(MAX_DATA) {
            if let Err(error) = self.connection.decode(piece, plain) {
                self.state = State::Failed;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The size of pieces in the security layer.
    fn layer(&self, doing: &'static str) -> Result<usize, SaslError> {
        match self.state {
            State::Complete { ssf: 1.., piece } => Ok(piece),
            _ => Err(self.out_of_turn(doing)),
        }
    }

    fn expect(&self, right: bool, doing: &'static str) -> Result<(), SaslError> {
        match right {
            true => Ok(()),
            false => Err(self.out_of_turn(doing)),
        }
    }

    fn out_of_turn(&self, doing: &'static str) -> SaslError {
        SaslError::OutOfTurn {
            doing,
            state: self.state.words(),
        }
    }
}

fn check_length(data: Option<&[u8]>) -> Result<(), SaslError> {
    let len = data.map_or(0, <[u8]>::len);
    match len <= MAX_DATA {
        true => Ok(()),
        false => Err(SaslError::TooLong {
            len,
            limit: MAX_DATA,
        }),
    }
}
