//! `--status`: a readable table of the clients that a running pmproxy has now. This is the asking
//! side; [`report`] is what passes between both, and how the daemon makes it.

pub(crate) mod report;
mod table;

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use gate::telemetry::{FetchError, fetch};
use pcp_env::Environment;

use crate::options::Options;
use crate::settings::{ConfigSource, admin_socket};
use report::{PATH, Report};

/// The longest report that is read, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// How long the daemon may take for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the pmproxy that the environment and the configuration mean, and gives what is to be shown.
pub(crate) fn run(options: Options, environment: &Environment) -> Result<String> {
    let config = ConfigSource::find(options.config, environment)?.read()?;
    let socket = admin_socket(environment, &config)?;
    let text = ask(&socket)?;
    let report: Report = serde_json::from_str(&text).with_context(|| stranger(&socket))?;
    Ok(if options.json {
        format!("{text}\n")
    } else {
        table::render(&report)
    })
}

fn ask(socket: &Path) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let fetched = runtime.block_on(fetch(socket, PATH, MOST_BYTES, PATIENCE));
    let bytes = fetched.map_err(|error| explain(socket, &error))?;
    String::from_utf8(bytes.into()).with_context(|| stranger(socket))
}

fn explain(socket: &Path, error: &FetchError) -> anyhow::Error {
    let path = socket.display();
    let FetchError::Unreachable(cause) = error else {
        return anyhow!("{}: {error}", stranger(socket));
    };
    match cause.kind() {
        io::ErrorKind::NotFound => anyhow!(
            "no pmproxy runs that has its admin socket at {path} (PMPROXY_ADMIN_SOCKET, or \
             admin.socket in the configuration, names another place)"
        ),
        io::ErrorKind::ConnectionRefused => {
            anyhow!("no pmproxy listens on the admin socket {path}: the one that made it is gone")
        }
        io::ErrorKind::PermissionDenied => anyhow!(
            "permission denied for the admin socket {path}: it is for root and the user that \
             pmproxy runs as"
        ),
        _ => anyhow!("cannot connect to the admin socket {path}: {error}"),
    }
}

fn stranger(socket: &Path) -> String {
    let path = socket.display();
    format!("what listens on {path} does not answer as this pmproxy does")
}
