//! Where the certificates come from, and the secure channels that can be made with them. The
//! channels themselves are `gate`'s.

mod nss;
mod tls_conf;

use std::path::{PathBuf, absolute};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gate::lifecycle::Account;
use gate::tls::{
    Authorities, Ciphers, ClientCertificates, ClientConfig, Identity, ServerConfig, Tolerance,
    client_config, server_config,
};
use pcp_env::Environment;

use crate::options::Options;
use nss::Database;
use tls_conf::Meaning;
pub(crate) use tls_conf::TlsSettings;

/// How often a certificate is looked at that may be about to end.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where certificates are looked for. What lies there may change; the places do not.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// `-C`, `-M` and `-P`
    database: Option<Database>,
    /// `PCP_TLSCONF_PATH`
    tls_conf: Option<PathBuf>,
    /// `-Q`
    require_clients: bool,
    /// `PCP_ALLOW_BAD_CERT_DOMAIN`, `PCP_ALLOW_SERVER_SELF_CERT`
    tolerance: Tolerance,
    /// Who the daemon runs as.
    user: u32,
}

/// What is found at the place that the certificate comes from.
struct Own {
    identity: Identity,
    /// The place, for messages.
    source: String,
    /// Whom it trusts to issue the certificates of servers, and of clients.
    of_servers: Authorities,
    of_clients: Authorities,
}

/// What secure channels are made with.
#[derive(Debug)]
pub(crate) struct SecureChannels {
    identity: Identity,
    source: String,
    unasked: Arc<ServerConfig>,
    welcome: Arc<ServerConfig>,
    /// Missing where no authority of clients is known.
    required: Option<Arc<ServerConfig>>,
    client: Arc<ClientConfig>,
    clients_required: bool,
    authorities: usize,
}

/// What a look at the sources gives.
#[derive(Debug)]
pub(crate) struct Found {
    /// None when secure channels pass through end to end.
    pub(crate) channels: Option<SecureChannels>,
    /// What the log should say.
    pub(crate) remarks: Vec<String>,
}

impl Sources {
    /// What the options and the environment say of certificates.
    pub(crate) fn new(
        options: &Options,
        environment: &Environment,
        account: Option<&Account>,
    ) -> Result<Sources> {
        let tls_conf = environment.path("PCP_TLSCONF_PATH");
        Ok(Sources {
            database: Database::of_options(
                options.certificate_database.as_deref(),
                options.certificate_name.as_deref(),
                options.password_file.as_deref(),
            )?,
            tls_conf: tls_conf.map(absolute).transpose()?,
            require_clients: options.require_certificates,
            tolerance: Tolerance {
                bad_name: environment.is_set("PCP_ALLOW_BAD_CERT_DOMAIN"),
                self_signed: environment.is_set("PCP_ALLOW_SERVER_SELF_CERT"),
            },
            user: account.map_or_else(Account::current_uid, Account::uid),
        })
    }

    /// Reads the certificates with the rights that the process has. `settings` are those of
    /// `pmproxy.conf`.
    pub(crate) fn load(&self, enabled: bool, settings: &TlsSettings) -> Result<Found> {
        let mut remarks = Vec::new();
        let channels = if enabled {
            self.load_enabled(settings, &mut remarks)?
        } else {
            remarks.push("secure.enabled = false: secure channels pass through end to end".into());
            None
        };
        if channels.is_none() && self.require_clients {
            bail!(
                "-Q: client certificates cannot be required without a certificate of pmproxy's \
                 own (see -C, or certificates in pmproxy.conf){}",
                remarks
                    .last()
                    .map(|last| format!(": {last}"))
                    .unwrap_or_default()
            );
        }
        if let Some(channels) = &channels {
            remarks.push(channels.describe());
        }
        Ok(Found { channels, remarks })
    }

    fn load_enabled(
        &self,
        settings: &TlsSettings,
        remarks: &mut Vec<String>,
    ) -> Result<Option<SecureChannels>> {
        let (shared, ignored) = match &self.tls_conf {
            Some(path) => TlsSettings::read(path)?,
            None => Default::default(),
        };
        remarks.extend(ignored);
        // The first one that has something to say wins.
        let files = [settings, &shared];
        let Some(own) = self.own(&files, remarks)? else {
            return Ok(None);
        };
        self.channels(own, &files).map(Some)
    }

    /// The certificate and where it comes from: the options, then the files, then the usual
    /// database, which may be missing.
    fn own(&self, files: &[&TlsSettings], remarks: &mut Vec<String>) -> Result<Option<Own>> {
        if let Some(database) = &self.database {
            return database.load(self.user).map(Some);
        }
        for file in files {
            if let Some(identity) =
                self.pem_identity(file, Meaning::Certificate, Meaning::PrivateKey)?
            {
                return Ok(Some(identity));
            }
        }
        match Database::usual().load(self.user) {
            Ok(own) => Ok(Some(own)),
            Err(error) => {
                remarks.push(format!(
                    "no certificate: secure channels pass through end to end ({error:#})"
                ));
                Ok(None)
            }
        }
    }

    fn pem_identity(
        &self,
        file: &TlsSettings,
        certificate: Meaning,
        key: Meaning,
    ) -> Result<Option<Own>> {
        let Some((certificate, key)) = file.pair(certificate, key)? else {
            return Ok(None);
        };
        let (chain, secret) = (certificate.path()?, key.path()?);
        let identity = Identity::from_pem_files(&chain, &secret, self.user)
            .with_context(|| format!("{} and {}", certificate.place, key.place))?;
        Ok(Some(Own {
            identity,
            source: chain.display().to_string(),
            of_servers: Authorities::default(),
            of_clients: Authorities::default(),
        }))
    }

    fn channels(&self, own: Own, files: &[&TlsSettings]) -> Result<SecureChannels> {
        let configured = configured_authorities(files)?;
        let or_configured = |authorities: Authorities| {
            if authorities.is_empty() {
                configured.clone()
            } else {
                authorities
            }
        };
        let of_servers = or_configured(own.of_servers);
        let of_clients = or_configured(own.of_clients);
        let ciphers = ciphers(files)?;
        let verify = first(files, Meaning::VerifyClients).map(tls_conf::Setting::is_on);
        let clients_required = self.require_clients || verify.transpose()?.unwrap_or(false);
        let server = |clients| server_config(&own.identity, clients, &of_clients, &ciphers);
        let required = match server(ClientCertificates::Required) {
            Ok(config) => Some(config),
            Err(error) if clients_required => return Err(self.cannot_require(error)),
            Err(_) => None,
        };
        Ok(SecureChannels {
            unasked: server(ClientCertificates::Unasked)?,
            welcome: server(ClientCertificates::Welcome)?,
            required,
            client: client_config(
                Some(&self.shown_to_pmcd(&own.identity, files)?),
                &of_servers,
                &ciphers,
                self.tolerance,
            )?,
            clients_required,
            authorities: of_clients.and(of_servers).len(),
            identity: own.identity,
            source: own.source,
        })
    }

    /// `tls.conf` may have a certificate of its own for the client's side.
    fn shown_to_pmcd(&self, own: &Identity, files: &[&TlsSettings]) -> Result<Identity> {
        for file in files {
            let (certificate, key) = (Meaning::ClientCertificate, Meaning::ClientPrivateKey);
            if let Some(other) = self.pem_identity(file, certificate, key)? {
                return Ok(other.identity);
            }
        }
        Ok(own.clone())
    }

    fn cannot_require(&self, error: gate::tls::TlsError) -> anyhow::Error {
        let who = if self.require_clients {
            "-Q"
        } else {
            "tls-verify-clients"
        };
        anyhow::Error::new(error).context(format!(
            "{who} (authorities: tls-ca-cert-file, authority in pmproxy.conf, or `certutil -t T`)"
        ))
    }
}

fn first<'a>(files: &[&'a TlsSettings], key: Meaning) -> Option<&'a tls_conf::Setting> {
    files.iter().find_map(|file| file.get(key))
}

/// The authorities of the first file that has any.
fn configured_authorities(files: &[&TlsSettings]) -> Result<Authorities> {
    for file in files {
        let mut authorities = Authorities::default();
        if let Some(setting) = file.get(Meaning::AuthorityFile) {
            let found = Authorities::from_file(&setting.path()?);
            authorities = authorities.and(found.with_context(|| setting.place.clone())?);
        }
        if let Some(setting) = file.get(Meaning::AuthorityFolder) {
            let found = Authorities::from_folder(&setting.path()?);
            authorities = authorities.and(found.with_context(|| setting.place.clone())?);
        }
        if !authorities.is_empty() {
            return Ok(authorities);
        }
    }
    Ok(Authorities::default())
}

fn ciphers(files: &[&TlsSettings]) -> Result<Ciphers> {
    let list = |key| {
        let setting = first(files, key);
        setting.map(|setting| (setting.place.as_str(), setting.value.as_str()))
    };
    Ok(Ciphers::parse(
        list(Meaning::Ciphers),
        list(Meaning::Ciphersuites),
    )?)
}

impl SecureChannels {
    /// For the side towards clients. None where certificates are required and no authority is
    /// known that could have issued them.
    #[expect(dead_code, reason = "sessions take it into use")]
    pub(crate) fn server(&self, clients: ClientCertificates) -> Option<&Arc<ServerConfig>> {
        match clients {
            ClientCertificates::Unasked => Some(&self.unasked),
            ClientCertificates::Welcome => Some(&self.welcome),
            ClientCertificates::Required => self.required.as_ref(),
        }
    }

    /// For the side towards pmcd.
    #[expect(dead_code, reason = "sessions take it into use")]
    pub(crate) fn client(&self) -> &Arc<ClientConfig> {
        &self.client
    }

    /// Whether clients that are not local must have a trusted certificate (`-Q`,
    /// `tls-verify-clients`).
    #[expect(dead_code, reason = "sessions take it into use")]
    pub(crate) fn clients_are_required(&self) -> bool {
        self.clients_required
    }

    fn describe(&self) -> String {
        let (subject, source) = (self.identity.subject(), &self.source);
        let until = self.identity.expires_text();
        let trusted = match self.authorities {
            0 => "no authority is trusted".into(),
            1 => "1 authority is trusted".into(),
            count => format!("{count} authorities are trusted"),
        };
        format!(
            "secure channels end here with {subject}, from {source}, valid until {until}; {trusted}"
        )
    }

    fn expiry_warning(&self) -> Option<String> {
        let warning = self.identity.expiry_warning()?;
        Some(format!("{warning} (it is from {})", self.source))
    }
}

/// The secure channels of a running daemon; SIGHUP can exchange them.
#[derive(Debug)]
pub(crate) struct Certificates {
    sources: Sources,
    current: RwLock<Option<Arc<SecureChannels>>>,
}

impl Certificates {
    pub(crate) fn new(sources: Sources, channels: Option<SecureChannels>) -> Certificates {
        Certificates {
            sources,
            current: RwLock::new(channels.map(Arc::new)),
        }
    }

    /// What new handshakes are to use; none when secure channels pass through end to end.
    pub(crate) fn current(&self) -> Option<Arc<SecureChannels>> {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the certificates anew and gives remarks for the log.
    ///
    /// # Errors
    /// Where that fails, those from before stay in use.
    pub(crate) fn reload(&self, enabled: bool, settings: &TlsSettings) -> Result<Vec<String>> {
        let found = self.sources.load(enabled, settings)?;
        if enabled && found.channels.is_none() && self.are_of_usual_database() {
            // What was optional once is in use now.
            bail!("{}", found.remarks.join("; "));
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = found.channels.map(Arc::new);
        Ok(found.remarks)
    }

    fn are_of_usual_database(&self) -> bool {
        let usual = Database::usual().source();
        self.current()
            .is_some_and(|current| current.source == usual)
    }

    /// Warns of the end of the certificate, now and once a day.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut days = tokio::time::interval(DAY);
        loop {
            days.tick().await;
            self.warn();
        }
    }

    /// Warns if the certificate is not valid or soon will not be.
    pub(crate) fn warn(&self) {
        if let Some(warning) = self.expiry_warning() {
            tracing::warn!("{warning}");
        }
    }

    /// What to tell if the certificate is not valid or soon will not be.
    pub(crate) fn expiry_warning(&self) -> Option<String> {
        self.current()?.expiry_warning()
    }
}
