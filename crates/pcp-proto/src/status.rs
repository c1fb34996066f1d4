//! Status codes: negative errno values and PCP's own errors, which lie below them.

use std::fmt;

/// A status as it travels in an ERROR PDU: zero or more is success, below zero is an error: either
/// a negative errno or one of PCP's own codes (`PM_ERR_*` of `pmapi.h`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

/// PCP's own codes start below this (`PM_ERR_BASE`).
const BASE: i32 = 12345;

impl Status {
    /// Success.
    pub const OK: Status = Status(0);
    /// Something that has been reported already, as in a log (`PM_ERR_GENERIC`).
    pub const GENERIC: Status = Status(-BASE);
    /// No help text is available (`PM_ERR_TEXT`).
    pub const TEXT: Status = Status(-BASE - 4);
    /// The metric has no value now (`PM_ERR_VALUE`).
    pub const VALUE: Status = Status(-BASE - 6);
    /// An unknown metric name (`PM_ERR_NAME`).
    pub const NAME: Status = Status(-BASE - 12);
    /// An unknown metric identifier (`PM_ERR_PMID`).
    pub const PMID: Status = Status(-BASE - 13);
    /// An unknown instance domain (`PM_ERR_INDOM`).
    pub const INDOM: Status = Status(-BASE - 14);
    /// An unknown instance (`PM_ERR_INST`).
    pub const INST: Status = Status(-BASE - 15);
    /// The peer broke the protocol (`PM_ERR_IPC`).
    pub const IPC: Status = Status(-BASE - 21);
    /// The connection is closed (`PM_ERR_EOF`).
    pub const EOF: Status = Status(-BASE - 23);
    /// No profile was sent for the context (`PM_ERR_NOPROFILE`).
    pub const NO_PROFILE: Status = Status(-BASE - 36);
    /// No agent serves the domain (`PM_ERR_NOAGENT`).
    pub const NO_AGENT: Status = Status(-BASE - 41);
    /// The operation is not permitted (`PM_ERR_PERMISSION`).
    pub const PERMISSION: Status = Status(-BASE - 42);
    /// The host has as many connections as it may have (`PM_ERR_CONNLIMIT`).
    pub const CONNECTION_LIMIT: Status = Status(-BASE - 43);
    /// The client whom the request is about has left (`PM_ERR_NOTCONN`); pmcd tells agents so.
    pub const NOT_CONNECTED: Status = Status(-BASE - 46);
    /// The name is not a leaf of the metric name space (`PM_ERR_NONLEAF`).
    pub const NONLEAF: Status = Status(-BASE - 49);
    /// No container has the name (`PM_ERR_NOCONTAINER`).
    pub const NO_CONTAINER: Status = Status(-BASE - 54);
    /// A certificate of the client is required (`PM_ERR_NEEDCLIENTCERT`).
    pub const NEED_CLIENT_CERTIFICATE: Status = Status(-BASE - 63);
    /// There are no labels (`PM_ERR_NOLABELS`).
    pub const NO_LABELS: Status = Status(-BASE - 65);
    /// TLS failed (`PM_ERR_TLS`).
    pub const TLS: Status = Status(-BASE - 69);
    /// A list has too few elements (`PM_ERR_TOOSMALL`).
    pub const TOO_SMALL: Status = Status(-BASE - 98);
    /// The answer would be too large (`PM_ERR_TOOBIG`).
    pub const TOO_BIG: Status = Status(-BASE - 99);
    /// The agent can answer again (`PM_ERR_PMDAREADY`).
    pub const PMDA_READY: Status = Status(-BASE - 1048);
    /// The agent cannot answer for now (`PM_ERR_PMDANOTREADY`).
    pub const PMDA_NOT_READY: Status = Status(-BASE - 1049);
    /// The operation is not implemented (`PM_ERR_NYI`).
    pub const NOT_IMPLEMENTED: Status = Status(-BASE - 8999);

    /// The status for a positive errno value of this machine.
    pub fn from_errno(errno: i32) -> Status {
        Status(errno.saturating_abs().saturating_neg())
    }

    /// Whether this reports a failure.
    pub fn is_error(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Status(code) if code >= 0 => write!(f, "success ({code})"),
            Status::GENERIC => f.write_str("an error that was reported already"),
            Status::TEXT => f.write_str("no help text is available"),
            Status::VALUE => f.write_str("no value"),
            Status::NAME => f.write_str("unknown metric name"),
            Status::PMID => f.write_str("unknown metric identifier"),
            Status::INDOM => f.write_str("unknown instance domain"),
            Status::INST => f.write_str("unknown instance"),
            Status::IPC => f.write_str("protocol failure"),
            Status::EOF => f.write_str("the connection is closed"),
            Status::NO_PROFILE => f.write_str("no profile was sent"),
            Status::NO_AGENT => f.write_str("no agent serves the domain"),
            Status::PERMISSION => f.write_str("not permitted"),
            Status::CONNECTION_LIMIT => f.write_str("connection limit reached"),
            Status::NOT_CONNECTED => f.write_str("not connected"),
            Status::NONLEAF => f.write_str("not a leaf of the metric name space"),
            Status::NO_CONTAINER => f.write_str("no such container"),
            Status::NEED_CLIENT_CERTIFICATE => f.write_str("a client certificate is required"),
            Status::NO_LABELS => f.write_str("no labels"),
            Status::TLS => f.write_str("TLS failed"),
            Status::TOO_SMALL => f.write_str("a list has too few elements"),
            Status::TOO_BIG => f.write_str("the answer would be too large"),
            Status::PMDA_READY => f.write_str("the agent is ready"),
            Status::PMDA_NOT_READY => f.write_str("the agent is not ready"),
            Status::NOT_IMPLEMENTED => f.write_str("not implemented"),
            Status(code) if code > -BASE => {
                write!(
                    f,
                    "{}",
                    std::io::Error::from_raw_os_error(code.saturating_neg())
                )
            }
            Status(code) => write!(f, "PCP error {code}"),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({}: {self})", self.0)
    }
}
