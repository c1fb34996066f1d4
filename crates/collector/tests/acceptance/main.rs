//! The collector as a program: asked by real clients, and treated badly.

#![forbid(unsafe_code)]

mod connections;
mod peer;
mod real_clients;
