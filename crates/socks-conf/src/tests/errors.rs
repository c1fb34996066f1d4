//! Every error, with its file, line and field.

use std::path::Path;

use super::{FILE, Fixture};
use crate::{Field, Problem, RouteError, Routes};

fn error_of(text: &[u8], files: &Fixture) -> RouteError {
    Routes::parse(text, Path::new(FILE), files).expect_err(&String::from_utf8_lossy(text))
}

/// What is wrong with a line, which comes second.
fn wrong(line: &str) -> (Field, String) {
    let text = format!("direct LOCALHOSTNAME\n{line}\nsockd 0.0.0.0 0.0.0.0\n");
    let error = error_of(text.as_bytes(), &Fixture::default());
    assert_eq!(
        (error.file.as_path(), error.line),
        (Path::new(FILE), 2),
        "{line}"
    );
    (error.field, error.why.to_string())
}

#[test]
fn an_error_names_file_line_and_field() {
    let error = error_of(b"\ndirect 10.0.0.0 255.x", &Fixture::default());
    let expected = "/etc/pcp_socks.conf:2: dst_mask: \"255.x\" is no mask: expected one such as \
                    255.255.255.0, or an IPv6 address";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn every_field_that_is_wrong_is_named_with_the_reason() {
    for (line, field, why) in [
        (
            "allow 0.0.0.0 0.0.0.0",
            Field::Action,
            "none of deny, direct and sockd",
        ),
        (
            "allow *=./users 0.0.0.0",
            Field::Action,
            "none of deny, direct and sockd",
        ),
        (": true", Field::Action, "missing"),
        (
            "deny @=fw 0.0.0.0 0.0.0.0",
            Field::Serverlist,
            "only a sockd line",
        ),
        (
            "direct @=fw 0.0.0.0 0.0.0.0",
            Field::Serverlist,
            "only a sockd line",
        ),
        (
            "sockd @= 0.0.0.0 0.0.0.0",
            Field::Serverlist,
            "empty element",
        ),
        (
            "sockd @=a,,b 0.0.0.0 0.0.0.0",
            Field::Serverlist,
            "empty element",
        ),
        (
            "sockd @=fw:0 0.0.0.0 0.0.0.0",
            Field::Serverlist,
            "no port: expected 1",
        ),
        ("sockd @=a @=b 0.0.0.0 0.0.0.0", Field::Serverlist, "twice"),
        ("sockd *= 0.0.0.0 0.0.0.0", Field::Userlist, "empty element"),
        (
            "deny *=a,,b 0.0.0.0 0.0.0.0",
            Field::Userlist,
            "empty element",
        ),
        ("deny *=a *=b 0.0.0.0 0.0.0.0", Field::Userlist, "twice"),
        (
            "deny *=./users 0.0.0.0 0.0.0.0",
            Field::Userlist,
            "full path",
        ),
        (
            "deny *=4294967296 0.0.0.0 0.0.0.0",
            Field::Userlist,
            "too large",
        ),
        ("deny", Field::Address, "missing"),
        ("sockd # contact sockd", Field::Address, "missing"),
        ("sockd : true", Field::Address, "missing"),
        ("sockd 10.1.2 255.0.0.0", Field::Address, "neither an IPv4"),
        (
            "sockd 10.1.2.256 255.0.0.0",
            Field::Address,
            "neither an IPv4",
        ),
        ("sockd 2001:db8:: : true", Field::Mask, "missing"),
        ("sockd a..b", Field::Address, "neither an IPv4"),
        ("sockd .", Field::Address, "neither an IPv4"),
        ("sockd ..a", Field::Address, "neither an IPv4"),
        ("sockd *.example.com", Field::Address, "neither an IPv4"),
        ("sockd a.example/24", Field::Address, "neither an IPv4"),
        ("sockd LOCALHOSTNAME/8", Field::Address, "neither an IPv4"),
        ("sockd 10.0.0.0/33", Field::Address, "expected 0 to 32"),
        ("sockd 10.0.0.0/", Field::Address, "expected 0 to 32"),
        ("sockd 10.0.0.0/+8", Field::Address, "expected 0 to 32"),
        (
            "sockd 10.0.0.0/255.0.0.0",
            Field::Address,
            "expected 0 to 32",
        ),
        ("sockd ::/129", Field::Address, "expected 0 to 128"),
        (
            "sockd 10.0.0.0",
            Field::Mask,
            "missing: expected a mask behind 10.0.0.0",
        ),
        ("sockd 10.0.0.0 eq 23", Field::Mask, "missing"),
        ("sockd ::1", Field::Mask, "missing"),
        ("sockd 10.0.0.0 255.0.0", Field::Mask, "is no mask"),
        ("sockd 10.0.0.0 255.0.0.0#all", Field::Mask, "is no mask"),
        (
            "sockd 10.0.0.0/8 255.0.0.0",
            Field::Mask,
            "prefix length already",
        ),
        ("sockd 10.0.0.0 ::", Field::Mask, "different families"),
        ("sockd :: 0.0.0.0", Field::Mask, "different families"),
        (
            "sockd a.example 255.255.255.0",
            Field::Mask,
            "a name stands for itself",
        ),
        (
            "direct LOCALHOSTNAME 255.255.255.0",
            Field::Mask,
            "a name stands for itself",
        ),
        ("sockd 0.0.0.0 0.0.0.0 = 23", Field::Operator, "none of eq"),
        ("sockd 0.0.0.0 0.0.0.0 eq", Field::Port, "missing"),
        ("sockd 0.0.0.0 0.0.0.0 eq # 23", Field::Port, "missing"),
        (
            "sockd 0.0.0.0 0.0.0.0 eq 65536",
            Field::Port,
            "expected 0 to 65535",
        ),
        ("sockd 0.0.0.0 0.0.0.0 eq -1", Field::Port, "no TCP service"),
        (
            "sockd 0.0.0.0 0.0.0.0 eq tel",
            Field::Port,
            "no TCP service \"tel\"",
        ),
        ("sockd 0.0.0.0 0.0.0.0 eq 23 24", Field::Line, "not \"24\""),
        (
            "sockd 0.0.0.0 0.0.0.0 eq 23 eq 24",
            Field::Line,
            "not \"eq\"",
        ),
        ("sockd 0.0.0.0 0.0.0.0 :", Field::Command, "no command"),
        (
            "sockd 0.0.0.0 0.0.0.0 : %x",
            Field::Command,
            "%x stands for nothing",
        ),
        ("sockd 0.0.0.0 0.0.0.0 : a %", Field::Command, "at the end"),
        ("sockd 0.0.0.0 0.0.0.0 : a\0b", Field::Command, "zero byte"),
    ] {
        let (found, text) = wrong(line);
        assert_eq!(found, field, "{line}: {text}");
        assert!(text.contains(why), "{line}: {text}");
    }
}

#[test]
fn a_field_that_is_no_text_is_named() {
    for (line, field) in [
        (&b"\xff 0.0.0.0 0.0.0.0"[..], Field::Action),
        (b"sockd \xff", Field::Address),
        (b"sockd @=\xff 0.0.0.0 0.0.0.0", Field::Address),
        (b"sockd 0.0.0.0 \xff", Field::Mask),
        (b"sockd 0.0.0.0 0.0.0.0 \xff", Field::Operator),
        (b"sockd 0.0.0.0 0.0.0.0 eq \xff", Field::Port),
        (b"sockd 0.0.0.0 0.0.0.0 eq 1 \xff", Field::Line),
        (b"sockd 0.0.0.0 0.0.0.0 : \xff", Field::Command),
    ] {
        let error = error_of(line, &Fixture::default());
        assert_eq!((error.field, error.why), (field, Problem::NotText));
    }
}

#[test]
fn a_line_of_more_than_1024_characters_is_refused_even_as_a_comment() {
    for text in ["x".repeat(1025), format!("#{}", "x".repeat(1024))] {
        let (field, why) = wrong(&text);
        assert_eq!(field, Field::Line);
        assert_eq!(why, "1025 characters, but a line has at most 1024");
    }
}

#[test]
fn a_missing_file_of_users_is_named() {
    let (field, why) = wrong("deny *=amy,/etc/nobody 0.0.0.0 0.0.0.0");
    assert_eq!(field, Field::Userlist);
    assert_eq!(
        why,
        "cannot read /etc/nobody: No such file or directory (os error 2)"
    );
}

#[test]
fn an_error_in_a_file_of_users_names_that_file_and_its_line() {
    let long: &[u8] = &[b'x'; 1024];
    for (text, field, why) in [
        (
            b"amy\nbob /etc/more".as_slice(),
            Field::Userlist,
            "cannot name another file",
        ),
        (b"amy\n5000000000", Field::Userlist, "too large"),
        (b"amy\n\xff", Field::Line, "not UTF-8"),
        (
            &[b"amy\n", long].concat().leak()[..],
            Field::Line,
            "at most 1023",
        ),
    ] {
        let mut files = Fixture::default();
        files.0.insert("/etc/users", text);
        let error = error_of(b"direct *=/etc/users 0.0.0.0 0.0.0.0", &files);
        assert_eq!(
            (error.file.as_path(), error.line),
            (Path::new("/etc/users"), 2)
        );
        assert_eq!(error.field, field);
        assert!(error.why.to_string().contains(why), "{error}");
    }
}
