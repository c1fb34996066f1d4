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
    Authorities, Ciphers, ClientCertificates, Identity, Tolerance, client_config, server_config,
};
use pcp_env::Environment;

use crate::options::Options;
use crate::secure_channels::{SecureChannels, ServerSide};
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

/// What a look at the sources gives.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) channels: SecureChannels,
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
        let (shared, ignored) = match &self.tls_conf {
            Some(path) => TlsSettings::read(path)?,
            None => Default::default(),
        };
        remarks.extend(ignored);
        // The first one that has something to say wins.
        let files = [settings, &shared];
        let own = if enabled {
            self.own(&files, &mut remarks)?
        } else {
            remarks.push("secure.enabled = false: secure channels pass through end to end".into());
            None
        };
        if own.is_none() && self.require_clients {
            bail!(
                "-Q: client certificates cannot be required without a certificate of pmproxy's \
                 own (see -C, or certificates in pmproxy.conf){}",
                remarks
                    .last()
                    .map(|last| format!(": {last}"))
                    .unwrap_or_default()
            );
        }
        let channels = self.channels(own, &files)?;
        remarks.extend(channels.server.as_ref().map(ServerSide::describe));
        Ok(Found { channels, remarks })
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

    fn channels(&self, own: Option<Own>, files: &[&TlsSettings]) -> Result<SecureChannels> {
        let configured = configured_authorities(files)?;
        let ciphers = ciphers(files)?;
        let of_servers = match &own {
            Some(own) if !own.of_servers.is_empty() => &own.of_servers,
            _ => &configured,
        };
        let shown = self.shown_to_pmcd(own.as_ref(), files)?;
        let client = client_config(shown.as_ref(), of_servers, &ciphers, self.tolerance)?;
        let server = own
            .map(|own| self.server_side(own, configured.clone(), &ciphers, files))
            .transpose()?;
        Ok(SecureChannels { server, client })
    }

    fn server_side(
        &self,
        own: Own,
        configured: Authorities,
        ciphers: &Ciphers,
        files: &[&TlsSettings],
    ) -> Result<ServerSide> {
        let of_clients = if own.of_clients.is_empty() {
            configured
        } else {
            own.of_clients
        };
        let verify = first(files, Meaning::VerifyClients).map(tls_conf::Setting::is_on);
        let requires_certificates = self.require_clients || verify.transpose()?.unwrap_or(false);
        let server = |clients| server_config(&own.identity, clients, &of_clients, ciphers);
        let required = match server(ClientCertificates::Required) {
            Ok(config) => Some(config),
            Err(error) if requires_certificates => return Err(self.cannot_require(error)),
            Err(_) => None,
        };
        Ok(ServerSide {
            welcome: server(ClientCertificates::Welcome)?,
            required,
            requires_certificates,
            authorities: of_clients.and(own.of_servers).len(),
            identity: own.identity,
            source: own.source,
        })
    }

    /// `tls.conf` may have a certificate of its own for the client's side.
    fn shown_to_pmcd(&self, own: Option<&Own>, files: &[&TlsSettings]) -> Result<Option<Identity>> {
        for file in files {
            let (certificate, key) = (Meaning::ClientCertificate, Meaning::ClientPrivateKey);
            if let Some(other) = self.pem_identity(file, certificate, key)? {
                return Ok(Some(other.identity));
            }
        }
        Ok(own.map(|own| own.identity.clone()))
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

/// The secure channels of a running daemon; SIGHUP can exchange them.
#[derive(Debug)]
pub(crate) struct Certificates {
    sources: Sources,
    current: RwLock<Arc<SecureChannels>>,
}

impl Certificates {
    pub(crate) fn new(sources: Sources, channels: SecureChannels) -> Certificates {
        Certificates {
            sources,
            current: RwLock::new(Arc::new(channels)),
        }
    }

    /// What new handshakes are to use.
    pub(crate) fn current(&self) -> Arc<SecureChannels> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the certificates anew and gives remarks for the log.
    ///
    /// # Errors
    /// Where that fails, those from before stay in use.
    pub(crate) fn reload(&self, enabled: bool, settings: &TlsSettings) -> Result<Vec<String>> {
        let found = self.sources.load(enabled, settings)?;
        if enabled && found.channels.server.is_none() && self.are_of_usual_database() {
            // What was optional once is in use now.
            bail!("{}", found.remarks.join("; "));
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(found.channels);
        Ok(found.remarks)
    }

    fn are_of_usual_database(&self) -> bool {
        let usual = Database::usual().source();
        let current = self.current();
        let server = current.server.as_ref();
        server.is_some_and(|server| server.source == usual)
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
        self.current().server.as_ref()?.expiry_warning()
    }
}
