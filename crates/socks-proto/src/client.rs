//! A client's dialogue with a SOCKS server, step by step.

use std::fmt;

use crate::bound::Bound;
use crate::error::{DialogueError, RequestError};
use crate::heard::Heard;
use crate::outbox::{Message, Outbox};
use crate::target::{Credentials, Target};
use crate::v5::Method;
use crate::version::Version;
use crate::{v4, v5};

/// The longest answer of any version.
const INBOX: usize = if v4::REPLY > v5::MAX_REPLY {
    v4::REPLY
} else {
    v5::MAX_REPLY
};

/// A client's dialogue for one CONNECT.
///
/// First [`outgoing`](Client::outgoing) is sent, then as much as is [`wanted`](Client::wanted) is
/// read, and so in turn until [`received`](Client::received) says that the server connected, or
/// fails. After that nothing is sent or wanted any more.
///
/// What is sent may hold a password. It is overwritten as soon as it was sent, when the dialogue
/// ends, and when the client is dropped; copies that the compiler made when a client was moved are
/// beyond reach.
#[derive(Clone)]
pub struct Client {
    version: Version,
    step: Step,
    outbox: Outbox,
    inbox: [u8; INBOX],
    /// So many bytes of the current answer are in the inbox.
    filled: usize,
    /// So many bytes of it are still to come, as far as is known.
    missing: usize,
    heard_something: bool,
}

/// Which answer is waited for, and what has to be sent after it.
#[derive(Clone, Debug)]
enum Step {
    Reply4,
    Method {
        authentication: Option<Message>,
        request: Message,
    },
    Authentication {
        request: Message,
    },
    Reply5,
    Ended,
}

/// How far a dialogue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a client may have to do without the heap"
)]
pub enum Progress {
    /// There is something to send, or more to read.
    More,
    /// The server connected: what follows on the connection is between client and target.
    Connected(Bound),
}

impl Client {
    /// A dialogue that asks a server of this version for a connection to `target`.
    ///
    /// `login` is the user id of SOCKS 4 and 4a; SOCKS 5 has none. `credentials` are for SOCKS 5
    /// only: with them, it is left to the server whether it wants to hear them.
    ///
    /// # Errors
    /// [`RequestError`] when this version has no words for it.
    pub fn new(
        version: Version,
        target: &Target<'_>,
        login: &str,
        credentials: Option<&Credentials<'_>>,
    ) -> Result<Client, RequestError> {
        let mut outbox = Outbox::new();
        let (first, step) = match version {
            Version::V4 | Version::V4a => (
                v4::request(&mut outbox, version, target, login)?,
                Step::Reply4,
            ),
            Version::V5 => {
                let offer = v5::offer(&mut outbox, credentials.is_some());
                let authentication = credentials
                    .map(|credentials| v5::authentication(&mut outbox, credentials))
                    .transpose()?;
                let request = v5::request(&mut outbox, target)?;
                let step = Step::Method {
                    authentication,
                    request,
                };
                (offer, step)
            }
        };
        outbox.send(first);
        Ok(Client {
            version,
            missing: step.least(),
            step,
            outbox,
            inbox: [0; INBOX],
            filled: 0,
            heard_something: false,
        })
    }

    /// The version that is spoken.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What is to be sent now. Empty when the server's answer is awaited, and when the dialogue has
    /// ended.
    pub fn outgoing(&self) -> &[u8] {
        self.outbox.pending()
    }

    /// So many bytes of [`outgoing`](Client::outgoing) were sent; a higher number counts as all.
    pub fn sent(&mut self, count: usize) {
        self.outbox.sent(count);
    }

    /// How many bytes may be read now at most: never one beyond the dialogue. 0 while something has
    /// to be sent, and when the dialogue has ended.
    pub fn wanted(&self) -> usize {
        if self.outgoing().is_empty() {
            self.missing
        } else {
            0
        }
    }

    /// Whether anything was received. A server that closes the connection before it said a word
    /// may speak another version.
    pub fn has_heard(&self) -> bool {
        self.heard_something
    }

    /// Takes bytes that were read, at most as many as are [`wanted`](Client::wanted).
    ///
    /// # Errors
    /// [`DialogueError`] when there will be no connection. The dialogue has ended then.
    pub fn received(&mut self, bytes: &[u8]) -> Result<Progress, DialogueError> {
        let progress = self.take(bytes).and_then(|()| self.advance());
        if !matches!(progress, Ok(Progress::More)) {
            self.end();
        }
        progress
    }

    /// Puts bytes into the inbox.
    fn take(&mut self, bytes: &[u8]) -> Result<(), DialogueError> {
        let (wanted, given) = (self.wanted(), bytes.len());
        if given > wanted {
            return Err(DialogueError::Surplus { wanted, given });
        }
        self.inbox[self.filled..self.filled + given].copy_from_slice(bytes);
        self.filled += given;
        self.heard_something |= given > 0;
        Ok(())
    }

    /// Reads the answer as far as it is there, and goes on to the next step when all of it is.
    fn advance(&mut self) -> Result<Progress, DialogueError> {
        let answer = &self.inbox[..self.filled];
        match &self.step {
            Step::Reply4 => Ok(self.heard_reply(v4::reply(answer)?)),
            Step::Reply5 => Ok(self.heard_reply(v5::reply(answer)?)),
            Step::Method {
                authentication,
                request,
            } => {
                let (authentication, request) = (authentication.clone(), request.clone());
                let heard = v5::method(answer, authentication.is_some())?;
                self.heard(heard, |method| match (method, authentication) {
                    (Method::UserAndPassword, Some(message)) => {
                        (message, Step::Authentication { request })
                    }
                    _ => (request, Step::Reply5),
                });
                Ok(Progress::More)
            }
            Step::Authentication { request } => {
                let request = request.clone();
                let heard = v5::authenticated(answer)?;
                self.heard(heard, |()| (request, Step::Reply5));
                Ok(Progress::More)
            }
            Step::Ended => Ok(Progress::More),
        }
    }

    fn heard_reply(&mut self, reply: Heard<Bound>) -> Progress {
        match reply {
            Heard::Missing(missing) => {
                self.missing = missing;
                Progress::More
            }
            Heard::Whole(bound) => Progress::Connected(bound),
        }
    }

    /// Once the answer is whole, `next` says what to send and what to wait for after it.
    fn heard<T>(&mut self, answer: Heard<T>, next: impl FnOnce(T) -> (Message, Step)) {
        match answer {
            Heard::Missing(missing) => self.missing = missing,
            Heard::Whole(answer) => {
                let (message, step) = next(answer);
                self.outbox.send(message);
                self.filled = 0;
                self.missing = step.least();
                self.step = step;
            }
        }
    }

    fn end(&mut self) {
        self.step = Step::Ended;
        self.missing = 0;
        self.outbox.close();
    }
}

impl Step {
    /// The shortest answer of this step.
    fn least(&self) -> usize {
        match self {
            Step::Reply4 => v4::REPLY,
            Step::Method { .. } | Step::Authentication { .. } => v5::SHORT_ANSWER,
            Step::Reply5 => v5::MIN_REPLY,
            Step::Ended => 0,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Step::Reply4 | Step::Reply5 => "reply",
            Step::Method { .. } => "choice of a method",
            Step::Authentication { .. } => "authentication",
            Step::Ended => "ended",
        }
    }
}

/// What is sent is not shown, since there may be a password in it.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("version", &self.version)
            .field("step", &self.step.name())
            .field("outgoing", &self.outgoing().len())
            .field("wanted", &self.wanted())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Client {
    /// Whether this text is still in memory, to be sent or not.
    pub(crate) fn still_holds(&self, text: &str) -> bool {
        self.outbox.holds(text.as_bytes())
    }
}
