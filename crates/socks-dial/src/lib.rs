//! Connects a socket to its destination through SOCKS servers.
