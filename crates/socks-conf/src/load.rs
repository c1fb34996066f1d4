//! The files: the configuration, the files of user names, and `/etc/services`. Everything that
//! touches the file system is here.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat};

use crate::{LoadError, Lookup, Routes, Untrusted};

/// The largest configuration and the largest file of user names, in bytes.
pub const MAX_SIZE: u64 = 1024 * 1024;

const SERVICES: &str = "/etc/services";

/// What is set where others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;

impl Routes {
    /// Reads the configuration `path`. Its commands are on if it belongs to root or to the
    /// effective user, and nobody else can write it.
    ///
    /// # Errors
    ///
    /// It is missing, is no regular file, is larger than [`MAX_SIZE`], or a line is wrong.
    pub fn load(path: &Path) -> Result<Routes, LoadError> {
        let open = open(path).map_err(|why| LoadError::Open {
            path: path.to_owned(),
            why,
        })?;
        let cannot_read = |why| LoadError::Read {
            path: path.to_owned(),
            why,
        };
        let facts = fstat(&open).map_err(|errno| cannot_read(errno.into()))?;
        if !is_regular(&facts) {
            return Err(LoadError::NotAFile(path.to_owned()));
        }
        let text = read(&open, &facts).map_err(cannot_read)?;
        let text = text.ok_or_else(|| LoadError::TooLarge(path.to_owned()))?;
        let routes = Routes::parse(&text, path, &System::default())?;
        let untrusted = untrusted(
            facts.st_uid,
            facts.st_mode,
            rustix::process::geteuid().as_raw(),
        );
        Ok(Routes {
            untrusted,
            ..routes
        })
    }
}

/// Why a configuration of this owner and mode cannot say what `user` runs.
pub(crate) fn untrusted(owner: u32, mode: u32, user: u32) -> Option<Untrusted> {
    if owner != 0 && owner != user {
        return Some(Untrusted::Owner { owner, user });
    }
    let mode = mode & 0o777;
    (mode & OTHERS_WRITE != 0).then_some(Untrusted::Writable { mode })
}

/// Without waiting for anybody, as a named pipe would.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn is_regular(facts: &Stat) -> bool {
    FileType::from_raw_mode(facts.st_mode).is_file()
}

/// `None`: it is larger than [`MAX_SIZE`].
fn read(file: &File, facts: &Stat) -> io::Result<Option<Vec<u8>>> {
    let size = u64::try_from(facts.st_size).unwrap_or(0).min(MAX_SIZE);
    let mut text = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(MAX_SIZE + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= MAX_SIZE).then_some(text))
}

/// A regular file of bounded size.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let facts = fstat(&file)?;
    if !is_regular(&facts) {
        return Err(io::Error::other("not a regular file"));
    }
    let too_large = || io::Error::other(format!("larger than {MAX_SIZE} bytes"));
    read(&file, &facts)?.ok_or_else(too_large)
}

/// This system's files.
#[derive(Default)]
struct System {
    /// Read when the first service is looked up.
    services: OnceCell<Services>,
}

impl Lookup for System {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_regular(path)
    }

    fn service(&self, name: &str) -> Option<u16> {
        self.services.get_or_init(Services::read).port(name)
    }
}

/// The name of the TCP service that has this port in `/etc/services`.
#[must_use]
pub fn service_name(port: u16) -> Option<String> {
    Services::read().name(port).map(str::to_owned)
}

/// The text of `/etc/services`: `name port/protocol [aliases ...] [# comment]`.
pub(crate) struct Services(pub(crate) String);

impl Services {
    /// Without the file there are no services.
    fn read() -> Services {
        let text = read_regular(Path::new(SERVICES)).unwrap_or_default();
        Services(String::from_utf8_lossy(&text).into_owned())
    }

    pub(crate) fn port(&self, name: &str) -> Option<u16> {
        let mut services = self.tcp();
        services.find_map(|(port, mut names)| names.any(|own| own == name).then_some(port))
    }

    pub(crate) fn name(&self, port: u16) -> Option<&str> {
        let mut services = self.tcp();
        services.find_map(|(own, mut names)| (own == port).then(|| names.next()).flatten())
    }

    /// The ports of TCP services, each with its names.
    fn tcp(&self) -> impl Iterator<Item = (u16, impl Iterator<Item = &str>)> {
        self.0.lines().filter_map(|line| {
            let mut words = line.split('#').next()?.split_ascii_whitespace();
            let (name, port) = (words.next()?, words.next()?);
            let port = port.strip_suffix("/tcp")?.parse().ok()?;
            Some((port, std::iter::once(name).chain(words)))
        })
    }
}
