//! The client's side of `pmdaRootConnect(3)`: what pmdaroot, which runs as root, does for collectors
//! that do not.
//!
//! [`RootConnection::open`] connects; its methods ask, one question after the other, and wait for
//! the answer no longer than [`ANSWER_TIMEOUT`]. What a server sends is checked before it is used.
//! When an answer is late or makes no sense the connection is shut down, since a later answer could
//! not be told from it.
//!
//! [`Channel`] is the same for a descriptor that belongs to somebody else; the C library is made of
//! it.
//!
//! ```no_run
//! # fn main() -> Result<(), pmda_root::Error> {
//! let mut root = pmda_root::RootConnection::open()?;
//! let pid = root.container_process_id("web")?;
//! println!("{pid}: {}", root.container_cgroup_name("web")?.display());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod channel;
mod connection;
mod container;
mod error;
mod process;
mod transport;

pub use channel::Channel;
pub use connection::{RootConnection, default_socket};
pub use container::Container;
pub use error::Error;
pub use pcp_proto::root::{Features, IpcType, Version};
pub use process::{AnyEnded, Ended, EndedProcesses, Started, StartedPipes};

use std::time::Duration;

/// How long an answer may take. pmcd gives its agents five seconds for theirs, and an agent that has
/// waited in vain still has to say so.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
