//! SOCKS servers, alone and in lists.

use socks_proto::Version;

use super::{routes, to};
use crate::{Action, Server, ServerError};

fn server(text: &str) -> Server {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn wrong(text: &str) -> ServerError {
    text.parse::<Server>().expect_err(text)
}

#[test]
fn a_server_has_a_name_or_an_address_and_maybe_a_port() {
    for (text, host, port) in [
        ("firewall", "firewall", None),
        ("firewall.example.com.", "firewall.example.com.", None),
        ("fire_wall:1081", "fire_wall", Some(1081)),
        ("10.1.0.1", "10.1.0.1", None),
        ("10.1.0.1:65535", "10.1.0.1", Some(65535)),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:DB8:0::1]:1", "2001:DB8:0::1", Some(1)),
    ] {
        let server = server(text);
        assert_eq!((server.host.as_str(), server.port), (host, port), "{text}");
        assert_eq!((server.version, server.credentials), (None, None), "{text}");
    }
}

#[test]
fn a_server_has_its_own_version_and_credentials() {
    let both = server("fw:1081;version=4a;credentials=/etc/fw.secret");
    assert_eq!(both.version, Some(Version::V4a));
    assert_eq!(both.credentials.as_deref(), Some("/etc/fw.secret".as_ref()));
    assert_eq!(
        server("fw;credentials=/etc/fw.secret;version=4a").version,
        Some(Version::V4a)
    );
    assert_eq!(server("[::1];version=5").version, Some(Version::V5));
    assert_eq!(server("fw;version=4").version, Some(Version::V4));
}

#[test]
fn a_server_is_shown_as_it_is_written() {
    for text in [
        "firewall",
        "firewall:1",
        "10.1.0.1:1080",
        "[2001:db8::1]",
        "[2001:db8::1]:99",
    ] {
        assert_eq!(server(text).to_string(), text);
    }
    assert_eq!(server("fw:1;credentials=/etc/secret").to_string(), "fw:1");
}

#[test]
fn what_is_no_server_is_refused_with_its_reason() {
    for host in [
        "",
        ":1080",
        "a b",
        "fire/wall",
        "10.1.0",
        "10.1.0.256",
        "[fw]",
        "[::1",
        "[::1]1080",
        "a..b",
    ] {
        assert!(matches!(wrong(host), ServerError::Host(_)), "{host}");
    }
    for port in [
        "fw:", "fw:0", "fw:65536", "fw:+1", "fw:socks", "[::1]:", "[::1]:0",
    ] {
        assert!(matches!(wrong(port), ServerError::Port(_)), "{port}");
    }
    assert!(matches!(
        wrong("2001:db8:0:0:0:0:0:1:1080"),
        ServerError::Brackets(_)
    ));
    for option in [
        "fw;",
        "fw;version",
        "fw;user=x",
        "fw;Version=5",
        "fw;version=5;",
    ] {
        assert!(matches!(wrong(option), ServerError::Option(_)), "{option}");
    }
    for version in ["fw;version=", "fw;version=6", "fw;version=5h"] {
        assert!(
            matches!(wrong(version), ServerError::Version(_)),
            "{version}"
        );
    }
    for path in [
        "fw;credentials=",
        "fw;credentials=secret",
        "fw;credentials=./secret",
    ] {
        assert!(matches!(wrong(path), ServerError::Credentials(_)), "{path}");
    }
    assert_eq!(
        wrong("fw;version=4;version=4"),
        ServerError::Twice("version")
    );
    assert_eq!(
        wrong("fw;credentials=/a;credentials=/b"),
        ServerError::Twice("credentials")
    );
}

#[test]
fn a_list_keeps_the_order_of_its_servers() {
    let routes = routes("sockd @=fw1:1081;version=4,[::1],fw2;credentials=/etc/x 0.0.0.0 0.0.0.0");
    let Action::Sockd(servers) = routes.decide(&to("192.0.2.1")).action else {
        panic!("not through a server");
    };
    let expected = ["fw1:1081;version=4", "[::1]", "fw2;credentials=/etc/x"].map(server);
    assert_eq!(servers, expected);
}

#[test]
fn the_servers_of_all_lines_can_be_listed() {
    let routes = routes(
        "sockd @=fw2,fw1 10.0.0.0/8\ndirect LOCALHOSTNAME\nsockd @=fw2 11.0.0.0/8\n\
         sockd 0.0.0.0 0.0.0.0",
    );
    let names: Vec<&str> = routes
        .servers()
        .map(|server| server.host.as_str())
        .collect();
    assert_eq!(names, ["fw2", "fw1", "fw2"]);
}

#[test]
fn an_ipv6_address_alone_needs_no_brackets_and_has_no_port() {
    let server: Server = "2001:db8::1:1080".parse().unwrap();
    assert_eq!(server.host, "2001:db8::1:1080");
    assert_eq!(server.port, None);
    let server: Server = "::1;version=5".parse().unwrap();
    assert_eq!((server.host.as_str(), server.port), ("::1", None));
}
