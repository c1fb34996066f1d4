//! Starts, awaits and ends the peers of acceptance tests. Only tests, benchmarks and chores use it.
//!
//! - [`Pmcd`] and [`Pmproxy`] are real daemons on free ports in a [`Scratch`] folder; both are a
//!   [`Daemon`], which can be paused, killed, restarted, and asked for its log and its descriptors.
//! - [`Libvirtd`] is a real libvirtd in a mount namespace of its own, with real guests;
//!   [`Virtproxyd`] is ours.
//! - [`PmdaRoot`] is a pmdaroot, Debian's or ours, that a real pmcd runs, with Docker containers that
//!   tests make up; [`UtsBox`] is a process with a host name of its own. [`RootProgram`] is a program
//!   in C that calls it; a [`NetProgram`] is one that connects in all the ways that there are.
//! - [`Client`] runs a real client with a deadline; [`virsh`], [`virt_admin`] and
//!   [`python_libvirt`] make those of libvirt.
//! - [`Wire`] is one end of a TCP connection, for a test that speaks bytes by itself, and [`Stub`]
//!   a server whose behaviour is a closure over such a wire. [`VirtWire`] speaks libvirt's RPC,
//!   and a [`VirtStub`] plays a daemon of libvirt.
//! - A [`Firewall`] stands between two [`Host`]s of one test, with a [`Danted`], a [`Microsocks`] or a
//!   [`SocksStub`] on it.
//! - [`SaslUsers`] are known to libsasl2, and a [`Polkit`] of the test decides about other users.
//! - [`Authority`] issues certificates that only the test trusts.
//! - [`packages`] knows which Debian packages all this needs.
//! - [`eventually`] waits for a condition.
//!
//! Nothing here sleeps for luck: a daemon is ready when it answers, and every wait has a deadline.
//! What a test started ends with it, also when the test is killed: see [`Process`].
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use testbed::{Client, Pmcd, Pmproxy};
//!
//! let pmcd = Pmcd::start("alpha")?;
//! let proxy = Pmproxy::builder("target/debug/pmproxy").start()?;
//! let host = format!("localhost:{}@localhost:{}", pmcd.port(), proxy.port());
//! let shown = Client::new("pminfo").args(["-h", &host, "-f", "pmcd.hostname"]).run()?;
//! assert!(shown.succeeded()?.contains("\"alpha\""));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod authority;
mod c_program;
mod client;
mod compile;
mod daemon;
mod eventually;
mod firewall;
mod net_program;
mod network;
pub mod packages;
mod pmcd;
mod pmdaroot;
mod pmproxy;
mod polkit;
mod ports;
mod process;
mod sasl;
mod scratch;
mod slow_sends;
mod stub;
mod virt;
mod wire;

pub use authority::{Authority, Certificate, Draft, SanType};
pub use c_program::{ROOT_CALLS, RootLibrary, RootProgram, built_root_library};
pub use client::{Client, Finished, Running};
pub use daemon::Daemon;
pub use eventually::{PATIENCE, eventually, eventually_some};
pub use firewall::{
    Conduct, Danted, DantedBuilder, Firewall, Held, Host, Microsocks, NameServer, Pieces,
    SocksAsked, SocksStub, Who,
};
pub use net_program::{Linkage, NetProgram};
pub use network::own_network;
pub use pmcd::{Pmcd, PmcdBuilder};
pub use pmdaroot::{DEBIAN_PMDAROOT, PmdaRoot, UtsBox};
pub use pmproxy::{Pmproxy, PmproxyBuilder};
pub use polkit::Polkit;
pub use ports::{deaf_port, free_port};
pub use process::{Process, clean_command};
pub use sasl::SaslUsers;
pub use scratch::Scratch;
pub use slow_sends::SlowSends;
pub use stub::{Stop, Stub};
pub use virt::{
    GUEST_BANNER, Libvirtd, LibvirtdBuilder, VirtFrame, VirtStub, VirtWire, Virtproxyd,
    VirtproxydBuilder, python_libvirt, uri_tcp, uri_tls, uri_unix, virsh, virt_admin,
};
pub use wire::{Ending, Wire};
