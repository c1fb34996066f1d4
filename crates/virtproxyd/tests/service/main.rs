//! virtproxyd as a service: what it refuses to start with, how it lives, reloads and ends, and the
//! sockets that a service manager hands over.

#![forbid(unsafe_code)]

mod activation;
mod home;
mod life;
mod refusals;
mod session_mode;
mod settings;
