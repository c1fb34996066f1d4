//! The log file: opened with care, reopened on request, in the form that PCP's daemons write.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use super::folder::{Links, Place, append_to, with_rights_of};
use super::user::Account;

/// Where messages go.
#[derive(Debug)]
pub struct Log {
    /// The file; none stands for standard error.
    path: Option<PathBuf>,
    file: Mutex<Option<File>>,
}

impl Log {
    /// Starts a new log file and keeps the one before as `FILE.prev`.
    ///
    /// The file is made with the rights of `account`, the user that the daemon will be, so that it
    /// can be reopened later and root follows nobody's links. Where that user may not write, root's
    /// own rights are tried, over no links but root's. Only a plain file is kept: a device, such as
    /// `/dev/null`, is written to where it is.
    ///
    /// # Errors
    /// When the file cannot be made, or is neither a plain file nor a device.
    pub fn create(path: &Path, account: Option<&Account>) -> io::Result<Log> {
        let path = std::path::absolute(path)?;
        let make = |links: Links| {
            let place = Place::find(&path, links)?;
            // There may be none yet.
            let _ = place.set_aside(".prev");
            place.append()
        };
        let file = with_rights_of(account, make)?;
        Ok(Log {
            path: Some(path),
            file: Mutex::new(Some(file)),
        })
    }

    /// Messages go to standard error.
    pub fn stderr() -> Log {
        Log {
            path: None,
            file: Mutex::new(None),
        }
    }

    /// The file, unless messages go to standard error.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Opens the file anew, after it was moved away. The old one stays in use when that fails.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn reopen(&self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let fresh = append_to(path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        Ok(())
    }

    /// Writes text as it is. A log that cannot be written (a full disk) must not stop the daemon.
    pub fn write_plain(&self, text: &str) {
        let _ = (&*self).write_all(text.as_bytes());
    }
}

impl Write for &Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match guard.as_ref() {
            Some(mut file) => file.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lends the log to the formatter.
struct Shared(Arc<Log>);

impl<'a> MakeWriter<'a> for Shared {
    type Writer = &'a Log;

    fn make_writer(&'a self) -> &'a Log {
        &self.0
    }
}

/// The date and time as PCP's daemons write it, in local time.
pub fn date() -> String {
    jiff::Zoned::now()
        .strftime("%a %b %e %H:%M:%S %Y")
        .to_string()
}

/// `[Sat Nov 21 01:23:04] pmproxy(3015) Error: message`.
struct PcpFormat {
    program: &'static str,
}

impl<S, N> FormatEvent<S, N> for PcpFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = jiff::Zoned::now();
        let level = match *event.metadata().level() {
            Level::ERROR => "Error",
            Level::WARN => "Warning",
            Level::INFO => "Info",
            Level::DEBUG | Level::TRACE => "Debug",
        };
        let (program, pid) = (self.program, std::process::id());
        write!(
            writer,
            "[{}] {program}({pid}) {level}: ",
            time.strftime("%a %b %e %H:%M:%S")
        )?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Sends the messages of the whole process to `log`, panics included. Debugging messages are
/// written when `wants` their target; the others always.
pub fn install_log<W>(program: &'static str, log: Arc<Log>, wants: W)
where
    W: Fn(&str) -> bool + Send + Sync + 'static,
{
    let filter = filter_fn(move |metadata: &Metadata<'_>| {
        *metadata.level() <= Level::INFO
            || *metadata.level() == Level::DEBUG && wants(metadata.target())
    });
    let layer = tracing_subscriber::fmt::layer()
        .event_format(PcpFormat { program })
        .with_writer(Shared(log));
    let subscriber = tracing_subscriber::registry().with(filter).with(layer);
    // A second call in one process would change nothing, which is what is wanted.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| tracing::error!("internal error: {panic}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_log_is_kept_and_a_moved_one_is_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.log");
        std::fs::write(&path, "old\n").unwrap();
        let log = Log::create(&path, None).unwrap();
        log.write_plain("first\n");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(
            (read("daemon.log"), read("daemon.log.prev")),
            ("first\n".into(), "old\n".into())
        );

        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        log.write_plain("second\n");
        log.reopen().unwrap();
        log.write_plain("third\n");
        assert_eq!(
            (read("moved"), read("daemon.log")),
            ("first\nsecond\n".into(), "third\n".into())
        );
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "data").unwrap();
        let path = folder.path().join("daemon.log");
        let log = Log::create(&path, None).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&precious, &path).unwrap();
        assert!(log.reopen().is_err());
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "data");
    }
}
