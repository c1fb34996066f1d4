//! The configuration that is installed, and the examples of the manual page.

use std::path::Path;

use super::{FILE, Fixture, line, routes, to, to_name};
use crate::{Action, Routes};

const INSTALLED: &str = include_str!("../../../../dist/pmsocks/pcp_socks.conf");
const MANUAL: &str = include_str!("../../../../dist/man/pcp_socks.conf.5");

#[test]
fn as_it_is_installed_only_this_host_is_connected_to_directly() {
    let routes = routes(INSTALLED);
    for own in ["127.0.0.1", "::1"] {
        assert_eq!(routes.decide(&to(own)).action, Action::Direct, "{own}");
    }
    for other in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(
            routes.decide(&to(other)).action,
            Action::Sockd(&[]),
            "{other}"
        );
    }
    let unknown = routes.decide(&to_name("outside.example"));
    assert_eq!(unknown.action, Action::Sockd(&[]));
}

#[test]
fn what_the_installed_file_shows_as_comments_can_be_used() {
    let shown = INSTALLED.lines().filter_map(|line| {
        let line = line.strip_prefix('#')?;
        (line.starts_with("direct ") || line.starts_with("sockd ")).then_some(line)
    });
    let text: Vec<&str> = shown.collect();
    assert_eq!(text.len(), 4);
    let routes = routes(&text.join("\n"));
    assert_eq!(line(&routes, "192.168.1.7"), Some(1));
    assert_eq!(line(&routes, "192.0.2.1"), Some(4));
}

#[test]
fn the_examples_of_the_manual_page_can_be_used() {
    let mut files = Fixture::default();
    files.0.insert("/etc/trainees", b"amy");
    let examples: Vec<&str> = MANUAL
        .split(".Bd -literal")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('\n')?.1.split_once(".Ed")?.0))
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        if let Err(error) = Routes::parse(example.as_bytes(), Path::new(FILE), &files) {
            panic!("{error} in\n{example}");
        }
    }
}
