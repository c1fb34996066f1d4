//! Starts the modular daemons of a single user: for those no service manager waits on their sockets,
//! and clients of libvirt start them on demand too.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// Where system programs are that a user's `PATH` may lack.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// A daemon that was started ends after as many seconds without clients, as when libvirt starts it.
const IDLE_LIMIT: &str = "--timeout=120";

/// How long a daemon may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to look whether it does.
const PAUSE: Duration = Duration::from_millis(20);

/// One at a time: of several clients that need the same daemon, the first starts it.
static STARTING: Mutex<()> = Mutex::const_new(());

/// The program of the daemon for `scheme`, if it is installed.
pub(crate) fn find(scheme: &str) -> Option<PathBuf> {
    let name = format!("virt{scheme}d");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from));
    let programs = folders.map(|folder| folder.join(&name));
    programs
        .filter(|program| program.is_absolute())
        .find(|program| program.is_file())
}

/// Whether an error of connecting means that nobody listens.
pub(crate) fn would_help(error: &io::Error) -> bool {
    [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind())
}

/// Starts `program` and connects to its socket.
///
/// # Errors
/// When it cannot be started, ends at once, or does not listen in time.
pub(crate) async fn connect(program: &Path, socket: &Path) -> io::Result<UnixStream> {
    let _one_at_a_time = STARTING.lock().await;
    if let Ok(stream) = UnixStream::connect(socket).await {
        return Ok(stream);
    }
    tracing::info!("starting {} for {}", program.display(), socket.display());
    let mut daemon = Command::new(program)
        .arg(IDLE_LIMIT)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let until = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) if !would_help(&error) || Instant::now() > until => return Err(error),
            Err(_) => sleep(PAUSE).await,
        }
        if let Some(status) = daemon.try_wait()? {
            // Another may have been faster, and this one has ended over its lock.
            return UnixStream::connect(socket).await.map_err(|_| {
                io::Error::other(format!("{} ended at once: {status}", program.display()))
            });
        }
    }
}
