//! Clients from elsewhere and administrators: TLS, crowds and the admin interface, with
//! libvirt's own clients.

#![forbid(unsafe_code)]

mod admin;
mod crowd;
mod pki;
mod tls;
mod ways;
