//! What settings say together: combinations that cannot be meant are errors, those that are likely to
//! be a mistake are warned of.

use super::file::Draft;
use super::{Method, group_id};

/// A key, and what is wrong with it beside the others.
pub(super) type Clash = (&'static str, String);

/// The right of everyone to connect to a unix socket.
const OTHERS_WRITE: u32 = 0o002;

/// The right of the group.
const GROUP_WRITE: u32 = 0o020;

pub(super) fn check(draft: &mut Draft) -> Result<(), Clash> {
    ports(draft)?;
    group(draft)?;
    certificates(draft)?;
    warn(draft);
    Ok(())
}

fn ports(draft: &Draft) -> Result<(), Clash> {
    let listening = &draft.config.listening;
    if listening.tcp && listening.tls && listening.tcp_port == listening.tls_port {
        let key = if draft.is_set("tls_port") {
            "tls_port"
        } else {
            "tcp_port"
        };
        let port = listening.tcp_port;
        return Err((key, format!("TCP and TLS cannot both have port {port}")));
    }
    Ok(())
}

fn group(draft: &Draft) -> Result<(), Clash> {
    match &draft.config.listening.unix_group {
        Some(name) => group_id(name)
            .map(drop)
            .map_err(|what| ("unix_sock_group", what)),
        None => Ok(()),
    }
}

fn certificates(draft: &Draft) -> Result<(), Clash> {
    for (one, several) in [("key_file", "key_files"), ("cert_file", "cert_files")] {
        if draft.is_set(one) && draft.is_set(several) {
            return Err((several, format!("{one} is set too; one of them must go")));
        }
    }
    let tls = &draft.config.tls;
    let key_of = |one, several| if draft.is_set(one) { one } else { several };
    match (&tls.key_file, &tls.cert_file) {
        (Some(key), None) => Err((
            key_of("key_file", "key_files"),
            format!(
                "the certificate for {} is missing: set cert_file",
                key.display()
            ),
        )),
        (None, Some(cert)) => Err((
            key_of("cert_file", "cert_files"),
            format!("the key for {} is missing: set key_file", cert.display()),
        )),
        _ => Ok(()),
    }
}

fn warn(draft: &mut Draft) {
    let mut warnings = Vec::new();
    let config = &draft.config;
    let (listening, auth) = (&config.listening, &config.auth);
    if auth.unix_rw == Method::None && listening.unix_rw_mode & OTHERS_WRITE != 0 {
        warnings
            .push("auth_unix_rw and unix_sock_rw_perms let every user of this host do anything");
    }
    if listening.unix_group.is_some() && listening.unix_rw_mode & GROUP_WRITE == 0 {
        warnings.push(
            "unix_sock_group: unix_sock_rw_perms does not let the group in; set it to \"0770\"",
        );
    }
    if listening.tcp && auth.tcp == Method::None {
        warnings
            .push("auth_tcp lets whoever reaches the TCP port do anything, and all can listen in");
    }
    let unknown = !config.tls.verify_clients && auth.tls == Method::None;
    if listening.tls && unknown {
        warnings.push(
            "tls_no_verify_certificate and auth_tls let whoever reaches the TLS port do anything",
        );
    }
    if config.tls.allowed_names.as_ref().is_some_and(Vec::is_empty) {
        warnings.push("tls_allowed_dn_list is empty: no client can use TLS");
    }
    let users = &config.auth.sasl_allowed_usernames;
    if users.as_ref().is_some_and(Vec::is_empty) {
        warnings.push("sasl_allowed_username_list is empty: no client can use SASL");
    }
    let owned = warnings.into_iter().map(String::from).collect();
    draft.config.warnings = owned;
}
