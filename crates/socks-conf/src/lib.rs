//! Which way a connection goes: the routes of `pcp_socks.conf`.

#![forbid(unsafe_code)]
