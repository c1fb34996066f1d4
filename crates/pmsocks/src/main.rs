//! Runs any PCP client through a SOCKS server.

fn main() {}
