//! The init script, with this pmproxy and the folders of a home.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use testbed::{Client, Finished, PATIENCE, Process, clean_command, eventually};

use crate::home::{Home, answers, needs_root, owner};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/init.d/pmproxy");

/// Lays out what the script reads.
fn boot_files(home: &Home) -> Result<()> {
    fs::create_dir(home.join("pmproxy"))?;
    home.write(
        "pmproxy/pmproxy.options",
        &format!("-A\n{}\n", home.here().join(" ")),
    )?;
    Ok(())
}

/// Runs the script as root would at a terminal, on a machine without systemd.
fn script(home: &Home, action: &str) -> Result<Finished> {
    let programs = Path::new(env!("CARGO_BIN_EXE_pmproxy"));
    let client = Client::new(SCRIPT)
        .args([action])
        .env("HOME_OF_TEST", home.folder())
        .env("SYSTEMCTL_SKIP_REDIRECT", "1")
        .env("PCP_BINADM_DIR", programs.parent().context("no folder")?)
        .env("PCP_SYSCONFIG_DIR", home.join("sysconfig"))
        .env("PCP_RUN_DIR", home.join("run"));
    ["PCP_SYSCONF_DIR", "PCP_LOG_DIR"]
        .iter()
        .fold(client, |client, name| client.env(name, home.folder()))
        .run()
}

#[test]
fn starting_again_is_stopping_and_starting() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    boot_files(&home).unwrap();
    assert_eq!(script(&home, "status").unwrap().status.code(), Some(3));
    let started = script(&home, "start").unwrap().succeeded().unwrap();
    assert!(
        started.contains("Starting proxy for performance metrics: pmproxy"),
        "{started}"
    );
    assert!(!started.contains("Stopping"), "{started}");
    assert!(answers(home.address()));
    assert_eq!(owner(&home.join("run")).unwrap(), "pcp");
    assert!(
        home.read("pmproxy/pmproxy.log")
            .starts_with("Log for pmproxy")
    );
    script(&home, "status").unwrap().succeeded().unwrap();

    let first = home.daemon("run/pmproxy.pid").unwrap();
    let again = script(&home, "start").unwrap().succeeded().unwrap();
    assert!(
        again.contains("Stopping") && again.contains("Starting"),
        "{again}"
    );
    let second = home.daemon("run/pmproxy.pid").unwrap();
    assert_ne!(first.pid, second.pid);
    assert!(answers(home.address()));

    script(&home, "reload").unwrap().succeeded().unwrap();
    eventually(PATIENCE, "the configuration to be read", || {
        home.read("pmproxy/pmproxy.log")
            .contains("SIGHUP: the configuration is read")
    })
    .unwrap();

    script(&home, "stop").unwrap().succeeded().unwrap();
    assert!(!answers(home.address()));
    assert_eq!(script(&home, "status").unwrap().status.code(), Some(3));
    // Stopping what does not run is well, and restarting it only if it runs is nothing.
    script(&home, "stop").unwrap().succeeded().unwrap();
    script(&home, "condrestart").unwrap().succeeded().unwrap();
    assert!(!answers(home.address()));
    assert_ne!(script(&home, "reload").unwrap().status.code(), Some(0));
}

#[test]
fn a_process_that_got_the_id_of_an_old_pid_file_is_left_alone() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    boot_files(&home).unwrap();
    let mut command = clean_command("sleep");
    command.arg("1000");
    let mut stranger = Process::spawn("sleep", command).unwrap();
    fs::create_dir(home.join("run")).unwrap();
    let pid = format!("{}\n", stranger.pid());
    home.write("run/pmproxy.pid", &pid).unwrap();
    assert_eq!(script(&home, "status").unwrap().status.code(), Some(1));
    for action in ["reload", "restart", "stop"] {
        home.write("run/pmproxy.pid", &pid).unwrap();
        script(&home, action).unwrap();
        assert!(stranger.ended().unwrap().is_none(), "{action} ended it");
    }
}

#[test]
fn a_start_that_fails_is_told_and_has_a_status() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let failed = script(&home, "start").unwrap();
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    assert!(
        failed.stderr.contains("pmproxy.options: No such file"),
        "{failed}"
    );
    assert!(failed.stdout.contains("failed!"), "{failed}");
    assert_eq!(script(&home, "dance").unwrap().status.code(), Some(2));
}
