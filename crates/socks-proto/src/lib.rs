//! SOCKS 4, 4a and 5: the client's side of the dialogue, without I/O.

#![forbid(unsafe_code)]
