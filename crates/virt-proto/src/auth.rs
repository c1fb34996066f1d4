//! The calls in which a client authenticates itself: what is asked for, SASL, polkit.

use std::fmt;

use crate::call::Call;
use crate::named::named;
use crate::program::Procedure;
use crate::xdr::{DecodeError, Payload, Reader, Writer};

/// A way in (`remote_auth_type`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuthType(pub i32);

named!(AuthType {
    /// Nothing is asked for.
    NONE = 0, "NONE";
    /// SASL, whose mechanisms are told by [`SaslInit`].
    SASL = 1, "SASL";
    /// polkit, see [`AuthPolkit`].
    POLKIT = 2, "POLKIT";
});

/// AUTH_LIST: the first call of each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthList;

/// The ways in that a server offers: one of them has to be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthTypes(pub Vec<AuthType>);

impl AuthTypes {
    /// More of them cannot be sent (`REMOTE_AUTH_TYPE_LIST_MAX`).
    pub const MAX: usize = 20;
}

/// AUTH_SASL_INIT: begins SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslInit;

/// The names of SASL mechanisms, with commas between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslMechanisms(pub String);

/// AUTH_SASL_START: the client's choice of a mechanism, and its first words if it has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslStart {
    /// The mechanism.
    pub mechanism: String,
    /// The client's words.
    pub data: SaslData,
}

/// AUTH_SASL_STEP: the client's next words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslStep {
    /// The client's words.
    pub data: SaslData,
}

/// The server's words in return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslReply {
    /// Whether the client is who it says.
    pub complete: bool,
    /// The server's words.
    pub data: SaslData,
}

/// What SASL wants to be carried. Nothing and no bytes are two different things to it. It may be a
/// password, so that it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SaslData(pub Option<Vec<u8>>);

impl SaslData {
    /// More bytes cannot be sent at once (`REMOTE_AUTH_SASL_DATA_MAX`).
    pub const MAX: usize = 65536;
}

impl fmt::Debug for SaslData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(bytes) => write!(f, "SaslData({} bytes)", bytes.len()),
            None => f.write_str("SaslData(none)"),
        }
    }
}

/// AUTH_POLKIT: has the server ask polkit about this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthPolkit;

/// polkit's good answer; a bad one is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolkitReply {
    /// Whether that was all. libvirt always says so.
    pub complete: bool,
}

impl Call for AuthList {
    const PROCEDURE: Procedure = Procedure::AUTH_LIST;
    type Reply = AuthTypes;
}

impl Call for SaslInit {
    const PROCEDURE: Procedure = Procedure::AUTH_SASL_INIT;
    type Reply = SaslMechanisms;
}

impl Call for SaslStart {
    const PROCEDURE: Procedure = Procedure::AUTH_SASL_START;
    type Reply = SaslReply;
}

impl Call for SaslStep {
    const PROCEDURE: Procedure = Procedure::AUTH_SASL_STEP;
    type Reply = SaslReply;
}

impl Call for AuthPolkit {
    const PROCEDURE: Procedure = Procedure::AUTH_POLKIT;
    type Reply = PolkitReply;
}

impl Payload for AuthList {
    fn encode_to(&self, _writer: &mut Writer) {}

    fn decode_from(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AuthList)
    }
}

impl Payload for AuthTypes {
    fn encode_to(&self, writer: &mut Writer) {
        writer.list(&self.0, |writer, auth_type| writer.i32(auth_type.0));
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let types = reader.list(AuthTypes::MAX, 4, "types", |reader| {
            reader.i32("type").map(AuthType)
        })?;
        Ok(AuthTypes(types))
    }
}

impl Payload for SaslInit {
    fn encode_to(&self, _writer: &mut Writer) {}

    fn decode_from(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(SaslInit)
    }
}

impl Payload for SaslMechanisms {
    fn encode_to(&self, writer: &mut Writer) {
        writer.string(&self.0);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.string("mechlist").map(SaslMechanisms)
    }
}

impl Payload for SaslStart {
    fn encode_to(&self, writer: &mut Writer) {
        writer.string(&self.mechanism);
        self.data.encode_to(writer);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(SaslStart {
            mechanism: reader.string("mech")?,
            data: SaslData::decode_from(reader)?,
        })
    }
}

impl Payload for SaslStep {
    fn encode_to(&self, writer: &mut Writer) {
        self.data.encode_to(writer);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let data = SaslData::decode_from(reader)?;
        Ok(SaslStep { data })
    }
}

impl Payload for SaslReply {
    fn encode_to(&self, writer: &mut Writer) {
        writer.int_bool(self.complete);
        self.data.encode_to(writer);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(SaslReply {
            complete: reader.int_bool("complete")?,
            data: SaslData::decode_from(reader)?,
        })
    }
}

/// A mark for nothing, then the bytes: what comes behind the mark for nothing does not count.
impl Payload for SaslData {
    fn encode_to(&self, writer: &mut Writer) {
        writer.int_bool(self.0.is_none());
        writer.chars(self.0.as_deref().unwrap_or_default());
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let nil = reader.int_bool("nil")?;
        let bytes = reader.chars(SaslData::MAX, "data")?;
        Ok(SaslData((!nil).then_some(bytes)))
    }
}

impl Payload for AuthPolkit {
    fn encode_to(&self, _writer: &mut Writer) {}

    fn decode_from(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AuthPolkit)
    }
}

impl Payload for PolkitReply {
    fn encode_to(&self, writer: &mut Writer) {
        writer.int_bool(self.complete);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let complete = reader.int_bool("complete")?;
        Ok(PolkitReply { complete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Serial;
    use crate::testing::{hex, recorded, round_trip};
    use proptest::prelude::*;

    #[test]
    fn the_first_words_of_a_real_client_and_libvirtd_are_understood() {
        // virsh and libvirtd 9.0, without and with authentication.
        let call = hex("0000001c 20008086 00000001 00000042 00000000 00000000 00000000");
        assert_eq!(AuthList.frame(Serial(0)), call);
        let none: AuthTypes = recorded(
            "00000024 20008086 00000001 00000042 00000001 00000000 00000000 00000001 00000000",
        );
        assert_eq!(none, AuthTypes(vec![AuthType::NONE]));
        let sasl: AuthTypes = recorded(
            "00000024 20008086 00000001 00000042 00000001 00000005 00000000 00000001 00000001",
        );
        assert_eq!(sasl, AuthTypes(vec![AuthType::SASL]));
    }

    #[test]
    fn the_mechanisms_of_a_real_libvirtd_are_understood() {
        let SaslMechanisms(names) = recorded(
            "00000094 20008086 00000001 00000043 00000001 00000002 00000000 00000072
             534352414d2d5348412d3531322c534352414d2d5348412d3338342c534352414d2d5348412d3235362c
             534352414d2d5348412d3232342c534352414d2d5348412d312c4449474553542d4d44352c4352414d2d
             4d44352c4e544c4d2c504c41494e2c4c4f47494e2c414e4f4e594d4f5553 0000",
        );
        assert!(names.starts_with("SCRAM-SHA-512,SCRAM-SHA-384,"), "{names}");
    }

    #[test]
    fn a_start_without_words_is_as_libvirtd_takes_it() {
        // libvirtd 9.0 answered this with its challenge.
        let start: SaslStart = recorded(
            "00000034 20008086 00000001 00000044 00000000 00000003 00000000
             0000000a 4449474553542d4d4435 0000 00000001 00000000",
        );
        assert_eq!(start.mechanism, "DIGEST-MD5");
        assert_eq!(start.data, SaslData(None));
    }

    #[test]
    fn the_challenge_of_a_real_libvirtd_takes_four_bytes_for_each() {
        // The beginning of its answer, with the length shortened to fit.
        let reply = SaslReply::decode(&hex(
            "00000000 00000000 00000006 0000006e 0000006f 0000006e 00000063 00000065 0000003d",
        ));
        let challenge = SaslReply {
            complete: false,
            data: SaslData(Some(b"nonce=".to_vec())),
        };
        assert_eq!(reply, Ok(challenge));
    }

    #[test]
    fn no_words_and_empty_words_are_two_things() {
        round_trip(&SaslData(None));
        round_trip(&SaslData(Some(Vec::new())));
    }

    #[test]
    fn a_password_is_not_shown() {
        let data = SaslData(Some(b"secret".to_vec()));
        assert_eq!(format!("{data:?}"), "SaslData(6 bytes)");
    }

    #[test]
    fn more_ways_in_than_libvirt_allows_are_refused() {
        let mut bytes = hex("00000015");
        bytes.extend([0; 21 * 4]);
        assert!(matches!(
            AuthTypes::decode(&bytes),
            Err(DecodeError::TooLong { len: 21, .. })
        ));
    }

    proptest! {
        #[test]
        fn steps_survive_the_wire(mechanism in "[A-Z0-9-]{0,20}", data: Option<Vec<u8>>, complete: bool) {
            let data = SaslData(data);
            round_trip(&SaslStart { mechanism, data: data.clone() });
            round_trip(&SaslStep { data: data.clone() });
            round_trip(&SaslReply { complete, data });
            round_trip(&PolkitReply { complete });
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = AuthTypes::decode(&bytes);
            let _ = SaslMechanisms::decode(&bytes);
            let _ = SaslStart::decode(&bytes);
            let _ = SaslReply::decode(&bytes);
            let _ = PolkitReply::decode(&bytes);
        }
    }
}
