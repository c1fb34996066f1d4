//! The ERROR PDU: a status, and in its extended form what pmcd says of itself on a new connection.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{Features, PDU_VERSION, PduType, Status};

/// A status. pmcd opens each connection with the extended form, whose status is zero when the
/// client is welcome; on other occasions the plain form is the answer to a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorPdu {
    /// 16 bytes: a status alone.
    Plain(Status),
    /// 20 bytes: a status with the protocol version and the features offered.
    Extended {
        /// Zero, or why the client is turned away.
        status: Status,
        /// The version of the protocol that the server prefers, 7 bits.
        version: u8,
        /// What the server can do.
        features: Features,
    },
}

impl ErrorPdu {
    /// Turns a client away before its session has begun, in the form that libpcp understands at
    /// that point: extended, without features.
    pub fn refusal(status: Status) -> ErrorPdu {
        ErrorPdu::Extended {
            status,
            version: PDU_VERSION,
            features: Features::default(),
        }
    }

    /// The status, in either form.
    pub fn status(&self) -> Status {
        match *self {
            ErrorPdu::Plain(status) | ErrorPdu::Extended { status, .. } => status,
        }
    }
}

/// Stands beside the version in the extended form (the field once told of licences).
const LICENSED: u8 = 1;

/// In the extended form, PCP's own codes are numbered as in the first version of the protocol, from
/// -1000 instead of from -12345 on (`PM_ERR_BASE1` and `PM_ERR_BASE2`): a client that does not know
/// pmcd's version yet reads them so.
fn to_first_version(status: Status) -> i32 {
    match status.0 {
        code @ ..=-12345 => code + (12345 - 1000),
        code => code,
    }
}

fn from_first_version(code: i32) -> Status {
    match code {
        ..=-1000 => Status(code.saturating_sub(12345 - 1000)),
        _ => Status(code),
    }
}

impl Pdu for ErrorPdu {
    const TYPE: PduType = PduType::ERROR;

    fn encode_body(&self, body: &mut Writer) {
        match *self {
            ErrorPdu::Plain(status) => body.i32(status.0),
            ErrorPdu::Extended {
                status,
                version,
                features,
            } => {
                body.i32(to_first_version(status));
                body.u8(version & 0x7f);
                body.u8(LICENSED);
                body.u16(features.0);
            }
        }
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = body.i32("status")?;
        if body.remaining() == 0 {
            return Ok(ErrorPdu::Plain(Status(code)));
        }
        let version = body.u8("version")? & 0x7f;
        let _licensed = body.u8("licensed")?;
        let features = Features(body.u16("features")?);
        Ok(ErrorPdu::Extended {
            status: from_first_version(code),
            version,
            features,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_refusal_is_the_twenty_bytes_that_libpcp_reports_truly() {
        let pdu = ErrorPdu::refusal(Status(-111)).encode(0);
        assert_eq!(
            pdu,
            [
                0, 0, 0, 20, 0, 0, 0x70, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x91, 2, 1, 0, 0
            ]
        );
    }

    #[test]
    fn the_greeting_of_a_real_pmcd_is_understood() {
        // Recorded from pmcd 6.0.3.
        let pdu = [
            0, 0, 0, 20, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0x0e, 0x44,
        ];
        let ErrorPdu::Extended {
            status,
            version,
            features,
        } = ErrorPdu::decode(&pdu).unwrap()
        else {
            panic!("not the extended form");
        };
        assert_eq!((status, version), (Status::OK, 2));
        assert!(features.contains(Features::HIGHRES | Features::LABELS | Features::CONTAINER));
        assert!(!features.contains(Features::SECURE));
    }

    #[test]
    fn a_client_too_many_is_told_in_the_numbers_of_the_first_version() {
        // What pmcd 6.0.3 sends where an access rule allows no more connections.
        let recorded = [
            0, 0, 0, 20, 0, 0, 0x70, 0, 0, 0, 0, 0, 0xff, 0xff, 0xfb, 0xed, 0, 0, 0, 0,
        ];
        let status = ErrorPdu::decode(&recorded).unwrap().status();
        assert_eq!(status, Status::CONNECTION_LIMIT);
        let ours = ErrorPdu::refusal(Status::CONNECTION_LIMIT).encode(0);
        assert_eq!(ours[..16], recorded[..16]);
    }

    /// No status lies between the errno values and PCP's own codes.
    fn statuses() -> impl Strategy<Value = i32> {
        prop_oneof![i32::MIN..=-12345, -999..=i32::MAX]
    }

    proptest! {
        #[test]
        fn an_error_survives_the_wire(status in statuses(), version in 0u8..128, features: u16, plain: bool) {
            let status = Status(status);
            let error = if plain {
                ErrorPdu::Plain(status)
            } else {
                ErrorPdu::Extended { status, version, features: Features(features) }
            };
            prop_assert_eq!(ErrorPdu::decode(&error.encode(7)), Ok(error));
        }
    }
}
