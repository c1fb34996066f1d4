//! The life of the daemon: how it leaves its starter, what signals do, and what it leaves behind.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use testbed::{Ending, PATIENCE, Stub, eventually, eventually_some, packages};

use crate::home::{Daemon, Guest, Home, answers, mode, owner, round_trip, session};

/// The user that a daemon runs as when nothing is said.
fn usual_user() -> Result<User> {
    let me = Uid::effective();
    let user = if me.is_root() {
        packages::require("pcp")?;
        User::from_name("pcp")?
    } else {
        User::from_uid(me)?
    };
    user.context("the user database does not know the user")
}

#[test]
fn the_starting_command_ends_well_once_the_ports_are_open() {
    let home = Home::new().unwrap();
    let started = home.pmproxy(home.here()).ends().unwrap();
    assert!(started.status.success(), "{started}");
    assert!(answers(home.address()));
    assert_eq!((&*started.stdout, &*started.stderr), ("", ""));

    // Nothing of this has to be waited for.
    let daemon = Daemon::of(&home.read("pmproxy.pid")).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid)).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    assert_eq!(
        fields[3],
        daemon.pid.to_string(),
        "it has no session of its own"
    );
    assert_eq!(fields[4], "0", "it has a terminal");
    assert_eq!(daemon.link("cwd").unwrap(), Path::new("/"));
    for descriptor in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(daemon.link(descriptor).unwrap(), Path::new("/dev/null"));
    }

    let user = usual_user().unwrap();
    let identity = format!(
        "PID = {}, PDU version = 2, user = {} ({})\n",
        daemon.pid, user.name, user.uid
    );
    let log = home.read("pmproxy.log");
    assert!(log.contains(&identity), "{log}");
    assert!(
        daemon
            .status("Uid")
            .unwrap()
            .starts_with(&format!("{} ", user.uid))
    );
    for (name, permissions) in [
        ("pmproxy.log", 0o644),
        ("pmproxy.pid", 0o644),
        ("pmproxy.socket", 0o666),
        ("pmproxy.admin.socket", 0o600),
    ] {
        assert_eq!(owner(&home.join(name)).unwrap(), user.name, "{name}");
        assert_eq!(mode(&home.join(name)).unwrap(), permissions, "{name}");
    }

    daemon.terminate().unwrap();
    leaves_only_the_log(&home);
}

/// Expects that a pmproxy that has ended has tidied up.
fn leaves_only_the_log(home: &Home) {
    for name in ["pmproxy.pid", "pmproxy.socket", "pmproxy.admin.socket"] {
        assert!(!home.join(name).exists(), "{name} is left");
    }
    let log = home.read("pmproxy.log");
    assert!(log.contains("pmproxy Shutdown\n\nLog finished "), "{log}");
}

#[test]
fn a_start_that_fails_after_the_ports_are_open_fails_for_its_starter_too() {
    let home = Home::new().unwrap();
    // The daemon may have no thread; root is not held to that before it changes its user.
    let start = home
        .pmproxy(home.here())
        .through(["prlimit", "--nproc=0", "--"]);
    let error = start.fails().unwrap();
    assert!(
        error.contains("Resource temporarily unavailable"),
        "{error}"
    );
    assert!(!answers(home.address()));
    for name in ["pmproxy.pid", "pmproxy.socket", "pmproxy.admin.socket"] {
        assert!(!home.join(name).exists(), "{name} is left");
    }
}

#[test]
fn a_second_one_on_the_same_port_fails_and_the_first_serves_on() {
    let home = Home::new().unwrap();
    home.pmproxy(home.here())
        .ends()
        .unwrap()
        .succeeded()
        .unwrap();
    let daemon = home.daemon("pmproxy.pid").unwrap();
    let second = home.pmproxy(home.here()).log("second.log");
    let error = second.fails().unwrap();
    for text in [&error, &home.read("second.log")] {
        assert!(text.contains("OpenRequestSocket("), "{text}");
        assert!(text.contains("bind: Address already in use"), "{text}");
        assert!(
            text.contains("stop it, or choose another port with -p"),
            "{text}"
        );
    }
    assert_eq!(home.read("pmproxy.pid"), format!("{}\n", daemon.pid));
    assert!(home.join("pmproxy.socket").exists());
    session(home.address(), &Stub::echo().unwrap()).unwrap();
    daemon.terminate().unwrap();
    leaves_only_the_log(&home);
}

#[test]
fn managed_it_stays_in_the_foreground_and_has_a_pid_file() {
    let home = Home::new().unwrap();
    let guest = home.managed().up().unwrap();
    assert_eq!(home.read("pmproxy.pid"), format!("{}\n", guest.pid));
    guest
        .says(&format!("user = {} (", usual_user().unwrap().name))
        .unwrap();
    let cwd = fs::read_link(format!("/proc/{}/cwd", guest.pid)).unwrap();
    assert_eq!(cwd, home.join("").canonicalize().unwrap());
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    leaves_only_the_log(&home);
}

#[test]
fn in_the_foreground_it_writes_no_pid_file() {
    let home = Home::new().unwrap();
    let guest = home.foreground().up().unwrap();
    assert!(!home.join("pmproxy.pid").exists());
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
}

#[test]
fn what_lies_in_place_of_the_pid_file_is_replaced_and_nothing_else_touched() {
    let home = Home::new().unwrap();
    let precious = home.write("precious", "data").unwrap();
    let pid_file = home.join("pmproxy.pid");
    let managed = || home.managed();
    let lays: [&dyn Fn(); 3] = [
        &|| drop(home.write("pmproxy.pid", "4194304\n").unwrap()),
        &|| symlink(&precious, &pid_file).unwrap(),
        &|| fs::hard_link(&precious, &pid_file).unwrap(),
    ];
    for lay in lays {
        lay();
        let guest = managed().up().unwrap();
        assert_eq!(home.read("pmproxy.pid"), format!("{}\n", guest.pid));
        guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
        assert!(!pid_file.exists());
    }
    assert_eq!(home.read("precious"), "data");
}

#[test]
fn the_pid_file_of_another_is_left_alone() {
    let home = Home::new().unwrap();
    let guest = home.managed().up().unwrap();
    home.write("pmproxy.pid", "1\n").unwrap();
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    assert_eq!(home.read("pmproxy.pid"), "1\n");
}

#[test]
fn without_a_folder_for_the_pid_file_it_says_so_and_serves() {
    let home = Home::new().unwrap();
    let start = home.managed().env("PCP_RUN_DIR", "no/such/folder");
    let guest = start.up().unwrap();
    guest.says("cannot write the pid file ").unwrap();
    guest.says("no numbers can be read: admin socket ").unwrap();
    assert!(answers(home.address()));
}

#[test]
fn both_signals_end_it_well() {
    let home = Home::new().unwrap();
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT")] {
        let guest = home.managed().up().unwrap();
        let ended = guest.ends_on(signal).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended}");
        let log = home.read("pmproxy.log");
        assert!(
            log.contains(&format!("Info: pmproxy caught {name}\n")),
            "{log}"
        );
        leaves_only_the_log(&home);
    }
}

#[test]
fn a_signal_at_the_earliest_moment_ends_it_well_too() {
    let home = Home::new().unwrap();
    for _ in 0..20 {
        let guest = home.managed().begins().unwrap();
        home.daemon("pmproxy.pid").unwrap();
        let ended = guest.ends_on(Signal::SIGTERM).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended}");
        leaves_only_the_log(&home);
    }
}

#[test]
fn sessions_may_go_on_for_a_while_when_it_is_told_to_end() {
    let pmcd = Stub::echo().unwrap();
    let home = Home::new().unwrap();
    // On a machine that is busy for seconds, the while may be over before anything is tried.
    let attempt = || {
        let mut guest = home.foreground().up()?;
        let mut wire = session(home.address(), &pmcd)?;
        guest.signal(Signal::SIGTERM)?;
        let refused = || TcpStream::connect(home.address()).is_err();
        eventually(PATIENCE, "new clients are refused", refused)?;
        let served = round_trip(&mut wire, 100);
        // It does not wait for ever for a session that does not end.
        guest.finish()?.succeeded()?;
        ensure!(
            wire.receive_to_end()? == (vec![], Ending::Closed),
            "a session outlived it"
        );
        served
    };
    (0..3)
        .map(|_| attempt())
        .find(Result::is_ok)
        .unwrap()
        .unwrap();
}

/// The socket of a service manager, and its path.
fn manager(home: &Home) -> Result<(PathBuf, UnixDatagram)> {
    let path = home.join("notify");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_read_timeout(Some(PATIENCE))?;
    // As systemd's is.
    fs::set_permissions(&path, Permissions::from_mode(0o777))?;
    Ok((path, manager))
}

/// What the service manager is told next.
fn receive(manager: &UnixDatagram) -> Result<String> {
    let mut message = [0; 64];
    let length = manager.recv(&mut message)?;
    Ok(String::from_utf8_lossy(&message[..length]).into_owned())
}

#[test]
fn a_service_manager_that_waits_is_told_when_it_is_ready_and_when_it_stops() {
    let home = Home::new().unwrap();
    let (path, manager) = manager(&home).unwrap();
    for options in [&["-F"][..], &["-f"], &[]] {
        let start = home
            .pmproxy(options)
            .add(home.here())
            .env("NOTIFY_SOCKET", &path);
        let mut guest = None;
        let pid = if options.is_empty() {
            start.ends().unwrap().succeeded().unwrap();
            home.daemon("pmproxy.pid").unwrap().pid.cast_unsigned()
        } else {
            guest.insert(start.up().unwrap()).pid
        };
        assert_eq!(
            receive(&manager).unwrap(),
            format!("READY=1\nMAINPID={pid}")
        );
        match guest {
            Some(guest) => drop(guest.ends_on(Signal::SIGTERM).unwrap()),
            None => home.daemon("pmproxy.pid").unwrap().terminate().unwrap(),
        }
        assert_eq!(receive(&manager).unwrap(), "STOPPING=1");
    }
}

#[test]
fn a_service_manager_is_told_when_the_configuration_is_read_again() {
    let home = Home::new().unwrap();
    let (path, manager) = manager(&home).unwrap();
    let mut guest = home.managed().env("NOTIFY_SOCKET", &path).up().unwrap();
    let ready = format!("READY=1\nMAINPID={}", guest.pid);
    assert_eq!(receive(&manager).unwrap(), ready);
    guest.signal(Signal::SIGHUP).unwrap();
    let reloading = receive(&manager).unwrap();
    let time = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    assert_eq!(receive(&manager).unwrap(), ready);
}

#[test]
fn a_service_manager_that_cannot_be_told_is_no_reason_to_end() {
    let home = Home::new().unwrap();
    let start = home.foreground();
    let guest = start.env("NOTIFY_SOCKET", "/no/such/socket").up().unwrap();
    guest
        .says("cannot tell the service manager at NOTIFY_SOCKET: No such file")
        .unwrap();
    assert!(answers(home.address()));
}

/// Moves the log away, sends SIGHUP, and gives what the new log says once it is there.
fn after_hangup(home: &Home, guest: &mut Guest<'_>, expected: &str) -> Result<String> {
    fs::rename(home.join("pmproxy.log"), home.join("moved.log"))?;
    guest.signal(Signal::SIGHUP)?;
    guest.says(expected)?;
    Ok(home.read("pmproxy.log"))
}

#[test]
fn a_log_that_was_moved_away_is_made_anew() {
    let home = Home::new().unwrap();
    let mut guest = home.managed().up().unwrap();
    let log = after_hangup(&home, &mut guest, "SIGHUP: the log is open anew").unwrap();
    assert!(!log.contains("Log for pmproxy"), "{log}");
    guest.says("SIGHUP: the configuration is read").unwrap();
    assert_eq!(
        owner(&home.join("pmproxy.log")).unwrap(),
        usual_user().unwrap().name
    );
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    assert!(home.read("moved.log").starts_with("Log for pmproxy"));
    assert!(!home.read("moved.log").contains("Log finished"));
    assert!(home.read("pmproxy.log").contains("\nLog finished "));
}

#[test]
fn a_log_that_cannot_be_made_anew_stays_in_use() {
    let home = Home::new().unwrap();
    fs::create_dir(home.join("logs")).unwrap();
    let mut guest = home.foreground().log("logs/log").up().unwrap();
    fs::rename(home.join("logs"), home.join("elsewhere")).unwrap();
    guest.signal(Signal::SIGHUP).unwrap();
    let complaint =
        "SIGHUP: cannot reopen the log, the old one stays in use: No such file or directory";
    eventually(PATIENCE, complaint, || {
        home.read("elsewhere/log").contains(complaint)
    })
    .unwrap();
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    let log = home.read("elsewhere/log");
    assert!(!log.contains("open anew"), "{log}");
    assert!(log.contains("\nLog finished "), "{log}");
}

#[test]
fn a_hangup_changes_the_limit_on_clients_and_drops_none() {
    let pmcd = Stub::echo().unwrap();
    let home = Home::new().unwrap();
    home.write("pmproxy.conf", "[pmproxy]\nclients.max = 2\n")
        .unwrap();
    let mut guest = home.foreground().add(["-c", "pmproxy.conf"]).up().unwrap();
    let mut first = session(home.address(), &pmcd).unwrap();
    let mut second = session(home.address(), &pmcd).unwrap();
    assert!(session(home.address(), &pmcd).is_err());

    home.write("pmproxy.conf", "[pmproxy]\nclients.max = 3\n")
        .unwrap();
    after_hangup(&home, &mut guest, "SIGHUP: the configuration is read").unwrap();
    let third = session(home.address(), &pmcd).unwrap();
    assert!(session(home.address(), &pmcd).is_err());
    drop(third);
    pmcd.await_open(2).unwrap();

    home.write("pmproxy.conf", "[pmproxy]\nclients.max = lots\n")
        .unwrap();
    let log = after_hangup(
        &home,
        &mut guest,
        "SIGHUP: the configuration stays as it was: ",
    )
    .unwrap();
    assert!(
        log.contains("clients.max = \"lots\": expected a number from 1 to 1000000"),
        "{log}"
    );
    // The place of the one before is free a moment after its end.
    let third = || session(home.address(), &pmcd).ok();
    let _third = eventually_some(PATIENCE, "a place", third).unwrap();
    assert!(session(home.address(), &pmcd).is_err());

    home.write(
        "pmproxy.conf",
        "[pmproxy]\nclients.max = 1\nadmin.socket = /no/such/socket\n",
    )
    .unwrap();
    after_hangup(
        &home,
        &mut guest,
        "admin.socket stays as it is until pmproxy is started again",
    )
    .unwrap();
    assert!(session(home.address(), &pmcd).is_err());
    for wire in [&mut first, &mut second] {
        round_trip(wire, 1000).unwrap();
    }
}
