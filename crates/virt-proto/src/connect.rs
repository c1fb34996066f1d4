//! The calls about the connection itself: opening and closing it, its URI, its features.

use crate::call::Call;
use crate::named::named;
use crate::program::Procedure;
use crate::xdr::{DecodeError, Payload, Reader, Writer};

/// CONNECT_OPEN: opens a driver. When it fails it may be tried again on the same connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The URI. Without one, or with an empty one, the server chooses a driver.
    pub name: Option<String>,
    /// How to open it.
    pub flags: OpenFlags,
}

/// A set of flags (`virConnectFlags`). Bits without a name here are kept as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    /// Nothing may be changed through this connection.
    pub const READ_ONLY: OpenFlags = OpenFlags(1 << 0);
    /// Aliases of URIs are not looked up.
    pub const NO_ALIASES: OpenFlags = OpenFlags(1 << 1);

    /// Whether all of `others` are in this set.
    pub fn contains(self, others: OpenFlags) -> bool {
        self.0 & others.0 == others.0
    }

    /// This set with `others`.
    #[must_use]
    pub fn with(self, others: OpenFlags) -> OpenFlags {
        OpenFlags(self.0 | others.0)
    }
}

/// CONNECT_CLOSE: the server answers, then closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close;

/// CONNECT_GET_URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetUri;

/// The URI of the driver that is open, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri(pub String);

/// CONNECT_SUPPORTS_FEATURE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportsFeature(pub Feature);

/// Whether there is such a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supported(pub bool);

/// Something that not every daemon or driver can do (`VIR_DRV_FEATURE_*`). Those without a name here
/// are about migration.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feature(pub i32);

named!(Feature {
    /// The driver is at the other end of a connection.
    REMOTE = 2, "REMOTE";
    /// Descriptors may be passed.
    FD_PASSING = 8, "FD_PASSING";
    /// Typed parameters may be strings.
    TYPED_PARAM_STRING = 9, "TYPED_PARAM_STRING";
    /// Keepalive. Clients ask for it before they open a driver, and only those that asked may be
    /// pinged.
    PROGRAM_KEEPALIVE = 10, "PROGRAM_KEEPALIVE";
    /// Events are told only to those who asked for them.
    REMOTE_EVENT_CALLBACK = 14, "REMOTE_EVENT_CALLBACK";
    /// The closing of the driver's own connection is told.
    REMOTE_CLOSE_CALLBACK = 15, "REMOTE_CLOSE_CALLBACK";
    /// The arguments of a network's update come in the order that the API documents.
    NETWORK_UPDATE_HAS_CORRECT_ORDER = 16, "NETWORK_UPDATE_HAS_CORRECT_ORDER";
});

impl Feature {
    /// What the daemon answers by itself, without its driver. Only the first of them may be asked
    /// before a driver is open; the others are refused then, with
    /// [`RemoteError::not_open`](crate::RemoteError::not_open).
    pub const OF_THE_DAEMON: [Feature; 4] = [
        Feature::PROGRAM_KEEPALIVE,
        Feature::FD_PASSING,
        Feature::REMOTE_EVENT_CALLBACK,
        Feature::REMOTE_CLOSE_CALLBACK,
    ];
}

impl Call for Open {
    const PROCEDURE: Procedure = Procedure::CONNECT_OPEN;
    type Reply = ();
}

impl Call for Close {
    const PROCEDURE: Procedure = Procedure::CONNECT_CLOSE;
    type Reply = ();
}

impl Call for GetUri {
    const PROCEDURE: Procedure = Procedure::CONNECT_GET_URI;
    type Reply = Uri;
}

impl Call for SupportsFeature {
    const PROCEDURE: Procedure = Procedure::CONNECT_SUPPORTS_FEATURE;
    type Reply = Supported;
}

impl Payload for Open {
    fn encode_to(&self, writer: &mut Writer) {
        writer.optional(self.name.as_deref(), Writer::string);
        writer.u32(self.flags.0);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Open {
            name: reader.optional("name", |reader| reader.string("name"))?,
            flags: OpenFlags(reader.u32("flags")?),
        })
    }
}

impl Payload for Close {
    fn encode_to(&self, _writer: &mut Writer) {}

    fn decode_from(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Close)
    }
}

impl Payload for GetUri {
    fn encode_to(&self, _writer: &mut Writer) {}

    fn decode_from(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(GetUri)
    }
}

impl Payload for Uri {
    fn encode_to(&self, writer: &mut Writer) {
        writer.string(&self.0);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.string("uri").map(Uri)
    }
}

impl Payload for SupportsFeature {
    fn encode_to(&self, writer: &mut Writer) {
        writer.i32(self.0.0);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.i32("feature").map(Feature).map(SupportsFeature)
    }
}

impl Payload for Supported {
    fn encode_to(&self, writer: &mut Writer) {
        writer.int_bool(self.0);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.int_bool("supported").map(Supported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Serial;
    use crate::testing::{hex, recorded, round_trip};
    use proptest::prelude::*;

    #[test]
    fn the_opening_of_a_real_client_is_understood() {
        // virsh 9.0, `virsh -c test+unix:///default`.
        let open: Open = recorded(
            "00000038 20008086 00000001 00000001 00000000 00000002 00000000
             00000001 0000000f 746573743a2f2f2f64656661756c74 00 00000000",
        );
        let expected = Open {
            name: Some("test:///default".into()),
            flags: OpenFlags::default(),
        };
        assert_eq!(open, expected);
        // What libvirtd 9.0 took as no URI.
        let unnamed: Open = recorded(
            "00000024 20008086 00000001 00000001 00000000 0000000e 00000000 00000000 00000000",
        );
        assert_eq!(unnamed.name, None);
    }

    #[test]
    fn the_features_that_a_real_client_asks_for_are_understood() {
        // virsh and libvirtd 9.0.
        let SupportsFeature(feature) =
            recorded("00000020 20008086 00000001 0000003c 00000000 00000001 00000000 0000000a");
        assert_eq!(feature, Feature::PROGRAM_KEEPALIVE);
        let supported: Supported =
            recorded("00000020 20008086 00000001 0000003c 00000001 00000001 00000000 00000001");
        assert_eq!(supported, Supported(true));
        assert_eq!(Feature(7).to_string(), "7");
    }

    #[test]
    fn the_uri_and_the_end_are_those_of_a_real_connection() {
        let Uri(uri) = recorded(
            "00000030 20008086 00000001 0000006e 00000001 00000012 00000000
             0000000f 746573743a2f2f2f64656661756c74 00",
        );
        assert_eq!(uri, "test:///default");
        let close = hex("0000001c 20008086 00000001 00000002 00000000 00000009 00000000");
        assert_eq!(Close.frame(Serial(9)), close);
        let ask = hex("0000001c 20008086 00000001 0000006e 00000000 00000012 00000000");
        assert_eq!(GetUri.frame(Serial(18)), ask);
    }

    #[test]
    fn flags_without_a_name_are_kept() {
        let flags = OpenFlags(8).with(OpenFlags::READ_ONLY);
        assert!(flags.contains(OpenFlags::READ_ONLY) && !flags.contains(OpenFlags::NO_ALIASES));
        round_trip(&Open { name: None, flags });
    }

    proptest! {
        #[test]
        fn calls_survive_the_wire(name in prop::option::of("[^\0]{0,40}"), flags: u32, feature: i32) {
            round_trip(&Open { name, flags: OpenFlags(flags) });
            round_trip(&SupportsFeature(Feature(feature)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
            let _ = Open::decode(&bytes);
            let _ = SupportsFeature::decode(&bytes);
            let _ = Supported::decode(&bytes);
            let _ = Uri::decode(&bytes);
        }
    }
}
