//! The keepalive program: a ping and its pong, either side to the other, outside of all calls.

use crate::frame::{Header, MessageType, Serial, Status};
use crate::program::{Procedure, Program};

/// Asks whether the other side is there.
pub const PING: Procedure = Procedure(1);

/// Says so.
pub const PONG: Procedure = Procedure(2);

/// The header of a ping or a pong. The whole frame is `header(PING).frame(&())`.
pub const fn header(procedure: Procedure) -> Header {
    Header {
        program: Program::KEEPALIVE,
        version: Program::VERSION,
        procedure,
        message_type: MessageType::MESSAGE,
        serial: Serial(0),
        status: Status::OK,
    }
}

/// Whether `found` is a message of this program, and which. Serial and status do not matter:
/// libvirt does not look at them.
pub fn procedure(found: Header) -> Option<Procedure> {
    let expected = header(found.procedure);
    let is_ours = (found.program, found.version, found.message_type)
        == (expected.program, expected.version, expected.message_type);
    is_ours.then_some(found.procedure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameHead;
    use crate::testing::hex;

    #[test]
    fn ping_and_pong_are_those_of_a_real_libvirtd() {
        // libvirtd 9.0 answered the first with the second.
        let ping = hex("0000001c 6b656570 00000001 00000001 00000002 00000000 00000000");
        let pong = hex("0000001c 6b656570 00000001 00000002 00000002 00000000 00000000");
        assert_eq!(header(PING).frame(&()), ping);
        assert_eq!(header(PONG).frame(&()), pong);
        let read = |frame: &[u8]| procedure(FrameHead::decode(frame).unwrap().header);
        assert_eq!((read(&ping), read(&pong)), (Some(PING), Some(PONG)));
    }

    #[test]
    fn what_is_not_a_message_of_the_program_is_none_of_its_business() {
        let call = Header {
            message_type: MessageType::CALL,
            ..header(PING)
        };
        let version = Header {
            version: 2,
            ..header(PING)
        };
        let other = Header::call(Program::REMOTE, Procedure::CONNECT_OPEN, Serial(1));
        for header in [call, version, other] {
            assert_eq!(procedure(header), None);
        }
    }
}
