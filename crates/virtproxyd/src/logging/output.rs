//! `log_outputs`: where messages go.

use std::io;
use std::path::{Path, PathBuf};

use super::Priority;
use super::line::Line;
use super::sink::{Destinations, Sink};

/// Each may cost a descriptor.
const MOST: usize = 50;

/// The longest name under which messages go to syslog, in bytes.
const LONGEST_NAME: usize = 48;

/// What is wrong with a list of outputs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error(
        "output {0:?}: expected PRIORITY:stderr, PRIORITY:journald, PRIORITY:syslog:NAME or \
         PRIORITY:file:/PATH"
    )]
    Form(String),
    #[error("output {0:?}: the priority is 1 (debug), 2 (info), 3 (warning) or 4 (error)")]
    Priority(String),
    #[error("output {0:?}: the file needs an absolute path")]
    Relative(String),
    #[error(
        "output {0:?}: the name for syslog is printable ASCII of up to {LONGEST_NAME} characters"
    )]
    Name(String),
    #[error("there are more than {MOST} outputs")]
    TooMany,
    #[error("cannot open the log {}: {}", .path.display(), gate::describe(.error))]
    Open { path: PathBuf, error: io::Error },
    #[error("cannot make a socket for the log: {}", gate::describe(.0))]
    Socket(io::Error),
}

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Stderr,
    Journald,
    /// With the name of the program.
    Syslog(String),
    File(PathBuf),
}

/// Outputs that are open.
#[derive(Debug)]
pub(crate) struct Outputs(Vec<Output>);

#[derive(Debug)]
struct Output {
    definition: Definition,
    sink: Sink,
}

/// An output as written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Definition {
    priority: Priority,
    target: Target,
}

impl Outputs {
    /// Looks over a list without opening anything.
    pub(crate) fn check(text: &str) -> Result<(), OutputError> {
        definitions(text).map(drop)
    }

    /// Opens outputs with blanks between them.
    pub(super) fn open(text: &str, destinations: &Destinations) -> Result<Outputs, OutputError> {
        let outputs = definitions(text)?.into_iter().map(|definition| {
            let sink = Sink::open(&definition.target, destinations)?;
            Ok(Output { definition, sink })
        });
        outputs.collect::<Result<_, _>>().map(Outputs)
    }

    /// Sends a message to those who want it.
    pub(super) fn send(&self, line: &Line<'_>) {
        let wanted = self.0.iter();
        for output in wanted.filter(|output| line.priority >= output.definition.priority) {
            output.sink.send(line);
        }
    }

    /// The least priority of all.
    pub(super) fn least(&self) -> Option<Priority> {
        self.0.iter().map(|output| output.definition.priority).min()
    }

    /// Opens files anew; what cannot be opened stays, and is told.
    pub(super) fn reopen(&mut self) -> Result<(), String> {
        let failures: Vec<String> = self
            .0
            .iter_mut()
            .filter_map(|output| output.sink.reopen().err())
            .map(|error| error.to_string())
            .collect();
        if failures.is_empty() {
            Ok(())
        } else {
            Err(failures.join("; "))
        }
    }

    pub(super) fn uses_stderr(&self) -> bool {
        let mut targets = self.0.iter().map(|output| &output.definition.target);
        targets.any(|target| *target == Target::Stderr)
    }

    pub(super) fn describe(&self) -> String {
        let all: Vec<String> = self
            .0
            .iter()
            .map(|output| output.definition.describe())
            .collect();
        all.join(" ")
    }
}

/// The outputs of a list. Of several to the same place, the last counts, as for libvirt.
fn definitions(text: &str) -> Result<Vec<Definition>, OutputError> {
    let mut all: Vec<Definition> = Vec::new();
    for word in text.split_whitespace() {
        let definition = Definition::parse(word)?;
        all.retain(|other| other.target != definition.target);
        all.push(definition);
        if all.len() > MOST {
            return Err(OutputError::TooMany);
        }
    }
    Ok(all)
}

impl Definition {
    fn parse(text: &str) -> Result<Definition, OutputError> {
        let form = || OutputError::Form(text.into());
        let (priority, rest) = text.split_once(':').ok_or_else(form)?;
        let priority = priority
            .parse()
            .ok()
            .and_then(Priority::from_number)
            .ok_or_else(|| OutputError::Priority(text.into()))?;
        let target = match rest.split_once(':') {
            None if rest == "stderr" => Target::Stderr,
            None if rest == "journald" => Target::Journald,
            Some(("syslog", name)) if is_name(name) => Target::Syslog(name.into()),
            Some(("syslog", _)) => return Err(OutputError::Name(text.into())),
            Some(("file", path)) if path.contains(':') => return Err(form()),
            Some(("file", path)) if !Path::new(path).is_absolute() => {
                return Err(OutputError::Relative(text.into()));
            }
            Some(("file", path)) => Target::File(path.into()),
            _ => return Err(form()),
        };
        Ok(Definition { priority, target })
    }

    fn describe(&self) -> String {
        let priority = self.priority;
        match &self.target {
            Target::Stderr => format!("{priority}:stderr"),
            Target::Journald => format!("{priority}:journald"),
            Target::Syslog(name) => format!("{priority}:syslog:{name}"),
            Target::File(path) => format!("{priority}:file:{}", path.display()),
        }
    }
}

/// A colon would end the name in a message.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(plain)
}
