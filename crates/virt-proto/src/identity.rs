//! CONNECT_SET_IDENTITY: on whose behalf a proxy calls.

use std::sync::Arc;

use crate::call::Call;
use crate::program::Procedure;
use crate::typed_param::{TypedParam, TypedValue};
use crate::xdr::{DecodeError, Payload, Reader, Writer};

/// The names of the parameters (`VIR_CONNECT_IDENTITY_*` in libvirt's `libvirt-host.h`).
pub mod name {
    /// The name of the system's user, a string.
    pub const USER_NAME: &str = "user-name";
    /// The number of the system's user, a ullong.
    pub const UNIX_USER_ID: &str = "unix-user-id";
    /// The name of the user's group, a string.
    pub const GROUP_NAME: &str = "group-name";
    /// The number of the user's group, a ullong.
    pub const UNIX_GROUP_ID: &str = "unix-group-id";
    /// The client's process, an llong.
    pub const PROCESS_ID: &str = "process-id";
    /// When that process started, a ullong: on Linux field 22 of `/proc/PID/stat`, in clock ticks
    /// since the system's start.
    pub const PROCESS_TIME: &str = "process-time";
    /// The name that SASL found out, a string.
    pub const SASL_USER_NAME: &str = "sasl-user-name";
    /// The name in the client's certificate, a string.
    pub const X509_DISTINGUISHED_NAME: &str = "x509-distinguished-name";
    /// The client's SELinux context, a string.
    pub const SELINUX_CONTEXT: &str = "selinux-context";
}

/// What is known of a client. Nothing else can be told: a daemon refuses other parameters. Texts are
/// shared, because a proxy keeps many clients of few users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// See [`name::USER_NAME`].
    pub user_name: Option<Arc<str>>,
    /// See [`name::UNIX_USER_ID`].
    pub unix_user_id: Option<u64>,
    /// See [`name::GROUP_NAME`].
    pub group_name: Option<Arc<str>>,
    /// See [`name::UNIX_GROUP_ID`].
    pub unix_group_id: Option<u64>,
    /// See [`name::PROCESS_ID`].
    pub process_id: Option<i64>,
    /// See [`name::PROCESS_TIME`].
    pub process_time: Option<u64>,
    /// See [`name::SASL_USER_NAME`].
    pub sasl_user_name: Option<Arc<str>>,
    /// See [`name::X509_DISTINGUISHED_NAME`].
    pub x509_distinguished_name: Option<Arc<str>>,
    /// See [`name::SELINUX_CONTEXT`].
    pub selinux_context: Option<Arc<str>>,
}

/// The call.
#[derive(Clone, Debug, PartialEq)]
pub struct SetIdentity {
    /// The identity, parameter by parameter.
    pub params: Vec<TypedParam>,
    /// None are defined.
    pub flags: u32,
}

impl SetIdentity {
    /// More parameters are not taken (`REMOTE_CONNECT_IDENTITY_PARAMS_MAX`).
    pub const PARAMS_MAX: usize = 20;
}

impl From<Identity> for SetIdentity {
    fn from(identity: Identity) -> SetIdentity {
        let string = |name, value: Option<Arc<str>>| {
            let value = value.map(|value| TypedValue::String(value.as_ref().into()));
            (name, value)
        };
        let ullong = |name, value: Option<u64>| (name, value.map(TypedValue::Ullong));
        let all = [
            string(name::USER_NAME, identity.user_name),
            ullong(name::UNIX_USER_ID, identity.unix_user_id),
            string(name::GROUP_NAME, identity.group_name),
            ullong(name::UNIX_GROUP_ID, identity.unix_group_id),
            (name::PROCESS_ID, identity.process_id.map(TypedValue::Llong)),
            ullong(name::PROCESS_TIME, identity.process_time),
            string(name::SASL_USER_NAME, identity.sasl_user_name),
            string(
                name::X509_DISTINGUISHED_NAME,
                identity.x509_distinguished_name,
            ),
            string(name::SELINUX_CONTEXT, identity.selinux_context),
        ];
        let params = all
            .into_iter()
            .filter_map(|(name, value)| Some(TypedParam::new(name, value?)))
            .collect();
        SetIdentity { params, flags: 0 }
    }
}

impl Call for SetIdentity {
    const PROCEDURE: Procedure = Procedure::CONNECT_SET_IDENTITY;
    type Reply = ();
}

impl Payload for SetIdentity {
    fn encode_to(&self, writer: &mut Writer) {
        writer.list(&self.params, |writer, param| param.encode_to(writer));
        writer.u32(self.flags);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(SetIdentity {
            params: reader.list(
                SetIdentity::PARAMS_MAX,
                TypedParam::SIZE_MIN,
                "params",
                TypedParam::decode_from,
            )?,
            flags: reader.u32("flags")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Serial;
    use crate::testing::{hex, round_trip};
    use crate::typed_param::tests::typed_params;
    use proptest::prelude::*;

    #[test]
    fn an_identity_is_told_in_the_bytes_that_a_real_libvirtd_takes() {
        let identity = Identity {
            user_name: Some("root".into()),
            unix_user_id: Some(0),
            process_id: Some(42),
            ..Identity::default()
        };
        let frame = hex(
            "00000078 20008086 00000001 000001a3 00000000 00000011 00000000 00000003
             00000009 757365722d6e616d65 000000 00000007 00000004 726f6f74
             0000000c 756e69782d757365722d6964 00000004 0000000000000000
             0000000a 70726f636573732d6964 0000 00000003 000000000000002a 00000000",
        );
        assert_eq!(SetIdentity::from(identity).frame(Serial(17)), frame);
    }

    #[test]
    fn each_thing_known_is_one_parameter() {
        let text = || Some(Arc::from("x"));
        let identity = Identity {
            user_name: text(),
            unix_user_id: Some(1),
            group_name: text(),
            unix_group_id: Some(2),
            process_id: Some(3),
            process_time: Some(4),
            sasl_user_name: text(),
            x509_distinguished_name: text(),
            selinux_context: text(),
        };
        let call = SetIdentity::from(identity);
        assert_eq!(call.params.len(), 9);
        round_trip(&call);
        assert_eq!(SetIdentity::from(Identity::default()).params, []);
    }

    #[test]
    fn more_parameters_than_a_daemon_takes_are_refused() {
        // libvirtd 9.0 cannot decode 21 either.
        let param = TypedParam::new("d", TypedValue::Int(1));
        let call = SetIdentity {
            params: vec![param; 21],
            flags: 0,
        };
        let mut writer = Writer::default();
        call.encode_to(&mut writer);
        assert_eq!(
            SetIdentity::decode(&writer.into_bytes()),
            Err(DecodeError::TooLong {
                field: "params",
                len: 21,
                limit: 20
            })
        );
    }

    proptest! {
        #[test]
        fn identities_survive_the_wire(params in prop::collection::vec(typed_params(), 0..=20), flags: u32) {
            round_trip(&SetIdentity { params, flags });
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = SetIdentity::decode(&bytes);
        }
    }
}
