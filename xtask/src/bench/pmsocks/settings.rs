//! The files that tell the contenders where the servers are, and which way a connection goes.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::sides::Server;

/// So many lines are called many.
pub(super) const MANY: usize = 1000;

/// A file of routes for our pmsocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) struct Routes {
    /// How many lines it has, of which the last one decides.
    pub(super) lines: usize,
    pub(super) last: Way,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Way {
    /// To a SOCKS server.
    Sockd,
    /// To the target itself.
    Direct,
}

impl Routes {
    /// Every file of routes that the bench uses.
    const ALL: [Routes; 4] = [
        Routes::new(1, Way::Sockd),
        Routes::new(MANY, Way::Sockd),
        Routes::new(1, Way::Direct),
        Routes::new(MANY, Way::Direct),
    ];

    pub(super) const fn new(lines: usize, last: Way) -> Routes {
        Routes { lines, last }
    }

    /// The file itself. Lines of all kinds come before the last one, and none of them is about an
    /// address that the bench connects to.
    pub(super) fn text(self) -> String {
        let mut text = String::new();
        for line in 1..self.lines {
            let (high, low) = (line / 250, line % 250);
            // Writing to a string cannot fail.
            let _ = match line % 5 {
                0 => writeln!(text, "direct 172.{high}.{low}.0 255.255.255.0"),
                1 => writeln!(text, "deny 172.{high}.{low}.7 255.255.255.255 eq telnet"),
                2 => writeln!(text, "sockd @=10.1.0.9 172.{high}.{low}.0/24 ge 1024"),
                3 => writeln!(
                    text,
                    "sockd *=nobody,65533 172.{high}.{low}.0 255.255.255.0"
                ),
                _ => writeln!(text, "direct 2001:db8:{high}:{low}::/64"),
            };
        }
        text.push_str(match self.last {
            Way::Sockd => "sockd 0.0.0.0 0.0.0.0\n",
            Way::Direct => "direct 0.0.0.0 0.0.0.0\n",
        });
        text
    }
}

pub(super) fn routes_file(folder: &Path, routes: Routes) -> PathBuf {
    let way = match routes.last {
        Way::Sockd => "sockd",
        Way::Direct => "direct",
    };
    folder.join(format!("{way}-{}.conf", routes.lines))
}

pub(super) fn tsocks_file(folder: &Path, server: Server) -> PathBuf {
    folder.join(format!("tsocks-{}.conf", server.name()))
}

pub(super) fn proxychains_file(folder: &Path, server: Server) -> PathBuf {
    folder.join(format!("proxychains-{}.conf", server.name()))
}

/// Writes all files into the folder. Loopback is direct for everybody but for ours, where the last
/// line decides.
pub(super) fn write_all(folder: &Path) -> Result<()> {
    let write = |path: PathBuf, text: String| {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    for routes in Routes::ALL {
        write(routes_file(folder, routes), routes.text())?;
    }
    for server in Server::ALL {
        let (ip, port) = (server.address().ip(), server.port());
        // tsocks has loopback among its local networks without being told.
        let tsocks = format!(
            "server = {ip}\nserver_type = 5\nserver_port = {port}\n\
             local = 10.1.0.0/255.255.255.0\n"
        );
        write(tsocks_file(folder, server), tsocks)?;
        let proxychains = format!(
            "strict_chain\ntcp_read_time_out 15000\ntcp_connect_time_out 8000\n\
             localnet 127.0.0.0/255.0.0.0\n[ProxyList]\nsocks5 {ip} {port}\n"
        );
        write(proxychains_file(folder, server), proxychains)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_routes_has_as_many_lines_as_it_is_called_by() {
        for routes in Routes::ALL {
            let text = routes.text();
            assert_eq!(text.lines().count(), routes.lines);
            let last = text.lines().last().unwrap();
            assert!(last.ends_with(" 0.0.0.0 0.0.0.0"), "{last}");
        }
    }
}
