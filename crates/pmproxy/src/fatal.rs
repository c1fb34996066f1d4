//! Where an error goes that ends the daemon before its log is of use: the file after `-x`, or else
//! the terminal, or else standard error.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use gate::lifecycle::append_to;

const TERMINAL: &str = "/dev/tty";

/// Tells whoever starts the daemon.
pub(crate) fn tell(file: Option<&Path>, message: &str) {
    if write(file, message).is_err() {
        // Nobody is left to tell if this fails.
        let _ = writeln!(io::stderr(), "{message}");
    }
}

fn write(file: Option<&Path>, message: &str) -> io::Result<()> {
    let mut destination = match file {
        Some(path) => append_to(path)?,
        // Never made: where there is no terminal, root would leave a file in its place.
        None => OpenOptions::new().write(true).open(TERMINAL)?,
    };
    writeln!(destination, "{message}")
}
