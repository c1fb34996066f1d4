//! What the calls that a proxy makes or answers have in common.

use crate::frame::{Header, Serial};
use crate::program::{Procedure, Program};
use crate::xdr::Payload;

/// The arguments of a call, of [`Program::REMOTE`] unless it says otherwise.
pub trait Call: Payload {
    /// The program.
    const PROGRAM: Program = Program::REMOTE;

    /// The procedure.
    const PROCEDURE: Procedure;

    /// What the good answer carries. The bad one carries a [`RemoteError`](crate::RemoteError).
    type Reply: Payload;

    /// The header of this call.
    fn header(serial: Serial) -> Header {
        Header::call(Self::PROGRAM, Self::PROCEDURE, serial)
    }

    /// The whole frame that makes this call.
    fn frame(&self, serial: Serial) -> Vec<u8> {
        Self::header(serial).frame(self)
    }
}
