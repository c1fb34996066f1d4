//! `-C`, `-M`, `-P`: what they name must be in order before anything is opened.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use crate::home::{Home, needs_root};

#[test]
fn what_is_in_order_is_accepted_and_said_to_wait_for_its_work() {
    let home = Home::new().unwrap();
    fs::create_dir(home.join("certificates")).unwrap();
    let password = home.write("password", "secret").unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o400)).unwrap();
    let me = nix::unistd::Uid::effective().as_raw();
    chown(&password, Some(me), None).unwrap();
    for options in [
        &["-C", "certificates"][..],
        &["-M", "PCP Collector certificate"],
        &["-P", "password"],
    ] {
        let guest = home.foreground().add(options).up().unwrap();
        guest.says("-C, -M and -P have no effect yet").unwrap();
        assert!(!guest.said().contains("secret"));
    }
    let guest = home.foreground().up().unwrap();
    assert!(!guest.said().contains("no effect yet"), "{}", guest.said());
}

#[test]
fn a_certificate_database_must_be_a_folder() {
    let home = Home::new().unwrap();
    home.write("file", "").unwrap();
    for (name, reason) in [
        ("missing", "No such file or directory"),
        ("file", "it is not a folder"),
    ] {
        let error = home.foreground().add(["-C", name]).fails().unwrap();
        let expected =
            format!("pmproxy: -C {name}: cannot use the certificate database: {reason}\n");
        assert_eq!(error, expected);
    }
}

#[test]
fn a_password_file_must_be_there_and_plain_and_private() {
    let home = Home::new().unwrap();
    let refused = |name: &str| home.foreground().add(["-P", name]).fails().unwrap();
    let expected = "pmproxy: -P missing: cannot use the password file: No such file or directory\n";
    assert_eq!(refused("missing"), expected);
    fs::create_dir(home.join("folder")).unwrap();
    assert!(refused("folder").ends_with("it is not a plain file\n"));
    nix::unistd::mkfifo(&home.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(refused("pipe").ends_with("it is not a plain file\n"));
    for mode in [0o440, 0o404, 0o420, 0o402, 0o644] {
        let path = home.write("open", "secret").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = refused("open");
        let reason = format!("others than its owner may use it (mode 0{mode:o}): make it 0400\n");
        assert!(error.ends_with(&reason), "{error}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_password_file_must_belong_to_the_user_who_will_read_it() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let password = home.write("password", "secret").unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o400)).unwrap();
    // It belongs to pcp now, and root would read it.
    let error = home.foreground().add(["-P", "password"]).fails().unwrap();
    assert!(error.contains("it belongs to user"), "{error}");
    assert!(error.contains("but pmproxy runs as user 0"), "{error}");
    home.foreground()
        .add(["-P", "password", "-U", "pcp"])
        .up()
        .unwrap();
    chown(&password, Some(0), Some(0)).unwrap();
    let error = home
        .foreground()
        .add(["-P", "password", "-U", "pcp"])
        .fails()
        .unwrap();
    assert!(
        error.ends_with("cannot use the password file: Permission denied\n"),
        "{error}"
    );
}
