//! Dials through scripted servers, and what users set.

mod dialling;
mod settings;
