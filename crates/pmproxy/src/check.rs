//! `--check-config`: whether the configuration can be used, and what it means for a client and a
//! target, without serving anybody.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};
use gate::dial::Dialer;
use gate::lifecycle::Account;
use gate::policy::Client;
use gate::stream::Peer;
use pcp_env::{Environment, connect_timeout};
use pcp_proto::PMCD_PORT;
use pcp_proto::greeting::{Target, parse_target};

use crate::config::Config;
use crate::options::{Options, Question};
use crate::settings::{ConfigSource, account, certificates};

/// What is found, to be shown, and whether it is well: the configuration can be used, and the
/// client in question would be connected.
pub(crate) fn run(options: Options, environment: &Environment) -> Result<(String, bool)> {
    let source = ConfigSource::find(options.config.clone(), environment)?;
    let config = source.read()?;
    let mut remarks = config.remarks.clone();
    let user = options.user.as_deref();
    let account = account(options.mode, user, environment, &mut remarks)?;
    let (certificates, found) = certificates(&options, environment, account.as_ref(), &config)?;
    remarks.extend(found);
    remarks.extend(certificates.expiry_warning());
    let mut text = format!("The configuration {source} can be used.\n");
    for remark in &remarks {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{remark}");
    }
    let _ = match config.policy.rules().len() {
        0 => writeln!(
            text,
            "It has no access policy: every client may reach every host and port."
        ),
        1 => writeln!(text, "Its access policy has 1 rule."),
        count => writeln!(text, "Its access policy has {count} rules."),
    };
    let allowed = match (options.question.client, options.question.target) {
        (None, None) => true,
        (client, Some(target)) => {
            let (answer, allowed) = ask(&config, client.as_deref(), &target, environment)?;
            let _ = writeln!(text, "{answer}");
            allowed
        }
        (Some(_), None) => bail!("--client needs a --target"),
    };
    Ok((text, allowed))
}

/// What the policy says of a client, by default of one on this machine, and a target.
fn ask(
    config: &Config,
    client: Option<&str>,
    target: &str,
    environment: &Environment,
) -> Result<(String, bool)> {
    let client = client.map_or_else(|| Ok(local()), find_client)?;
    let target = find_target(target).with_context(|| format!("--target {target}"))?;
    let dialer = Dialer::new(connect_timeout(environment)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let origin = client.peer.origin();
    let resolved = runtime.block_on(dialer.resolve(target.host(), target.port(), origin));
    // Its message tells its cause itself.
    let addresses = resolved.map_err(anyhow::Error::msg)?;
    let explanation = config.policy.explain(&client, target.host(), &addresses);
    Ok((explanation.to_string(), explanation.is_allowed()))
}

fn local() -> Client {
    let (uid, pid) = (Account::current_uid(), None);
    Client::new(Peer::Unix { uid, pid })
}

fn find_client(text: &str) -> Result<Client> {
    if let Some(uid) = text.strip_prefix("uid:") {
        let uid = uid.parse().with_context(|| format!("--client {text}"))?;
        return Ok(Client::new(Peer::Unix { uid, pid: None }));
    }
    let address: IpAddr = text
        .parse()
        .with_context(|| format!("--client {text}: expected an address or uid:NUMBER"))?;
    Ok(Client::new(Peer::Tcp(SocketAddr::new(address, 0))))
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT` or an IPv6 address alone.
fn find_target(text: &str) -> Result<Target> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if text.parse::<IpAddr>().is_err() && !text.ends_with(']') => {
            (host, port.to_owned())
        }
        _ => (text, PMCD_PORT.to_string()),
    };
    match parse_target(format!("{host} {port}\n").as_bytes())? {
        Some((target, _)) => Ok(target),
        None => bail!("expected HOST:PORT"),
    }
}

impl Question {
    /// Whether something is to be checked instead of serving.
    pub(crate) fn is_asked(&self) -> bool {
        self.check_config || self.client.is_some() || self.target.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_as_in_host_specifications() {
        let shown = |text: &str| find_target(text).map(|target| target.to_string()).unwrap();
        assert_eq!(shown("host"), "host:44321");
        assert_eq!(shown("host:4321"), "host:4321");
        assert_eq!(shown("::1"), "[::1]:44321");
        assert_eq!(shown("[::1]"), "[::1]:44321");
        assert_eq!(shown("[::1]:1"), "[::1]:1");
        assert!(find_target("host:port").is_err() && find_target("").is_err());
    }
}
