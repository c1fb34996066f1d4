//! What is said to the user.

use std::io::{self, Write};

/// Writes to standard output. What the exit status is, if that is all.
pub fn print(text: &str) -> u8 {
    let mut stdout = io::stdout();
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    if printed.is_ok() { 0 } else { crate::FAILURE }
}

/// Writes to standard error.
pub fn complain(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = io::stderr().write_all(format!("pmsocks: {text}").as_bytes());
}
