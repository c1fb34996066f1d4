//! Looking containers up with Debian's pmdaroot.

use std::ffi::OsStr;

use pcp_proto::Status;
use pmda_root::{Container, Error, Features, RootConnection, Version};

use crate::server::{ALPHA, Debian};

#[test]
fn a_container_is_found_by_its_name_its_id_and_a_part_of_it() {
    let debian = Debian::start().unwrap();
    let mut root = debian.connect().unwrap();
    assert_eq!(root.version(), Version::V2);
    assert_eq!(root.features(), Features::ALL);
    let pid = i32::try_from(debian.inside.pid()).unwrap();
    for name in ["alpha", ALPHA, &ALPHA[..12]] {
        assert_eq!(root.container_host_name(name).unwrap(), "inside");
        assert_eq!(root.container_process_id(name).unwrap(), pid);
        let cgroup = root.container_cgroup_name(name).unwrap();
        assert_eq!(cgroup, *format!("docker/{ALPHA}"));
    }
}

#[test]
fn the_host_name_is_found_by_a_process_too() {
    let debian = Debian::start().unwrap();
    let mut root = debian.connect().unwrap();
    let pid = i32::try_from(debian.inside.pid()).unwrap();
    let name = root.container_host_name(Container::Pid(pid)).unwrap();
    assert_eq!(name, "inside");
    let refused = root.container_host_name(Container::Pid(-1)).unwrap_err();
    assert!(matches!(refused, Error::Pid(-1)), "{refused}");
}

#[test]
fn a_container_that_is_not_there_is_an_error_and_the_connection_goes_on() {
    let debian = Debian::start().unwrap();
    let mut root = debian.connect().unwrap();
    for _ in 0..2 {
        let error = root.container_process_id("nosuch").unwrap_err();
        assert_eq!(error.status(), Status::NO_CONTAINER, "{error}");
    }
    assert_eq!(root.container_host_name("beta").unwrap(), "inside");
}

#[test]
fn a_name_that_cannot_be_sent_is_not() {
    let debian = Debian::start().unwrap();
    let mut root = debian.connect().unwrap();
    for (name, status) in [("", -22), ("a\0b", -22), ("x".repeat(4096).as_str(), -7)] {
        let error = root.container_process_id(OsStr::new(name)).unwrap_err();
        assert_eq!(error.status(), Status(status), "{error}");
    }
    assert_eq!(root.container_host_name("alpha").unwrap(), "inside");
}

#[test]
fn no_server_is_an_error_with_its_errno() {
    let error = RootConnection::open_at("/nonexistent/root.socket").unwrap_err();
    assert_eq!(error.status(), Status(-2), "{error}");
    let error = RootConnection::open_at("x".repeat(200)).unwrap_err();
    assert_eq!(error.status(), Status(-36), "{error}");
}
