//! Sessions through our virtproxyd: libvirt's own clients with a real libvirtd and real guests, and
//! clients that behave well or badly frame by frame.

#![forbid(unsafe_code)]

mod clients;
mod crowd;
mod daemons;
mod endings;
mod frames;
mod guests;
mod house;
mod opening;
mod pace;
mod reads;
