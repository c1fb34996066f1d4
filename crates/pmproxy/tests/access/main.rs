//! The access policy in `pmproxy.conf`, with real clients.

use anyhow::Result;
use pcp_proto::{Creds, ErrorPdu, Pdu, Status};
use testbed::{Client, Finished, PATIENCE, Pmcd, Pmproxy, Scratch, Wire, eventually};

const PMPROXY: &str = env!("CARGO_BIN_EXE_pmproxy");

fn proxy(config: &str) -> Result<Pmproxy> {
    Pmproxy::builder(PMPROXY).config(config).start()
}

fn ask(proxy: &Pmproxy, pmcd: &str) -> Result<Finished> {
    let host = format!("{pmcd}@localhost:{}", proxy.port());
    Client::new("pminfo")
        .args(["-h", &host, "-f", "pmcd.hostname"])
        .run()
}

fn reload(proxy: &mut Pmproxy, config: &str) -> Result<()> {
    std::fs::write(proxy.folder().join("pmproxy.conf"), config)?;
    proxy.signal(nix::sys::signal::Signal::SIGHUP)
}

#[test]
fn a_pmcd_that_a_rule_denies_is_refused_with_the_reason() -> Result<()> {
    let (open, secret) = (Pmcd::start("open")?, Pmcd::start("secret")?);
    let config = format!(
        "[access]\ndeny = to any:{}\nallow = from any to any\n",
        secret.port()
    );
    let proxy = proxy(&config)?;
    let shown = ask(&proxy, &format!("localhost:{}", open.port()))?.succeeded()?;
    assert!(shown.contains("\"open\""), "{shown}");
    let refused = ask(&proxy, &format!("localhost:{}", secret.port()))?;
    assert!(!refused.status.success());
    let reason = "No permission to perform requested operation";
    assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    proxy.await_log("is denied by rule 1")?;
    assert_eq!(
        proxy.metric("pmproxy_refused_total{reason=\"Denied\"}")?,
        1.0
    );
    Ok(())
}

#[test]
fn a_name_is_no_way_around_a_rule_about_its_address() -> Result<()> {
    let pmcd = Pmcd::start("inner")?;
    let proxy = proxy("[access]\ndeny = to local\nallow = to localhost, any\n")?;
    for host in [
        "localhost",
        "127.0.0.1",
        "127.1",
        "::1",
        "[::ffff:127.0.0.1]",
    ] {
        let mut wire = Wire::through(proxy.port(), host, pmcd.port())?;
        let (bytes, _) = wire.receive_to_end()?;
        let error = ErrorPdu::decode(&bytes)?;
        assert_eq!(error.status(), Status::PERMISSION, "{host}");
    }
    Ok(())
}

#[test]
fn a_client_holds_no_more_connections_than_its_rule_lets_it() -> Result<()> {
    let pmcd = Pmcd::start("alpha")?;
    let proxy = proxy("[access]\nallow = from local to any connections 2\n")?;
    let target = format!("localhost:{}", pmcd.port());
    let first = Wire::through(proxy.port(), "localhost", pmcd.port())?;
    let _second = Wire::through(proxy.port(), "localhost", pmcd.port())?;
    eventually(PATIENCE, "both are connected", || {
        proxy
            .metric("pmproxy_sessions")
            .is_ok_and(|count| count == 2.0)
    })?;
    let refused = ask(&proxy, &target)?;
    assert!(
        refused.stderr.contains("connection limit"),
        "{}",
        refused.stderr
    );
    proxy.await_log("too many connections (2 of 2)")?;
    drop(first);
    eventually(PATIENCE, "a place is free", || {
        ask(&proxy, &target).is_ok_and(|finished| finished.status.success())
    })?;
    Ok(())
}

#[test]
fn a_hangup_puts_another_policy_in_force_and_a_broken_one_changes_nothing() -> Result<()> {
    let pmcd = Pmcd::start("alpha")?;
    let target = format!("localhost:{}", pmcd.port());
    let mut proxy = proxy("[access]\nallow = from local\n")?;
    ask(&proxy, &target)?.succeeded()?;
    let mut witness = Wire::through(proxy.port(), "localhost", pmcd.port())?;
    witness.receive_pdu()?;
    reload(&mut proxy, "[access]\nallow = from nowhere in particular\n")?;
    proxy.await_log("the configuration stays as it was")?;
    ask(&proxy, &target)?.succeeded()?;
    reload(&mut proxy, "[access]\ndeny = from local\n")?;
    eventually(PATIENCE, "the new policy is in force", || {
        ask(&proxy, &target).is_ok_and(|finished| !finished.status.success())
    })?;
    // Whoever was connected before still is.
    witness.send_pdu(&Creds::default())?;
    eventually(PATIENCE, "nobody else to be connected", || {
        proxy
            .metric("pmproxy_sessions")
            .is_ok_and(|sessions| sessions == 1.0)
    })
}

#[test]
fn without_a_policy_the_log_says_that_everything_is_allowed() -> Result<()> {
    let proxy = proxy("")?;
    proxy.await_log("no access policy: every client may reach every host and port")
}

#[test]
fn check_config_tells_what_a_client_would_get() -> Result<()> {
    let scratch = Scratch::new()?;
    let config = scratch.write(
        "pmproxy.conf",
        "[access]\ndeny = to 127.0.0.0/8:1-1023\nallow = from 10.0.0.0/8 to any rate 5/s\n",
    )?;
    let check = |args: &[&str]| {
        let config = config.display().to_string();
        Client::new(PMPROXY)
            .args(["--check-config", "-c", &config])
            .args(args)
            .run()
    };
    let shown = check(&[])?.succeeded()?;
    assert!(
        shown.contains("can be used") && shown.contains("2 rules"),
        "{shown}"
    );
    let allowed = check(&["--client", "10.1.2.3", "--target", "127.0.0.1"])?.succeeded()?;
    assert!(allowed.contains("within the limits of rule 2"), "{allowed}");
    let denied = check(&["--client=10.1.2.3", "--target=127.0.0.1:22"])?;
    assert!(
        !denied.status.success() && denied.stdout.contains("refused"),
        "{}",
        denied.stdout
    );
    let unmatched = check(&["--client=192.168.0.1", "--target=127.0.0.1"])?;
    assert!(!unmatched.status.success(), "{}", unmatched.stdout);
    std::fs::write(&config, "[access]\nallow = from 10.0.0.1/8\n")?;
    let broken = check(&[])?;
    assert!(!broken.status.success());
    assert!(broken.stderr.contains("[access] rule 1") && broken.stderr.contains("10.0.0.0/8"));
    Ok(())
}
