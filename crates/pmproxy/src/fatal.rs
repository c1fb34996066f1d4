//! Where an error goes that ends the daemon before its log is of use: the file after `-x`, or else
//! the terminal, or else standard error.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

const TERMINAL: &str = "/dev/tty";

/// Tells whoever starts the daemon.
pub(crate) fn tell(file: Option<&Path>, message: &str) {
    let destination = file.unwrap_or(Path::new(TERMINAL));
    if write(destination, message).is_err() {
        eprintln!("{message}");
    }
}

fn write(destination: &Path, message: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(destination)?;
    writeln!(file, "{message}")
}
