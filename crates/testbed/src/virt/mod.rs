//! What tests of libvirt's protocol need: a private libvirtd with real guests, our virtproxyd, real
//! clients, and a client that speaks in single frames.

mod chamber;
mod clients;
mod guest;
mod libvirtd;
mod settings;
mod stub;
mod virtproxyd;
mod wire;

pub use clients::{python_libvirt, uri_tcp, uri_tls, uri_unix, virsh, virt_admin};
pub use guest::GUEST_BANNER;
pub use libvirtd::{Libvirtd, LibvirtdBuilder};
pub use stub::VirtStub;
pub use virtproxyd::{Virtproxyd, VirtproxydBuilder};
pub use wire::{VirtFrame, VirtWire};
