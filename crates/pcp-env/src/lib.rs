//! What the environment tells a Performance Co-Pilot program: the paths of `pcp.conf(5)`, timeouts,
//! intervals, lists of ports and debugging options.
//!
//! Start with [`Environment`], which answers for the process environment and the configuration file
//! together.

#![forbid(unsafe_code)]

mod conf;
mod debug;
mod interval;
mod ports;
mod timeout;

pub use conf::{ConfError, Environment};
pub use debug::{DebugOptions, UnknownDebugOption};
pub use interval::{IntervalError, parse_interval};
pub use ports::{PortSet, PortSetError};
pub use timeout::{
    CONNECT_TIMEOUT, REQUEST_TIMEOUT, TimeoutError, connect_timeout, parse_timeout, request_timeout,
};
