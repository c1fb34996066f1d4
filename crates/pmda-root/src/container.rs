//! Which container is meant.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use pcp_proto::root::{ContainerName, Target};

use crate::Error;

/// A container, as the caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container<'a> {
    /// Its id, its name, or a part that no other has; the engine says what is one.
    Name(&'a OsStr),
    /// The one that this process of the host is in. PCP's own pmdaroot knows host names by process,
    /// and nothing else.
    Pid(i32),
}

impl<'a> Container<'a> {
    pub(crate) fn target(self) -> Result<Target<'a>, Error> {
        match self {
            Container::Pid(pid) if pid < 1 => Err(Error::Pid(pid)),
            Container::Pid(pid) => Ok(Target::Pid(pid)),
            Container::Name(name) => ContainerName::new(name.as_bytes())
                .map(Target::Name)
                .map_err(|source| Error::Text {
                    what: "name of the container",
                    source,
                }),
        }
    }
}

impl<'a, S: AsRef<OsStr> + ?Sized> From<&'a S> for Container<'a> {
    fn from(name: &'a S) -> Container<'a> {
        Container::Name(name.as_ref())
    }
}
