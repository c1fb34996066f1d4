//! Authentication with the real libsasl2, the real polkit, and virsh as the client.

mod methods;
mod polkit;
mod sasl;
mod wire;

use std::sync::Arc;

use virt_proto::{
    AuthTypes, Call, ErrorNumber, Payload, Procedure, RemoteError, SaslData, SaslReply, SaslStart,
    SaslStep,
};

use super::{AuthSettings, Authentication, Elsewhere, Subject};
use crate::clients::Transport;
use crate::config::{Auth, Method};

/// One method for all sockets.
fn auth(method: Method) -> Auth {
    Auth {
        unix_ro: method,
        unix_rw: method,
        tcp: method,
        tls: method,
        tcp_min_ssf: 112,
        sasl_allowed_usernames: None,
    }
}

fn subject(method: Method, transport: Transport) -> Subject {
    Subject {
        method,
        transport,
        read_only: false,
        unix: None,
        local_address: None,
        remote_address: None,
        who: "client 1".to_owned(),
    }
}

fn settings(method: Method) -> Arc<AuthSettings> {
    Arc::new(AuthSettings::new(&auth(method), &sockets(), Elsewhere::default()).unwrap())
}

/// Calls as a client does.
async fn call<C: Call>(auth: &mut Authentication, call: &C) -> Result<C::Reply, RemoteError> {
    let payload = auth.answer(C::PROCEDURE, &call.encode()).await?;
    Ok(C::Reply::decode(&payload).unwrap())
}

/// The sockets that are open where nothing is configured.
fn sockets() -> crate::config::Listening {
    crate::config::Config::default().listening
}
