//! What configuration files say of secure channels: `tls.conf`, which all programs of PCP share, and
//! the same settings under their names in `pmproxy.conf`.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

/// The largest `tls.conf` that is read, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// A setting and where it stands, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(super) place: String,
    pub(super) value: String,
}

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    settings: Vec<(Meaning, Setting)>,
}

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Certificate,
    PrivateKey,
    AuthorityFile,
    AuthorityFolder,
    Ciphers,
    Ciphersuites,
    ClientCertificate,
    ClientPrivateKey,
    VerifyClients,
}

/// The names in `tls.conf`.
const IN_TLS_CONF: &[(&str, Meaning)] = &[
    ("tls-ca-cert-dir", Meaning::AuthorityFolder),
    ("tls-ca-cert-file", Meaning::AuthorityFile),
    ("tls-cert-file", Meaning::Certificate),
    ("tls-ciphers", Meaning::Ciphers),
    ("tls-ciphersuites", Meaning::Ciphersuites),
    ("tls-client-cert-file", Meaning::ClientCertificate),
    ("tls-client-key-file", Meaning::ClientPrivateKey),
    ("tls-key-file", Meaning::PrivateKey),
    ("tls-verify-clients", Meaning::VerifyClients),
];

/// The names in section `[pmproxy]` of `pmproxy.conf`.
const IN_PMPROXY_CONF: &[(&str, Meaning)] = &[
    ("authority", Meaning::AuthorityFile),
    ("certificates", Meaning::Certificate),
    ("cipher_list", Meaning::Ciphers),
    ("cipher_suites", Meaning::Ciphersuites),
    ("private_key", Meaning::PrivateKey),
];

impl TlsSettings {
    /// Reads `tls.conf`, and gives remarks for the log. One that is missing says nothing.
    pub(super) fn read(path: &Path) -> Result<(TlsSettings, Vec<String>)> {
        match contents(path) {
            Ok(text) => TlsSettings::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Default::default()),
            Err(error) => Err(anyhow!(
                "cannot read {} (see PCP_TLSCONF_PATH): {}",
                path.display(),
                gate::describe(&error)
            )),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<(TlsSettings, Vec<String>)> {
        let mut found = TlsSettings::default();
        let mut unknown = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let place = || format!("{}:{}", path.display(), index + 1);
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, value) = line
                .split_once(['=', ':'])
                .with_context(|| format!("{}: expected NAME = VALUE", place()))?;
            let (name, value) = (name.trim_end(), value.trim_start());
            let Some(key) = meaning_of(name, IN_TLS_CONF) else {
                unknown.push(name.to_owned());
                continue;
            };
            if value.contains(char::is_whitespace) {
                bail!("{}: {name}: the value has a space in it", place());
            }
            found.put(key, format!("{}: {name}", path.display()), value);
        }
        let remark = || {
            let unknown = unknown.join(", ");
            format!("{}: unknown and ignored: {unknown}", path.display())
        };
        let remarks = (!unknown.is_empty()).then(remark).into_iter().collect();
        Ok((found, remarks))
    }

    /// Takes a setting of `pmproxy.conf`, if it is about secure channels, and says so.
    pub(crate) fn set(&mut self, name: &str, value: &str, path: &Path) -> bool {
        let Some(key) = meaning_of(name, IN_PMPROXY_CONF) else {
            return false;
        };
        let place = format!("{}: [pmproxy] {name}", path.display());
        self.put(key, place, value);
        true
    }

    /// The last one counts, and an empty one is none.
    fn put(&mut self, key: Meaning, place: String, value: &str) {
        self.settings.retain(|(known, _)| *known != key);
        if !value.is_empty() {
            let value = value.into();
            self.settings.push((key, Setting { place, value }));
        }
    }

    pub(super) fn get(&self, key: Meaning) -> Option<&Setting> {
        let mut settings = self.settings.iter();
        settings
            .find(|(known, _)| *known == key)
            .map(|(_, setting)| setting)
    }

    /// A certificate and its private key, of which neither can be without the other.
    pub(super) fn pair(
        &self,
        first: Meaning,
        second: Meaning,
    ) -> Result<Option<(&Setting, &Setting)>> {
        match (self.get(first), self.get(second)) {
            (None, None) => Ok(None),
            (Some(first), Some(second)) => Ok(Some((first, second))),
            (Some(alone), None) => bail!("{} needs a private key beside it", alone.place),
            (None, Some(alone)) => bail!("{} needs a certificate beside it", alone.place),
        }
    }
}

impl Setting {
    /// The value as a path, which must not depend on where the daemon is.
    pub(super) fn path(&self) -> Result<PathBuf> {
        let path = PathBuf::from(&self.value);
        if path.is_absolute() {
            Ok(path)
        } else {
            bail!("{} = {}: expected an absolute path", self.place, self.value)
        }
    }

    /// The value as a yes or no, as libpcp takes it.
    pub(super) fn is_on(&self) -> Result<bool> {
        match self.value.as_str() {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            other => bail!("{} = {other}: expected true or false", self.place),
        }
    }
}

fn meaning_of(name: &str, names: &[(&str, Meaning)]) -> Option<Meaning> {
    let mut names = names.iter();
    names.find(|(known, _)| *known == name).map(|(_, key)| *key)
}

fn contents(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = OpenOptions::new()
        .read(true)
        // A pipe that nobody writes to would hold the daemon up.
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    let read = file.take(MAX_SIZE).read_to_string(&mut text)?;
    if read as u64 == MAX_SIZE {
        let what = format!("it is larger than {MAX_SIZE} bytes");
        return Err(io::Error::other(what));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(TlsSettings, Vec<String>)> {
        TlsSettings::parse(text, Path::new("tls.conf"))
    }

    #[test]
    fn settings_are_read_the_way_libpcp_reads_them() {
        let text = "# comment\n\n  tls-key-file = /a/key # mine\ntls-cert-file: /a/crt\n\
                    tls-ciphers=DEFAULT:!MEDIUM\ntls-verify-clients = yes\ntls-ca-cert-file =\n\
                    tls-key-file=/b/key\ntls-colour = blue\n";
        let (settings, remarks) = parse(text).unwrap();
        let value = |key| settings.get(key).map(|setting| setting.value.as_str());
        assert_eq!(value(Meaning::PrivateKey), Some("/b/key"));
        assert_eq!(value(Meaning::Certificate), Some("/a/crt"));
        assert_eq!(value(Meaning::Ciphers), Some("DEFAULT:!MEDIUM"));
        assert_eq!(value(Meaning::AuthorityFile), None);
        assert!(
            settings
                .get(Meaning::VerifyClients)
                .unwrap()
                .is_on()
                .unwrap()
        );
        assert_eq!(remarks, ["tls.conf: unknown and ignored: tls-colour"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert_eq!(
            error("\ntls-key-file /a\n"),
            "tls.conf:2: expected NAME = VALUE"
        );
        assert_eq!(
            error("tls-key-file = /a b\n"),
            "tls.conf:1: tls-key-file: the value has a space in it"
        );
        let (settings, _) = parse("tls-verify-clients = perhaps\ntls-key-file = key\n").unwrap();
        let verify = settings.get(Meaning::VerifyClients).unwrap();
        assert_eq!(
            verify.is_on().unwrap_err().to_string(),
            "tls.conf: tls-verify-clients = perhaps: expected true or false"
        );
        let key = settings.get(Meaning::PrivateKey).unwrap();
        assert!(
            key.path()
                .unwrap_err()
                .to_string()
                .ends_with("expected an absolute path")
        );
        let pair = settings.pair(Meaning::Certificate, Meaning::PrivateKey);
        assert_eq!(
            pair.unwrap_err().to_string(),
            "tls.conf: tls-key-file needs a certificate beside it"
        );
    }

    #[test]
    fn only_a_missing_file_says_nothing() {
        let missing = TlsSettings::read(Path::new("/no/such/tls.conf")).unwrap();
        assert_eq!(missing, (TlsSettings::default(), Vec::new()));
        assert!(TlsSettings::read(Path::new("/dev/null")).is_ok());
        let error = TlsSettings::read(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().ends_with("larger than 1048576 bytes"));
        assert!(TlsSettings::read(Path::new("/")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_settings_or_an_error(text in r"([=:# \n]|tls-[a-z-]{0,12}|\PC)*") {
            let _ = parse(&text);
        }
    }
}
