//! Reads the frames of a client that has no daemon yet, one at a time and never a byte beyond: what
//! follows may come with descriptors, which only the relay can take.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use virt_proto::{DecodeError, FrameHead, FrameLimit, Header, LengthError, Procedure, Program};

/// The largest payload of an ordinary call that is kept, in bytes: the longest of them is a URI.
const KEPT: usize = 64 * 1024;

/// The largest payload of a step of SASL: 64 KiB of data, of which each byte takes four.
const KEPT_FOR_SASL: usize = 4 * 64 * 1024 + 4 * 1024;

/// The most that is asked of a socket at once for a payload.
const PIECE: usize = 8 * 1024;

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    /// `None` if it was too long to be kept.
    pub(crate) payload: Option<Vec<u8>>,
}

/// Why there is no further frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The connection failed.
    #[error("{}", gate::describe(.0))]
    Io(#[from] io::Error),
    /// The connection was closed inside a frame.
    #[error("it closed the connection inside a frame")]
    CutOff,
    /// A length that nobody means.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// More descriptors than a frame can have, or no number of them.
    #[error(transparent)]
    Descriptors(#[from] DecodeError),
}

/// Where in a frame the reader is.
#[derive(Debug)]
pub(crate) struct FrameReader {
    limit: FrameLimit,
    /// Whether steps of SASL are kept though they are long.
    awaits_sasl: bool,
    head: [u8; FrameHead::SIZE],
    head_len: usize,
    /// Once the head is there.
    body: Option<Body>,
    payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Body {
    header: Header,
    len: u32,
    /// Bytes of the payload that are still to come.
    missing: usize,
    kept: bool,
    /// Bytes behind the frame, one for each descriptor; known once the payload is there.
    trailer: Option<usize>,
}

impl FrameReader {
    pub(crate) fn new(limit: FrameLimit) -> FrameReader {
        FrameReader {
            limit,
            awaits_sasl: false,
            head: [0; FrameHead::SIZE],
            head_len: 0,
            body: None,
            payload: Vec::new(),
        }
    }

    /// Whether steps of SASL may come: others need not keep memory for them.
    pub(crate) fn await_sasl(&mut self, awaits: bool) {
        self.awaits_sasl = awaits;
    }

    /// The next frame; `None` at the end of the stream. Cancel safe: what was read stays.
    pub(crate) async fn next(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<Option<Frame>, FrameError> {
        if !self.fill_head(from).await? {
            return Ok(None);
        }
        let mut body = match self.body {
            Some(body) => body,
            None => self.begin_body()?,
        };
        while body.missing > 0 {
            self.payload.reserve(body.missing.min(PIECE));
            let wanted = body.missing.min(PIECE);
            let got = (&mut *from)
                .take(wanted as u64)
                .read_buf(&mut self.payload)
                .await?;
            if got == 0 {
                return Err(FrameError::CutOff);
            }
            body.missing -= got;
            if !body.kept && self.payload.len() > KEPT {
                self.payload.truncate(4);
            }
            self.body = Some(body);
        }
        self.skip_trailer(from, body).await?;
        self.body = None;
        self.head_len = 0;
        let payload = std::mem::take(&mut self.payload);
        Ok(Some(Frame {
            header: body.header,
            payload: body.kept.then_some(payload),
        }))
    }

    /// Reads the head of the next frame and no more; says whether there is one.
    async fn fill_head(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<bool, FrameError> {
        while self.head_len < FrameHead::SIZE {
            let got = from.read(&mut self.head[self.head_len..]).await?;
            match got {
                0 if self.head_len == 0 => return Ok(false),
                0 => return Err(FrameError::CutOff),
                _ => self.head_len += got,
            }
        }
        Ok(true)
    }

    fn begin_body(&mut self) -> Result<Body, FrameError> {
        let head = FrameHead::decode(&self.head)?;
        let len = self.limit.check(head.len)? as usize;
        let missing = len.saturating_sub(FrameHead::SIZE);
        let is_sasl = self.awaits_sasl
            && head.header.program == Program::REMOTE
            && [Procedure::AUTH_SASL_START, Procedure::AUTH_SASL_STEP]
                .contains(&head.header.procedure);
        let body = Body {
            header: head.header,
            len: head.len,
            missing,
            kept: missing <= if is_sasl { KEPT_FOR_SASL } else { KEPT },
            trailer: None,
        };
        self.body = Some(body);
        Ok(body)
    }

    /// Without room for them, the system has closed the descriptors that came along.
    async fn skip_trailer(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        mut body: Body,
    ) -> Result<(), FrameError> {
        let mut left = match body.trailer {
            Some(left) => left,
            None => {
                let head = FrameHead {
                    len: body.len,
                    header: body.header,
                };
                let start = &self.payload[..self.payload.len().min(4)];
                head.fds(&[&self.head[..], start].concat())?
            }
        };
        loop {
            body.trailer = Some(left);
            self.body = Some(body);
            if left == 0 {
                return Ok(());
            }
            // One at a time: the kernel gives no more than one descriptor with its byte at once, and
            // a read that brings less than was asked for makes the runtime wait for an event that
            // has happened already.
            match from.read(&mut [0; 1]).await? {
                0 => return Err(FrameError::CutOff),
                got => left -= got,
            }
        }
    }

    /// Waits for as much of the next frame as its head, and gives that once it is there; `None` at
    /// the end of the stream. Nothing beyond is read. Cancel safe.
    pub(crate) async fn head(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<Option<FrameHead>, FrameError> {
        if !self.fill_head(from).await? {
            return Ok(None);
        }
        Ok(Some(FrameHead::decode(&self.head)?))
    }

    /// Forgets the head of a frame that has no payload and was dealt with.
    pub(crate) fn drop_head(&mut self) {
        self.head_len = 0;
    }

    /// What was read of the next frame, for the relay to go on with. Only the head can be read here
    /// between frames.
    pub(crate) fn into_early(self) -> Vec<u8> {
        self.head[..self.head_len].to_vec()
    }
}

#[cfg(test)]
mod tests;
