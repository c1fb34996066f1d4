//! What libvirt asks of a certificate before it is used: the daemon's own and the authorities' at the
//! start, a client's when it comes (`virnettlscert.c`).

use std::time::SystemTime;

use gate::tls::{Certificate, TlsProblem};

/// What a certificate is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Authority,
    Server,
    Client,
}

/// Something that is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Otherwise it is only worth a warning.
    pub(super) fatal: bool,
    pub(super) text: String,
}

/// Looks a certificate over; `place` is what texts begin with. What it says of its usage and purpose
/// binds only if it says so critically, as with libvirt.
pub(super) fn check(certificate: &Certificate, role: Role, place: &str) -> Vec<Flaw> {
    let whose = certificate.distinguished_name().escape_debug().to_string();
    let mut flaws = Vec::new();
    let mut find = |fatal, what: &str| {
        let text = format!("{place}: the certificate {whose} {what}");
        flaws.push(Flaw { fatal, text });
    };
    check_times(certificate, &mut find);
    check_authority(certificate, role, &mut find);
    check_usage(certificate, role, &mut find);
    if role != Role::Authority {
        check_purpose(certificate, role, &mut find);
    }
    flaws
}

fn check_times(certificate: &Certificate, find: &mut impl FnMut(bool, &str)) {
    let (now, validity) = (SystemTime::now(), certificate.validity());
    if now > *validity.end() {
        find(true, &format!("expired on {}", certificate.ends_text()));
    }
    if now < *validity.start() {
        let begins = certificate.begins_text();
        find(
            true,
            &format!("is not valid before {begins} (is the clock right?)"),
        );
    }
}

fn check_authority(certificate: &Certificate, role: Role, find: &mut impl FnMut(bool, &str)) {
    match (certificate.is_authority(), role) {
        (Err(problem), _) => find(true, &unreadable("basic constraints", &problem)),
        (Ok(Some(true)), Role::Authority)
        | (Ok(Some(false) | None), Role::Server | Role::Client) => {}
        (Ok(Some(true)), Role::Server) => {
            find(
                true,
                "is an authority's (basic constraints), not a server's",
            );
        }
        (Ok(Some(true)), Role::Client) => {
            find(
                true,
                "is an authority's (basic constraints), not a client's",
            );
        }
        (Ok(Some(false)), Role::Authority) => {
            find(true, "is not an authority's (basic constraints)");
        }
        (Ok(None), Role::Authority) => {
            find(
                true,
                "does not say that it is an authority's (no basic constraints)",
            );
        }
    }
}

fn check_usage(certificate: &Certificate, role: Role, find: &mut impl FnMut(bool, &str)) {
    let usage = match certificate.usage() {
        Ok(Some(usage)) => usage,
        Ok(None) => return,
        Err(problem) => return find(true, &unreadable("key usage", &problem)),
    };
    if role == Role::Authority {
        if !usage.certificate_signing {
            find(usage.critical, "must not sign certificates (key usage)");
        }
        return;
    }
    if !usage.digital_signature {
        find(
            usage.critical,
            "must not make digital signatures (key usage)",
        );
    }
    if !usage.key_encipherment && certificate.can_encipher() {
        find(usage.critical, "must not encipher keys (key usage)");
    }
}

/// A purpose that has nothing to do with TLS allows everything, as it does with libvirt.
fn check_purpose(certificate: &Certificate, role: Role, find: &mut impl FnMut(bool, &str)) {
    let purposes = match certificate.purposes() {
        Ok(Some(purposes)) => purposes,
        Ok(None) => return,
        Err(problem) => return find(true, &unreadable("extended key usage", &problem)),
    };
    let (allowed, whom) = match role {
        Role::Client => (purposes.client, "clients"),
        Role::Server | Role::Authority => (purposes.server, "servers"),
    };
    if !allowed && !purposes.any && !purposes.other {
        let what = format!("is not meant for {whom} of TLS (extended key usage)");
        find(purposes.critical, &what);
    }
}

fn unreadable(what: &str, problem: &TlsProblem) -> String {
    format!("has unreadable {what} ({problem})")
}
