//! `pmproxy --status`, on real sessions and where there is nobody to ask.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pcp_proto::{Creds, Features, VersionCred};
use serde_json::Value;
use testbed::{Client, PATIENCE, Pmcd, Pmproxy, Scratch, Stub, eventually};

use crate::peers::{PROGRAM, pmproxy, round_trip, session};

/// `pmproxy --status` of the daemon with this admin socket.
fn status(socket: &Path) -> Client {
    let client = Client::new(PROGRAM).args(["--status"]);
    client.env("PMPROXY_ADMIN_SOCKET", socket)
}

/// The sessions that it tells of as JSON.
fn sessions(proxy: &Pmproxy) -> Result<Vec<Value>> {
    let shown = status(&proxy.admin_socket())
        .args(["--json"])
        .run()?
        .succeeded()?;
    let report: Value = serde_json::from_str(&shown)?;
    let sessions = report["sessions"].as_array();
    sessions.cloned().with_context(|| shown)
}

#[test]
fn every_client_is_shown_with_its_pmcd_and_what_it_moved() {
    // A client may take its time for the greeting.
    let proxy = pmproxy().env("PMCD_CONNECT_TIMEOUT", "600");
    let (proxy, pmcd) = (proxy.start().unwrap(), Stub::echo().unwrap());
    let greeting = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    let mut wire = session(&proxy, &pmcd).unwrap();
    round_trip(&mut wire, 1000).unwrap();
    round_trip(&mut wire, 2000).unwrap();
    // The pmcd's greeting is a PDU of 20 bytes.
    let expected = |client: &TcpStream, pmcd: Value, bytes: [u64; 2], pdus: [u64; 2]| {
        serde_json::json!({
            "client": client.local_addr().unwrap().to_string(),
            "pmcd": pmcd,
            "state": if bytes == [0, 0] { "greeting" } else { "relaying" },
            "secure": false,
            "to_pmcd": {"bytes": bytes[0], "pdus": pdus[0]},
            "to_client": {"bytes": bytes[1], "pdus": pdus[1]},
        })
    };
    let target = format!("127.0.0.1:{}", pmcd.port());
    let all = [
        expected(&greeting, Value::Null, [0, 0], [0, 0]),
        expected(wire.stream(), target.clone().into(), [3000, 3020], [2, 3]),
    ];
    let found = || {
        sessions(&proxy).map(|mut sessions| {
            for session in &mut sessions {
                session.as_object_mut().unwrap().remove("since");
            }
            // Which of two clients that come at once is the first is open.
            sessions.sort_by_key(|session| session["state"].to_string());
            sessions
        })
    };
    eventually(PATIENCE, "both clients", || {
        found().is_ok_and(|found| found == all)
    })
    .with_context(|| format!("{:#?}", found()))
    .unwrap();

    let table = status(&proxy.admin_socket())
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    let client = wire.stream().local_addr().unwrap().to_string();
    let row = table.lines().find(|line| line.starts_with(&client));
    let row = row.with_context(|| table.clone()).unwrap();
    for cell in [&*target, "relaying", "3.0 kB in 2 PDUs", "3.0 kB in 3 PDUs"] {
        assert!(row.contains(cell), "{cell} is not in {table}");
    }
    let total = "2 clients (1 greeting, 0 connecting, 1 relaying); 3.0 kB in 2 PDUs to pmcd";
    assert!(table.contains(total), "{table}");

    drop((wire, greeting));
    eventually(PATIENCE, "no client", || {
        sessions(&proxy).is_ok_and(|sessions| sessions.is_empty())
    })
    .unwrap();
    let table = status(&proxy.admin_socket())
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    assert!(table.contains("0 clients"), "{table}");
}

#[test]
fn a_secure_channel_that_passes_through_is_shown() {
    let (proxy, pmcd) = (pmproxy().start().unwrap(), Stub::echo().unwrap());
    let mut wire = session(&proxy, &pmcd).unwrap();
    let (version, features) = (2, Features::SECURE);
    let versions = vec![VersionCred { version, features }];
    wire.send_pdu(&Creds { versions }).unwrap();
    wire.receive_pdu().unwrap();
    let sessions = sessions(&proxy).unwrap();
    let relayed = sessions.iter().find(|session| !session["pmcd"].is_null());
    assert_eq!(relayed.unwrap()["secure"], true, "{sessions:#?}");
    let table = status(&proxy.admin_socket()).run().unwrap().succeeded();
    assert!(table.unwrap().contains("  relaying, secure  "));
}

#[test]
fn a_real_client_that_stays_is_shown() {
    let (proxy, pmcd) = (pmproxy().start().unwrap(), Pmcd::start("alpha").unwrap());
    let host = format!("localhost:{}@localhost:{}", pmcd.port(), proxy.port());
    let _pmval = Client::new("pmval")
        .args(["-h", &host, "-t", "0.1", "hinv.ncpu"])
        .start()
        .unwrap();
    let target = format!("localhost:{}", pmcd.port());
    let is_there = |session: &Value| {
        session["pmcd"] == *target
            && session["to_pmcd"]["pdus"].as_u64() > Some(5)
            && session["to_client"]["pdus"].as_u64() > Some(5)
    };
    eventually(PATIENCE, "the real client", || {
        sessions(&proxy).is_ok_and(|sessions| sessions.iter().any(is_there))
    })
    .with_context(|| format!("{:#?}", sessions(&proxy)))
    .unwrap();
}

#[test]
fn hundreds_of_clients_are_listed_while_they_talk() {
    let (proxy, pmcd) = (pmproxy().start().unwrap(), Stub::echo().unwrap());
    let mut wires: Vec<_> = (0..400).map(|_| session(&proxy, &pmcd).unwrap()).collect();
    eventually(PATIENCE, "all of them to be listed", || {
        sessions(&proxy).is_ok_and(|sessions| sessions.len() == 400)
    })
    .unwrap();
    for wire in &mut wires {
        round_trip(wire, 100).unwrap();
    }
}

/// What it says when it fails.
fn complaint(client: &Client) -> Result<String> {
    let finished = client.run()?;
    ensure!(finished.status.code() == Some(1), "{finished}");
    ensure!(finished.stdout.is_empty(), "{finished}");
    Ok(finished.stderr)
}

#[test]
fn where_there_is_no_pmproxy_it_says_so() {
    let scratch = Scratch::new().unwrap();
    let socket = scratch.join("admin");
    let said = complaint(&status(&socket)).unwrap();
    let missing = format!(
        "no pmproxy runs that has its admin socket at {}",
        socket.display()
    );
    assert!(said.contains(&missing), "{said}");

    drop(UnixListener::bind(&socket));
    let said = complaint(&status(&socket)).unwrap();
    assert!(said.contains("the one that made it is gone"), "{said}");
}

#[test]
fn what_is_no_pmproxy_is_told_from_one() {
    let endless = "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"x".repeat(1 << 20);
    let answers = [
        "garbage\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\u{80}",
        "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{",
        "",
        &endless,
    ];
    for answer in answers {
        let scratch = Scratch::new().unwrap();
        let socket = scratch.join("admin");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                // It goes on for ever, unless nobody reads it any more.
                while stream.write_all(answer.as_bytes()).is_ok() && answer.len() > 1000 {}
            });
            let said = complaint(&status(&socket)).unwrap();
            let text = if answer == endless {
                "length limit exceeded"
            } else {
                "does not answer as this pmproxy does"
            };
            assert!(
                said.contains(text),
                "{said} to {}",
                &answer[..answer.len().min(50)]
            );
        });
    }
}

#[test]
fn the_admin_socket_is_found_as_the_daemon_makes_it() {
    let scratch = Scratch::new().unwrap();
    let socket = scratch.join("configured");
    let text = format!("[pmproxy]\nadmin.socket = {}\n", socket.display());
    let config = scratch.write("pmproxy.conf", &text).unwrap();
    let run = scratch.path().display().to_string();
    let of = |args: &[&str]| {
        let client = Client::new(PROGRAM).args(["--status"]).args(args);
        complaint(&client.env("PCP_RUN_DIR", &run).env("PCP_SYSCONF_DIR", &run)).unwrap()
    };
    let said = of(&["-c", &config.display().to_string()]);
    assert!(said.contains(&socket.display().to_string()), "{said}");
    assert!(of(&[]).contains(&format!("{run}/pmproxy.admin.socket")));
    assert!(of(&["-c", "/no/such"]).contains("cannot read the configuration /no/such"));
}

#[test]
fn whoever_may_not_ask_is_told_so() {
    let is_root = nix::unistd::Uid::effective().is_root();
    assert!(is_root, "this test needs root");
    let proxy = pmproxy().start().unwrap();
    let socket = proxy.admin_socket();
    for folder in socket
        .ancestors()
        .skip(1)
        .take_while(|folder| *folder != Path::new("/tmp"))
    {
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder, all).unwrap();
    }
    let client = Client::new("setpriv").args(["--reuid=65534", "--clear-groups", PROGRAM]);
    let said = complaint(
        &client
            .args(["--status"])
            .env("PMPROXY_ADMIN_SOCKET", &socket),
    )
    .unwrap();
    assert!(
        said.contains("permission denied for the admin socket"),
        "{said}"
    );
}
