//! A server for virsh that knows nothing but authentication.

use gate::channel::Channel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use virt_proto::{FrameHead, Header, Payload, Procedure, RemoteError, Supported};

use crate::auth::{Authentication, SaslLayer};

/// What it refuses to open, so that virsh shows it: proof that it was understood.
pub(super) const REFUSED: &str = "sealed-word";

/// One client.
pub(super) struct Server {
    stream: TcpStream,
    layer: Option<SaslLayer>,
    plain: Vec<u8>,
    pub(super) auth: Authentication,
}

impl Server {
    pub(super) fn new(stream: TcpStream, auth: Authentication) -> Server {
        Server {
            stream,
            layer: None,
            plain: Vec::new(),
            auth,
        }
    }

    /// Answers until the client leaves.
    pub(super) async fn serve(&mut self) {
        while let Some((header, payload)) = self.frame().await {
            let answer = match header.procedure {
                Procedure::CONNECT_SUPPORTS_FEATURE => Ok(Supported(false).encode()),
                Procedure::CONNECT_OPEN => Err(RemoteError::no_driver(REFUSED)),
                procedure => self.auth.answer(procedure, &payload).await,
            };
            let frame = match answer {
                Ok(payload) => header.reply().frame_around(&payload),
                Err(error) => header.refusal().frame(&error),
            };
            self.send(&frame).await;
            if let Some(layer) = self.auth.take_security_layer() {
                assert!(self.plain.is_empty());
                self.layer = Some(layer);
            }
        }
    }

    async fn send(&mut self, frame: &[u8]) {
        let bytes = match &mut self.layer {
            Some(layer) => {
                let mut sealed = Vec::new();
                layer.seal(frame, &mut sealed).unwrap();
                sealed
            }
            None => frame.to_vec(),
        };
        // It may have left.
        let _ = self.stream.write_all(&bytes).await;
    }

    async fn frame(&mut self) -> Option<(Header, Vec<u8>)> {
        while self.plain.len() < FrameHead::SIZE || self.plain.len() < self.frame_len() {
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).await.unwrap_or(0);
            if count == 0 {
                return None;
            }
            match &mut self.layer {
                Some(layer) => {
                    // With little room, to see that nothing is lost.
                    let mut room = [0; 7];
                    let mut sealed = &bytes[..count];
                    loop {
                        let len = layer.open(sealed, &mut room).unwrap().len;
                        self.plain.extend_from_slice(&room[..len]);
                        sealed = &[];
                        if len == 0 {
                            break;
                        }
                    }
                }
                None => self.plain.extend_from_slice(&bytes[..count]),
            }
        }
        let frame: Vec<u8> = self.plain.drain(..self.frame_len()).collect();
        let head = FrameHead::decode(&frame[..FrameHead::SIZE]).unwrap();
        Some((head.header, frame[FrameHead::SIZE..].to_vec()))
    }

    fn frame_len(&self) -> usize {
        let len = self.plain.first_chunk().copied().unwrap();
        u32::from_be_bytes(len) as usize
    }
}
