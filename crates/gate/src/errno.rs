//! Errors of the system in its own words.

use std::io;

/// What the system calls this error, without the number that Rust adds; other errors as they
/// display themselves.
pub fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => nix::errno::Errno::from_raw(errno).desc().into(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_left_out() {
        let error = io::Error::from_raw_os_error(nix::libc::EADDRINUSE);
        assert_eq!(describe(&error), "Address already in use");
        assert_eq!(
            describe(&io::Error::other("no such thing")),
            "no such thing"
        );
    }
}
