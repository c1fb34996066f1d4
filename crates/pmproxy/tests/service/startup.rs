//! What a start leaves in the log, and who is told when there is none, or when it fails.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, gethostname};
use testbed::Client;

use crate::home::{Home, answers};

#[test]
fn the_log_opens_as_readers_of_the_c_programs_log_know_it() {
    let home = Home::new().unwrap();
    let guest = home.foreground().up().unwrap();
    let (host, port) = (home.address().ip(), home.address().port());
    let log = home.read("pmproxy.log");
    let lines: Vec<&str> = log.lines().collect();
    let machine = gethostname().unwrap().into_string().unwrap();
    let date = lines[0]
        .strip_prefix(&format!("Log for pmproxy on {machine} started "))
        .unwrap();
    let date: Vec<&str> = date.split_whitespace().collect();
    assert_eq!(
        (date.len(), date[3].len(), date[4].len()),
        (5, "hh:mm:ss".len(), 4),
        "{date:?}"
    );
    assert_eq!(lines[1], "");
    let user = User::from_uid(Uid::effective()).unwrap().unwrap();
    let identity = format!(
        "pmproxy: PID = {}, PDU version = 2, user = {} ({})",
        guest.pid, user.name, user.uid
    );
    assert_eq!(lines[2], identity);
    assert_eq!(lines[3], "pmproxy request port(s):");
    assert_eq!(lines[4], "  sts fd   port  family address");
    assert_eq!(lines[5], "  === ==== ===== ====== =======");
    for (row, rest) in lines[6..8].iter().zip([
        format!("       unix   {}", home.join("pmproxy.socket").display()),
        format!(" {port:>5} inet   {host}"),
    ]) {
        let fd = row
            .strip_prefix("  ok ")
            .unwrap()
            .strip_suffix(&rest)
            .unwrap_or_else(|| panic!("{row}"));
        let open = format!("/proc/{}/fd/{}", guest.pid, fd.trim());
        let open = fs::read_link(open).unwrap();
        assert!(open.to_string_lossy().starts_with("socket:"), "{open:?}");
    }
    assert_eq!(lines[8], "");
}

#[test]
fn the_log_is_made_in_the_current_folder_and_the_one_before_is_kept() {
    let home = Home::new().unwrap();
    home.write("pmproxy.log", "older\n").unwrap();
    home.write("pmproxy.log.prev", "oldest\n").unwrap();
    let guest = home.foreground().up().unwrap();
    assert_eq!(home.read("pmproxy.log.prev"), "older\n");
    let first = home.read("pmproxy.log");
    assert!(first.starts_with("Log for pmproxy on "), "{first}");
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    home.foreground().up().unwrap();
    assert!(home.read("pmproxy.log.prev").starts_with(&first));
}

#[test]
fn the_log_goes_where_the_option_says() {
    let home = Home::new().unwrap();
    fs::create_dir(home.join("logs")).unwrap();
    let guest = home.foreground().log("logs/mine").up().unwrap();
    assert!(home.read("logs/mine").starts_with("Log for pmproxy on "));
    assert!(!home.join("pmproxy.log").exists());
    assert_eq!(guest.stderr(), "");
}

#[test]
fn what_cannot_be_a_log_is_left_alone_and_messages_go_to_standard_error() {
    let home = Home::new().unwrap();
    let precious = home.write("precious", "data").unwrap();
    symlink(&precious, home.join("link")).unwrap();
    fs::create_dir(home.join("folder")).unwrap();
    nix::unistd::mkfifo(&home.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for name in ["link", "folder", "pipe", "missing/log"] {
        let before = fs::symlink_metadata(home.join(name))
            .map(|data| data.file_type())
            .ok();
        let guest = home.foreground().add(["-l", name]).up().unwrap();
        let text = guest.stderr();
        assert!(text.starts_with("Log for pmproxy on "), "{text}");
        let path = home.join(name);
        assert!(
            text.contains(&format!("cannot write the log {}: ", path.display())),
            "{text}"
        );
        assert!(text.contains("messages go to standard error"), "{text}");
        assert!(answers(home.address()));
        let ended = guest.ends_on(Signal::SIGTERM).unwrap();
        assert!(ended.stderr.contains("\nLog finished "), "{ended}");
        let after = fs::symlink_metadata(&path)
            .map(|data| data.file_type())
            .ok();
        assert_eq!(after, before, "{name}");
        assert!(!home.join(&format!("{name}.prev")).exists());
    }
    assert_eq!(home.read("precious"), "data");
}

#[test]
fn a_taken_port_is_told_in_the_words_of_the_manual_page_with_what_to_do() {
    let home = Home::new().unwrap();
    let _taken = TcpListener::bind(home.address()).unwrap();
    let error = home.foreground().fails().unwrap();
    let complaint = format!(
        "OpenRequestSocket({}, {}, inet) bind: Address already in use \
         (is another pmproxy running? stop it, or choose another port with -p)\n",
        home.address().port(),
        home.address().ip()
    );
    let log = home.read("pmproxy.log");
    for text in [&error, &log] {
        assert!(text.contains(&complaint), "{text}");
    }
    let see = format!(
        "pmproxy not started due to errors, see {}\n",
        home.join("pmproxy.log").display()
    );
    assert!(error.ends_with(&see), "{error}");
    assert!(log.contains("\nLog finished "), "{log}");
    assert!(!home.join("pmproxy.socket").exists());
    assert!(!home.join("pmproxy.admin.socket").exists());
}

#[test]
fn fatal_errors_are_added_to_a_file() {
    let home = Home::new().unwrap();
    home.write("fatal.log", "earlier\n").unwrap();
    let ended = home
        .foreground()
        .add(["-x", "fatal.log", "-U", "no-such-user"])
        .ends()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""), "{ended}");
    let text = home.read("fatal.log");
    assert!(
        text.starts_with("earlier\npmproxy: -U no-such-user: "),
        "{text}"
    );
}

#[test]
fn fatal_errors_go_to_standard_error_when_the_file_cannot_be_added_to() {
    let home = Home::new().unwrap();
    let precious = home.write("precious", "data").unwrap();
    symlink(&precious, home.join("link")).unwrap();
    nix::unistd::mkfifo(&home.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for name in ["missing/file", "link", "pipe", "."] {
        let ended = home
            .foreground()
            .add(["-x", name, "-U", "no-such-user"])
            .ends()
            .unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert!(
            ended.stderr.starts_with("pmproxy: -U no-such-user: "),
            "{ended}"
        );
    }
    assert_eq!(home.read("precious"), "data");
}

#[test]
fn fatal_errors_go_to_standard_error_where_there_is_no_terminal() {
    let home = Home::new().unwrap();
    let start = home
        .foreground()
        .add(["-U", "no-such-user"])
        .through(["setsid", "--"]);
    let ended = start.ends().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(
        ended.stderr.starts_with("pmproxy: -U no-such-user: "),
        "{ended}"
    );
    let _taken = TcpListener::bind(home.address()).unwrap();
    let ended = home.foreground().through(["setsid", "--"]).ends().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(
        ended.stderr.contains("bind: Address already in use"),
        "{ended}"
    );
}

#[test]
fn fatal_errors_go_to_the_terminal_where_there_is_one() {
    let home = Home::new().unwrap();
    let pmproxy = env!("CARGO_BIN_EXE_pmproxy");
    let errors = home.join("errors");
    let line = format!("{pmproxy} -f -U no-such-user 2> {}", errors.display());
    let terminal = Client::new("script")
        .args(["-qec", &line, "/dev/null"])
        .run()
        .unwrap();
    assert_eq!(terminal.status.code(), Some(1), "{terminal}");
    assert!(
        terminal.stdout.contains("pmproxy: -U no-such-user: "),
        "{terminal}"
    );
    assert_eq!(home.read("errors"), "");
}

#[test]
fn fatal_errors_reach_the_file_also_without_a_log() {
    let home = Home::new().unwrap();
    let _taken = TcpListener::bind(home.address()).unwrap();
    let error = home.foreground().log("missing/log").fails().unwrap();
    assert!(error.contains("bind: Address already in use"), "{error}");
    assert!(!error.contains("see "), "{error}");
}
