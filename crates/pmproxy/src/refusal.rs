//! Why a client's session did not begin: for the log, for counting, and for the client.

use std::io;
use std::time::Duration;

use gate::dial::DialError;
use gate::policy::Denial;
use gate::tls::explain;
use pcp_proto::greeting::{HelloError, Target, TargetError};
use pcp_proto::{ErrorPdu, LengthError, Status};
use rustix::io::Errno;

use crate::counters::Reason;

/// Why a client's session did not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("it stalled in the greeting for {0:?}")]
    Stalled(Duration),
    #[error("it left in the greeting")]
    Left,
    #[error("there are as many clients as there may be (wanted {0})")]
    Full(Target),
    #[error("wanted {target}: {source}")]
    Unreachable { target: Target, source: DialError },
    #[error("wanted {target}: {problem}")]
    Opening {
        target: Target,
        problem: OpeningProblem,
        /// The client has had pmcd's greeting.
        greeted: bool,
    },
    #[error("it begins with TLS, but pmproxy has no certificate (see -C and tls.conf)")]
    NoCertificate,
    #[error("no secure channel with it: {0}")]
    Insecure(HandshakeError),
    #[error("{}", gate::describe(.0))]
    System(#[source] io::Error),
}

/// What went wrong between the connection to pmcd and the first request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpeningProblem {
    #[error("{peer} stalled for {limit:?} before the session began")]
    Stalled { peer: &'static str, limit: Duration },
    #[error("{0} left before the session began")]
    Left(&'static str),
    #[error("{peer} broke the protocol: {error}")]
    Length {
        peer: &'static str,
        error: LengthError,
    },
    #[error("what answers there is not pmcd")]
    NotPmcd,
    #[error("pmcd turned it away: {0}")]
    TurnedAway(Status),
    #[error("it has shown no certificate, and {0}")]
    NeedsCertificate(&'static str),
    #[error("it does not begin with its credentials, so that no secure channel to pmcd can begin")]
    NoCredentials,
    #[error("it does not authenticate itself, which -S requires")]
    NeedsAuthentication,
    #[error("pmcd cannot authenticate anybody, which -S requires")]
    NoAuthentication,
    #[error("pmcd offers no secure channel, which PCP_SECURE_SOCKETS requires")]
    PmcdIsInsecure,
    #[error("no secure channel with it: {0}")]
    ClientHandshake(HandshakeError),
    #[error("no secure channel with pmcd: {0}")]
    PmcdHandshake(HandshakeError),
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error("{}", gate::describe(.0))]
    System(#[source] io::Error),
}

/// Why there is no secure channel.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.explanation())]
pub(crate) struct HandshakeError(pub(crate) io::Error);

impl HandshakeError {
    fn explanation(&self) -> String {
        let inner = self.0.get_ref();
        if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return explain(error);
        }
        match self.0.kind() {
            io::ErrorKind::UnexpectedEof => "the peer left in the handshake".into(),
            _ => gate::describe(&self.0),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Refusal::Left,
            _ => Refusal::System(error),
        }
    }
}

impl Refusal {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Refusal::Hello(_) => Reason::Greeting,
            Refusal::Target(_) => Reason::Target,
            Refusal::Stalled(_) => Reason::Stalled,
            Refusal::Left => Reason::Left,
            Refusal::Full(_) => Reason::Full,
            Refusal::Unreachable { source, .. } => match source {
                DialError::Denied(denial) => of_denial(denial),
                DialError::Unresolved { .. } | DialError::NoAddress { .. } => Reason::Unresolved,
                DialError::Unreachable { .. } | DialError::TimedOut { .. } => Reason::Unreachable,
            },
            Refusal::Opening { problem, .. } => problem.reason(),
            Refusal::NoCertificate | Refusal::Insecure(_) => Reason::Insecure,
            Refusal::System(_) => Reason::System,
        }
    }

    /// For something that went wrong before the client had pmcd's greeting.
    pub(crate) fn before_greeting(target: Target, problem: OpeningProblem) -> Refusal {
        Refusal::Opening {
            target,
            problem,
            greeted: false,
        }
    }

    /// For something that went wrong afterwards.
    pub(crate) fn after_greeting(target: Target, problem: OpeningProblem) -> Refusal {
        Refusal::Opening {
            target,
            problem,
            greeted: true,
        }
    }

    /// What a client that waits for pmcd's words is told; one that has not come so far speaks no
    /// protocol in which it could be told anything.
    pub(crate) fn answer(&self) -> Option<ErrorPdu> {
        match self {
            Refusal::Full(_) => Some(ErrorPdu::refusal(Status::CONNECTION_LIMIT)),
            Refusal::Unreachable { source, .. } => Some(ErrorPdu::refusal(match source {
                DialError::Denied(denial) => status_of_denial(denial),
                other => Status::from_errno(other.errno()),
            })),
            Refusal::Opening {
                problem, greeted, ..
            } => problem.status().map(if *greeted {
                ErrorPdu::Plain
            } else {
                ErrorPdu::refusal
            }),
            _ => None,
        }
    }

    /// A client that looks whether the port is open, or gives up, is nothing to warn about.
    pub(crate) fn is_noteworthy(&self) -> bool {
        !matches!(
            self,
            Refusal::Left
                | Refusal::Opening {
                    problem: OpeningProblem::Left(CLIENT),
                    ..
                }
        )
    }
}

/// Who is meant by messages about an opening.
pub(crate) const CLIENT: &str = "it";
pub(crate) const PMCD: &str = "pmcd";

impl OpeningProblem {
    fn reason(&self) -> Reason {
        match self {
            OpeningProblem::Stalled { peer: CLIENT, .. } => Reason::Stalled,
            OpeningProblem::Left(CLIENT) => Reason::Left,
            OpeningProblem::Length { peer: CLIENT, .. } => Reason::PduLength,
            OpeningProblem::Stalled { .. }
            | OpeningProblem::Left(_)
            | OpeningProblem::Length { .. }
            | OpeningProblem::NotPmcd
            | OpeningProblem::TurnedAway(_) => Reason::Unreachable,
            OpeningProblem::NeedsCertificate(_)
            | OpeningProblem::NeedsAuthentication
            | OpeningProblem::NoAuthentication => Reason::Unauthenticated,
            OpeningProblem::PmcdIsInsecure
            | OpeningProblem::NoCredentials
            | OpeningProblem::ClientHandshake(_)
            | OpeningProblem::PmcdHandshake(_) => Reason::Insecure,
            OpeningProblem::Denied(denial) => of_denial(denial),
            OpeningProblem::System(_) => Reason::System,
        }
    }

    fn status(&self) -> Option<Status> {
        let errno = |errno: Errno| Status::from_errno(errno.raw_os_error());
        match self {
            OpeningProblem::Stalled { peer: PMCD, .. } => Some(errno(Errno::TIMEDOUT)),
            OpeningProblem::Left(PMCD) => Some(errno(Errno::CONNRESET)),
            OpeningProblem::Length { .. }
            | OpeningProblem::NotPmcd
            | OpeningProblem::NoCredentials => Some(Status::IPC),
            OpeningProblem::TurnedAway(status) => Some(*status),
            OpeningProblem::NeedsCertificate(_) => Some(Status::NEED_CLIENT_CERTIFICATE),
            OpeningProblem::NeedsAuthentication => Some(Status::PERMISSION),
            OpeningProblem::NoAuthentication | OpeningProblem::PmcdIsInsecure => {
                Some(errno(Errno::OPNOTSUPP))
            }
            OpeningProblem::PmcdHandshake(_) => Some(Status::TLS),
            OpeningProblem::Denied(denial) => Some(status_of_denial(denial)),
            // There is no channel to tell it through, or nobody to tell.
            OpeningProblem::ClientHandshake(_)
            | OpeningProblem::Stalled { .. }
            | OpeningProblem::Left(_)
            | OpeningProblem::System(_) => None,
        }
    }
}

fn of_denial(denial: &Denial) -> Reason {
    if denial.is_temporary() {
        Reason::Limited
    } else {
        Reason::Denied
    }
}

fn status_of_denial(denial: &Denial) -> Status {
    if denial.is_temporary() {
        Status::CONNECTION_LIMIT
    } else {
        Status::PERMISSION
    }
}
