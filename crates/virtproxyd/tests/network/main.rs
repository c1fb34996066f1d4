//! Clients from elsewhere and administrators: TLS, SASL, polkit and the admin interface, with
//! libvirt's own clients.

#![forbid(unsafe_code)]

mod admin;
mod crowd;
mod pki;
mod sasl;
mod tls;
