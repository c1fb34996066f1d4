//! The cipher suites that may be used, and lists of them in OpenSSL's notation, as far as rustls
//! goes. GnuTLS's notation is in `priority.rs`.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::error::{TlsError, TlsProblem};

/// The suites that may be used: for TLS 1.2 and 1.3 all that rustls has, unless lists say
/// otherwise.
#[derive(Clone, Debug)]
pub struct Ciphers {
    pub(super) suites: Vec<SupportedCipherSuite>,
    /// For the key exchange.
    pub(super) groups: Vec<&'static dyn SupportedKxGroup>,
    /// Whether a server goes by its own order of suites and not by the client's.
    pub(super) server_order: bool,
}

/// A suite by OpenSSL's name; where it is like the registered one, only the number counts.
const OPENSSL_NAMES: &[(&str, CipherSuite)] = &[
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
];

/// Words for all strong ciphers. rustls has no others.
const ALL: &[&str] = &["ALL", "COMPLEMENTOFDEFAULT", "DEFAULT", "HIGH"];

/// Classes that rustls has nothing of, so that excluding them changes nothing.
const ABSENT: &[&str] = &[
    "3DES",
    "ADH",
    "AECDH",
    "ARIA",
    "CAMELLIA",
    "CBC",
    "COMPLEMENTOFALL",
    "DES",
    "DSS",
    "EXP",
    "EXPORT",
    "EXPORT40",
    "EXPORT56",
    "GOST",
    "IDEA",
    "LOW",
    "MD5",
    "MEDIUM",
    "NULL",
    "PSK",
    "RC2",
    "RC4",
    "SEED",
    "SHA1",
    "SRP",
    "SSLv2",
    "SSLv3",
    "aDSS",
    "aNULL",
    "eNULL",
    "kDH",
    "kDHE",
    "kPSK",
    "kRSA",
    "kSRP",
];

impl Default for Ciphers {
    fn default() -> Ciphers {
        let provider = default_provider();
        Ciphers {
            suites: provider.cipher_suites,
            groups: provider.kx_groups,
            server_order: true,
        }
    }
}

impl Ciphers {
    /// Takes OpenSSL's cipher list for TLS 1.2 and its list of suites for TLS 1.3, each with the
    /// setting that it stands in, for errors; a list that is missing stands for all. The names are
    /// OpenSSL's or the registered ones, separated by colons, commas or spaces; `DEFAULT`, `HIGH`
    /// and `ALL` stand for all, and `!NAME` or `-NAME` takes one away. The order is the preference
    /// of a server.
    ///
    /// # Errors
    /// [`TlsError`] for other words, and when nothing is left.
    pub fn parse(
        tls12: Option<(&str, &str)>,
        tls13: Option<(&str, &str)>,
    ) -> Result<Ciphers, TlsError> {
        let all = default_provider().cipher_suites;
        let of = |wanted| -> Vec<SupportedCipherSuite> {
            let suites = all.iter().copied();
            suites.filter(|suite| suite.version() == wanted).collect()
        };
        let list = |given: Option<(&str, &str)>, version| match given {
            None => Ok(of(version)),
            Some((place, list)) => select(list, &of(version)).map_err(|problem| problem.at(place)),
        };
        let mut suites = list(tls13, &version::TLS13)?;
        suites.extend(list(tls12, &version::TLS12)?);
        if suites.is_empty() {
            let places = [tls12, tls13].into_iter().flatten();
            let places: Vec<&str> = places.map(|(place, _)| place).collect();
            return Err(TlsProblem::NoCipher.at(places.join(", ")));
        }
        Ok(Ciphers {
            suites,
            ..Ciphers::default()
        })
    }

    /// The provider with these suites only.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::new(CryptoProvider {
            cipher_suites: self.suites.clone(),
            kx_groups: self.groups.clone(),
            ..default_provider()
        })
    }

    /// The versions of TLS that have a suite.
    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        [&version::TLS13, &version::TLS12]
            .into_iter()
            .filter(|&version| self.suites.iter().any(|suite| suite.version() == version))
            .collect()
    }
}

/// The provider of everything cryptographic.
pub(super) fn provider() -> CryptoProvider {
    default_provider()
}

/// What a list selects among the suites of one version of TLS.
fn select(
    list: &str,
    possible: &[SupportedCipherSuite],
) -> Result<Vec<SupportedCipherSuite>, TlsProblem> {
    let mut selected: Vec<SupportedCipherSuite> = Vec::new();
    let mut banned: Vec<SupportedCipherSuite> = Vec::new();
    for word in list.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        let (action, name) = match word.chars().next() {
            Some(action @ ('!' | '-')) => (Some(action), &word[1..]),
            _ => (None, word),
        };
        if action.is_some() && ABSENT.contains(&name) {
            continue;
        }
        let Some(meant) = suites_named(name, possible) else {
            return Err(unknown(word, possible));
        };
        match action {
            None => {
                let new = meant.into_iter().filter(|suite| !banned.contains(suite));
                let new: Vec<_> = new.filter(|suite| !selected.contains(suite)).collect();
                selected.extend(new);
            }
            Some(action) => {
                selected.retain(|suite| !meant.contains(suite));
                // A banned one does not come back; one that was taken away may.
                if action == '!' {
                    banned.extend(meant);
                }
            }
        }
    }
    Ok(selected)
}

/// The suites that a name stands for.
fn suites_named(
    name: &str,
    possible: &[SupportedCipherSuite],
) -> Option<Vec<SupportedCipherSuite>> {
    if ALL.contains(&name) {
        return Some(possible.to_vec());
    }
    let is_meant = |suite: &&SupportedCipherSuite| {
        openssl_name(**suite) == Some(name) || suite.suite().as_str() == Some(name)
    };
    possible.iter().find(is_meant).map(|&suite| vec![suite])
}

fn openssl_name(suite: SupportedCipherSuite) -> Option<&'static str> {
    let mut known = OPENSSL_NAMES.iter();
    known
        .find(|(_, number)| *number == suite.suite())
        .map(|(name, _)| *name)
}

fn unknown(word: &str, possible: &[SupportedCipherSuite]) -> TlsProblem {
    let names = possible.iter().filter_map(|&suite| openssl_name(suite));
    let names: Vec<&str> = names.chain(["DEFAULT"]).collect();
    TlsProblem::UnknownCipher {
        word: word.into(),
        possible: names.join(", "),
    }
}
