//! Reads the files and puts them together; every problem is told, not only the first.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gate::lifecycle::Account;
use gate::policy::Wildcard;
use gate::tls::{
    Authorities, Certificate, Ciphers, Identity, RevocationLists, ServerConfig, TlsError, Trust,
    vetting_server_config,
};

use super::Places;
use super::sanity::{self, Flaw, Role};
use crate::config;

/// What handshakes are made with.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    pub(super) trust: Arc<Trust>,
    /// Whether a client without an accepted certificate is refused.
    pub(super) enforced: bool,
    /// Whose names are allowed; `None` for everyone's.
    pub(super) allowed: Option<Vec<Wildcard>>,
    identity: Identity,
    /// Where the certificate is from.
    source: String,
    /// What the sanity checks have found that is no error.
    remarks: Vec<String>,
}

/// All that is wrong with the files and settings of TLS.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LoadError(Vec<String>);

impl LoadError {}

#[cfg(test)]
impl LoadError {
    pub(super) fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for LoadError {}

impl Loaded {
    pub(super) fn read(settings: &config::Tls, places: &Places) -> Result<Loaded, LoadError> {
        let mut problems = Problems::default();
        let identity = problems.note(identity(settings, places));
        let (key, path) = named(settings.ca_file.as_deref(), "ca_file", &places.authority);
        let authorities = problems.note(Authorities::from_file(path).map_err(told(&key)));
        let lists = problems.note(revocation_lists(settings, places));
        let ciphers = problems.note(ciphers(settings.priority.as_deref()));
        let (Some(identity), Some(authorities), Some(lists), Some(ciphers)) =
            (identity, authorities, lists, ciphers)
        else {
            return Err(LoadError(problems.0));
        };
        let mut remarks = Vec::new();
        if settings.sanity_check {
            look_over(settings, places, &identity, &authorities, &mut |flaw| {
                if flaw.fatal {
                    problems.0.push(flaw.text);
                } else {
                    remarks.push(flaw.text);
                }
            });
        }
        if !problems.0.is_empty() {
            return Err(LoadError(problems.0));
        }
        let trust = Arc::new(Trust::new(authorities, lists));
        let enforced = settings.verify_clients;
        let config = vetting_server_config(&identity, &trust, enforced, &ciphers)
            .map_err(|error| LoadError(vec![error.to_string()]))?;
        let allowed = settings.allowed_names.as_deref();
        let (_, source) = named(
            settings.cert_file.as_deref(),
            "cert_file",
            &places.certificate,
        );
        Ok(Loaded {
            config,
            trust,
            enforced,
            allowed: allowed.map(|names| names.iter().map(|name| Wildcard::glob(name)).collect()),
            identity,
            source: source.display().to_string(),
            remarks,
        })
    }

    /// What the log says about it.
    pub(crate) fn describe(&self) -> String {
        let (subject, source) = (self.identity.subject(), &self.source);
        let until = self.identity.expires_text();
        let clients = match (self.enforced, &self.allowed) {
            (false, _) => "clients need no certificate".into(),
            (true, None) => "clients need a certificate of a trusted authority".into(),
            (true, Some(names)) => format!(
                "clients need a certificate of a trusted authority with one of {} allowed names",
                names.len()
            ),
        };
        format!("TLS with {subject}, from {source}, valid until {until}; {clients}")
    }

    /// What the log should warn of, now and once a day.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.remarks.clone();
        warnings.extend(self.identity.expiry_warning());
        warnings.extend(self.trust.warnings());
        if !self.enforced && self.allowed.is_some() {
            warnings.push(
                "tls_allowed_dn_list keeps nobody out while tls_no_verify_certificate is set"
                    .into(),
            );
        }
        warnings
    }
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn note<T>(&mut self, result: Result<T, Vec<String>>) -> Option<T> {
        result.map_err(|problems| self.0.extend(problems)).ok()
    }
}

/// The file that a setting names, or the usual one, and what an error calls the setting.
fn named<'a>(set: Option<&'a Path>, key: &str, usual: &'a Path) -> (String, &'a Path) {
    match set {
        Some(path) => (key.to_owned(), path),
        None => (format!("{key} (not set)"), usual),
    }
}

/// An error with the setting that it belongs to.
fn told(key: &str) -> impl Fn(TlsError) -> Vec<String> {
    move |error| vec![format!("{key}: {error}")]
}

/// Key and certificate; where both are wrong, both are told.
fn identity(settings: &config::Tls, places: &Places) -> Result<Identity, Vec<String>> {
    let (cert_key, certificate) = named(
        settings.cert_file.as_deref(),
        "cert_file",
        &places.certificate,
    );
    let (key_key, key) = named(settings.key_file.as_deref(), "key_file", &places.key);
    Identity::from_pem_files_or_all_errors(certificate, key, Account::current_uid()).map_err(
        |problems| {
            let of_key = key.display().to_string();
            let problems = problems.into_iter().map(|problem| {
                let key = if problem.place == of_key {
                    &key_key
                } else {
                    &cert_key
                };
                format!("{key}: {problem}")
            });
            problems.collect()
        },
    )
}

/// A list at the usual place may be missing, one that is named may not: it was meant to keep
/// somebody out.
fn revocation_lists(
    settings: &config::Tls,
    places: &Places,
) -> Result<RevocationLists, Vec<String>> {
    let (key, path) = named(
        settings.crl_file.as_deref(),
        "crl_file",
        &places.revocations,
    );
    match RevocationLists::from_file(path) {
        Err(error) if settings.crl_file.is_none() && error.is_missing() => {
            Ok(RevocationLists::default())
        }
        result => result.map_err(told(&key)),
    }
}

fn ciphers(priority: Option<&str>) -> Result<Ciphers, Vec<String>> {
    Ciphers::from_priority("tls_priority", priority.unwrap_or("NORMAL"))
        .map_err(|error| vec![error.to_string()])
}

/// Checks what is shown to clients, and the authorities that they will check it against.
fn look_over(
    settings: &config::Tls,
    places: &Places,
    identity: &Identity,
    authorities: &Authorities,
    found: &mut impl FnMut(Flaw),
) {
    let (key, path) = named(
        settings.cert_file.as_deref(),
        "cert_file",
        &places.certificate,
    );
    let place = format!("{key}: {}", path.display());
    let own = identity.chain().first();
    if let Some(Ok(certificate)) = own.map(|der| Certificate::from_der(der)) {
        sanity::check(&certificate, Role::Server, &place)
            .into_iter()
            .for_each(&mut *found);
    }
    let (ca_key, ca_path) = named(settings.ca_file.as_deref(), "ca_file", &places.authority);
    let ca_place = format!("{ca_key}: {}", ca_path.display());
    for authority in authorities.certificates() {
        if let Ok(certificate) = Certificate::from_der(authority) {
            sanity::check(&certificate, Role::Authority, &ca_place)
                .into_iter()
                .for_each(&mut *found);
        }
    }
    if let Err(error) = authorities.vouch_for(identity.chain(), &place) {
        let text = format!("{error} ({ca_place})");
        found(Flaw { fatal: true, text });
    }
}
