//! The 28 bytes that open every frame, the limit on lengths, and the number of descriptors.

use crate::named::named;
use crate::program::{Procedure, Program};
use crate::xdr::{DecodeError, Payload, Reader, Writer};

/// What a frame is to the one who gets it (`virNetMessageType`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageType(pub u32);

named!(MessageType {
    /// The arguments of a call, from client to server.
    CALL = 0, "CALL";
    /// The answer to a call, or its error.
    REPLY = 1, "REPLY";
    /// An event that nobody waits for; keepalive uses it in both directions.
    MESSAGE = 2, "MESSAGE";
    /// Data of a stream, in both directions.
    STREAM = 3, "STREAM";
    /// A call that descriptors come with.
    CALL_WITH_FDS = 4, "CALL_WITH_FDS";
    /// An answer that descriptors come with.
    REPLY_WITH_FDS = 5, "REPLY_WITH_FDS";
    /// A hole in a stream, in both directions.
    STREAM_HOLE = 6, "STREAM_HOLE";
});

impl MessageType {
    /// Whether a number of descriptors opens the payload.
    pub fn has_fds(self) -> bool {
        matches!(
            self,
            MessageType::CALL_WITH_FDS | MessageType::REPLY_WITH_FDS
        )
    }
}

/// How a call went, or whether a stream goes on (`virNetMessageStatus`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

named!(Status {
    /// In all calls and messages, in good replies, and at the good end of a stream.
    OK = 0, "OK";
    /// The payload is a [`RemoteError`](crate::RemoteError); from a client, it gives a stream up.
    ERROR = 1, "ERROR";
    /// More of the stream follows.
    CONTINUE = 2, "CONTINUE";
});

/// What ties replies and streams to their call. Clients count up from zero, but any number is legal
/// and may be used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Serial(pub u32);

/// What a frame says of itself, without its length (`virNetMessageHeader`). Types, programs and
/// procedures that nobody here knows are values like others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is about.
    pub program: Program,
    /// The version of the program.
    pub version: u32,
    /// What is to be done, or was.
    pub procedure: Procedure,
    /// What the frame is to the one who gets it.
    pub message_type: MessageType,
    /// Which call it belongs to; zero in messages.
    pub serial: Serial,
    /// How it went.
    pub status: Status,
}

impl Header {
    /// Size on the wire, in bytes.
    pub const SIZE: usize = 24;

    /// The header of a call.
    pub fn call(program: Program, procedure: Procedure, serial: Serial) -> Header {
        Header {
            program,
            version: Program::VERSION,
            procedure,
            message_type: MessageType::CALL,
            serial,
            status: Status::OK,
        }
    }

    /// The header of the good answer to this call.
    pub fn reply(self) -> Header {
        Header {
            message_type: MessageType::REPLY,
            status: Status::OK,
            ..self
        }
    }

    /// The header of the error that answers this frame: a stream's is data of the stream.
    pub fn refusal(self) -> Header {
        let message_type = match self.message_type {
            MessageType::STREAM | MessageType::STREAM_HOLE => MessageType::STREAM,
            _ => MessageType::REPLY,
        };
        Header {
            message_type,
            status: Status::ERROR,
            ..self
        }
    }

    /// The whole frame: length, this header and `payload`.
    pub fn frame(&self, payload: &impl Payload) -> Vec<u8> {
        self.frame_around(&payload.encode())
    }

    /// The whole frame around a payload that is encoded already.
    pub fn frame_around(&self, payload: &[u8]) -> Vec<u8> {
        let mut writer = Writer::default();
        let len = FrameHead::SIZE.saturating_add(payload.len());
        FrameHead {
            len: u32::try_from(len).unwrap_or(u32::MAX),
            header: *self,
        }
        .encode_to(&mut writer);
        writer.fixed(payload);
        writer.into_bytes()
    }
}

/// Length and header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Length of the whole frame in bytes, this field included. Descriptors are not counted.
    pub len: u32,
    /// The rest of the head.
    pub header: Header,
}

impl FrameHead {
    /// Size on the wire, in bytes.
    pub const SIZE: usize = 4 + Header::SIZE;

    /// Size of the head with the number of descriptors behind it, in bytes.
    pub const SIZE_WITH_FDS: usize = FrameHead::SIZE + 4;

    /// The largest number of descriptors that come with a frame (`VIR_NET_MESSAGE_NUM_FDS_MAX`).
    pub const FDS_MAX: usize = 32;

    /// Reads the head at the start of `bytes`; the length is not judged here, see [`FrameLimit`].
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] with fewer than [`FrameHead::SIZE`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<FrameHead, DecodeError> {
        let mut reader = Reader::new(bytes);
        Ok(FrameHead {
            len: reader.u32("length")?,
            header: Header {
                program: Program(reader.u32("program")?),
                version: reader.u32("version")?,
                procedure: Procedure(reader.i32("procedure")?),
                message_type: MessageType(reader.u32("type")?),
                serial: Serial(reader.u32("serial")?),
                status: Status(reader.u32("status")?),
            },
        })
    }

    /// Appends the head as it goes over the wire.
    pub fn encode_to(&self, writer: &mut Writer) {
        let header = self.header;
        writer.u32(self.len);
        writer.u32(header.program.0);
        writer.u32(header.version);
        writer.i32(header.procedure.0);
        writer.u32(header.message_type.0);
        writer.u32(header.serial.0);
        writer.u32(header.status.0);
    }

    /// How many descriptors come with this frame, whose first bytes are `frame`: none, or what
    /// stands behind the head. Each descriptor comes with one zero byte of its own after the frame.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] without the number, in `frame` or by the length of the frame, and
    /// [`DecodeError::TooLong`] over [`FrameHead::FDS_MAX`]. libvirt closes such connections.
    pub fn fds(&self, frame: &[u8]) -> Result<usize, DecodeError> {
        const FIELD: &str = "number of descriptors";
        if !self.header.message_type.has_fds() {
            return Ok(0);
        }
        let stated = usize::try_from(self.len).unwrap_or(usize::MAX);
        let frame = &frame[..frame.len().min(stated)];
        let payload = frame.get(FrameHead::SIZE..).unwrap_or_default();
        let len = Reader::new(payload).u32(FIELD)?;
        match usize::try_from(len) {
            Ok(fds) if fds <= FrameHead::FDS_MAX => Ok(fds),
            _ => Err(DecodeError::TooLong {
                field: FIELD,
                len,
                limit: FrameHead::FDS_MAX,
            }),
        }
    }
}

/// The longest frame that is accepted, in bytes, its length field included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimit(u32);

impl FrameLimit {
    /// What current libvirt sends and takes: 32 MiB behind the length field (`VIR_NET_MESSAGE_MAX`).
    pub const CURRENT: FrameLimit = FrameLimit(32 * 1024 * 1024 + 4);

    /// What older libvirt takes: 16 MiB behind the length field.
    pub const OLDER: FrameLimit = FrameLimit(16 * 1024 * 1024 + 4);

    /// What the first versions take: 256 KiB behind the length field.
    pub const LEGACY: FrameLimit = FrameLimit(256 * 1024 + 4);

    /// A limit of `bytes`, if a frame can be as short as its head.
    pub fn new(bytes: u32) -> Option<FrameLimit> {
        let limit = FrameLimit(bytes);
        limit.check(bytes).is_ok().then_some(limit)
    }

    /// The limit in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }

    /// Judges the length field of a frame.
    ///
    /// # Errors
    /// [`LengthError`] when the length is below that of a head or above the limit.
    pub fn check(self, len: u32) -> Result<u32, LengthError> {
        if (len as usize) < FrameHead::SIZE {
            Err(LengthError::TooShort { len })
        } else if len > self.0 {
            Err(LengthError::TooLong { len, limit: self.0 })
        } else {
            Ok(len)
        }
    }
}

/// A length field that no honest peer sends. libvirt closes such connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    /// Shorter than the head that carries it.
    #[error("frame length {len} is shorter than the head of a frame (28 bytes)")]
    TooShort {
        /// The length field.
        len: u32,
    },
    /// Longer than the limit.
    #[error("frame length {len} is over the limit of {limit} bytes")]
    TooLong {
        /// The length field.
        len: u32,
        /// The limit in force.
        limit: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;
    use proptest::prelude::*;

    /// DOMAIN_LOOKUP_BY_ID with descriptors, which no client sends, but libvirtd read the number.
    fn with_fds(count: u32) -> Vec<u8> {
        let mut frame = hex("00000024 20008086 00000001 00000016 00000004 0000000f 00000000");
        frame.extend(count.to_be_bytes());
        frame.extend([0, 0, 0, 1]);
        frame
    }

    #[test]
    fn the_head_of_a_real_reply_is_understood() {
        // From libvirtd 9.0, to DOMAIN_LOOKUP_BY_NAME for a name that it does not know.
        let bytes = hex("00000070 20008086 00000001 00000017 00000001 00000006 00000001 0000002a");
        let head = FrameHead::decode(&bytes).unwrap();
        let call = Header::call(Program::REMOTE, Procedure(23), Serial(6));
        assert_eq!(head.len, 112);
        assert_eq!(head.header, call.refusal());
        assert_eq!(head.fds(&bytes), Ok(0));
    }

    #[test]
    fn unknown_types_programs_and_procedures_are_values() {
        let bytes = hex("0000001c deadbeef 00000007 fffffffe 00000063 ffffffff 00000009");
        let header = FrameHead::decode(&bytes).unwrap().header;
        assert_eq!(header.program, Program(0xdead_beef));
        assert_eq!(header.procedure, Procedure(-2));
        assert_eq!(header.message_type.to_string(), "99");
        assert_eq!(header.frame(&()), bytes);
    }

    #[test]
    fn a_frame_says_how_many_descriptors_come_with_it() {
        let fds = |frame: &[u8]| FrameHead::decode(frame).unwrap().fds(frame);
        assert_eq!(fds(&with_fds(0)), Ok(0));
        assert_eq!(fds(&with_fds(32)), Ok(32));
        // libvirtd 9.0 closes the connection on this one.
        let too_many = DecodeError::TooLong {
            field: "number of descriptors",
            len: 33,
            limit: 32,
        };
        assert_eq!(fds(&with_fds(33)), Err(too_many));
    }

    #[test]
    fn bytes_after_a_short_frame_are_not_its_number_of_descriptors() {
        let mut frame = with_fds(1);
        frame[3] = 28;
        let fds = FrameHead::decode(&frame).unwrap().fds(&frame);
        assert!(matches!(fds, Err(DecodeError::TooShort { .. })), "{fds:?}");
    }

    #[test]
    fn the_error_of_a_stream_is_data_of_the_stream() {
        let mut header = Header::call(Program::REMOTE, Procedure(201), Serial(3));
        assert_eq!(header.refusal().message_type, MessageType::REPLY);
        header.message_type = MessageType::STREAM_HOLE;
        assert_eq!(header.refusal().message_type, MessageType::STREAM);
        assert_eq!(header.refusal().status, Status::ERROR);
    }

    #[test]
    fn a_length_is_judged_at_both_ends() {
        let limit = FrameLimit::CURRENT;
        assert_eq!(limit.check(27), Err(LengthError::TooShort { len: 27 }));
        assert_eq!(limit.check(28), Ok(28));
        assert_eq!(limit.check(33_554_436), Ok(33_554_436));
        assert_eq!(
            limit.check(33_554_437),
            Err(LengthError::TooLong {
                len: 33_554_437,
                limit: 33_554_436
            })
        );
        assert_eq!(FrameLimit::new(27), None);
        assert_eq!(FrameLimit::new(28).map(FrameLimit::bytes), Some(28));
    }

    proptest! {
        #[test]
        fn a_head_survives_the_wire(
            program: u32, version: u32, procedure: i32, message_type: u32, serial: u32, status: u32,
        ) {
            let header = Header {
                program: Program(program),
                version,
                procedure: Procedure(procedure),
                message_type: MessageType(message_type),
                serial: Serial(serial),
                status: Status(status),
            };
            let head = FrameHead::decode(&header.frame(&()));
            prop_assert_eq!(head, Ok(FrameHead { len: 28, header }));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
            if let Ok(head) = FrameHead::decode(&bytes) {
                let _ = head.fds(&bytes);
            }
        }
    }
}
