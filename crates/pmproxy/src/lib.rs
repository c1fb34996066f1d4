//! pmproxy
