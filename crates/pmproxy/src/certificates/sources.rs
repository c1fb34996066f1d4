//! The places where certificates are looked for, which of them wins, and what is made of what lies
//! there. Nothing is opened but those files.

use std::path::{PathBuf, absolute};

use anyhow::{Context, Result, bail};
use gate::lifecycle::Account;
use gate::tls::{
    Authorities, Ciphers, ClientCertificates, Identity, TlsError, Tolerance, client_config,
    server_config,
};
use pcp_env::Environment;

use super::Found;
use super::nss::Database;
use super::tls_conf::{Meaning, Setting, TlsSettings};
use crate::options::Options;
use crate::secure_channels::{SecureChannels, ServerSide};

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
pub(super) struct Own {
    pub(super) identity: Identity,
    /// The place, for messages.
    pub(super) source: String,
    /// Whom it trusts to issue the certificates of servers, and of clients.
    pub(super) of_servers: Authorities,
    pub(super) of_clients: Authorities,
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
        let verify = first(files, Meaning::VerifyClients).map(Setting::is_on);
        let requires_certificates = self.require_clients || verify.transpose()?.unwrap_or(false);
        let server = |clients| server_config(&own.identity, clients, &of_clients, ciphers);
        if requires_certificates {
            server(ClientCertificates::Required).map_err(|error| self.cannot_require(error))?;
        }
        Ok(ServerSide {
            config: server(ClientCertificates::Welcome)?,
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

    fn cannot_require(&self, error: TlsError) -> anyhow::Error {
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

fn first<'a>(files: &[&'a TlsSettings], key: Meaning) -> Option<&'a Setting> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sources(variables: &[&str]) -> Sources {
        let mut process = BTreeMap::from([("PCP_CONF".to_owned(), "/dev/null".into())]);
        process.extend(variables.iter().map(|name| ((*name).to_owned(), "".into())));
        let environment = Environment::from_variables(process).unwrap();
        Sources::new(&Options::default(), &environment, None).unwrap()
    }

    #[test]
    fn what_is_tolerated_of_pmcd_is_in_the_environment() {
        let tolerated = |variables| {
            let tolerance = sources(variables).tolerance;
            (tolerance.bad_name, tolerance.self_signed)
        };
        assert_eq!(tolerated(&[]), (false, false));
        assert_eq!(tolerated(&["PCP_ALLOW_BAD_CERT_DOMAIN"]), (true, false));
        assert_eq!(tolerated(&["PCP_ALLOW_SERVER_SELF_CERT"]), (false, true));
    }

    #[test]
    fn the_usual_tls_conf_is_that_of_the_installation() {
        assert_eq!(sources(&[]).tls_conf, Some("/etc/pcp/tls.conf".into()));
    }
}
