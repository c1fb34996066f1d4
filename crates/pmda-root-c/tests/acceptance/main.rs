//! Programs in C, compiled with gcc, with our library and with Debian's.

#![forbid(unsafe_code)]

mod behaviour;
mod same_answers;
