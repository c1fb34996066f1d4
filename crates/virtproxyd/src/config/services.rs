//! Names of TCP services, which may stand for a port.

use std::path::Path;

/// The file with the names, as in `services(5)`.
pub(super) const SERVICES: &str = "/etc/services";

/// The port of the TCP service with this name or alias, if the file has it.
pub(super) fn port(name: &str, services: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(services).ok()?;
    text.lines().find_map(|line| {
        let (line, _) = line.split_once('#').unwrap_or((line, ""));
        let mut words = line.split_whitespace();
        let service = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        let named = service == name || words.any(|alias| alias == name);
        if named { port.parse().ok() } else { None }
    })
}
