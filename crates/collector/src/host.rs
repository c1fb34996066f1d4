//! The machine that is measured: where its numbers are read, and each file at most once per request.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};

use pcp_proto::Status;

use crate::metrics::disk::Disk;
use crate::metrics::memory::Memory;
use crate::metrics::network::Interface;
use crate::metrics::{cpu, disk, load, memory, network, uptime};

/// The machine that is measured.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    proc: PathBuf,
    interface_number: fn(&str) -> Option<u32>,
}

impl Host {
    /// This machine, under a name of the caller's choice.
    pub fn new(name: impl Into<String>) -> Host {
        Host {
            name: name.into(),
            proc: PathBuf::from("/proc"),
            interface_number: network::interface_number,
        }
    }

    /// This machine, under the name that the kernel has for it.
    pub fn this() -> Host {
        Host::new(rustix::system::uname().nodename().to_string_lossy())
    }

    /// A machine whose files are in a folder laid out as /proc, and whose interfaces are numbered
    /// by the length of their names.
    #[cfg(test)]
    pub(crate) fn fake(name: &str, proc: &Path) -> Host {
        Host {
            name: name.to_owned(),
            proc: proc.to_owned(),
            interface_number: |name| u32::try_from(name.len()).ok(),
        }
    }

    /// What the host calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn sample(&self) -> Sample<'_> {
        Sample {
            host: self,
            load: OnceCell::new(),
            uptime: OnceCell::new(),
            processors: OnceCell::new(),
            memory: OnceCell::new(),
            disks: OnceCell::new(),
            interfaces: OnceCell::new(),
        }
    }
}

/// The numbers of one moment. A file is read when the first number in it is asked for.
#[derive(Debug)]
pub(crate) struct Sample<'h> {
    host: &'h Host,
    load: Once<[f32; 3]>,
    uptime: Once<f64>,
    processors: Once<u32>,
    memory: Once<Memory>,
    disks: Once<Vec<Disk>>,
    interfaces: Once<Vec<Interface>>,
}

type Once<T> = OnceCell<Result<T, Status>>;

impl<'h> Sample<'h> {
    pub(crate) fn host_name(&self) -> &'h str {
        &self.host.name
    }

    pub(crate) fn load(&self) -> Result<&[f32; 3], Status> {
        self.once(&self.load, "loadavg", load::parse)
    }

    pub(crate) fn uptime(&self) -> Result<&f64, Status> {
        self.once(&self.uptime, "uptime", uptime::parse)
    }

    pub(crate) fn processors(&self) -> Result<&u32, Status> {
        self.once(&self.processors, "stat", cpu::parse)
    }

    pub(crate) fn memory(&self) -> Result<&Memory, Status> {
        self.once(&self.memory, "meminfo", memory::parse)
    }

    pub(crate) fn disks(&self) -> Result<&Vec<Disk>, Status> {
        self.once(&self.disks, "diskstats", disk::parse)
    }

    pub(crate) fn interfaces(&self) -> Result<&Vec<Interface>, Status> {
        let number = self.host.interface_number;
        self.once(&self.interfaces, "net/dev", |text| {
            network::parse(text, number)
        })
    }

    fn once<'s, T>(
        &self,
        cell: &'s Once<T>,
        file: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<&'s T, Status> {
        let read = || {
            let text = read(&self.host.proc.join(file))?;
            // A file that has not the form that the kernel documents holds no value for us.
            parse(&text).ok_or(Status::VALUE)
        };
        cell.get_or_init(read).as_ref().map_err(|status| *status)
    }
}

fn read(path: &Path) -> Result<String, Status> {
    std::fs::read_to_string(path).map_err(|error| status(&error))
}

fn status(error: &io::Error) -> Status {
    error
        .raw_os_error()
        .map_or(Status::VALUE, Status::from_errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_per_sample() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loadavg");
        std::fs::write(&file, "0.5 0.25 0.125 1/99 4711\n").unwrap();
        let host = Host::fake("alpha", folder.path());
        let sample = host.sample();
        assert_eq!(sample.load(), Ok(&[0.5, 0.25, 0.125]));
        std::fs::write(&file, "9 9 9").unwrap();
        assert_eq!(sample.load(), Ok(&[0.5, 0.25, 0.125]));
        assert_eq!(host.sample().load(), Ok(&[9.0, 9.0, 9.0]));
    }

    #[test]
    fn a_missing_or_strange_file_is_a_status_not_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::fake("alpha", folder.path());
        assert_eq!(host.sample().load(), Err(Status::from_errno(2)));
        std::fs::write(folder.path().join("loadavg"), "high").unwrap();
        assert_eq!(host.sample().load(), Err(Status::VALUE));
    }
}
