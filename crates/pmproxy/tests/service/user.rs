//! `-U` and the user that pmproxy runs as: its rights, its groups, and whose its files are.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{Group, Uid, User};
use testbed::{Client, Finished, packages};

use crate::home::{Guest, Home, mode, needs_root, owner, status_of};

fn user(name: &str) -> Result<User> {
    User::from_name(name)?.with_context(|| format!("there is no user {name}"))
}

/// The groups of a user, as `id` knows them, in the form of `/proc/PID/status`.
fn groups_of(name: &str) -> Result<String> {
    let shown = Client::new("id").args(["-G", name]).run()?.succeeded()?;
    let mut groups: Vec<u32> = shown
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    groups.sort_unstable();
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    Ok(groups.join(" "))
}

/// Expects that the process has the rights of the user and no others.
fn is_only(guest: &mut Guest<'_>, name: &str) -> Result<()> {
    let (pid, user) = (guest.pid, user(name)?);
    let all_four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
    let none = "0000000000000000".to_owned();
    let expected = [
        ("Uid", all_four(user.uid.as_raw())),
        ("Gid", all_four(user.gid.as_raw())),
        ("Groups", groups_of(name)?),
        ("CapPrm", none.clone()),
        ("CapEff", none.clone()),
        ("CapAmb", none),
    ];
    for (field, expected) in expected {
        let value = status_of(pid, field)?;
        ensure!(
            value == expected,
            "{field} is {value:?} and should be {expected:?}"
        );
    }
    guest.says(&format!("user = {name} ({})", user.uid))
}

#[test]
fn a_user_that_does_not_exist_is_an_error() {
    let home = Home::new().unwrap();
    let error = home
        .foreground()
        .add(["-U", "no-such-user"])
        .fails()
        .unwrap();
    let expected = "pmproxy: -U no-such-user: there is no user \"no-such-user\" on this machine\n";
    assert_eq!(error, expected);
}

#[test]
fn only_root_can_take_another_user_and_the_others_are_told_before_anything_is_opened() {
    let home = Home::new().unwrap();
    let start = home.pmproxy(["-U", "root"]).add(home.here());
    let start = if Uid::effective().is_root() {
        start.through(["setpriv", "--reuid=pcp", "--regid=pcp", "--clear-groups"])
    } else {
        start
    };
    // A daemon to be: whoever starts it must see that it failed.
    let error = start.fails().unwrap();
    assert_eq!(
        error,
        "pmproxy: -U root: cannot become the user \"root\" (only root can): Operation not permitted\n"
    );
    assert!(!home.join("pmproxy.log").exists());
}

#[test]
fn nobody_but_root_needs_rights_to_stay_who_they_are() {
    let home = Home::new().unwrap();
    let me = User::from_uid(Uid::effective()).unwrap().unwrap().name;
    let guest = home.foreground().add(["-U", &me]).up().unwrap();
    guest.says(&format!("user = {me} (")).unwrap();
}

#[test]
fn root_becomes_the_user_with_its_groups_and_makes_its_files() {
    needs_root().unwrap();
    packages::require("pcp").unwrap();
    for name in ["nobody", "pcp"] {
        let home = Home::new().unwrap();
        let folder = home.folder_of("theirs", name).unwrap();
        let start = home
            .foreground()
            .add(["-U", name])
            .log("theirs/log")
            .env("PCP_RUN_DIR", &folder);
        // Groups that whoever starts it happens to have must go.
        let start = start.through(["setpriv", "--groups=4,24"]);
        let mut guest = start.up().unwrap();
        is_only(&mut guest, name).unwrap();
        let files = ["log", "pmproxy.socket", "pmproxy.admin.socket"];
        for (file, permissions) in files.into_iter().zip([0o644, 0o666, 0o600]) {
            let path = folder.join(file);
            assert_eq!(owner(&path).unwrap(), name, "{file}");
            assert_eq!(mode(&path).unwrap(), permissions, "{file}");
        }
        guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
        assert!(!folder.join("pmproxy.socket").exists());
        assert!(!folder.join("pmproxy.admin.socket").exists());
    }
}

#[test]
fn in_the_foreground_root_stays_root_unless_told_otherwise() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let guest = home.foreground().up().unwrap();
    guest.says("user = root (0)").unwrap();
}

#[test]
fn managed_root_becomes_pcp() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let mut guest = home.managed().up().unwrap();
    is_only(&mut guest, "pcp").unwrap();
}

#[test]
fn a_log_where_only_root_may_write_is_made_by_root() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    home.folder_of("roots", "root").unwrap();
    fs::write(home.join("roots/log"), "old\n").unwrap();
    let guest = home
        .foreground()
        .add(["-U", "pcp"])
        .log("roots/log")
        .up()
        .unwrap();
    guest.says("user = pcp").unwrap();
    assert_eq!(owner(&home.join("roots/log")).unwrap(), "root");
    assert_eq!(home.read("roots/log.prev"), "old\n");
}

#[test]
fn root_follows_no_link_that_the_user_laid() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let roots = home.folder_of("roots", "root").unwrap();
    let link = home.join("link");
    symlink(&roots, &link).unwrap();
    lchown(&link, Some(user("pcp").unwrap().uid.as_raw()), None).unwrap();
    let start = home.managed().log("link/log").env("PCP_RUN_DIR", &link);
    let guest = start.up().unwrap();
    guest.says("cannot write the log").unwrap();
    guest.says("Too many symbolic links").unwrap();
    guest.says("cannot write the pid file").unwrap();
    assert!(!roots.join("log").exists());
    assert!(!roots.join("pmproxy.pid").exists());
}

#[test]
fn as_the_user_root_does_not_use_its_own_groups() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let shared = home.folder_of("shared", "root").unwrap();
    let adm = Group::from_name("adm")
        .unwrap()
        .expect("there is no group adm")
        .gid;
    std::os::unix::fs::chown(&shared, None, Some(adm.as_raw())).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o770)).unwrap();
    let start = home.foreground().add(["-U", "pcp"]).log("shared/log");
    let _guest = start
        .through(["setpriv", &format!("--groups={adm}")])
        .up()
        .unwrap();
    // Had the group's right been used, the file would be pcp's.
    assert_eq!(owner(&shared.join("log")).unwrap(), "root");
}

#[test]
fn sockets_that_root_left_behind_are_replaced() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    for name in ["pmproxy.socket", "pmproxy.admin.socket"] {
        let path = home.join(name);
        drop(UnixListener::bind(&path).unwrap());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let guest = home.managed().up().unwrap();
    for name in ["pmproxy.socket", "pmproxy.admin.socket"] {
        UnixStream::connect(home.join(name)).unwrap();
    }
    assert!(
        !guest.said().contains("Address already in use"),
        "{}",
        guest.said()
    );
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    assert!(!home.join("pmproxy.admin.socket").exists());
}

#[test]
fn a_user_of_roots_is_not_asked_of_an_ordinary_user_who_starts_a_daemon() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let start = home.pmproxy(home.here()).env("PCP_USER", "no-such-user");
    let start = start.through(["setpriv", "--reuid=pcp", "--regid=pcp", "--clear-groups"]);
    let ended: Finished = start.ends().unwrap();
    assert!(ended.status.success(), "{ended}");
    let daemon = home.daemon("pmproxy.pid").unwrap();
    assert!(
        daemon
            .status("Uid")
            .unwrap()
            .starts_with(&user("pcp").unwrap().uid.to_string())
    );
}
