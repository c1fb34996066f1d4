//! What is told of a client.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use virt_proto::admin::{self, ServerName, param};
use virt_proto::{TypedParam, TypedValue};

use crate::clients::{About, Transport};
use crate::who::shown_address;

/// A client as others name it.
pub(super) fn reference(server: &str, id: u64, about: &About) -> admin::Client {
    let since = about.connected.duration_since(UNIX_EPOCH);
    admin::Client {
        server: ServerName {
            name: server.to_owned(),
        },
        id,
        timestamp: since.map_or(0, |since| since.as_secs().cast_signed()),
        transport: match about.transport {
            Transport::Unix => admin::Transport::UNIX,
            Transport::Tcp => admin::Transport::TCP,
            Transport::Tls => admin::Transport::TLS,
        },
    }
}

/// Who a client is: what is known, in libvirt's order. Addresses and certificates belong to clients
/// on the network, users and processes to those of this machine.
pub(super) fn params(about: &About) -> Vec<TypedParam> {
    let identity = &about.identity;
    let string = |name, value: Option<String>| (name, value.map(TypedValue::String));
    let text = |name, value: &Option<Arc<str>>| string(name, value.as_deref().map(str::to_owned));
    // libvirt shows all of these as signed numbers of 32 bits.
    let id = |name, id: Option<u64>| {
        let id = id.and_then(|id| u32::try_from(id).ok());
        (name, id.map(|id| TypedValue::Int(id.cast_signed())))
    };
    let mut all = vec![
        (param::READ_ONLY, Some(TypedValue::Boolean(about.read_only))),
        text(param::SASL_USER_NAME, &identity.sasl_user_name),
    ];
    if about.transport == Transport::Unix {
        let process = identity.process_id.and_then(|id| i32::try_from(id).ok());
        all.extend([
            id(param::UNIX_USER_ID, identity.unix_user_id),
            text(param::UNIX_USER_NAME, &identity.user_name),
            id(param::UNIX_GROUP_ID, identity.unix_group_id),
            text(param::UNIX_GROUP_NAME, &identity.group_name),
            (param::UNIX_PROCESS_ID, process.map(TypedValue::Int)),
        ]);
    } else {
        all.extend([
            string(param::SOCKET_ADDR, shown_address(about.peer)),
            text(
                param::X509_DISTINGUISHED_NAME,
                &identity.x509_distinguished_name,
            ),
        ]);
    }
    all.push(text(param::SELINUX_CONTEXT, &identity.selinux_context));
    all.into_iter()
        .filter_map(|(name, value)| Some(TypedParam::new(name, value?)))
        .collect()
}
