//! The environment and `pcp.conf`: what they change, and what is said of values that mean nothing.

use crate::home::{Home, answers, needs_root, owner};

#[test]
fn a_value_that_means_nothing_is_an_error_that_names_the_variable() {
    let cases = [
        ("PMPROXY_PORT", "44322,x", "\"x\" is not a port number"),
        ("PMPROXY_LOCAL", "yes", "expected 0 or 1"),
        (
            "PMPROXY_MAXPENDING",
            "many",
            "expected a number from 1 to 65535",
        ),
        (
            "PMPROXY_MAXPENDING",
            "0",
            "expected a number from 1 to 65535",
        ),
        ("PMCD_CONNECT_TIMEOUT", "soon", "is not a number of seconds"),
        ("PCP_CONF", "/no/such/pcp.conf", "No such file or directory"),
    ];
    for (variable, value, expected) in cases {
        let home = Home::new().unwrap();
        let error = home.pmproxy(["-f"]).env(variable, value).fails().unwrap();
        assert!(error.contains(variable), "{error}");
        assert!(error.contains(value), "{error}");
        assert_eq!(error.matches(expected).count(), 1, "{error}");
        assert!(!home.join("pmproxy.log").exists());
    }
}

#[test]
fn a_variable_without_a_value_counts_as_not_set() {
    let home = Home::new().unwrap();
    let mut start = home.foreground();
    for variable in [
        "PMPROXY_PORT",
        "PMPROXY_LOCAL",
        "PMPROXY_MAXPENDING",
        "PMPROXY_SOCKET",
        "PMCD_CONNECT_TIMEOUT",
    ] {
        start = start.env(variable, "");
    }
    let _guest = start.up().unwrap();
    assert!(answers(home.address()));
}

#[test]
fn pcp_conf_names_the_folders_and_the_environment_wins_over_it() {
    let home = Home::new().unwrap();
    std::fs::create_dir(home.join("run")).unwrap();
    std::fs::create_dir_all(home.join("etc/pmproxy")).unwrap();
    home.write("etc/pmproxy/pmproxy.conf", "[pmproxy]\ncolour = blue\n")
        .unwrap();
    let folder = |name: &str| home.join(name).display().to_string();
    let text = format!(
        "# folders\nPCP_RUN_DIR={}\nPCP_SYSCONF_DIR={}\n",
        folder("run"),
        folder("etc")
    );
    let conf = home.write("pcp.conf", &text).unwrap();
    let start = || home.foreground().env("PCP_CONF", &conf);

    let guest = start()
        .env("PCP_RUN_DIR", "")
        .env("PCP_SYSCONF_DIR", "")
        .up()
        .unwrap();
    assert_eq!(
        guest.ports()[0],
        format!("ok unix {}", folder("run/pmproxy.socket"))
    );
    guest
        .says("etc/pmproxy/pmproxy.conf: unknown and ignored: colour")
        .unwrap();
    drop(guest);

    let guest = start().up().unwrap();
    assert_eq!(
        guest.ports()[0],
        format!("ok unix {}", folder("pmproxy.socket"))
    );
    assert!(!guest.said().contains("colour"), "{}", guest.said());
}

#[test]
fn a_line_in_pcp_conf_that_is_no_setting_is_named() {
    let home = Home::new().unwrap();
    let conf = home.write("pcp.conf", "PCP_USER=pcp\nnonsense\n").unwrap();
    let error = home.pmproxy(["-f"]).env("PCP_CONF", &conf).fails().unwrap();
    assert!(
        error.contains("pcp.conf:2: expected NAME=value, found \"nonsense\""),
        "{error}"
    );
}

#[test]
fn pcp_user_is_the_user_that_a_daemon_of_roots_becomes() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    home.folder_of("nobodys", "nobody").unwrap();
    let start = home.pmproxy(home.here()).add(["-F"]).log("nobodys/log");
    let start = start
        .env("PCP_RUN_DIR", home.join("nobodys"))
        .env("PCP_USER", "nobody");
    let guest = start.up().unwrap();
    guest.says("user = nobody").unwrap();
    assert_eq!(owner(&home.join("nobodys/pmproxy.pid")).unwrap(), "nobody");
}

#[test]
fn a_pcp_user_that_does_not_exist_is_an_error_and_not_a_daemon_of_roots() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let error = home
        .pmproxy(["-F"])
        .env("PCP_USER", "no-such-user")
        .fails()
        .unwrap();
    assert!(
        error.starts_with("pmproxy: PCP_USER=no-such-user: there is no user \"no-such-user\""),
        "{error}"
    );
    // In the foreground nobody's identity is assumed.
    home.foreground()
        .env("PCP_USER", "no-such-user")
        .up()
        .unwrap();
}

#[test]
fn relative_folders_stay_where_they_were_when_a_daemon_leaves_its_own() {
    let home = Home::new().unwrap();
    std::fs::create_dir(home.join("run")).unwrap();
    if needs_root().is_ok() {
        std::fs::remove_dir(home.join("run")).unwrap();
        home.folder_of("run", "pcp").unwrap();
    }
    let start = home.pmproxy(home.here()).env("PCP_RUN_DIR", "run");
    let ended = start.ends().unwrap();
    assert!(ended.status.success(), "{ended}");
    let pid = home.daemon("run/pmproxy.pid").unwrap();
    assert!(home.join("run/pmproxy.socket").exists());
    pid.terminate().unwrap();
    assert!(!home.join("run/pmproxy.pid").exists());
}
