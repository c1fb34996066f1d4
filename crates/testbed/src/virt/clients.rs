//! libvirt's own clients, and the URIs with which they find a daemon of the test.

use std::path::Path;

use crate::client::Client;

/// Debian's Python, for which Debian's bindings are made; another may come first in the PATH.
const PYTHON: &str = "/usr/bin/python3";

/// `virsh` with this URI; its command is the next argument.
pub fn virsh(uri: &str) -> Client {
    Client::new("virsh").args(["-c", uri])
}

/// `virt-admin` for the daemon of this name (`virtproxyd`, `libvirtd`) with its admin interface on
/// this socket; its command is the next argument.
pub fn virt_admin(daemon: &str, socket: &Path) -> Client {
    let uri = format!("{daemon}:///system?socket={}", socket.display());
    Client::new("virt-admin").args(["-c", &uri])
}

/// A script in Python that may import `libvirt`; its arguments are next.
pub fn python_libvirt(script: &Path) -> Client {
    Client::new(PYTHON).args([Path::new("-u"), script])
}

/// A URI such as `qemu:///system`, by way of a unix socket.
pub fn uri_unix(uri: &str, socket: &Path) -> String {
    let (scheme, rest) = parts(uri);
    format!("{scheme}+unix:///{rest}?socket={}", socket.display())
}

/// A URI such as `qemu:///system`, by way of TCP on this machine.
pub fn uri_tcp(uri: &str, port: u16) -> String {
    let (scheme, rest) = parts(uri);
    format!("{scheme}+tcp://127.0.0.1:{port}/{rest}")
}

/// A URI such as `qemu:///system`, by way of TLS on this machine, with the client's certificates in
/// the folder `pki`.
pub fn uri_tls(uri: &str, port: u16, pki: &Path) -> String {
    let (scheme, rest) = parts(uri);
    format!(
        "{scheme}+tls://localhost:{port}/{rest}?pkipath={}",
        pki.display()
    )
}

fn parts(uri: &str) -> (&str, &str) {
    uri.split_once(":///").unwrap_or((uri, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_says_which_way_to_go() {
        let socket = Path::new("/run/sock");
        assert_eq!(
            uri_unix("qemu:///system", socket),
            "qemu+unix:///system?socket=/run/sock"
        );
        assert_eq!(
            uri_tcp("test:///default", 7),
            "test+tcp://127.0.0.1:7/default"
        );
        let tls = uri_tls("qemu:///system", 7, Path::new("/pki"));
        assert_eq!(tls, "qemu+tls://localhost:7/system?pkipath=/pki");
    }
}
