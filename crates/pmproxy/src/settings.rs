//! Everything that the daemon is told, from the command line, the environment and the
//! configuration, checked before anything is opened.

use std::fmt;
use std::path::{PathBuf, absolute};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gate::lifecycle::{Account, UserError};
use pcp_env::{DebugOptions, Environment, PortSet, connect_timeout, request_timeout};
use pcp_proto::{PMPROXY_PORT, PduLimit};

use crate::certificates::{Certificates, Sources};
use crate::config::Config;
use crate::opening::Demands;
use crate::options::{Mode, Options};
use crate::request_ports::Interface;

/// The longest queue of clients that wait to be taken, unless `PMPROXY_MAXPENDING` says otherwise.
const MAX_PENDING: i32 = 1024;

/// The user of PCP's daemons where nothing else is said; a machine may lack it.
const USUAL_USER: &str = "pcp";

/// What the daemon is told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// Whether clients on the network may find the daemon by DNS-SD.
    pub(crate) advertise: bool,
    /// The user to become; none to stay.
    pub(crate) account: Option<Account>,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) ports: PortSet,
    pub(crate) socket: PathBuf,
    pub(crate) max_pending: i32,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) pdu_limit: PduLimit,
    /// How long the daemon is to serve; without end if nothing is said.
    pub(crate) run_time: Option<Duration>,
    pub(crate) debug: DebugOptions,
    pub(crate) log: PathBuf,
    pub(crate) pid_file: PathBuf,
    pub(crate) admin_socket: PathBuf,
    /// Where pmcd's PMDA looks for our metrics.
    pub(crate) metrics_folder: PathBuf,
    pub(crate) config: Config,
    pub(crate) config_source: ConfigSource,
    /// What secure channels are made with.
    pub(crate) certificates: Arc<Certificates>,
    /// `-S` and `PCP_SECURE_SOCKETS`
    pub(crate) demands: Demands,
    /// What the log should say before the work begins.
    pub(crate) remarks: Vec<String>,
}

/// What `PCP_SECURE_SOCKETS` wants of the connections to pmcd, as it does for libpcp's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecurePmcd {
    /// They are as the client wants them.
    AsAsked,
    /// They are secure if pmcd can do it.
    Relaxed,
    /// They are secure, or they are not made.
    Enforced,
}

impl SecurePmcd {
    /// A value that libpcp does not know means nothing to it, and is passed over here too.
    fn find(environment: &Environment, remarks: &mut Vec<String>) -> SecurePmcd {
        if !environment.is_set("PCP_SECURE_SOCKETS") {
            return SecurePmcd::AsAsked;
        }
        match environment.get("PCP_SECURE_SOCKETS").as_deref() {
            None | Some("enforce") => SecurePmcd::Enforced,
            Some("relaxed") => SecurePmcd::Relaxed,
            Some(other) => {
                remarks.push(format!(
                    "PCP_SECURE_SOCKETS={other} is ignored: expected nothing, enforce or relaxed"
                ));
                SecurePmcd::AsAsked
            }
        }
    }
}

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(crate) enum ConfigSource {
    /// `-c`
    Named(PathBuf),
    /// The usual file, which may be missing.
    Usual(PathBuf),
}

impl ConfigSource {
    /// The file of `-c`, or else the usual one. A daemon leaves its folder, so that the path must be
    /// absolute.
    pub(crate) fn find(named: Option<PathBuf>, environment: &Environment) -> Result<ConfigSource> {
        Ok(match named {
            Some(path) => ConfigSource::Named(absolute(path)?),
            None => {
                let usual = environment.sysconf_dir().join("pmproxy/pmproxy.conf");
                ConfigSource::Usual(absolute(usual)?)
            }
        })
    }

    /// Reads the configuration.
    pub(crate) fn read(&self) -> Result<Config> {
        let config = match self {
            ConfigSource::Named(path) => Config::read(path),
            ConfigSource::Usual(path) => Config::read_default(path),
        };
        // Its messages tell their causes themselves.
        config.map_err(anyhow::Error::msg)
    }
}

impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigSource::Named(path) => path.display().fmt(f),
            ConfigSource::Usual(path) if path.exists() => path.display().fmt(f),
            ConfigSource::Usual(path) => write!(f, "(built in: there is no {})", path.display()),
        }
    }
}

impl Settings {
    /// Puts together what the command line and the environment say.
    pub(crate) fn gather(options: Options, environment: &Environment) -> Result<Settings> {
        let config_source = ConfigSource::find(options.config.clone(), environment)?;
        let config = config_source.read()?;
        let run_dir = absolute(environment.run_dir())?;
        let admin_socket = admin_socket(environment, &config)?;
        let mut remarks = Vec::new();
        let account = account(
            options.mode,
            options.user.as_deref(),
            environment,
            &mut remarks,
        )?;
        let certificates = certificates(&options, environment, account.as_ref(), &config)?;
        remarks.extend(certificates.1);
        remarks.extend(options.without_effect.iter().map(|option| {
            format!("option {option} has no effect: this pmproxy has no time series service")
        }));
        remarks.extend(config.remarks.iter().cloned());
        let socket = options
            .socket
            .or_else(|| environment.path("PMPROXY_SOCKET"));
        Ok(Settings {
            mode: options.mode,
            advertise: !options.no_advertisement,
            account,
            interfaces: interfaces(&options.interfaces, environment, &mut remarks)?,
            ports: ports(options.ports, environment)?,
            socket: absolute(socket.unwrap_or(run_dir.join("pmproxy.socket")))?,
            max_pending: max_pending(environment)?,
            connect_timeout: connect_timeout(environment)?,
            request_timeout: request_timeout(environment)?,
            pdu_limit: options.pdu_limit.unwrap_or(PduLimit::DEFAULT),
            run_time: options.run_time,
            debug: options.debug,
            log: absolute(options.log.unwrap_or("pmproxy.log".into()))?,
            pid_file: run_dir.join("pmproxy.pid"),
            admin_socket,
            metrics_folder: absolute(environment.tmp_dir().join("pmproxy"))?,
            config,
            config_source,
            certificates: Arc::new(certificates.0),
            demands: Demands {
                authentication: options.require_authentication,
                way_to_pmcd: SecurePmcd::find(environment, &mut remarks),
            },
            remarks,
        })
    }

    /// Whether nobody but clients of this machine is to be served.
    pub(crate) fn is_local_only(&self) -> bool {
        self.interfaces == Interface::loopback()
    }
}

/// Reads the certificates as the daemon's user, who will read them again on SIGHUP, and gives
/// remarks for the log.
pub(crate) fn certificates(
    options: &Options,
    environment: &Environment,
    account: Option<&Account>,
    config: &Config,
) -> Result<(Certificates, Vec<String>)> {
    let sources = Sources::new(options, environment, account)?;
    let load = || sources.load(config.secure, &config.tls);
    let found = account.map_or_else(load, |account| account.with_file_rights(load))?;
    Ok((Certificates::new(sources, found.channels), found.remarks))
}

/// Where the daemon has its admin socket, and whoever asks it finds it.
pub(crate) fn admin_socket(environment: &Environment, config: &Config) -> Result<PathBuf> {
    let path = environment
        .path("PMPROXY_ADMIN_SOCKET")
        .or_else(|| config.admin_socket.clone())
        .unwrap_or_else(|| environment.run_dir().join("pmproxy.admin.socket"));
    Ok(absolute(path)?)
}

/// A daemon of root's becomes the user of PCP's daemons, if there is one; otherwise only `-U`
/// changes the user.
pub(crate) fn account(
    mode: Mode,
    named: Option<&str>,
    environment: &Environment,
    remarks: &mut Vec<String>,
) -> Result<Option<Account>> {
    if let Some(name) = named {
        let account = Account::find(name).and_then(|account| account.check().map(|()| account));
        return Ok(Some(account.with_context(|| format!("-U {name}"))?));
    }
    if mode == Mode::Foreground || !Account::is_root() {
        return Ok(None);
    }
    let user = environment.user();
    match Account::find(&user) {
        Ok(account) => Ok(Some(account)),
        Err(UserError::Unknown(_)) if user == USUAL_USER => {
            remarks.push(format!(
                "there is no user {user:?} on this machine: pmproxy stays root (see -U)"
            ));
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("PCP_USER={user}")),
    }
}

fn ports(mut ports: PortSet, environment: &Environment) -> Result<PortSet> {
    if let Some(list) = environment.get("PMPROXY_PORT") {
        ports.unite(
            list.parse()
                .with_context(|| format!("PMPROXY_PORT={list}"))?,
        );
    }
    if ports.is_empty() {
        ports = std::num::NonZeroU16::new(PMPROXY_PORT)
            .into_iter()
            .collect();
    }
    Ok(ports)
}

fn interfaces(
    named: &[String],
    environment: &Environment,
    remarks: &mut Vec<String>,
) -> Result<Vec<Interface>> {
    let local_only = match environment.get("PMPROXY_LOCAL").as_deref().map(str::trim) {
        None | Some("0") => false,
        Some("1") => true,
        Some(other) => bail!("PMPROXY_LOCAL={other}: expected 0 or 1"),
    };
    if local_only {
        if !named.is_empty() {
            remarks.push("PMPROXY_LOCAL=1: -i is ignored, only local clients are served".into());
        }
        return Ok(Interface::loopback());
    }
    if named.is_empty() {
        return Ok(Interface::any());
    }
    let mut interfaces = Vec::new();
    for name in named {
        for interface in Interface::find(name).with_context(|| format!("-i {name}"))? {
            if !interfaces.contains(&interface) {
                interfaces.push(interface);
            }
        }
    }
    Ok(interfaces)
}

fn max_pending(environment: &Environment) -> Result<i32> {
    let Some(text) = environment.get("PMPROXY_MAXPENDING") else {
        return Ok(MAX_PENDING);
    };
    match text.trim().parse() {
        Ok(count @ 1..=65535) => Ok(count),
        _ => bail!("PMPROXY_MAXPENDING={text}: expected a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn connections_to_pmcd_are_as_secure_as_the_environment_wants_them() {
        let found = |value: Option<&str>| {
            let mut process = BTreeMap::from([("PCP_CONF".to_owned(), "/dev/null".into())]);
            process.extend(value.map(|value| ("PCP_SECURE_SOCKETS".to_owned(), value.into())));
            let environment = Environment::from_variables(process).unwrap();
            let mut remarks = Vec::new();
            (SecurePmcd::find(&environment, &mut remarks), remarks.len())
        };
        assert_eq!(found(None), (SecurePmcd::AsAsked, 0));
        assert_eq!(found(Some("")), (SecurePmcd::Enforced, 0));
        assert_eq!(found(Some("enforce")), (SecurePmcd::Enforced, 0));
        assert_eq!(found(Some("relaxed")), (SecurePmcd::Relaxed, 0));
        assert_eq!(found(Some("always")), (SecurePmcd::AsAsked, 1));
    }
}
