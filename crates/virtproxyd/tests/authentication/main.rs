//! Clients that have to say who they are: virsh through virtproxyd to a libvirtd.

#![forbid(unsafe_code)]

mod polkit;
mod sasl;
