//! Looks at a program to find out whether a library preloaded into it will see all of its connections.

mod elf_file;
mod machine_code;
mod script;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pmsocks_common::SHELL;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat};

use elf_file::ElfFile;

/// How many interpreters of interpreters are looked at; the kernel has a limit of this size too.
const MAX_SCRIPTS: usize = 4;

/// How much of a file is looked at first: the head of a script, or most often all that is about the
/// segments of an ELF file.
const HEAD: usize = 2048;

/// A program as it will be executed.
#[derive(Debug)]
pub(crate) struct Executable {
    /// The file with the machine code: the program itself, or its interpreter.
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    /// What the system says about it.
    pub(crate) facts: Stat,
}

/// What can be done with a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All its calls go through the C library.
    Dynamic,
    /// The library can be loaded, but would miss calls that the program makes by itself.
    RawCalls(RawCalls),
    /// The library can't be loaded.
    NoLibrary(NoLibrary),
}

/// How it is known that a program makes system calls by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawCalls {
    Go,
    Instructions,
    Unknown,
}

/// Why the library can't be loaded into a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoLibrary {
    Static,
    Loader(String),
    Narrow,
    Machine,
    /// A format that only the kernel knows.
    Format,
}

/// Why a program can't be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecutableError {
    #[error("cannot read {} to see how it is linked: {error} (--mode preload says that it is \
             dynamically linked)", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is no regular file", .0.display())]
    NoFile(PathBuf),
    #[error("{}: interpreters of interpreters, deeper than the kernel goes", .0.display())]
    TooDeep(PathBuf),
}

impl Executable {
    /// Looks at a program, or at what would run it if it is a script.
    pub(crate) fn look_at(path: &Path) -> Result<Executable, ExecutableError> {
        let mut path = path.to_owned();
        for _ in 0..=MAX_SCRIPTS {
            let unreadable = |error| ExecutableError::Unreadable {
                path: path.clone(),
                error,
            };
            let file = open(&path).map_err(unreadable)?;
            let facts = fstat(&file).map_err(|errno| unreadable(errno.into()))?;
            if !FileType::from_raw_mode(facts.st_mode).is_file() {
                return Err(ExecutableError::NoFile(path));
            }
            let mut head = Vec::with_capacity(HEAD);
            (&file)
                .take(HEAD as u64)
                .read_to_end(&mut head)
                .map_err(unreadable)?;
            if head.starts_with(b"\x7fELF") {
                let elf = ElfFile {
                    head: &head,
                    file: &file,
                };
                let kind = elf.kind();
                return Ok(Executable { path, kind, facts });
            }
            head.truncate(script::HEAD);
            path = match script::interpreter(&head) {
                Some(interpreter) => interpreter,
                None if head.contains(&0) => {
                    let kind = Kind::NoLibrary(NoLibrary::Format);
                    return Ok(Executable { path, kind, facts });
                }
                None => SHELL.into(),
            };
        }
        Err(ExecutableError::TooDeep(path))
    }
}

/// Without waiting for anybody, as a named pipe would.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Dynamic => formatter.write_str("is dynamically linked"),
            Kind::RawCalls(RawCalls::Go) => {
                formatter.write_str("is a Go program, which makes system calls by itself")
            }
            Kind::RawCalls(RawCalls::Instructions) => {
                formatter.write_str("has machine code that makes system calls by itself")
            }
            Kind::RawCalls(RawCalls::Unknown) => {
                formatter.write_str("has machine code that cannot be read")
            }
            Kind::NoLibrary(why) => write!(formatter, "{why}"),
        }
    }
}

impl fmt::Display for NoLibrary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoLibrary::Static => formatter.write_str("is statically linked"),
            NoLibrary::Loader(loader) => {
                write!(formatter, "is loaded by {loader}, which is not glibc's")
            }
            NoLibrary::Narrow => formatter.write_str("is a 32-bit program"),
            NoLibrary::Machine => formatter.write_str("is a program for another machine"),
            NoLibrary::Format => formatter.write_str("is neither an ELF file nor a script"),
        }
    }
}

#[cfg(test)]
mod tests;
