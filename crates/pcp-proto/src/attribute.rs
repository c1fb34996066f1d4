//! The AUTH PDU, also called ATTR: an attribute of a connection, or a step of an authentication.

use std::fmt;

use crate::PduType;
use crate::codec::{DecodeError, Pdu, Reader, Writer};

/// What an attribute is (`PCP_ATTR_*`). A newer peer may send others than those that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttributeKey(pub u32);

impl AttributeKey {
    /// No attribute: the value is a step of an authentication.
    pub const NONE: AttributeKey = AttributeKey(0);
    /// The name of a user.
    pub const USERNAME: AttributeKey = AttributeKey(5);
    /// The name under which a user is authenticated.
    pub const AUTHNAME: AttributeKey = AttributeKey(6);
    /// The password of a user.
    pub const PASSWORD: AttributeKey = AttributeKey(7);
    /// The SASL mechanisms: those offered, or the one chosen.
    pub const METHOD: AttributeKey = AttributeKey(8);
    /// The realm to authenticate in.
    pub const REALM: AttributeKey = AttributeKey(9);
    /// The numeric identifier of a user.
    pub const USERID: AttributeKey = AttributeKey(11);
    /// The numeric identifier of a group.
    pub const GROUPID: AttributeKey = AttributeKey(12);
    /// The identifier of a process.
    pub const PROCESSID: AttributeKey = AttributeKey(14);
    /// The container whose metrics are wanted.
    pub const CONTAINER: AttributeKey = AttributeKey(15);
}

/// An attribute.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// What it is.
    pub key: AttributeKey,
    /// Its value, which is not padded and reaches to the end of the PDU. It may be a secret, so
    /// that it is not shown by `Debug`.
    pub value: Vec<u8>,
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attribute")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Pdu for Attribute {
    const TYPE: PduType = PduType::AUTH;

    fn encode_body(&self, body: &mut Writer) {
        body.u32(self.key.0);
        body.bytes(&self.value);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = AttributeKey(body.u32("attribute")?);
        let value = body.bytes(body.remaining(), "value")?.to_vec();
        Ok(Attribute { key, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use proptest::prelude::*;

    #[test]
    fn the_container_of_a_real_client_is_understood() {
        // Recorded from pminfo 6.0.3, `pminfo -h HOST?container=foo`.
        let bytes = pdu(PduType::AUTH, "0000000f 666f6f");
        let container = Attribute {
            key: AttributeKey::CONTAINER,
            value: b"foo".to_vec(),
        };
        assert_eq!(Attribute::decode(&bytes), Ok(container.clone()));
        assert_eq!(container.encode(0), bytes);
    }

    #[test]
    fn an_attribute_may_be_empty_but_not_cut() {
        let empty = Attribute::decode(&pdu(PduType::AUTH, "00000000")).unwrap();
        assert_eq!(
            empty,
            Attribute {
                key: AttributeKey::NONE,
                value: Vec::new()
            }
        );
        let cut = Attribute::decode(&pdu(PduType::AUTH, "0000"));
        assert_eq!(
            cut,
            Err(DecodeError::TooShort {
                field: "attribute",
                needed: 4,
                available: 2
            })
        );
    }

    proptest! {
        #[test]
        fn an_attribute_survives_the_wire(key: u32, value: Vec<u8>) {
            round_trip(&Attribute { key: AttributeKey(key), value });
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..32)) {
            let _ = Attribute::decode(&bytes);
        }
    }
}
