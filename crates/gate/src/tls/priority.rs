//! GnuTLS's priority strings, as far as rustls goes.
//!
//! The meaning of the words is that of GnuTLS 3.7 (`gnutls-cli --list --priority STRING`). What
//! would take away something that rustls does not have anyway is passed over; what asks for
//! something that it does not have is an error.

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::kx_group;
use rustls::{CipherSuite, SupportedCipherSuite};

use super::ciphers::{Ciphers, provider};
use super::error::{TlsError, TlsProblem};

/// What a string stands for, each list in the order of preference.
#[derive(Clone, Debug, Default)]
struct Selection {
    versions: Vec<&'static str>,
    ciphers: Vec<&'static str>,
    exchanges: Vec<&'static str>,
    groups: Vec<&'static str>,
    macs: Vec<&'static str>,
    server_order: bool,
}

const VERSIONS: &[&str] = &["VERS-TLS1.3", "VERS-TLS1.2"];
const CIPHERS: &[&str] = &["AES-256-GCM", "CHACHA20-POLY1305", "AES-128-GCM"];
const FAST_CIPHERS: &[&str] = &["AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"];
const STRONG_CIPHERS: &[&str] = &["AES-256-GCM", "CHACHA20-POLY1305"];
const EXCHANGES: &[&str] = &["ECDHE-ECDSA", "ECDHE-RSA"];
const GROUPS: &[&str] = &["SECP256R1", "SECP384R1", "X25519"];
const MACS: &[&str] = &["AEAD"];

/// Signature algorithms that rustls has; which of them are used cannot be chosen.
const SIGNATURES: &[&str] = &[
    "ALL",
    "RSA-SHA256",
    "RSA-SHA384",
    "RSA-SHA512",
    "RSA-PSS-SHA256",
    "RSA-PSS-SHA384",
    "RSA-PSS-SHA512",
    "RSA-PSS-RSAE-SHA256",
    "RSA-PSS-RSAE-SHA384",
    "RSA-PSS-RSAE-SHA512",
    "ECDSA-SHA256",
    "ECDSA-SHA384",
    "ECDSA-SECP256R1-SHA256",
    "ECDSA-SECP384R1-SHA384",
    "EDDSA-ED25519",
];

/// Beginnings of words for ciphers, exchanges and MACs that GnuTLS knows and rustls does not have.
const ABSENT: &[&str] = &[
    "3DES-",
    "AES-",
    "ANON-",
    "ARCFOUR-",
    "ARIA-",
    "CAMELLIA-",
    "CHACHA20-",
    "DES-",
    "DHE-",
    "ECDHE-PSK",
    "GOST",
    "MAGMA",
    "KUZNYECHIK",
    "MD5",
    "NULL",
    "OMAC-",
    "PSK",
    "RC2-",
    "RSA",
    "SALSA20",
    "ESTREAM-",
    "SHA1",
    "SHA224",
    "SHA256",
    "SHA384",
    "SHA512",
    "SRP",
    "STREEBOG-",
    "UMAC-",
    "VKO-",
];

/// Flags of which rustls does what they ask for, or never does what they are about.
const MET_FLAGS: &[&str] = &[
    "COMPAT",
    "DISABLE_SAFE_RENEGOTIATION",
    "NO_TICKETS",
    "NO_TICKETS_TLS12",
    "PARTIAL_RENEGOTIATION",
    "SAFE_RENEGOTIATION",
];

const NOT_KNOWN: &str = "GnuTLS has no such word";
const NOT_THERE: &str = "rustls does not have it; leave it out";

impl Ciphers {
    /// Takes a priority string of GnuTLS from the setting `place`: versions, ciphers, key exchanges
    /// and groups. `@SYSTEM`, `@LIBVIRT` and `@LIBVIRT,SYSTEM` stand for `NORMAL`, since the
    /// system's settings are GnuTLS's own. The client's order of ciphers counts unless
    /// `%SERVER_PRECEDENCE` is there. `SECURE192` and `SECURE256` do not limit the algorithms of
    /// signatures.
    ///
    /// # Errors
    /// [`TlsError`] with the first word that cannot be honoured and why, and when nothing is left.
    pub fn from_priority(place: &str, text: &str) -> Result<Ciphers, TlsError> {
        let selection = Selection::parse(text).map_err(|problem| problem.at(place))?;
        let suites = selection.suites();
        let groups = selection.groups();
        if suites.is_empty() || groups.is_empty() {
            return Err(TlsProblem::NothingLeft(selection.missing()).at(place));
        }
        Ok(Ciphers {
            suites,
            groups,
            server_order: selection.server_order,
        })
    }
}

impl Selection {
    fn parse(text: &str) -> Result<Selection, TlsProblem> {
        let mut selection = Selection::default();
        for (index, word) in text.split(':').enumerate() {
            selection
                .take(&word.to_ascii_uppercase(), index == 0)
                .map_err(|reason| TlsProblem::Priority {
                    word: word.into(),
                    reason,
                })?;
        }
        Ok(selection)
    }

    fn take(&mut self, word: &str, first: bool) -> Result<(), &'static str> {
        if let Some(flag) = word.strip_prefix('%') {
            return self.flag(flag);
        }
        if let Some(name) = word.strip_prefix('+') {
            return match keyword(name) {
                Some(meant) => {
                    self.add_all(&meant);
                    Ok(())
                }
                None => self.change(name, true),
            };
        }
        if let Some(name) = word.strip_prefix(['-', '!']) {
            return self.change(name, false);
        }
        if !first {
            return Err("a word after the first begins with +, -, ! or %");
        }
        if let Some(system) = word.strip_prefix('@') {
            let known = ["SYSTEM", "LIBVIRT", "LIBVIRT,SYSTEM"].contains(&system);
            *self = keyword("NORMAL")
                .filter(|_| known)
                .ok_or("of the system's settings, only @SYSTEM and @LIBVIRT are known here")?;
            return Ok(());
        }
        *self = keyword(word).ok_or(NOT_KNOWN)?;
        Ok(())
    }

    fn flag(&mut self, flag: &str) -> Result<(), &'static str> {
        match flag {
            "SERVER_PRECEDENCE" => self.server_order = true,
            met if MET_FLAGS.contains(&met) => {}
            profile if profile.starts_with("PROFILE_") || profile.starts_with("VERIFY_") => {
                return Err("certificates are checked by rustls, whose rules cannot be changed");
            }
            _ => return Err("rustls cannot be told this"),
        }
        Ok(())
    }

    /// Adds or takes away what a word that is no keyword stands for.
    fn change(&mut self, name: &str, add: bool) -> Result<(), &'static str> {
        let (list, known, word): (_, &[&'static str], _) = if name.starts_with("VERS-") {
            (&mut self.versions, VERSIONS, name)
        } else if let Some(group) = name
            .strip_prefix("GROUP-")
            .or_else(|| name.strip_prefix("CURVE-"))
        {
            (&mut self.groups, GROUPS, group)
        } else if let Some(signature) = name.strip_prefix("SIGN-") {
            return signatures(signature, add);
        } else if let Some(kind) = name.strip_prefix("CTYPE-") {
            return certificate_types(kind, add);
        } else if let Some(method) = name.strip_prefix("COMP-") {
            return match method {
                "ALL" | "NULL" => Ok(()),
                _ => absent(add),
            };
        } else if CIPHERS.contains(&name) || name == "CIPHER-ALL" {
            (&mut self.ciphers, CIPHERS, name)
        } else if EXCHANGES.contains(&name) || name == "KX-ALL" {
            (&mut self.exchanges, EXCHANGES, name)
        } else if MACS.contains(&name) || name == "MAC-ALL" {
            (&mut self.macs, MACS, name)
        } else if ABSENT.iter().any(|begin| name.starts_with(begin)) {
            return absent(add);
        } else {
            return Err(NOT_KNOWN);
        };
        let is_all = matches!(
            word,
            "VERS-ALL" | "VERS-TLS-ALL" | "ALL" | "EC-ALL" | "CIPHER-ALL" | "KX-ALL" | "MAC-ALL"
        );
        let meant: Vec<&'static str> = known
            .iter()
            .copied()
            .filter(|&one| is_all || one == word)
            .collect();
        match (meant.is_empty(), add) {
            (true, _) => absent(add)?,
            (false, true) => append(list, &meant),
            (false, false) => list.retain(|one| !meant.contains(one)),
        }
        Ok(())
    }

    fn add_all(&mut self, other: &Selection) {
        append(&mut self.versions, &other.versions);
        append(&mut self.ciphers, &other.ciphers);
        append(&mut self.exchanges, &other.exchanges);
        append(&mut self.groups, &other.groups);
        append(&mut self.macs, &other.macs);
    }

    /// The suites of TLS 1.3 have no exchange of their own.
    fn suites(&self) -> Vec<SupportedCipherSuite> {
        if self.macs.is_empty() {
            return Vec::new();
        }
        let all = provider().cipher_suites;
        let mut suites = Vec::new();
        for &version in &self.versions {
            let exchanges: &[&str] = match version {
                "VERS-TLS1.3" => &[""],
                _ => &self.exchanges,
            };
            for &exchange in exchanges {
                let ciphers = self.ciphers.iter();
                let numbers = ciphers.filter_map(|cipher| suite(exchange, cipher));
                suites.extend(numbers.filter_map(|number| {
                    all.iter().copied().find(|suite| suite.suite() == number)
                }));
            }
        }
        suites
    }

    fn groups(&self) -> Vec<&'static dyn SupportedKxGroup> {
        let group = |name: &&'static str| -> &'static dyn SupportedKxGroup {
            match *name {
                "SECP256R1" => kx_group::SECP256R1,
                "SECP384R1" => kx_group::SECP384R1,
                _ => kx_group::X25519,
            }
        };
        self.groups.iter().map(group).collect()
    }

    fn missing(&self) -> &'static str {
        if self.versions.is_empty() {
            "no version of TLS"
        } else if self.ciphers.is_empty() {
            "no cipher"
        } else if self.groups.is_empty() {
            "no group for the key exchange"
        } else if self.macs.is_empty() {
            "no MAC (rustls has AEAD)"
        } else {
            "no key exchange"
        }
    }
}

fn append(list: &mut Vec<&'static str>, more: &[&'static str]) {
    for one in more {
        if !list.contains(one) {
            list.push(one);
        }
    }
}

fn absent(add: bool) -> Result<(), &'static str> {
    if add { Err(NOT_THERE) } else { Ok(()) }
}

fn signatures(name: &str, add: bool) -> Result<(), &'static str> {
    match (SIGNATURES.contains(&name), add) {
        (true, false) => Err("rustls cannot do without single algorithms for signatures"),
        (true, true) => Ok(()),
        (false, add) => absent(add),
    }
}

fn certificate_types(name: &str, add: bool) -> Result<(), &'static str> {
    let name = name
        .strip_prefix("SRV-")
        .or(name.strip_prefix("CLI-"))
        .unwrap_or(name);
    match (name, add) {
        ("X509" | "X.509", false) => Err("rustls has no certificates but X.509"),
        ("X509" | "X.509" | "ALL", _) => Ok(()),
        (_, add) => absent(add),
    }
}

/// What a string begins with, as far as rustls has it.
fn keyword(name: &str) -> Option<Selection> {
    let normal = Selection {
        versions: VERSIONS.to_vec(),
        ciphers: CIPHERS.to_vec(),
        exchanges: EXCHANGES.to_vec(),
        groups: GROUPS.to_vec(),
        macs: MACS.to_vec(),
        server_order: false,
    };
    let suite_b = Selection {
        versions: vec!["VERS-TLS1.2"],
        exchanges: vec!["ECDHE-ECDSA"],
        ..normal.clone()
    };
    Some(match name {
        "NORMAL" | "LEGACY" | "PFS" | "SECURE" | "SECURE128" => normal,
        "PERFORMANCE" => Selection {
            ciphers: FAST_CIPHERS.to_vec(),
            ..normal
        },
        "SECURE192" | "SECURE256" => Selection {
            ciphers: STRONG_CIPHERS.to_vec(),
            groups: vec!["SECP384R1"],
            ..normal
        },
        "SUITEB128" => Selection {
            ciphers: vec!["AES-256-GCM", "AES-128-GCM"],
            groups: vec!["SECP256R1", "SECP384R1"],
            ..suite_b
        },
        "SUITEB192" => Selection {
            ciphers: vec!["AES-256-GCM"],
            groups: vec!["SECP384R1"],
            ..suite_b
        },
        "NONE" => Selection::default(),
        _ => return None,
    })
}

/// The suite of an exchange, or of TLS 1.3 without one, and a cipher.
fn suite(exchange: &str, cipher: &str) -> Option<CipherSuite> {
    Some(match (exchange, cipher) {
        ("", "AES-256-GCM") => CipherSuite::TLS13_AES_256_GCM_SHA384,
        ("", "AES-128-GCM") => CipherSuite::TLS13_AES_128_GCM_SHA256,
        ("", "CHACHA20-POLY1305") => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        ("ECDHE-ECDSA", "AES-256-GCM") => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ("ECDHE-ECDSA", "AES-128-GCM") => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ("ECDHE-ECDSA", "CHACHA20-POLY1305") => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        ("ECDHE-RSA", "AES-256-GCM") => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ("ECDHE-RSA", "AES-128-GCM") => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ("ECDHE-RSA", "CHACHA20-POLY1305") => {
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        _ => return None,
    })
}
