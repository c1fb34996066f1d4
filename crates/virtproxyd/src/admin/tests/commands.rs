//! Every command of the real virt-admin. What it should print is what it prints with libvirtd 9.0 in
//! the same situation, but for names and numbers.

use testbed::{Client, eventually};
use virt_proto::Call;
use virt_proto::admin::{self, DaemonShutdown};

use super::*;

const TLS_DNAME: &str = "C=XX,O=House,CN=remote";

/// A client from the network.
fn remote() -> About {
    About {
        transport: Transport::Tls,
        connected: SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 365),
        read_only: true,
        peer: gate::stream::Peer::Tcp("127.0.0.1:4242".parse().unwrap()),
        identity: Identity {
            sasl_user_name: Some("fred".into()),
            x509_distinguished_name: Some(TLS_DNAME.into()),
            ..Identity::default()
        },
        authenticated: true,
    }
}

fn root() -> Identity {
    Identity {
        user_name: Some("root".into()),
        unix_user_id: Some(0),
        group_name: Some("root".into()),
        unix_group_id: Some(0),
        process_id: Some(4321),
        selinux_context: Some("system_u:system_r:init_t:s0".into()),
        ..Identity::default()
    }
}

/// The value that stands behind a name in a list of names and values.
#[track_caller]
fn value<'a>(shown: &'a str, name: &str) -> &'a str {
    let mut lines = shown.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(field, _)| field.trim() == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {shown}"))
        .1
        .trim()
}

#[test]
fn the_servers_are_listed() {
    let daemon = Daemon::start();
    let expected = " Id   Name\n------------------\n 0    admin\n 1    virtproxyd\n\n";
    assert_eq!(daemon.shown(["srv-list"]), expected);
}

#[test]
fn threads_are_shown_as_if_there_were_some_and_keep_what_is_set() {
    let daemon = Daemon::start();
    let before = "minWorkers     : 5\nmaxWorkers     : 20\nnWorkers       : 5\n\
                  freeWorkers    : 5\nprioWorkers    : 5\njobQueueDepth  : 0\n\n";
    assert_eq!(daemon.shown(["srv-threadpool-info", "virtproxyd"]), before);
    assert_eq!(daemon.shown(["srv-threadpool-info", "admin"]), before);
    let set = [
        "--min-workers",
        "6",
        "--max-workers",
        "30",
        "--priority-workers",
        "7",
    ];
    let [a, b, c, d, e, f] = set;
    daemon.shown(["srv-threadpool-set", "virtproxyd", a, b, c, d, e, f]);
    let after = daemon.shown(["srv-threadpool-info", "virtproxyd"]);
    let expected = "minWorkers     : 6\nmaxWorkers     : 30\nnWorkers       : 6\n\
                    freeWorkers    : 6\nprioWorkers    : 7\njobQueueDepth  : 0\n\n";
    assert_eq!(after, expected);
    assert_eq!(daemon.shown(["srv-threadpool-info", "admin"]), before);
}

#[test]
fn threads_that_make_no_sense_are_refused() {
    let daemon = Daemon::start();
    let fewest = daemon.refused(["srv-threadpool-set", "virtproxyd", "--min-workers", "60"]);
    let expected = "error: Unable to change server workerpool parameters\n\
                    error: invalid argument: minWorkers cannot be larger than maxWorkers\n";
    assert_eq!(fewest.trim_end(), expected.trim_end());
    let none = ["--min-workers", "0", "--max-workers", "0"];
    let [a, b, c, d] = none;
    let none = daemon.refused(["srv-threadpool-set", "virtproxyd", a, b, c, d]);
    assert!(
        none.contains("invalid argument: maxWorkers cannot become zero"),
        "{none}"
    );
    let shown = daemon.shown(["srv-threadpool-info", "virtproxyd"]);
    assert_eq!(value(&shown, "minWorkers"), "5");
}

#[test]
fn clients_are_listed_with_their_ways_in() {
    let daemon = Daemon::start();
    let _first = daemon.main.enter(local(root())).unwrap();
    let _second = daemon.main.enter(remote()).unwrap();
    let shown = daemon.shown(["client-list", "virtproxyd"]);
    let rows: Vec<Vec<&str>> = shown
        .lines()
        .skip(2)
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..2], ["1", "unix"], "{shown}");
    assert_eq!(rows[1][..3], ["2", "tls", "1971-01-01"], "{shown}");
    // virt-admin sees itself among those of the admin interface.
    let own = daemon.shown(["client-list", "admin"]);
    assert!(
        own.lines().nth(2).is_some_and(|row| row.contains("unix")),
        "{own}"
    );
}

#[test]
fn a_client_of_this_machine_is_described() {
    let daemon = Daemon::start();
    let _presence = daemon.main.enter(local(root())).unwrap();
    let shown = daemon.shown(["client-info", "virtproxyd", "1"]);
    let names: Vec<&str> = shown
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim()))
        .collect();
    let expected = [
        "id",
        "connection_time",
        "transport",
        "readonly",
        "unix_user_id",
        "unix_user_name",
        "unix_group_id",
        "unix_group_name",
        "unix_process_id",
        "selinux_context",
    ];
    assert_eq!(names, expected);
    assert_eq!(value(&shown, "transport"), "unix");
    assert_eq!(value(&shown, "readonly"), "no");
    assert_eq!(value(&shown, "unix_user_name"), "root");
    assert_eq!(value(&shown, "unix_process_id"), "4321");
}

#[test]
fn a_client_of_the_network_is_described() {
    let daemon = Daemon::start();
    let _presence = daemon.main.enter(remote()).unwrap();
    let shown = daemon.shown(["client-info", "virtproxyd", "1"]);
    assert_eq!(value(&shown, "transport"), "tls");
    assert_eq!(value(&shown, "readonly"), "yes");
    assert_eq!(value(&shown, "sasl_user_name"), "fred");
    assert_eq!(value(&shown, "sock_addr"), "127.0.0.1:4242");
    assert_eq!(value(&shown, "tls_x509_dname"), TLS_DNAME);
    assert!(!shown.contains("unix_"), "{shown}");
}

#[test]
fn a_user_number_beyond_the_signed_ones_is_shown_as_libvirt_does() {
    let daemon = Daemon::start();
    let identity = Identity {
        unix_user_id: Some(u32::MAX.into()),
        ..root()
    };
    let _presence = daemon.main.enter(local(identity)).unwrap();
    let shown = daemon.shown(["client-info", "virtproxyd", "1"]);
    assert_eq!(value(&shown, "unix_user_id"), "-1");
}

#[test]
fn what_is_not_there_is_named() {
    let daemon = Daemon::start();
    let client = daemon.refused(["client-info", "virtproxyd", "99"]);
    assert_eq!(
        client.trim_end(),
        "error: Client not found: No client with matching ID '99'"
    );
    let client = daemon.refused(["client-disconnect", "virtproxyd", "99"]);
    assert_eq!(
        client.trim_end(),
        "error: Client not found: No client with matching ID '99'"
    );
    for command in [
        "client-list",
        "srv-threadpool-info",
        "srv-clients-info",
        "server-update-tls",
    ] {
        let server = daemon.refused([command, "libvirtd"]);
        assert_eq!(
            server.trim_end(),
            "error: Server not found: No server named 'libvirtd'"
        );
    }
}

#[test]
fn a_client_is_disconnected() {
    let daemon = Daemon::start();
    let heard: Arc<Mutex<Vec<u64>>> = Arc::default();
    let sink = Arc::clone(&heard);
    daemon
        .main
        .on_dismiss(move |id| sink.lock().unwrap().push(id));
    let _presence = daemon.main.enter(local(root())).unwrap();
    let shown = daemon.shown(["client-disconnect", "virtproxyd", "1"]);
    assert_eq!(shown.trim_end(), "Client '1' disconnected");
    assert_eq!(*heard.lock().unwrap(), [1]);
    let empty = daemon.shown(["client-list", "virtproxyd"]);
    assert_eq!(empty.trim_end().lines().count(), 2, "{empty}");
}

#[test]
fn a_client_of_the_admin_interface_is_disconnected_too() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.is_alive();
    let [(id, _)] = &daemon.admin.list()[..] else {
        panic!("one client is there");
    };
    daemon.shown(["client-disconnect", "admin", &id.to_string()]);
    wire.is_closed();
}

#[test]
fn who_disconnects_itself_still_gets_the_answer() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.is_alive();
    let call = admin::CloseClient {
        client: admin::Client {
            server: admin::ServerName {
                name: "admin".into(),
            },
            id: daemon.admin.list()[0].0,
            timestamp: 0,
            transport: admin::Transport::UNIX,
        },
        flags: 0,
    };
    wire.send(&call.frame(Serial(1)));
    assert_eq!(wire.receive().0.status, Status::OK);
    wire.is_closed();
}

#[test]
fn limits_on_clients_are_shown_and_set() {
    let daemon = Daemon::start();
    let _known = daemon.main.enter(remote()).unwrap();
    let anonymous = About {
        authenticated: false,
        ..remote()
    };
    let _anonymous = daemon.main.enter(anonymous).unwrap();
    let before = "nclients_max        : 5000\nnclients            : 2\n\
                  nclients_unauth_max : 20\nnclients_unauth     : 1\n\n";
    assert_eq!(daemon.shown(["srv-clients-info", "virtproxyd"]), before);
    let [a, b, c, d] = ["--max-clients", "100", "--max-unauth-clients", "10"];
    daemon.shown(["srv-clients-set", "virtproxyd", a, b, c, d]);
    assert_eq!(daemon.main.limits(), (100, 10));
    daemon.shown(["srv-clients-set", "virtproxyd", "--max-clients", "50"]);
    assert_eq!(daemon.main.limits(), (50, 10));
    // The last virt-admin's place is free a moment after its end.
    eventually(PATIENCE, "its place", || daemon.admin.count() == (0, 0)).unwrap();
    let own = "nclients_max        : 5\nnclients            : 1\n\
               nclients_unauth_max : 0\nnclients_unauth     : 0\n\n";
    assert_eq!(daemon.shown(["srv-clients-info", "admin"]), own);
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    let daemon = Daemon::start();
    let refused = daemon.refused(["srv-clients-set", "virtproxyd", "--max-clients", "10"]);
    let reason = "error: invalid argument: nclients_unauth_max (20) cannot be larger than \
                  nclients_max (10)";
    assert!(refused.contains(reason), "{refused}");
    assert_eq!(daemon.main.limits(), (5000, 20));
}

#[test]
fn certificates_are_read_again() {
    let daemon = Daemon::start();
    let shown = daemon.shown(["server-update-tls", "virtproxyd"]);
    assert_eq!(shown.trim_end(), "update tls related files succeed");
    assert_eq!(daemon.hooks.calls(), ["update_tls"]);
}

#[test]
fn certificates_that_cannot_be_read_are_explained() {
    let daemon = Daemon::start();
    daemon.hooks.0.lock().unwrap().trouble = Some("servercert.pem has expired".into());
    let refused = daemon.refused(["server-update-tls", "virtproxyd"]);
    assert!(
        refused.contains("internal error: servercert.pem has expired"),
        "{refused}"
    );
    let admin = daemon.refused(["server-update-tls", "admin"]);
    assert!(
        admin.contains("no tls service found, unable to update tls files"),
        "{admin}"
    );
}

#[test]
fn what_is_logged_is_shown_and_set() {
    let daemon = Daemon::start();
    assert_eq!(
        daemon.shown(["daemon-log-filters"]).trim_end(),
        " Logging filters:"
    );
    daemon.shown(["daemon-log-filters", "--filters", "1:util 4:rpc"]);
    assert_eq!(
        daemon.shown(["daemon-log-filters"]).trim_end(),
        " Logging filters: 1:util 4:rpc"
    );
    daemon.shown(["daemon-log-filters", "--filters", ""]);
    let calls = daemon.hooks.calls();
    assert_eq!(
        calls,
        [r#"set_log_filters "1:util 4:rpc""#, r#"set_log_filters """#]
    );
}

#[test]
fn where_the_log_goes_is_shown_and_set() {
    let daemon = Daemon::start();
    daemon.hooks.0.lock().unwrap().outputs = "3:stderr".into();
    assert_eq!(
        daemon.shown(["daemon-log-outputs"]).trim_end(),
        " Logging outputs: 3:stderr"
    );
    let outputs = "3:file:/var/log/proxy.log 4:stderr";
    daemon.shown(["daemon-log-outputs", "--outputs", outputs]);
    let shown = daemon.shown(["daemon-log-outputs"]);
    assert_eq!(shown.trim_end(), format!(" Logging outputs: {outputs}"));
}

#[test]
fn a_log_that_cannot_be_is_explained() {
    let daemon = Daemon::start();
    let trouble = "Malformed format for log output 'bogus'";
    daemon.hooks.0.lock().unwrap().trouble = Some(trouble.into());
    let refused = daemon.refused(["daemon-log-outputs", "--outputs", "bogus"]);
    let expected = "error: Unable to change daemon logging settings\n\
                    error: invalid argument: Malformed format for log output 'bogus'";
    assert_eq!(refused.trim_end(), expected);
}

#[test]
fn the_timeout_is_set() {
    let daemon = Daemon::start();
    daemon.shown(["daemon-timeout", "--timeout", "500"]);
    daemon.shown(["daemon-timeout", "--timeout", "0"]);
    assert_eq!(daemon.hooks.calls(), ["set_timeout 500", "set_timeout 0"]);
}

#[test]
fn the_daemon_is_ended_once_the_client_knows() {
    // virt-admin 9.0 has no command for it.
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    let refused = DaemonShutdown { flags: 2 };
    wire.send(&refused.frame(Serial(0)));
    let message = wire.error().message.unwrap();
    assert!(message.starts_with("unsupported flags (0x2)"), "{message}");
    let preserve = DaemonShutdown {
        flags: DaemonShutdown::PRESERVE,
    };
    wire.send(&preserve.frame(Serial(1)));
    let (header, payload) = wire.receive();
    assert_eq!(header, call(procedure::CONNECT_DAEMON_SHUTDOWN, 1).reply());
    assert_eq!(payload, []);
    let asked = || daemon.hooks.calls() == ["shutdown"];
    eventually(PATIENCE, "the daemon to be ended", asked).unwrap();
}

#[test]
fn the_version_is_that_of_the_calls_that_are_known() {
    let daemon = Daemon::start();
    let shown = daemon.shown(["version"]);
    assert_eq!(value(&shown, "Running against daemon"), "11.2.0");
}

#[test]
fn several_commands_share_a_connection() {
    let daemon = Daemon::start();
    let shown = daemon.shown(["srv-list; srv-clients-info virtproxyd; srv-list; uri"]);
    assert_eq!(shown.matches("virtproxyd").count(), 2, "{shown}");
}

#[test]
fn a_user_without_rights_is_told_so() {
    let daemon = Daemon::start();
    daemon.open_to_all();
    let uri = format!(
        "libvirtd+unix:///system?socket={}",
        daemon.socket().display()
    );
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let refused = Client::new("setpriv")
        .args(nobody)
        .args(["virt-admin", "-c", &uri, "srv-list"])
        .env("HOME", "/nonexistent")
        .run()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    let reason = "operation forbidden: uid 65534 may not administer the daemon";
    assert!(refused.stderr.contains(reason), "{refused}");
    assert_eq!(daemon.admin.count(), (0, 0));
    daemon.shown(["srv-list"]);
}

#[test]
fn no_more_clients_than_allowed_are_let_in() {
    let daemon = Daemon::start_with(1, NO_PINGS);
    let mut first = daemon.connect();
    first.is_alive();
    let refused = daemon.refused(["srv-list"]);
    assert!(
        refused.contains("there are 1 clients of the admin interface already"),
        "{refused}"
    );
    drop(first);
    let gone = || daemon.admin.count() == (0, 0);
    eventually(PATIENCE, "the first client to go", gone).unwrap();
    daemon.shown(["srv-list"]);
}
