//! Whole frames from a connection, one at a time, and nothing that is behind them.

use std::io;

use gate::stream::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use virt_proto::xdr::DecodeError;
use virt_proto::{FrameHead, FrameLimit, Header, LengthError, MessageType};

/// The longest frame that is taken. Only settings of the log could come near it.
const FRAME_MAX: u32 = 1024 * 1024;

/// Read from the socket at once.
const PIECE: usize = 1024;

/// A connection and the part of a frame that is there.
pub(super) struct Frames {
    stream: Stream,
    partial: Vec<u8>,
    limit: FrameLimit,
}

/// A frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) header: Header,
    bytes: Vec<u8>,
    payload: std::ops::Range<usize>,
}

/// Why a connection cannot go on. libvirt closes such connections too.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Length(#[from] LengthError),
    #[error(transparent)]
    Descriptors(#[from] DecodeError),
    #[error("it ended inside a frame")]
    Cut,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Frames {
    pub(super) fn new(stream: Stream) -> Frames {
        Frames {
            stream,
            partial: Vec::new(),
            limit: FrameLimit::new(FRAME_MAX).unwrap_or(FrameLimit::LEGACY),
        }
    }

    /// The next frame, or nothing at the end. Cancel safe.
    ///
    /// Descriptors that come with a frame are closed by the kernel, since nobody takes them; the
    /// bytes that carry them are dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, Broken> {
        loop {
            let missing = self.needed()? - self.partial.len();
            if missing == 0 {
                return Ok(Some(Frame::new(std::mem::take(&mut self.partial))?));
            }
            let mut piece = [0; PIECE];
            let room = &mut piece[..missing.min(PIECE)];
            let len = self.stream.read(room).await?;
            match (len, self.partial.is_empty()) {
                (0, true) => return Ok(None),
                (0, false) => return Err(Broken::Cut),
                _ => self.partial.extend_from_slice(&room[..len]),
            }
        }
    }

    /// How many bytes there have to be before more is known, or the frame is whole. Never fewer than
    /// there are.
    fn needed(&self) -> Result<usize, Broken> {
        let Some(len) = self.partial.first_chunk() else {
            return Ok(size_of::<u32>());
        };
        let len = self.limit.check(u32::from_be_bytes(*len))?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if self.partial.len() < len {
            return Ok(len);
        }
        Ok(len + descriptors(&self.partial)?)
    }

    /// Writes a frame.
    pub(super) async fn write(&mut self, frame: &[u8]) -> Result<(), Broken> {
        Ok(self.stream.write_all(frame).await?)
    }
}

/// How many descriptors a call brings, each with one byte behind the frame. In frames that are no
/// calls nobody looks for them.
fn descriptors(frame: &[u8]) -> Result<usize, DecodeError> {
    let head = FrameHead::decode(frame)?;
    match head.header.message_type {
        MessageType::CALL_WITH_FDS => head.fds(frame),
        _ => Ok(0),
    }
}

impl Frame {
    fn new(bytes: Vec<u8>) -> Result<Frame, DecodeError> {
        let header = FrameHead::decode(&bytes)?.header;
        let start = match header.message_type {
            MessageType::CALL_WITH_FDS => FrameHead::SIZE_WITH_FDS,
            _ => FrameHead::SIZE,
        };
        let end = bytes.len() - descriptors(&bytes)?;
        Ok(Frame {
            header,
            bytes,
            payload: start..end,
        })
    }

    /// What stands behind the head, and behind the number of descriptors.
    pub(super) fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload.clone()).unwrap_or_default()
    }
}
