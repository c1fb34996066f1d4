//! Which modular daemon a URI is for, and where its socket is.

use std::path::{Path, PathBuf};

use crate::autostart;
use virt_proto::{ErrorDomain, ErrorNumber, RemoteError};

/// Longer schemes are no driver's.
const LONGEST_SCHEME: usize = 32;

/// Drivers of hypervisors in the order in which libvirt looks for one where no URI is given
/// (`src/remote/remote_sockets.c`).
const PROBED: [&str; 6] = ["xen", "qemu", "lxc", "vbox", "bhyve", "vz"];

/// Likewise for the daemons of a single user, of which there are only these.
const PROBED_FOR_USERS: [&str; 2] = ["qemu", "vbox"];

/// Where the modular daemons are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drivers {
    /// The folder of their sockets.
    pub(crate) folder: PathBuf,
    /// Sockets that are elsewhere, by scheme.
    pub(crate) elsewhere: Vec<(String, PathBuf)>,
    /// Whether these are the daemons of a single user, whose URIs end in `session`.
    pub(crate) for_user: bool,
}

/// A daemon that was chosen, and what it is to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) uri: String,
    pub(crate) socket: PathBuf,
    /// The program to start where nobody listens.
    pub(crate) program: Option<PathBuf>,
}

impl Drivers {
    /// The daemon for a URI; none, or an empty one, is for the first hypervisor whose socket exists.
    pub(crate) fn choose(
        &self,
        name: Option<&str>,
        read_only: bool,
    ) -> Result<Choice, RemoteError> {
        match name {
            None | Some("") => self.probe(read_only),
            Some(uri) => {
                let scheme = scheme(uri)?;
                Ok(Choice {
                    uri: uri.into(),
                    socket: self.socket(&scheme, read_only),
                    program: self.program(&scheme),
                })
            }
        }
    }

    fn probe(&self, read_only: bool) -> Result<Choice, RemoteError> {
        let (drivers, kind) = if self.for_user {
            (&PROBED_FOR_USERS[..], "session")
        } else {
            (&PROBED[..], "system")
        };
        let chosen = drivers
            .iter()
            .find(|driver| self.socket(driver, read_only).exists())
            .or_else(|| drivers.iter().find(|driver| self.program(driver).is_some()));
        if let Some(driver) = chosen {
            return self.choose(Some(&format!("{driver}:///{kind}")), read_only);
        }
        let folder = self.folder.display();
        let sockets = drivers.join(", ");
        Err(RemoteError::new(
            ErrorNumber::NO_CONNECT,
            ErrorDomain::NONE,
            &format!("an empty URI: no daemon of {sockets} has a socket in {folder}"),
        ))
    }

    fn program(&self, scheme: &str) -> Option<PathBuf> {
        self.for_user.then(|| autostart::find(scheme)).flatten()
    }

    fn socket(&self, scheme: &str, read_only: bool) -> PathBuf {
        let named = self.elsewhere.iter().find(|(name, _)| name == scheme);
        let socket = match named {
            Some((_, path)) => path.clone(),
            None => self.folder.join(format!("virt{scheme}d-sock")),
        };
        if read_only {
            with_suffix(&socket)
        } else {
            socket
        }
    }
}

fn with_suffix(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push("-ro");
    path.into()
}

/// The scheme of a URI in small letters, where it can be a driver's name. It becomes part of a path.
fn scheme(uri: &str) -> Result<String, RemoteError> {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    let Some(scheme) = scheme.filter(|scheme| !scheme.is_empty()) else {
        return Err(RemoteError::no_driver(uri));
    };
    if let Some((driver, transport)) = scheme.split_once('+') {
        return Err(RemoteError::new(
            ErrorNumber::INVALID_ARG,
            ErrorDomain::RPC,
            &format!(
                "URI {uri}: virtproxyd connects to daemons of this host only, not over {transport}; \
                 ask for {driver}:///... instead"
            ),
        ));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if scheme.len() > LONGEST_SCHEME || !scheme.bytes().all(is_plain) {
        return Err(RemoteError::no_driver(uri));
    }
    Ok(scheme.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drivers(folder: &Path) -> Drivers {
        Drivers {
            folder: folder.into(),
            elsewhere: vec![("test".into(), "/elsewhere/sock".into())],
            for_user: false,
        }
    }

    #[test]
    fn the_scheme_names_the_socket() {
        let drivers = drivers(Path::new("/run/libvirt"));
        let table = [
            ("qemu:///system", false, "/run/libvirt/virtqemud-sock"),
            ("QEMU:///system", true, "/run/libvirt/virtqemud-sock-ro"),
            ("network:///system", false, "/run/libvirt/virtnetworkd-sock"),
            ("new-one:///x", false, "/run/libvirt/virtnew-oned-sock"),
            ("test:///default", false, "/elsewhere/sock"),
            ("test:///default", true, "/elsewhere/sock-ro"),
        ];
        for (uri, read_only, socket) in table {
            let choice = drivers.choose(Some(uri), read_only).unwrap();
            assert_eq!((choice.uri.as_str(), choice.socket), (uri, socket.into()));
        }
    }

    #[test]
    fn what_can_be_no_driver_is_refused_by_name() {
        let drivers = drivers(Path::new("/run/libvirt"));
        for uri in [
            "system",
            ":///",
            "../x:///y",
            "a/b:///",
            &"q".repeat(99),
            "q\0:///",
        ] {
            let error = drivers.choose(Some(uri), false).unwrap_err();
            assert_eq!(error.number, ErrorNumber::NO_CONNECT, "{uri}: {error}");
        }
        let error = drivers.choose(Some("qemu+tcp://other/system"), false);
        let error = error.unwrap_err();
        assert_eq!(error.number, ErrorNumber::INVALID_ARG);
        assert!(error.to_string().contains("not over tcp"), "{error}");
    }

    #[test]
    fn without_a_uri_the_first_socket_that_exists_decides() {
        let folder = tempfile::tempdir().unwrap();
        let drivers = drivers(folder.path());
        let error = drivers.choose(None, false).unwrap_err();
        assert!(
            error.to_string().contains("no daemon of xen, qemu"),
            "{error}"
        );
        for (name, uri) in [("lxc", "lxc:///system"), ("qemu", "qemu:///system")] {
            std::fs::write(folder.path().join(format!("virt{name}d-sock")), "").unwrap();
            for empty in [None, Some("")] {
                assert_eq!(drivers.choose(empty, false).unwrap().uri, uri);
            }
        }
        assert!(drivers.choose(None, true).is_err());
    }
}
