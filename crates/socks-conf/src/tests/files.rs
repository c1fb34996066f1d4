//! Configurations in real files, and who may write them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{by, to};
use crate::load::{Services, untrusted};
use crate::{LoadError, MAX_SIZE, Routes, Untrusted};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn error_of(path: &Path) -> String {
    match Routes::load(path) {
        Ok(_) => panic!("{} was accepted", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_configuration_is_read_with_the_files_that_it_names() {
    let folder = Folder::new();
    let users = folder.file("users", "amy\n", 0o644);
    let text = format!("direct *={} 0.0.0.0 0.0.0.0\n", users.display());
    let routes = Routes::load(&folder.file("conf", text, 0o644)).unwrap();
    assert_eq!(by(&routes, 1, Some("amy")).line, Some(1));
    assert_eq!(by(&routes, 1, Some("bob")).line, None);
}

#[test]
fn a_missing_configuration_is_named() {
    let path = Path::new("/nowhere/pcp_socks.conf");
    let expected = "cannot open the configuration /nowhere/pcp_socks.conf: No such file or \
                    directory (os error 2)";
    assert_eq!(error_of(path), expected);
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let folder = Folder::new();
    let pipe = folder.0.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    for path in [&pipe, folder.0.path(), Path::new("/dev/null")] {
        let expected = format!("the configuration {} is not a regular file", path.display());
        assert_eq!(error_of(path), expected);
    }
    let text = format!("deny *={} 0.0.0.0 0.0.0.0", pipe.display());
    let error = error_of(&folder.file("conf", text, 0o644));
    assert!(error.ends_with("pipe: not a regular file"), "{error}");
}

#[test]
fn a_configuration_that_is_too_large_is_refused() {
    let folder = Folder::new();
    let most = usize::try_from(MAX_SIZE).unwrap();
    let path = folder.file("conf", "#\n".repeat(most / 2), 0o644);
    assert!(Routes::load(&path).is_ok());
    let path = folder.file("conf", "#\n".repeat(most / 2) + "#", 0o644);
    assert!(matches!(Routes::load(&path), Err(LoadError::TooLarge(_))));
}

#[test]
fn an_error_in_a_line_names_the_file() {
    let folder = Folder::new();
    let path = folder.file("conf", "\ndeny\n", 0o644);
    let expected = format!("{}:2: dst_addr: it is missing", path.display());
    assert_eq!(error_of(&path), expected);
}

#[test]
fn commands_are_on_where_nobody_else_can_write_the_file() {
    let folder = Folder::new();
    for (mode, on) in [(0o644, true), (0o600, true), (0o664, false), (0o646, false)] {
        let path = folder.file("conf", "deny 0.0.0.0 0.0.0.0 : true", mode);
        let routes = Routes::load(&path).unwrap();
        assert_eq!(
            routes.decide(&to("192.0.2.1")).command.is_some(),
            on,
            "{mode:o}"
        );
        assert_eq!(routes.commands_off().is_none(), on, "{mode:o}");
    }
}

#[test]
fn only_roots_and_ones_own_files_can_have_commands() {
    assert_eq!(untrusted(0, 0o100_644, 1000), None);
    assert_eq!(untrusted(1000, 0o100_600, 1000), None);
    let stranger = untrusted(1001, 0o100_600, 1000).expect("trusted");
    let (owner, user) = (1001, 1000);
    assert_eq!(stranger, Untrusted::Owner { owner, user });
    assert_eq!(
        untrusted(1000, 0o100_644, 0),
        Some(Untrusted::Owner {
            owner: 1000,
            user: 0
        })
    );
    let open = untrusted(0, 0o100_664, 1000).expect("trusted").to_string();
    assert!(open.contains("mode 664"), "{open}");
}

#[test]
fn services_are_found_by_name_alias_and_port() {
    let text =
        "# services\ntelnet 23/tcp\ndomain 53/udp\nwww\t80/tcp http # web\nbad x/tcp\n\nlone\n";
    let services = Services(text.to_owned());
    for (name, port) in [("telnet", Some(23)), ("http", Some(80)), ("www", Some(80))] {
        assert_eq!(services.port(name), port);
    }
    for name in ["domain", "bad", "lone", "web", "#", ""] {
        assert_eq!(services.port(name), None, "{name}");
    }
    assert_eq!(services.name(80), Some("www"));
    assert_eq!(services.name(53), None);
}
