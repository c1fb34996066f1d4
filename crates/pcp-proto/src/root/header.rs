//! The sixteen bytes that open every PDU, and what the type says about the length.

use std::fmt;
use std::ops::RangeInclusive;

use super::error::RootError;
use super::{MAX_LEN, MAX_TEXT};
use crate::Status;

/// Bytes of a header.
pub(super) const HEADER_LEN: usize = 16;
/// Bytes of an INFO.
pub(super) const INFO_LEN: usize = 24;
/// Bytes of a PDU about a container, without its text.
pub(super) const CONTAINER_LEN: usize = 24;
/// Bytes of a START, without the arguments.
pub(super) const START_LEN: usize = 104;
/// Bytes of a STOP.
pub(super) const STOP_LEN: usize = 32;

/// What a PDU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PduType {
    /// The server's greeting.
    Info,
    /// Asks for the host name inside a container.
    HostNameRequest,
    /// The host name inside a container.
    HostName,
    /// Asks for the first process of a container.
    ProcessIdRequest,
    /// The first process of a container.
    ProcessId,
    /// Asks for the control group of a container.
    CgroupNameRequest,
    /// The control group of a container.
    CgroupName,
    /// Asks for a new process.
    StartRequest,
    /// The new process.
    Start,
    /// Asks for the end of a process, or for those that have ended.
    StopRequest,
    /// What became of a process.
    Stop,
}

impl PduType {
    /// Every type, in the order of their numbers.
    pub const ALL: [PduType; 11] = [
        PduType::Info,
        PduType::HostNameRequest,
        PduType::HostName,
        PduType::ProcessIdRequest,
        PduType::ProcessId,
        PduType::CgroupNameRequest,
        PduType::CgroupName,
        PduType::StartRequest,
        PduType::Start,
        PduType::StopRequest,
        PduType::Stop,
    ];

    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            PduType::Info => 0x9000,
            PduType::HostNameRequest => 0x9001,
            PduType::HostName => 0x9002,
            PduType::ProcessIdRequest => 0x9003,
            PduType::ProcessId => 0x9004,
            PduType::CgroupNameRequest => 0x9005,
            PduType::CgroupName => 0x9006,
            PduType::StartRequest => 0x9007,
            PduType::Start => 0x9008,
            PduType::StopRequest => 0x9009,
            PduType::Stop => 0x900a,
        }
    }

    fn from_number(number: i32) -> Result<PduType, RootError> {
        PduType::ALL
            .into_iter()
            .find(|pdu_type| pdu_type.number() == number)
            .ok_or(RootError::UnknownType(number))
    }

    /// Whether clients send it, and not the server.
    pub fn is_request(self) -> bool {
        matches!(
            self,
            PduType::HostNameRequest
                | PduType::ProcessIdRequest
                | PduType::CgroupNameRequest
                | PduType::StartRequest
                | PduType::StopRequest
        )
    }

    /// How long such a PDU can be.
    fn lengths(self) -> RangeInclusive<usize> {
        match self {
            PduType::Info => INFO_LEN..=INFO_LEN,
            PduType::HostNameRequest
            | PduType::HostName
            | PduType::ProcessIdRequest
            | PduType::ProcessId
            | PduType::CgroupNameRequest
            | PduType::CgroupName => CONTAINER_LEN..=CONTAINER_LEN + MAX_TEXT,
            PduType::StartRequest => START_LEN + 1..=MAX_LEN,
            PduType::Start => START_LEN..=START_LEN,
            PduType::StopRequest | PduType::Stop => STOP_LEN..=STOP_LEN,
        }
    }

    fn check_len(self, len: i32) -> Result<usize, RootError> {
        let lengths = self.lengths();
        usize::try_from(len)
            .ok()
            .filter(|len| lengths.contains(len))
            .ok_or(RootError::Length {
                pdu_type: self,
                len,
                min: *lengths.start(),
                max: *lengths.end(),
            })
    }
}

impl fmt::Display for PduType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PduType::Info => "INFO",
            PduType::HostNameRequest => "HOSTNAME_REQ",
            PduType::HostName => "HOSTNAME",
            PduType::ProcessIdRequest => "PROCESSID_REQ",
            PduType::ProcessId => "PROCESSID",
            PduType::CgroupNameRequest => "CGROUPNAME_REQ",
            PduType::CgroupName => "CGROUPNAME",
            PduType::StartRequest => "STARTPMDA_REQ",
            PduType::Start => "STARTPMDA",
            PduType::StopRequest => "STOPPMDA_REQ",
            PduType::Stop => "STOPPMDA",
        })
    }
}

/// The version of the protocol that a peer speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Containers only.
    V1,
    /// Containers and processes.
    #[default]
    V2,
}

impl Version {
    fn number(self) -> i32 {
        match self {
            Version::V1 => 1,
            Version::V2 => 2,
        }
    }

    fn from_number(number: i32) -> Result<Version, RootError> {
        match number {
            1 => Ok(Version::V1),
            2 => Ok(Version::V2),
            _ => Err(RootError::Version(number)),
        }
    }
}

/// What opens a PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) pdu_type: PduType,
    pub(super) len: usize,
    pub(super) status: Status,
    pub(super) version: Version,
}

impl Header {
    /// Reads as much of a header as is there; `accepts` judges the type. What is wrong is told as
    /// soon as it can be seen. `None` means that bytes are missing.
    pub(super) fn decode(
        bytes: &[u8],
        accepts: fn(PduType) -> Result<(), RootError>,
    ) -> Result<Option<Header>, RootError> {
        let mut fields = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .copied()
            .map(i32::from_ne_bytes);
        let Some(number) = fields.next() else {
            return Ok(None);
        };
        let pdu_type = PduType::from_number(number)?;
        accepts(pdu_type)?;
        let Some(len) = fields.next() else {
            return Ok(None);
        };
        let len = pdu_type.check_len(len)?;
        let Some(status) = fields.next() else {
            return Ok(None);
        };
        let status = check_status(pdu_type, status)?;
        let Some(version) = fields.next() else {
            return Ok(None);
        };
        Ok(Some(Header {
            pdu_type,
            len,
            status,
            version: Version::from_number(version)?,
        }))
    }

    pub(super) fn encode(&self) -> [i32; 4] {
        // No PDU is longer than MAX_LEN.
        let len = i32::try_from(self.len).unwrap_or(i32::MAX);
        [
            self.pdu_type.number(),
            len,
            self.status.0,
            self.version.number(),
        ]
    }
}

/// Requests report nothing; answers report success or a failure, which is negative.
fn check_status(pdu_type: PduType, status: i32) -> Result<Status, RootError> {
    if status > 0 || (status < 0 && pdu_type.is_request()) {
        return Err(RootError::BadValue {
            pdu_type,
            field: "status",
            value: status,
        });
    }
    Ok(Status(status))
}
