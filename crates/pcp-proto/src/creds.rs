//! The CREDS PDU: the client's protocol version and the features that it asks for.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{Features, PduHeader, PduType};

/// The only kind of credential in use (`CVERSION`).
const CVERSION: u8 = 1;

/// What a client says of itself as an answer to pmcd's greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionCred {
    /// The version of the protocol.
    pub version: u8,
    /// The features asked for.
    pub features: Features,
}

/// The credentials of a client.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Creds {
    /// One by a client of today; kinds of credential other than versions are dropped.
    pub versions: Vec<VersionCred>,
}

impl Creds {
    /// How many bytes of a CREDS PDU [`Creds::asks_for`] wants to see: the header, the count and
    /// one credential. No client sends more.
    pub const HEAD: usize = PduHeader::SIZE + 8;

    /// Whether the CREDS PDU that starts with `head` asks for any of `features`. Only the first
    /// [`Creds::HEAD`] bytes are looked at, so that a gate need not hold the whole PDU.
    pub fn asks_for(head: &[u8], features: Features) -> bool {
        head.get(PduHeader::SIZE + 4..Creds::HEAD)
            .and_then(|cred| VersionCred::decode(&mut Reader::new(cred)).ok().flatten())
            .is_some_and(|cred| cred.features.0 & features.0 != 0)
    }
}

impl Creds {
    /// Makes the CREDS PDU in `pdu` ask for `features` with its first credential, and leaves the rest
    /// as it is. Does nothing to a PDU that has none.
    pub fn ask_for(pdu: &mut [u8], features: Features) {
        if let Some(flags) = pdu.get_mut(Creds::HEAD - 2..Creds::HEAD) {
            flags.copy_from_slice(&features.0.to_be_bytes());
        }
    }

    /// The features that the CREDS PDU asks for with its first credential; none if it has none.
    pub fn features(&self) -> Features {
        self.versions
            .first()
            .map_or(Features::default(), |cred| cred.features)
    }
}

impl VersionCred {
    fn decode(reader: &mut Reader<'_>) -> Result<Option<VersionCred>, DecodeError> {
        let kind = reader.u8("credential type")?;
        let version = reader.u8("credential version")?;
        let features = Features(reader.u16("credential flags")?);
        Ok((kind == CVERSION).then_some(VersionCred { version, features }))
    }
}

impl Pdu for Creds {
    const TYPE: PduType = PduType::CREDS;

    fn encode_body(&self, body: &mut Writer) {
        body.count(self.versions.len());
        for cred in &self.versions {
            body.u8(CVERSION);
            body.u8(cred.version);
            body.u16(cred.features.0);
        }
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = body.count(4, "number of credentials")?;
        let mut versions = Vec::with_capacity(count);
        for _ in 0..count {
            versions.extend(VersionCred::decode(body)?);
        }
        Ok(Creds { versions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_features_asked_for_are_read_from_the_head() {
        let secure = Features::SECURE | Features::HIGHRES;
        let creds = Creds {
            versions: vec![VersionCred {
                version: 2,
                features: secure,
            }],
        };
        let pdu = creds.encode(4711);
        assert_eq!(pdu.len(), Creds::HEAD);
        assert!(Creds::asks_for(&pdu, Features::SECURE));
        assert!(!Creds::asks_for(&pdu, Features::AUTH));
        assert!(!Creds::asks_for(&pdu[..Creds::HEAD - 1], Features::SECURE));
        let mut changed = pdu.clone();
        Creds::ask_for(&mut changed, Features::AUTH);
        assert!(Creds::asks_for(&changed, Features::AUTH));
        assert_eq!(
            Creds::decode(&changed).map(|creds| creds.features()),
            Ok(Features::AUTH)
        );
        assert_eq!(changed[..Creds::HEAD - 2], pdu[..Creds::HEAD - 2]);
    }

    proptest! {
        #[test]
        fn credentials_survive_the_wire(list in prop::collection::vec(any::<(u8, u16)>(), 0..9)) {
            let versions = list
                .into_iter()
                .map(|(version, features)| VersionCred { version, features: Features(features) })
                .collect();
            let creds = Creds { versions };
            prop_assert_eq!(Creds::decode(&creds.encode(1)), Ok(creds));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Creds::decode(&bytes);
            let _ = Creds::asks_for(&bytes, Features::SECURE);
        }
    }
}
