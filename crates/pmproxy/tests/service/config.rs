//! `-c` and `pmproxy.conf`.

use anyhow::{Result, ensure};

use testbed::Stub;

use crate::home::{Guest, Home, session};

/// Expects room for one client only.
fn has_room_for_one(home: &Home, guest: &Guest<'_>) -> Result<()> {
    let pmcd = Stub::echo()?;
    let _first = session(home.address(), &pmcd)?;
    ensure!(
        session(home.address(), &pmcd).is_err(),
        "a second client was let in"
    );
    guest.says("as many clients as there may be")
}

#[test]
fn the_usual_file_is_read_if_it_is_there() {
    let home = Home::new().unwrap();
    let guest = home.foreground().up().unwrap();
    let pmcd = Stub::echo().unwrap();
    let _first = session(home.address(), &pmcd).unwrap();
    let _second = session(home.address(), &pmcd).unwrap();
    drop(guest);
    std::fs::create_dir(home.join("pmproxy")).unwrap();
    home.write("pmproxy/pmproxy.conf", "[pmproxy]\nclients.max = 1\n")
        .unwrap();
    let guest = home.foreground().up().unwrap();
    has_room_for_one(&home, &guest).unwrap();
}

#[test]
fn the_file_of_the_option_is_read_instead_of_the_usual_one() {
    let home = Home::new().unwrap();
    std::fs::create_dir(home.join("pmproxy")).unwrap();
    home.write("pmproxy/pmproxy.conf", "[pmproxy]\nclients.max = none\n")
        .unwrap();
    home.write("mine.conf", "# mine\n[pmproxy]\nclients.max = 1\n")
        .unwrap();
    let guest = home.foreground().add(["-c", "mine.conf"]).up().unwrap();
    has_room_for_one(&home, &guest).unwrap();
}

#[test]
fn a_configuration_that_cannot_be_used_is_a_fatal_error_that_names_the_place() {
    let home = Home::new().unwrap();
    let named = |file: &str| home.foreground().add(["-c", file]).fails().unwrap();
    let path = |name: &str| home.join(name).display().to_string();
    assert_eq!(
        named("missing.conf"),
        format!(
            "pmproxy: cannot read the configuration {}: No such file or directory\n",
            path("missing.conf")
        )
    );
    let cases = [
        (
            "[pmproxy]\nclients.max = 0\n",
            "[pmproxy] clients.max = \"0\": expected a number from 1 to 1000000",
        ),
        (
            "[pmproxy]\nclients.max = many\n",
            "[pmproxy] clients.max = \"many\": expected a number",
        ),
        (
            "[pmproxy]\nadmin.socket = here\n",
            "[pmproxy] admin.socket = \"here\": expected an absolute path",
        ),
        (
            "[access]\ndeny = to 10/8\n",
            "[access] rule 1: \"10/8\": expected an address\n",
        ),
        ("[access]\n", "[access] there is no rule"),
        ("[pmproxy]\n\nclients.max\n", ":"),
        ("[pmproxy\n", ":"),
    ];
    for (text, expected) in cases {
        home.write("bad.conf", text).unwrap();
        let error = named("bad.conf");
        assert!(
            error.starts_with(&format!("pmproxy: {}:", path("bad.conf"))),
            "{error}"
        );
        assert!(error.contains(expected), "{error}");
    }
    std::fs::create_dir(home.join("pmproxy")).unwrap();
    home.write("pmproxy/pmproxy.conf", "[pmproxy\n").unwrap();
    assert!(
        home.foreground()
            .fails()
            .unwrap()
            .contains("pmproxy/pmproxy.conf:")
    );
}

#[test]
fn what_todays_file_has_for_other_services_is_told_in_one_line() {
    let home = Home::new().unwrap();
    let text = "[pmproxy]\npcp.enabled = true\nhttp.enabled = true\nredis.enabled = true\n\
                secure.enabled = true\n[redis]\nservers = localhost:6379\npassword = a\"b\\c\n\
                [discover]\nenabled = true\n[pmsearch]\ncount = 10\n[pmseries]\ncursor.count = 256\n";
    home.write("todays.conf", text).unwrap();
    let guest = home.foreground().add(["-c", "todays.conf"]).up().unwrap();
    guest.says("todays.conf: without effect here: ").unwrap();
    let said = guest.said();
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("todays.conf"))
        .collect();
    let [line] = lines[..] else {
        panic!("{lines:?}")
    };
    for name in [
        "http.enabled",
        "redis.enabled",
        "[redis]",
        "[discover]",
        "[pmsearch]",
        "[pmseries]",
    ] {
        assert!(line.contains(name), "{line}");
    }
}
