//! Each key that a file can have: its type, its range, and where it goes.
//!
//! These are the keys of libvirt's `libvirtd.conf.in`, of which `virtproxyd.conf` is made, those that
//! older versions of it had, and our own.

use super::given::{Given, Wrong};
use super::{Config, Keepalive, Method, UriRule};
use crate::logging::{Filters, Outputs};

/// libvirt gives a listening socket without a queue one of this length.
const QUEUE: i32 = 30;

/// What libvirt demands at least of SASL's security layer where `tcp_min_ssf` is set, in bits.
const LEAST_SSF: i64 = 112;

/// The longest name that a driver of libvirt can have here.
const LONGEST_SCHEME: usize = 32;

/// The most characters that keys may differ in for one to be taken for the other.
const NEAR: usize = 2;

/// Whether a setting changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It does.
    Some,
    /// It is for a daemon that drives hypervisors, or libvirt itself has no use for it any more.
    None,
}

/// A key, and what becomes of its value.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) effect: Effect,
    pub(super) set: Set,
}

type Set = fn(&mut Config, &Given<'_>) -> Result<(), Wrong>;

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The names of all keys.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The key that was probably meant.
pub(super) fn near(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .filter(|key| key.name.len().abs_diff(name.len()) <= NEAR)
        .map(|key| (distance(key.name, name), key.name))
        .min()
        .filter(|(distance, _)| *distance <= NEAR)
        .map(|(_, name)| name)
}

/// How many characters have to be put in, left out or replaced to make one word the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, a) in one.bytes().enumerate() {
        let mut left = index + 1;
        let mut corner = index;
        for (cell, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            let up = *cell;
            *cell = (corner + usize::from(a != b)).min(up + 1).min(left + 1);
            (corner, left) = (up, *cell);
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

const fn works(name: &'static str, set: Set) -> Key {
    Key {
        name,
        effect: Effect::Some,
        set,
    }
}

const fn idle(name: &'static str, set: Set) -> Key {
    Key {
        name,
        effect: Effect::None,
        set,
    }
}

/// Stores what was taken.
fn store<T>(place: &mut T, value: Result<T, Wrong>) -> Result<(), Wrong> {
    *place = value?;
    Ok(())
}

pub(super) static KEYS: &[Key] = &[
    // Where clients come in.
    works("listen_tls", |c, v| store(&mut c.listening.tls, v.flag())),
    works("listen_tcp", |c, v| store(&mut c.listening.tcp, v.flag())),
    works("tls_port", |c, v| {
        store(&mut c.listening.tls_port, v.port())
    }),
    works("tcp_port", |c, v| {
        store(&mut c.listening.tcp_port, v.port())
    }),
    works("listen_addr", |c, v| {
        store(&mut c.listening.address, v.string().map(Some))
    }),
    works("unix_sock_group", |c, v| {
        store(&mut c.listening.unix_group, v.string().map(Some))
    }),
    works("unix_sock_ro_perms", |c, v| {
        store(&mut c.listening.unix_ro_mode, v.permissions())
    }),
    works("unix_sock_rw_perms", |c, v| {
        store(&mut c.listening.unix_rw_mode, v.permissions())
    }),
    works("unix_sock_admin_perms", |c, v| {
        store(&mut c.listening.unix_admin_mode, v.permissions())
    }),
    works("unix_sock_dir", |c, v| {
        store(&mut c.listening.unix_folder, v.path().map(Some))
    }),
    // Who may come in.
    works("auth_unix_ro", |c, v| {
        store(&mut c.auth.unix_ro, v.method())
    }),
    works("auth_unix_rw", |c, v| {
        store(&mut c.auth.unix_rw, v.method())
    }),
    works("auth_tcp", |c, v| store(&mut c.auth.tcp, network_method(v))),
    works("auth_tls", |c, v| store(&mut c.auth.tls, network_method(v))),
    works("tcp_min_ssf", |c, v| {
        store(
            &mut c.auth.tcp_min_ssf,
            v.number(LEAST_SSF..=u32::MAX.into()),
        )
    }),
    works("sasl_allowed_username_list", |c, v| {
        store(&mut c.auth.sasl_allowed_usernames, v.strings().map(Some))
    }),
    // Certificates.
    works("key_file", |c, v| {
        store(&mut c.tls.key_file, v.path().map(Some))
    }),
    works("cert_file", |c, v| {
        store(&mut c.tls.cert_file, v.path().map(Some))
    }),
    works("key_files", |c, v| {
        store(&mut c.tls.key_file, v.only_path().map(Some))
    }),
    works("cert_files", |c, v| {
        store(&mut c.tls.cert_file, v.only_path().map(Some))
    }),
    works("ca_file", |c, v| {
        store(&mut c.tls.ca_file, v.path().map(Some))
    }),
    works("crl_file", |c, v| {
        store(&mut c.tls.crl_file, v.path().map(Some))
    }),
    works("tls_no_sanity_certificate", |c, v| {
        store(&mut c.tls.sanity_check, v.flag().map(|no| !no))
    }),
    works("tls_no_verify_certificate", |c, v| {
        store(&mut c.tls.verify_clients, v.flag().map(|no| !no))
    }),
    works("tls_allowed_dn_list", |c, v| {
        store(&mut c.tls.allowed_names, v.strings().map(Some))
    }),
    works("tls_priority", |c, v| {
        store(&mut c.tls.priority, v.string().map(Some))
    }),
    // How much of what.
    works("max_clients", |c, v| {
        store(&mut c.limits.clients, v.number(MANY))
    }),
    works("max_queued_clients", |c, v| {
        store(&mut c.limits.queued_clients, queue(v))
    }),
    works("max_anonymous_clients", |c, v| {
        store(
            &mut c.limits.anonymous_clients,
            v.number(0..=u32::MAX.into()),
        )
    }),
    works("max_client_requests", |c, v| {
        store(&mut c.limits.client_requests, v.number(MANY))
    }),
    works("admin_max_clients", |c, v| {
        store(&mut c.limits.admin_clients, v.number(MANY))
    }),
    works("admin_max_queued_clients", |c, v| {
        store(&mut c.limits.admin_queued_clients, queue(v))
    }),
    works("admin_max_client_requests", |c, v| {
        store(&mut c.limits.admin_client_requests, v.number(MANY))
    }),
    idle("min_workers", |c, v| {
        store(&mut c.limits.workers.min, v.count())
    }),
    idle("max_workers", |c, v| {
        store(&mut c.limits.workers.max, v.number(MANY))
    }),
    idle("prio_workers", |c, v| {
        store(&mut c.limits.workers.prio, v.count())
    }),
    idle("admin_min_workers", |c, v| {
        store(&mut c.limits.admin_workers.min, v.count())
    }),
    idle("admin_max_workers", |c, v| {
        store(&mut c.limits.admin_workers.max, v.count())
    }),
    // Dead clients.
    works("keepalive_interval", |c, v| interval(&mut c.keepalive, v)),
    works("keepalive_count", |c, v| {
        store(&mut c.keepalive.count, v.count())
    }),
    works("admin_keepalive_interval", |c, v| {
        interval(&mut c.admin_keepalive, v)
    }),
    works("admin_keepalive_count", |c, v| {
        store(&mut c.admin_keepalive.count, v.count())
    }),
    // The log.
    works("log_level", |c, v| {
        // Like no setting at all, 0 leaves it to the others.
        let level = v
            .number(0..=4)
            .map(|level: u32| Some(level).filter(|l| *l > 0));
        store(&mut c.logging.level, level)
    }),
    works("log_filters", |c, v| {
        store(
            &mut c.logging.filters,
            v.checked(|text| Filters::parse(text).map(drop)),
        )
    }),
    works("log_outputs", |c, v| {
        store(&mut c.logging.outputs, v.checked(Outputs::check))
    }),
    // Ours.
    works("daemon_sock_dir", |c, v| {
        store(&mut c.daemons.folder, v.path().map(Some))
    }),
    works("daemon_sockets", daemon_sockets),
    works("uri_access", |c, v| {
        for rule in v.texts()? {
            c.uri_access.push(UriRule {
                line: rule.line,
                text: rule.text.into(),
            });
        }
        Ok(())
    }),
    // For daemons that drive hypervisors.
    idle("access_drivers", |_, v| {
        for driver in v.texts()? {
            if !["none", "polkit"].contains(&driver.text) {
                driver.wrong(format!(
                    "there is no access driver {:?}, only \"none\" and \"polkit\"",
                    driver.text
                ))?;
            }
        }
        Ok(())
    }),
    idle("audit_level", |_, v| v.number(0..=2).map(|_: u32| ())),
    idle("audit_logging", |_, v| v.flag().map(drop)),
    idle("host_uuid", |_, v| host_uuid(v)),
    idle("host_uuid_source", |_, v| {
        v.one_of(&["smbios", "machine-id"])
    }),
    idle("ovs_timeout", |_, v| v.count().map(drop)),
    // Of older versions of libvirt.
    idle("keepalive_required", |_, v| v.flag().map(drop)),
    idle("admin_keepalive_required", |_, v| v.flag().map(drop)),
    idle("mdns_adv", |_, v| v.flag().map(drop)),
    idle("mdns_name", |_, v| v.text().map(drop)),
    idle("max_requests", |_, v| v.count().map(drop)),
    idle("log_buffer_size", |_, v| v.count().map(drop)),
];

/// Without one there is no daemon.
const MANY: std::ops::RangeInclusive<i64> = 1..=u32::MAX as i64;

fn queue(given: &Given<'_>) -> Result<i32, Wrong> {
    match given.number(0..=i32::MAX.into())? {
        0 => Ok(QUEUE),
        length => Ok(length),
    }
}

/// Clients that come over the network are no processes of this host that polkit could know.
fn network_method(given: &Given<'_>) -> Result<Method, Wrong> {
    match given.method()? {
        Method::Polkit => given
            .text()?
            .wrong("polkit can tell only about clients of unix sockets; use \"sasl\" or \"none\""),
        method => Ok(method),
    }
}

/// As for libvirt, -1 and 0 stand for no pings.
fn interval(keepalive: &mut Keepalive, given: &Given<'_>) -> Result<(), Wrong> {
    let seconds: i64 = given.number(-1..=i32::MAX.into())?;
    keepalive.interval = u32::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    Ok(())
}

/// Sockets as `scheme=/path`.
fn daemon_sockets(config: &mut Config, given: &Given<'_>) -> Result<(), Wrong> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    for entry in given.texts()? {
        let Some((scheme, path)) = entry.text.split_once('=') else {
            return entry.wrong(format!(
                "{:?} is not SCHEME=/PATH, as in \"qemu=/run/libvirt/virtqemud-sock\"",
                entry.text
            ));
        };
        if scheme.is_empty() || scheme.len() > LONGEST_SCHEME || !scheme.bytes().all(is_plain) {
            return entry.wrong(format!(
                "{scheme:?} is not the scheme of a driver, such as qemu"
            ));
        }
        let scheme = scheme.to_ascii_lowercase();
        let sockets = &mut config.daemons.sockets;
        if sockets.iter().any(|(known, _)| *known == scheme) {
            return entry.wrong(format!("there are two sockets for {scheme}"));
        }
        sockets.push((
            scheme,
            super::given::Text {
                text: path,
                ..entry
            }
            .path()?,
        ));
    }
    Ok(())
}

/// libvirt takes UUIDs with hyphens or without, and none of which all digits are the same.
fn host_uuid(given: &Given<'_>) -> Result<(), Wrong> {
    let uuid = given.text()?;
    let digits: Vec<u8> = uuid.text.bytes().filter(|byte| *byte != b'-').collect();
    let is_uuid = digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit);
    if is_uuid && digits.iter().any(|digit| Some(digit) != digits.first()) {
        return Ok(());
    }
    uuid.wrong(format!(
        "{:?} is not a UUID, or all its digits are the same",
        uuid.text
    ))
}
