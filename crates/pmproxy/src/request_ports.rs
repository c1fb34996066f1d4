//! The request ports: where clients connect, opening them, and the table of them in the log.

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use gate::lifecycle::Account;
use gate::listen::{Address, Bound, bind};

/// An address of this machine on which clients are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    address: SocketAddr,
    /// A machine that lacks the family does without: nobody has asked for this one by itself.
    optional: bool,
}

impl Interface {
    /// All addresses of both families.
    pub(crate) fn any() -> Vec<Interface> {
        Interface::both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED)
    }

    /// The loopback interface only.
    pub(crate) fn loopback() -> Vec<Interface> {
        Interface::both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
    }

    fn both(v4: Ipv4Addr, v6: Ipv6Addr) -> Vec<Interface> {
        let pair = [(v4.into(), false), (v6.into(), true)];
        let interface = |(address, optional): (IpAddr, bool)| Interface {
            address: (address, 0).into(),
            optional,
        };
        pair.map(interface).into()
    }

    /// The addresses that a name or an address after `-i` stands for.
    pub(crate) fn find(name: &str) -> io::Result<Vec<Interface>> {
        match name {
            "INADDR_ANY" => Ok(Interface::any()),
            "INADDR_LOOPBACK" => Ok(Interface::loopback()),
            _ => {
                let optional = false;
                let addresses = (name, 0).to_socket_addrs()?;
                Ok(addresses
                    .map(|address| Interface { address, optional })
                    .collect())
            }
        }
    }

    fn with_port(self, port: u16) -> SocketAddr {
        let mut address = self.address;
        address.set_port(port);
        address
    }
}

/// A request port that was asked for, and what became of it.
#[derive(Debug)]
struct RequestPort {
    address: Address,
    /// The descriptor, once it is open.
    descriptor: Option<i32>,
}

/// All request ports.
#[derive(Debug, Default)]
pub(crate) struct RequestPorts {
    rows: Vec<RequestPort>,
    pub(crate) open: Vec<Bound>,
    /// What went wrong, in the words of the manual page.
    pub(crate) errors: Vec<String>,
}

impl RequestPorts {
    /// Opens the unix socket and every port on every interface.
    pub(crate) fn open(
        socket: PathBuf,
        interfaces: &[Interface],
        ports: impl Iterator<Item = u16>,
        max_pending: i32,
        account: Option<&Account>,
    ) -> RequestPorts {
        let mut request_ports = RequestPorts::default();
        request_ports.add(Address::Unix(socket), max_pending, account, false);
        for port in ports {
            for interface in interfaces {
                let address = Address::Tcp(interface.with_port(port));
                request_ports.add(address, max_pending, None, interface.optional);
            }
        }
        request_ports
    }

    /// The ports that the service manager has opened.
    pub(crate) fn handed_over(sockets: Vec<Bound>) -> RequestPorts {
        let row = |bound: &Bound| RequestPort {
            address: bound.address().clone(),
            descriptor: Some(bound.descriptor()),
        };
        RequestPorts {
            rows: sockets.iter().map(row).collect(),
            open: sockets,
            errors: Vec::new(),
        }
    }

    fn add(
        &mut self,
        address: Address,
        max_pending: i32,
        account: Option<&Account>,
        optional: bool,
    ) {
        let opened = open_as(account, &address, max_pending, SOCKET_MODE);
        let descriptor = opened.as_ref().ok().map(Bound::descriptor);
        match opened {
            Ok(bound) => self.open.push(bound),
            // A machine without IPv6 serves IPv4 only.
            Err(error) if optional && has_no_family(&error) => return,
            Err(error) => self.errors.push(complaint(&address, &error)),
        }
        self.rows.push(RequestPort {
            address,
            descriptor,
        });
    }

    /// Whether clients can reach any TCP port.
    pub(crate) fn is_reachable(&self) -> bool {
        self.open
            .iter()
            .any(|bound| matches!(bound.address(), Address::Tcp(_)))
    }

    /// The table that opens the log.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "pmproxy request port(s):\n  sts fd   port  family address\n  === ==== ===== ====== =======\n",
        );
        for row in &self.rows {
            let (status, descriptor) = match row.descriptor {
                Some(descriptor) => ("ok ", descriptor.to_string()),
                None => ("err", "-1".into()),
            };
            let (port, family, address) = columns(&row.address);
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "  {status} {descriptor:>4} {port:>5} {family:<6} {address}"
            );
        }
        table
    }
}

/// Everyone on this machine may connect: the TCP ports are open to them as well.
const SOCKET_MODE: u32 = 0o666;

/// Opens with the rights of the user that the daemon will be, so that it can remove the socket in
/// the end; where that user may not, with our own.
pub(crate) fn open_as(
    account: Option<&Account>,
    address: &Address,
    max_pending: i32,
    mode: u32,
) -> io::Result<Bound> {
    let open = || bind(address, max_pending, mode);
    match account {
        None => open(),
        Some(account) => account.with_file_rights(open).or_else(|error| {
            if error.kind() == io::ErrorKind::PermissionDenied {
                open()
            } else {
                Err(error)
            }
        }),
    }
}

fn has_no_family(error: &io::Error) -> bool {
    use nix::libc::{EADDRNOTAVAIL, EAFNOSUPPORT};
    matches!(error.raw_os_error(), Some(EAFNOSUPPORT | EADDRNOTAVAIL))
}

/// The addresses that `INADDR_LOOPBACK` stands for, and no others of 127/8.
fn is_localhost(address: IpAddr) -> bool {
    address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST
}

/// Port, family and address as the C program's table has them.
fn columns(address: &Address) -> (String, &'static str, String) {
    match address {
        Address::Unix(path) => (String::new(), "unix", path.display().to_string()),
        Address::Tcp(tcp) => {
            let family = if tcp.is_ipv4() { "inet" } else { "ipv6" };
            let name = match tcp.ip() {
                ip if ip.is_unspecified() => "INADDR_ANY".into(),
                ip if is_localhost(ip) => "INADDR_LOOPBACK".into(),
                ip => ip.to_string(),
            };
            (tcp.port().to_string(), family, name)
        }
    }
}

fn complaint(address: &Address, error: &io::Error) -> String {
    let (port, family, name) = columns(address);
    let what = gate::describe(error);
    let advice = match (error.kind(), address) {
        (io::ErrorKind::AddrInUse, Address::Tcp(_)) => {
            " (is another pmproxy running? stop it, or choose another port with -p)"
        }
        (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
            " (is another pmproxy running? stop it, or choose another path with -s)"
        }
        (io::ErrorKind::PermissionDenied, Address::Tcp(_)) => {
            " (ports below 1024 are for root: start pmproxy as root, it changes user afterwards)"
        }
        (io::ErrorKind::AddrNotAvailable, _) => " (no interface of this machine has it: see -i)",
        (io::ErrorKind::NotFound, Address::Unix(_)) => {
            " (its folder is missing: make it, or choose another path with -s)"
        }
        _ => "",
    };
    match address {
        Address::Tcp(_) => {
            format!("OpenRequestSocket({port}, {name}, {family}) bind: {what}{advice}")
        }
        Address::Unix(_) => format!("OpenRequestSocket({name}, {family}) bind: {what}{advice}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_reported_in_the_words_of_the_manual_page() {
        let address = Address::Tcp(([0, 0, 0, 0], 44322).into());
        let taken = io::Error::from_raw_os_error(nix::libc::EADDRINUSE);
        let text = complaint(&address, &taken);
        assert_eq!(
            text,
            "OpenRequestSocket(44322, INADDR_ANY, inet) bind: Address already in use \
             (is another pmproxy running? stop it, or choose another port with -p)"
        );
    }

    #[test]
    fn the_table_has_a_row_for_every_pair_of_interface_and_port() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let interfaces = Interface::find("127.0.0.1").unwrap();
        let ports = RequestPorts::open(socket.clone(), &interfaces, [taken].into_iter(), 5, None);
        let rows: Vec<_> = ports.table().lines().skip(3).map(str::to_owned).collect();
        assert!(
            rows[0].starts_with("  ok ")
                && rows[0].ends_with(&format!("unix   {}", socket.display()))
        );
        assert_eq!(
            rows[1],
            format!("  err   -1 {taken} inet   INADDR_LOOPBACK")
        );
        assert!(!ports.is_reachable());
        assert_eq!(ports.errors.len(), 1);
    }
}
