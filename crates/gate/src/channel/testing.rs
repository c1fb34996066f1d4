//! A channel for tests: records of a length, and bytes that are no longer the same.

use std::io;

use super::{Channel, MAX_INSIDE, Opened};

/// Records are a big-endian length of four bytes, as SASL's are, and that many disguised bytes.
#[derive(Debug, Default)]
pub(crate) struct XorChannel {
    inside: Vec<u8>,
}

const DISGUISE: u8 = 0x5a;

impl Channel for XorChannel {
    fn open(&mut self, sealed: &[u8], plain: &mut [u8]) -> io::Result<Opened> {
        self.inside.extend_from_slice(sealed);
        let mut len = 0;
        while let Some((length, rest)) = self.inside.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > MAX_INSIDE - 4 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let Some(record) = rest.get(..length) else {
                break;
            };
            for (to, from) in plain[len..len + length].iter_mut().zip(record) {
                *to = from ^ DISGUISE;
            }
            len += length;
            self.inside.drain(..4 + length);
        }
        Ok(Opened { len, closed: false })
    }

    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> io::Result<()> {
        if !plain.is_empty() {
            let length = u32::try_from(plain.len()).map_err(io::Error::other)?;
            sealed.extend_from_slice(&length.to_be_bytes());
            sealed.extend(plain.iter().map(|byte| byte ^ DISGUISE));
        }
        Ok(())
    }

    fn close(&mut self, _sealed: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}
