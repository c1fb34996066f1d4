//! The variables, and files with credentials.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::{DEFAULT_ROUTES, HandedOn, Settings, SettingsError};
use rustix::io::Errno;
use socks_proto::Version;

fn read(variables: &[(&'static str, &str)]) -> Result<Settings, SettingsError> {
    let variables: BTreeMap<&str, OsString> = variables
        .iter()
        .map(|(name, value)| (*name, OsString::from(value)))
        .collect();
    Settings::read(&|name| variables.get(name).cloned())
}

#[test]
fn nothing_has_to_be_set() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.server, None);
    assert_eq!((settings.port, settings.version), (1080, None));
    assert_eq!(settings.timeout, pcp_env::CONNECT_TIMEOUT);
    assert_eq!(settings.routes_file, Path::new(DEFAULT_ROUTES));
    assert!(!settings.debug && !settings.banner && !settings.timeout_is_set);
}

#[test]
fn every_variable_counts() {
    let settings = read(&[
        ("SOCKS_SERVER", "fw.example:1081"),
        ("SOCKS_PORT", "1090"),
        ("SOCKS_VERSION", "4a"),
        ("SOCKS_USER", "alice"),
        ("SOCKS_PASSWORD", "secret"),
        ("PMCD_CONNECT_TIMEOUT", "12.5"),
        ("SOCKS_DEBUG", ""),
        ("SOCKS_BANNER", "1"),
        ("PCP_SOCKS_CONF", "/etc/other.conf"),
    ])
    .unwrap();
    let server = settings.server.clone().unwrap();
    assert_eq!(
        (server.host.as_str(), server.port),
        ("fw.example", Some(1081))
    );
    assert_eq!(
        (settings.port, settings.version),
        (1090, Some(Version::V4a))
    );
    assert_eq!(settings.timeout, Duration::from_millis(12_500));
    assert!(settings.timeout_is_set && settings.debug && settings.banner);
    assert_eq!(settings.routes_file, Path::new("/etc/other.conf"));
    assert!(!format!("{settings:?}").contains("secret"));
}

#[test]
fn nonsense_is_named_with_its_variable() {
    for (variable, value) in [
        ("SOCKS_SERVER", "fw:99999"),
        ("SOCKS_PORT", "0"),
        ("SOCKS_PORT", "socks"),
        ("SOCKS_VERSION", "6"),
        ("PMCD_CONNECT_TIMEOUT", "-1"),
        ("PMCD_CONNECT_TIMEOUT", "soon"),
        ("PMSOCKS_SERVERS", "fw"),
    ] {
        let error = read(&[(variable, value)]).unwrap_err().to_string();
        assert!(error.starts_with(variable), "{error}");
        assert!(error.contains(value), "{error}");
    }
}

#[test]
fn a_password_needs_a_user_and_both_have_limits() {
    let alone = read(&[("SOCKS_PASSWORD", "secret")]).unwrap_err();
    assert_eq!(alone, SettingsError::PasswordAlone);
    let long = "x".repeat(256);
    let error = read(&[("SOCKS_USER", "u"), ("SOCKS_PASSWORD", &long)]).unwrap_err();
    assert_eq!(error, SettingsError::TooLong("SOCKS_PASSWORD"));
    assert!(!error.to_string().contains(&long));
    let error = read(&[("SOCKS_USER", &long)]).unwrap_err();
    assert_eq!(error, SettingsError::TooLong("SOCKS_USER"));
}

#[test]
fn what_is_handed_on_comes_back_the_same() {
    let mut handed_on = HandedOn::default();
    handed_on.add(
        "Fw.Example",
        vec!["10.1.0.1".parse().unwrap(), "::1".parse().unwrap()],
    );
    handed_on.add("two", vec!["10.1.0.2".parse().unwrap()]);
    let text = handed_on.to_string();
    assert_eq!(text, "fw.example=10.1.0.1,::1 two=10.1.0.2");
    assert_eq!(text.parse(), Ok(handed_on));
}

mod credentials {
    use std::net::TcpListener;
    use std::time::Instant;

    use crate::{Destination, Dial, Failure, Status, Surroundings};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    use socks_conf::Server;

    use super::*;

    struct Around;

    impl Surroundings for Around {
        fn resolve(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
            Ok(Vec::new())
        }

        fn login(&self) -> String {
            String::new()
        }
    }

    /// Why a file with this text and mode cannot be used.
    fn refused(text: &str, mode: u32) -> Failure {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        dialled(&file)
    }

    fn dialled(file: &Path) -> Failure {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            host: "127.0.0.1".to_owned(),
            port: Some(listener.local_addr().unwrap().port()),
            version: None,
            credentials: Some(file.to_owned()),
        };
        let flags = SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        let target = Destination::Address("192.0.2.9:1".parse().unwrap());
        let settings = read(&[]).unwrap();
        let mut dial = Dial::new(socket, target, &[server], &settings, Instant::now());
        match dial.drive(Instant::now(), &Around) {
            Status::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        for mode in [0o644, 0o640, 0o602] {
            let failure = refused("alice:secret\n", mode);
            assert!(failure.to_string().contains("0600"), "{failure}");
            assert_eq!(failure.errno(), Errno::ACCESS);
        }
    }

    #[test]
    fn a_file_must_have_both_in_one_line() {
        for text in ["", "alice\n", ":secret\n", "alice:\n", "# alice:secret\n"] {
            let failure = refused(text, 0o600);
            assert!(failure.to_string().contains("USER:PASSWORD"), "{failure}");
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let failure = dialled(Path::new("/nonexistent/credentials"));
        assert!(
            failure.to_string().contains("/nonexistent/credentials"),
            "{failure}"
        );
    }
}
