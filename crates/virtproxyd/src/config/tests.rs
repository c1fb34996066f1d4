use std::path::Path;

use proptest::prelude::*;

use super::error::{ConfigError, MAX_SIZE};
use super::keys::{Effect, KEYS, find};
use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("v.conf"), Mode::System)
}

fn good(text: &str) -> Config {
    parse(text).unwrap()
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_has_libvirts_defaults() {
    let config = good("# nothing\n");
    assert_eq!(config, Config::default());
    assert!(!config.listening.tls && !config.listening.tcp);
    assert_eq!(
        (config.listening.tcp_port, config.listening.tls_port),
        (16509, 16514)
    );
    assert_eq!(config.auth.unix_rw, Method::Polkit);
    assert_eq!(config.listening.unix_rw_mode, 0o777);
    assert_eq!(config.listening.unix_admin_mode, 0o700);
    assert_eq!(config.auth.tcp, Method::Sasl);
    assert_eq!(config.limits.clients, 5000);
    assert_eq!(
        config.keepalive,
        Keepalive {
            interval: Some(5),
            count: 5
        }
    );
}

#[test]
fn a_users_daemon_lets_in_its_user_only() {
    let config = Config::new(Mode::Session);
    assert_eq!(config.auth.unix_rw, Method::None);
    assert_eq!(config.listening.unix_rw_mode, 0o700);
}

#[test]
fn every_setting_goes_where_it_belongs() {
    let config = good(
        r#"
listen_tls = 1
listen_tcp = 1
tls_port = "1"
tcp_port = "2"
listen_addr = "::1"
unix_sock_group = "root"
unix_sock_ro_perms = "0770"
unix_sock_rw_perms = "660"
unix_sock_admin_perms = "0"
unix_sock_dir = "/s"
auth_unix_ro = "none"
auth_unix_rw = "sasl"
auth_tcp = "none"
auth_tls = "sasl"
tcp_min_ssf = 128
sasl_allowed_username_list = [ "a@B", 'c*', ]
key_file = "/k"
cert_file = "/c"
ca_file = "/a"
crl_file = "/r"
tls_no_sanity_certificate = 1
tls_no_verify_certificate = 1
tls_allowed_dn_list = ["CN=*"]
tls_priority = "NORMAL"
max_clients = 1
max_queued_clients = 0
max_anonymous_clients = 0
max_client_requests = 6
min_workers = 7
max_workers = 8
prio_workers = 9
admin_max_clients = 10
admin_max_queued_clients = 11
admin_max_client_requests = 12
admin_min_workers = 13
admin_max_workers = 14
keepalive_interval = -1
keepalive_count = 15
admin_keepalive_interval = 16
admin_keepalive_count = 0
log_level = 1
log_filters = "1:session"
log_outputs = "2:stderr"
daemon_sock_dir = "/d"
daemon_sockets = [ "Test=/t", "qemu=/q" ]
uri_access = [ "one",
               "two" ]
"#,
    );
    let workers = |min, max, prio| Workers { min, max, prio };
    let rule = |line, text: &str| UriRule {
        line,
        text: text.into(),
    };
    let expected = Config {
        listening: Listening {
            tcp: true,
            tls: true,
            address: Some("::1".into()),
            tcp_port: 2,
            tls_port: 1,
            unix_group: Some("root".into()),
            unix_ro_mode: 0o770,
            unix_rw_mode: 0o660,
            unix_admin_mode: 0,
            unix_folder: Some("/s".into()),
        },
        auth: Auth {
            unix_ro: Method::None,
            unix_rw: Method::Sasl,
            tcp: Method::None,
            tls: Method::Sasl,
            tcp_min_ssf: 128,
            sasl_allowed_usernames: Some(vec!["a@B".into(), "c*".into()]),
        },
        tls: Tls {
            key_file: Some("/k".into()),
            cert_file: Some("/c".into()),
            ca_file: Some("/a".into()),
            crl_file: Some("/r".into()),
            sanity_check: false,
            verify_clients: false,
            allowed_names: Some(vec!["CN=*".into()]),
            priority: Some("NORMAL".into()),
        },
        limits: Limits {
            clients: 1,
            queued_clients: 30,
            anonymous_clients: 0,
            client_requests: 6,
            admin_clients: 10,
            admin_queued_clients: 11,
            admin_client_requests: 12,
            workers: workers(7, 8, 9),
            admin_workers: workers(13, 14, 0),
        },
        keepalive: Keepalive {
            interval: None,
            count: 15,
        },
        admin_keepalive: Keepalive {
            interval: Some(16),
            count: 0,
        },
        logging: Logging {
            level: Some(1),
            filters: Some("1:session".into()),
            outputs: Some("2:stderr".into()),
        },
        daemons: Daemons {
            folder: Some("/d".into()),
            sockets: vec![("test".into(), "/t".into()), ("qemu".into(), "/q".into())],
        },
        uri_access: vec![rule(47, "one"), rule(48, "two")],
        warnings: config.warnings.clone(),
        remarks: vec![
            "v.conf: without effect in this virtproxyd: min_workers, max_workers, prio_workers, \
             admin_min_workers, admin_max_workers"
                .into(),
        ],
    };
    assert_eq!(config, expected);
}

#[test]
fn settings_without_effect_are_checked_and_named_once() {
    let config = good(
        "host_uuid = \"8d3b6d5c-1111-4222-8333-000000000000\"\naudit_level = 2\naudit_logging = 1\n\
         host_uuid_source = 'smbios'\novs_timeout = 5\naccess_drivers = [ 'polkit' ]\nmdns_adv = 0\n\
         mdns_name = 'x'\nmax_requests = 1\nlog_buffer_size = 1\nkeepalive_required = 1\n\
         admin_keepalive_required = 1\n",
    );
    assert_eq!(config.remarks.len(), 1);
    assert!(config.remarks[0].contains("host_uuid, audit_level, audit_logging"));
    let plain = Config {
        remarks: Vec::new(),
        ..config
    };
    assert_eq!(plain, Config::default());
    for (text, what) in [
        ("audit_level = 3", "a number from 0 to 2"),
        ("audit_logging = 2", "0 or 1"),
        ("host_uuid = '1234'", "not a UUID"),
        (
            "host_uuid = '11111111111111111111111111111111'",
            "not a UUID",
        ),
        ("host_uuid_source = 'dmi'", "\"smbios\" or \"machine-id\""),
        (
            "access_drivers = [ 'selinux' ]",
            "no access driver \"selinux\"",
        ),
        ("ovs_timeout = '5'", "a number from 0 to"),
    ] {
        assert!(error(text).contains(what), "{}", error(text));
    }
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_one_that_was_meant() {
    assert_eq!(
        error("\nlisten_tc = 1"),
        "v.conf:2: unknown setting listen_tc (did you mean listen_tcp?)"
    );
    assert_eq!(
        error("lissten_tpc = 1"),
        "v.conf:1: unknown setting lissten_tpc"
    );
    assert_eq!(error("x = 1"), "v.conf:1: unknown setting x");
    let long = error(&format!("{} = 1", "k".repeat(100_000)));
    assert!(long.len() < 200, "{}", long.len());
}

#[test]
fn a_key_that_is_set_twice_is_an_error() {
    assert_eq!(
        error("listen_tcp = 1\n\nlisten_tcp = 1"),
        "v.conf:3: listen_tcp is set already, on line 1"
    );
}

#[test]
fn wrong_types_and_values_are_named_with_their_line() {
    for (text, expected) in [
        (
            "listen_tls = \"1\"",
            "listen_tls: expected 0 or 1, not \"1\"",
        ),
        ("listen_tls = 2", "listen_tls: expected 0 or 1, not 2"),
        (
            "listen_tls = [ 1 ]",
            "listen_tls: expected 0 or 1, not a list",
        ),
        (
            "tcp_port = 16509",
            "tcp_port: expected a string in quotes, not 16509",
        ),
        (
            "tcp_port = \"0\"",
            "tcp_port: expected a port from \"1\" to \"65535\", not \"0\"",
        ),
        (
            "tcp_port = \"65536\"",
            "tcp_port: \"65536\" is neither a port from \"1\" to \"65535\" nor a TCP service of \
             /etc/services",
        ),
        (
            "listen_addr = \"\"",
            "listen_addr: expected a string that is not empty, not \"\"",
        ),
        (
            "unix_sock_rw_perms = \"0888\"",
            "unix_sock_rw_perms: expected permissions as a string of octal digits, \"0\" to \
             \"0777\", not \"0888\"",
        ),
        (
            "unix_sock_dir = \"run\"",
            "unix_sock_dir: \"run\" is not an absolute path",
        ),
        (
            "auth_unix_ro = \"pam\"",
            "auth_unix_ro: expected \"none\", \"sasl\" or \"polkit\", not \"pam\"",
        ),
        (
            "tcp_min_ssf = 56",
            "tcp_min_ssf: expected a number from 112 to 4294967295, not 56",
        ),
        (
            "max_clients = 0",
            "max_clients: expected a number from 1 to 4294967295, not 0",
        ),
        (
            "max_clients = -1",
            "max_clients: expected a number from 1 to 4294967295, not -1",
        ),
        (
            "max_queued_clients = 2147483648",
            "max_queued_clients: expected a number from 0 to 2147483647, not 2147483648",
        ),
        (
            "keepalive_interval = -2",
            "keepalive_interval: expected a number from -1 to 2147483647, not -2",
        ),
        (
            "log_level = 5",
            "log_level: expected a number from 0 to 4, not 5",
        ),
        (
            "tls_allowed_dn_list = \"CN=x\"",
            "tls_allowed_dn_list: expected a list of strings in brackets, not \"CN=x\"",
        ),
    ] {
        assert_eq!(error(&format!("\n{text}")), format!("v.conf:2: {expected}"));
    }
    assert_eq!(
        error("tls_allowed_dn_list = [ \"a\",\n 7 ]"),
        "v.conf:2: tls_allowed_dn_list: expected strings that are not empty in the list, not 7"
    );
    assert_eq!(
        error("\nlisten_tls = yes"),
        "v.conf:2: expected a number, a string in quotes, or a list in brackets"
    );
}

#[test]
fn filters_and_outputs_of_the_log_are_looked_over() {
    assert_eq!(
        error("log_filters = \"1:a b\""),
        "v.conf:1: log_filters: filter \"b\": expected PRIORITY:MATCH, as in 1:session"
    );
    assert_eq!(
        error("\nlog_outputs = \"2:file:log\""),
        "v.conf:2: log_outputs: output \"2:file:log\": the file needs an absolute path"
    );
    let logging = good("log_level = 0\nlog_filters = ''\nlog_outputs = ''").logging;
    assert_eq!(logging, Config::default().logging);
}

#[test]
fn polkit_cannot_tell_about_clients_of_the_network() {
    for key in ["auth_tcp", "auth_tls"] {
        let error = error(&format!("{key} = \"polkit\""));
        assert!(error.starts_with(&format!("v.conf:1: {key}: polkit can tell only about")));
    }
}

#[test]
fn settings_that_exclude_each_other_are_errors() {
    assert_eq!(
        error("listen_tls = 1\nlisten_tcp = 1\ntls_port = \"16509\""),
        "v.conf:3: tls_port: TCP and TLS cannot both have port 16509"
    );
    assert!(parse("listen_tls = 1\ntls_port = \"16509\"").is_ok());
    assert_eq!(
        error("unix_sock_group = \"no such group\""),
        "v.conf:1: unix_sock_group: there is no group \"no such group\""
    );
    assert_eq!(
        error("ca_file = '/a'\nkey_file = '/k'"),
        "v.conf:2: key_file: the certificate for /k is missing: set cert_file"
    );
    assert!(error("cert_file = '/c'").contains("the key for /c is missing"));
    assert!(error("key_file = '/k'\nkey_files = [ '/k' ]").contains("one of them must go"));
}

#[test]
fn lists_of_one_certificate_and_key_are_as_good_as_one() {
    let config = good("key_files = [ '/k' ]\ncert_files = [ '/c' ]");
    assert_eq!(config.tls.key_file.as_deref(), Some(Path::new("/k")));
    assert_eq!(config.tls.cert_file.as_deref(), Some(Path::new("/c")));
    let several = error("key_files = [ '/k', '/l' ]\ncert_files = [ '/c', '/d' ]");
    assert!(
        several.contains("expected exactly one file, not 2"),
        "{several}"
    );
}

#[test]
fn groups_can_be_numbers() {
    assert_eq!(group_id("root"), Ok(0));
    assert_eq!(group_id("+7"), Ok(7));
    assert_eq!(group_id("4294967294"), Ok(4_294_967_294));
    for none in ["+", "", "+root", "4294967296", "no such group"] {
        assert!(group_id(none).is_err(), "{none}");
    }
}

#[test]
fn sockets_of_daemons_are_checked() {
    for (entry, what) in [
        ("qemu", "is not SCHEME=/PATH"),
        ("=/x", "not the scheme of a driver"),
        ("qe/mu=/x", "not the scheme of a driver"),
        ("qemu=x", "not an absolute path"),
        ("qemu=/x\", \"QEMU=/y", "two sockets for qemu"),
    ] {
        let error = error(&format!("daemon_sockets = [ \"{entry}\" ]"));
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn permissions_follow_authentication_unless_they_are_set() {
    let mode = |text: &str| good(text).listening.unix_rw_mode;
    assert_eq!(mode("auth_unix_rw = \"none\""), 0o700);
    assert_eq!(mode("auth_unix_rw = \"sasl\""), 0o777);
    assert_eq!(
        mode("unix_sock_rw_perms = \"0750\"\nauth_unix_rw = \"polkit\""),
        0o750
    );
}

#[test]
fn settings_about_sockets_wait_for_the_next_start() {
    let running = good("");
    let waiting = |text: &str| good(text).fixed_that_differ(&running).collect::<Vec<_>>();
    assert!(waiting("max_clients = 7\nauth_tls = \"sasl\"").is_empty());
    let sockets =
        "listen_tcp = 1\nunix_sock_dir = \"/s\"\nmax_queued_clients = 1\ntcp_port = \"16509\"";
    assert_eq!(
        waiting(sockets),
        ["listen_tcp", "unix_sock_dir", "max_queued_clients"]
    );
    assert_eq!(waiting("auth_unix_rw = \"none\""), ["unix_sock_rw_perms"]);
}

#[test]
fn settings_that_open_the_door_to_everyone_are_warned_of() {
    let warnings = |text: &str| good(text).warnings.join("\n");
    assert_eq!(warnings(""), "");
    let open = "auth_unix_rw = \"none\"\nunix_sock_rw_perms = \"0777\"";
    assert!(warnings(open).contains("every user of this host"));
    let group = "auth_unix_rw = \"none\"\nunix_sock_group = \"root\"";
    assert!(warnings(group).contains("does not let the group in"));
    let usual = format!("{group}\nunix_sock_rw_perms = \"0770\"");
    assert_eq!(warnings(&usual), "");
    assert!(warnings("listen_tcp = 1\nauth_tcp = \"none\"").contains("auth_tcp"));
    let strangers = "listen_tls = 1\ntls_no_verify_certificate = 1";
    assert!(warnings(strangers).contains("tls_no_verify_certificate"));
    assert_eq!(warnings(&format!("{strangers}\nauth_tls = \"sasl\"")), "");
    assert!(warnings("tls_allowed_dn_list = []").contains("no client can use TLS"));
    assert!(warnings("sasl_allowed_username_list = []").contains("no client can use SASL"));
}

#[test]
fn each_thing_that_is_no_readable_file_has_its_own_error() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        let path = folder.path().join(name);
        Config::read(&path, Mode::System).map_err(|error| error.to_string())
    };
    let write = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).unwrap();
    };
    assert!(
        read("absent")
            .unwrap_err()
            .ends_with("absent does not exist")
    );
    let absent = folder.path().join("absent");
    let default = Config::read_default(&absent, Mode::Session).unwrap();
    assert_eq!(default, Config::new(Mode::Session));

    assert!(read(".").unwrap_err().contains("is a folder"));
    assert!(Config::read_default(folder.path(), Mode::System).is_err());

    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(read("pipe").unwrap_err().ends_with("is not a plain file"));

    write("latin", b"# fine\nlisten_addr = \"\xe4\"\n");
    assert!(read("latin").unwrap_err().ends_with("latin:2: not UTF-8"));

    let size = usize::try_from(MAX_SIZE).unwrap();
    write("full", &vec![b'\n'; size]);
    assert_eq!(read("full"), Ok(Config::default()));
    write("large", &vec![b'\n'; size + 1]);
    assert!(
        read("large")
            .unwrap_err()
            .contains("is larger than 1048576 bytes")
    );

    std::os::unix::fs::symlink("circle", folder.path().join("circle")).unwrap();
    assert!(
        read("circle")
            .unwrap_err()
            .contains("cannot read the configuration")
    );
    let null = Config::read(Path::new("/dev/null"), Mode::System);
    assert_eq!(null.unwrap(), Config::default());
}

#[test]
fn every_key_is_there_once() {
    for key in KEYS {
        assert!(std::ptr::eq(find(key.name).unwrap(), key), "{}", key.name);
    }
    assert_eq!(
        find("min_workers").map(|key| key.effect),
        Some(Effect::None)
    );
}

#[test]
fn names_of_services_are_tcp_ports() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services");
    let text = "# a/tcp\nvirt 5/udp\nvirt\t6/tcp libvirt # other\n\nodd\nodd 7\n";
    std::fs::write(&path, text).unwrap();
    let port = |name: &str| services::port(name, &path);
    assert_eq!((port("virt"), port("libvirt")), (Some(6), Some(6)));
    assert_eq!((port("odd"), port("other"), port("#")), (None, None, None));
    assert_eq!(services::port("virt", &folder.path().join("absent")), None);
}

proptest! {
    #[test]
    fn no_value_of_any_key_makes_it_panic(
        index in 0..KEYS.len(),
        value in "(-?[0-9]{1,12}|\"[^\"\n\r]{0,20}\"|\\[ (\"[^\"\n\r]{0,9}\"|[0-9]{1,4})?,? ?\\])",
    ) {
        let _ = parse(&format!("{} = {value}", KEYS[index].name));
    }
}
