//! What the launcher found out about the names of SOCKS servers and hands on to the programs that it
//! runs: the addresses that the name server of `SOCKS_NS` gave.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The variable in which the launcher hands it on: `name=address,address name=address`.
pub const HANDED_ON: &str = "PMSOCKS_SERVERS";

/// The variable by which the launcher tells the library that it is in the program which the user has
/// asked for. There a wrong configuration ends the process with an error, before the program's main. The
/// library takes the variable away.
pub const BEGINS: &str = "PMSOCKS_BEGINS";

/// Names of servers with their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandedOn(Vec<(String, Vec<IpAddr>)>);

impl HandedOn {
    /// Adds a name with its addresses.
    pub fn add(&mut self, name: &str, addresses: Vec<IpAddr>) {
        self.0.push((name.to_ascii_lowercase(), addresses));
    }

    /// The addresses of a name, if they were handed on.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Option<&[IpAddr]> {
        let known = self
            .0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, addresses)| addresses.as_slice())
    }
}

impl fmt::Display for HandedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, addresses)) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            write!(f, "{gap}{name}={}", addresses.join(","))?;
        }
        Ok(())
    }
}

impl FromStr for HandedOn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<HandedOn, Self::Err> {
        const WHY: &str = "pmsocks itself sets this variable, as name=address,address ...";
        let mut all = HandedOn::default();
        for entry in text.split_ascii_whitespace() {
            let (name, addresses) = entry.split_once('=').ok_or(WHY)?;
            let addresses: Result<Vec<IpAddr>, _> = addresses.split(',').map(str::parse).collect();
            all.add(name, addresses.map_err(|_| WHY)?);
        }
        Ok(all)
    }
}
