//! The lines that open a session with pmproxy.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pcp_proto::greeting::{parse_client_hello, parse_server_hello, parse_target};

fuzz_target!(|bytes: &[u8]| {
    for parse in [parse_client_hello, parse_server_hello] {
        if let Ok(Some(len)) = parse(bytes) {
            assert!(len <= bytes.len());
            assert_eq!(parse(&bytes[..len]), Ok(Some(len)));
        }
    }
    if let Ok(Some((target, len))) = parse_target(bytes) {
        assert!(len <= bytes.len());
        let line = target.to_line();
        assert_eq!(parse_target(&line), Ok(Some((target, line.len()))));
    }
});
