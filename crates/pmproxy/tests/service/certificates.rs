//! Where certificates come from, and what is wrong with them before any port is opened.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use testbed::{Authority, Certificate, Client, Draft, packages};

use crate::home::{Home, Start, answers, needs_root};

/// Generating a key of RSA takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(60);

const NICKNAME: &str = "PCP Collector certificate";

const RSA: &[&str] = &["-k", "rsa", "-g", "2048"];
const EC: &[&str] = &["-k", "ec", "-q", "secp256r1"];

/// A file for its owner alone.
fn private(home: &Home, name: &str, text: &str) -> Result<PathBuf> {
    // One that is there already cannot be written to by its owner.
    let _ = fs::remove_file(home.join(name));
    let path = home.write(name, text)?;
    owned_by_me(&path, 0o400)?;
    Ok(path)
}

fn owned_by_me(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(chown(path, Some(Uid::effective().as_raw()), None)?)
}

fn certutil(home: &Home, database: &str, password: &str, args: &[&str]) -> Result<()> {
    packages::require("libnss3-tools")?;
    let password = home.write("certutil.password", password)?;
    let database = format!("sql:{}", home.join(database).display());
    let made = Client::new("certutil")
        .args(args)
        .args(["-d", &database, "-f"])
        .args([password])
        .within(PATIENCE);
    made.run()?.succeeded().map(drop)
}

/// A database with an authority and a certificate for pmproxy, as the tutorials of PCP make it.
fn nss_database(home: &Home, name: &str, password: &str, key: &[&str]) -> Result<()> {
    fs::create_dir(home.join(name))?;
    certutil(home, name, password, &["-N"])?;
    let noise = home.write("noise", &"7".repeat(64))?;
    let noise = noise.display().to_string();
    let issue = |nickname: &str, args: &[&str]| {
        let subject = format!("CN={nickname}");
        let named = ["-S", "-n", nickname, "-s", &subject, "-z", &noise];
        certutil(home, name, password, &[&named, key, args].concat())
    };
    issue("Authority", &["-x", "-t", "CT,,", "-m", "1"])?;
    issue(NICKNAME, &["-c", "Authority", "-t", "P,,", "-m", "2"])
}

/// A certificate and its key in PEM files, and lines of a `tls.conf` for them.
fn pem(home: &Home, name: &str, issued: &Certificate) -> Result<String> {
    let chain = home.write(&format!("{name}.crt"), &issued.certificate)?;
    let key = private(home, &format!("{name}.key"), &issued.key)?;
    let (chain, key) = (chain.display(), key.display());
    Ok(format!("tls-cert-file = {chain}\ntls-key-file = {key}\n"))
}

fn certificate(name: &str) -> Result<Certificate> {
    Authority::new("CA")?.issue(&[name])
}

/// pmproxy with a `tls.conf`.
fn with_tls_conf<'a>(home: &'a Home, text: &str) -> Result<Start<'a>> {
    let path = home.write("shared.conf", text)?;
    Ok(home.foreground().env("PCP_TLSCONF_PATH", path))
}

/// pmproxy without any `tls.conf` but with options.
fn with_options<'a>(home: &'a Home, options: &[&str]) -> Start<'a> {
    home.foreground().add(options)
}

/// Expects that it starts and says so.
fn starts(start: Start<'_>, text: &str) -> Result<()> {
    start.up()?.says(text)
}

/// Expects a fatal error with this in it, before a port or even the log is opened.
fn refuses(home: &Home, start: Start<'_>, text: &str) -> Result<()> {
    let _ = fs::remove_file(home.join("pmproxy.log"));
    let error = start.fails()?;
    ensure!(error.contains(text), "{error}");
    ensure!(!home.join("pmproxy.log").exists(), "it came too far");
    ensure!(!answers(home.address()), "it answers");
    Ok(())
}

/// Expects that a real client of TLS gets a channel to a server of this name.
fn shakes_hands_as(home: &Home, name: &str) -> Result<()> {
    packages::require("openssl")?;
    let address = home.address().to_string();
    let client = Client::new("openssl").args(["s_client", "-connect", &address]);
    let said = client.run()?.stdout;
    ensure!(said.contains(&format!("subject=CN = {name}")), "{said}");
    ensure!(said.contains("Cipher is TLS_"), "{said}");
    Ok(())
}

/// Runs what follows where `/etc/pki/nssdb` is the folder that comes first.
const WITH_USUAL_DATABASE: &str = "\
    mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && cp -a /etc/. /mnt/ && \
    mkdir -p /mnt/pki && rm -rf /mnt/pki/nssdb && cp -a \"$0\" /mnt/pki/nssdb && \
    mount --bind /mnt /etc && exec \"$@\"";

#[test]
fn the_usual_database_and_its_usual_certificate_are_used_unasked() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    nss_database(&home, "usual", "", EC).unwrap();
    let usual = home.join("usual").display().to_string();
    let words = [
        "unshare",
        "--mount",
        "/bin/sh",
        "-c",
        WITH_USUAL_DATABASE,
        &usual,
    ];
    let guest = home.foreground().through(words).up().unwrap();
    let place = "from \"PCP Collector certificate\" of the NSS database /etc/pki/nssdb";
    guest.says(place).unwrap();
    shakes_hands_as(&home, NICKNAME).unwrap();
    drop(guest);
    let named = with_options(&home, &["-M", "Authority"]).through(words);
    starts(named, "secure channels end here with CN=Authority").unwrap();
}

#[test]
fn databases_of_certutil_work_with_and_without_a_password_and_with_both_kinds_of_keys() {
    let home = Home::new().unwrap();
    let mut number = 0;
    for password in ["", "sekrit"] {
        for key in [RSA, EC] {
            number += 1;
            let name = format!("nssdb{number}");
            nss_database(&home, &name, password, key).unwrap();
            let database = format!("sql:{name}");
            let mut options = vec!["-C", &database];
            if !password.is_empty() {
                private(&home, "password", "sekrit\n").unwrap();
                options.extend(["-P", "password"]);
            }
            let guest = with_options(&home, &options).up().unwrap();
            guest
                .says("secure channels end here with CN=PCP Collector certificate, from ")
                .unwrap();
            guest.says("; 1 authority is trusted").unwrap();
            shakes_hands_as(&home, NICKNAME).unwrap();
            assert!(!guest.said().contains("sekrit"), "{}", guest.said());
        }
    }
}

#[test]
fn each_trouble_with_a_database_is_its_own_error() {
    let home = Home::new().unwrap();
    nss_database(&home, "open", "", EC).unwrap();
    nss_database(&home, "locked", "sekrit", EC).unwrap();
    private(&home, "wrong", "guess").unwrap();
    private(&home, "right", "sekrit").unwrap();
    private(&home, "blank", "\n").unwrap();
    home.write("file", "").unwrap();
    fs::create_dir(home.join("empty")).unwrap();
    fs::write(home.join("empty/cert8.db"), "").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["-C", "missing"], "there is no folder"),
        (&["-C", "file"], "holds no complete NSS database"),
        (
            &["-C", "empty"],
            "holds an NSS database of the old dbm format",
        ),
        (
            &["-C", "dbm:open"],
            "-C dbm:open: NSS databases of the old dbm format are not supported",
        ),
        (
            &["-C", "open", "-M", "nobody"],
            "has no certificate with the nickname \"nobody\" (there are: \"Authority\", \"PCP Collector certificate\")",
        ),
        (
            &["-C", "locked"],
            "a password file is needed (-P): the NSS database in ",
        ),
        (
            &["-C", "locked", "-P", "wrong"],
            "wrong: the password given for the NSS database in ",
        ),
        (
            &["-C", "locked", "-P", "blank"],
            "cannot use the password file: it is empty",
        ),
        (&["-M", "anything"], "there is no folder /etc/pki/nssdb"),
        (&["-P", "right"], "there is no folder /etc/pki/nssdb"),
    ];
    for (options, text) in cases {
        refuses(&home, with_options(&home, options), text).unwrap();
    }
    let options = ["-C", "locked", "-P", "right", "-M", "Authority"];
    starts(
        with_options(&home, &options),
        "end here with CN=Authority, from ",
    )
    .unwrap();
}

#[test]
fn a_password_file_must_be_there_and_plain_and_private() {
    let home = Home::new().unwrap();
    nss_database(&home, "nssdb", "sekrit", EC).unwrap();
    let start = |name: &str| with_options(&home, &["-C", "nssdb", "-P", name]);
    let text = "missing: cannot use the password file: No such file or directory\n";
    refuses(&home, start("missing"), text).unwrap();
    fs::create_dir(home.join("folder")).unwrap();
    refuses(&home, start("folder"), "it is not a plain file\n").unwrap();
    nix::unistd::mkfifo(&home.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    refuses(&home, start("pipe"), "it is not a plain file\n").unwrap();
    for mode in [0o440, 0o404, 0o420, 0o402, 0o644] {
        let path = home.write("open", "sekrit").unwrap();
        owned_by_me(&path, mode).unwrap();
        let reason = format!("others than its owner may use it (mode 0{mode:o}): make it 0400\n");
        refuses(&home, start("open"), &reason).unwrap();
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn files_are_read_with_the_rights_of_the_user_that_pmproxy_becomes() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let pcp = User::from_name("pcp").unwrap().unwrap().uid.as_raw();
    nss_database(&home, "nssdb", "sekrit", EC).unwrap();
    let database = home.join("nssdb");
    fs::set_permissions(&database, Permissions::from_mode(0o755)).unwrap();
    for file in fs::read_dir(&database).unwrap() {
        chown(file.unwrap().path(), Some(pcp), None).unwrap();
    }
    let password = private(&home, "password", "sekrit").unwrap();
    let as_pcp = ["-C", "nssdb", "-P", "password", "-U", "pcp"];
    let text = "cannot use the password file: Permission denied\n";
    refuses(&home, with_options(&home, &as_pcp), text).unwrap();
    chown(&password, Some(pcp), None).unwrap();
    starts(with_options(&home, &as_pcp), "secure channels end here").unwrap();
    let as_root = ["-C", "nssdb", "-P", "password"];
    let text = format!("it belongs to user {pcp}, but pmproxy runs as user 0");
    refuses(&home, with_options(&home, &as_root), &text).unwrap();

    let conf = pem(&home, "own", &certificate("own").unwrap()).unwrap();
    let start = || with_tls_conf(&home, &conf).unwrap().add(["-U", "pcp"]);
    refuses(&home, start(), "own.key: cannot read it: Permission denied").unwrap();
    chown(home.join("own.key"), Some(pcp), None).unwrap();
    starts(start(), "secure channels end here with CN=own").unwrap();
}

#[test]
fn pem_files_come_from_tls_conf_and_pmproxy_conf_wins_over_it() {
    let home = Home::new().unwrap();
    let shared = pem(&home, "shared", &certificate("shared").unwrap()).unwrap();
    starts(
        with_tls_conf(&home, &shared).unwrap(),
        "end here with CN=shared, from ",
    )
    .unwrap();
    pem(&home, "own", &certificate("own").unwrap()).unwrap();
    let (chain, key) = (home.join("own.crt"), home.join("own.key"));
    let (chain, key) = (chain.display(), key.display());
    let text = format!("[pmproxy]\ncertificates = {chain}\nprivate_key = {key}\n");
    home.write("own.conf", &text).unwrap();
    let start = || {
        with_tls_conf(&home, &shared)
            .unwrap()
            .add(["-c", "own.conf"])
    };
    starts(start(), "end here with CN=own, from ").unwrap();
    nss_database(&home, "nssdb", "", EC).unwrap();
    starts(
        start().add(["-C", "nssdb"]),
        "end here with CN=PCP Collector certificate, from ",
    )
    .unwrap();
    home.write("off.conf", &(text + "secure.enabled = false\n"))
        .unwrap();
    let off = with_tls_conf(&home, &shared)
        .unwrap()
        .add(["-c", "off.conf"]);
    starts(
        off,
        "secure.enabled = false: secure channels pass through end to end",
    )
    .unwrap();
}

#[test]
fn without_any_certificate_secure_channels_pass_through_and_the_log_says_so_once() {
    let home = Home::new().unwrap();
    let guest = with_options(&home, &[]).up().unwrap();
    let text = "no certificate: secure channels pass through end to end (there is no folder";
    guest.says(text).unwrap();
    assert_eq!(
        guest.said().matches("certificate").count(),
        1,
        "{}",
        guest.said()
    );
}

#[test]
fn what_is_wrong_with_pem_files_is_named_with_setting_and_file() {
    let home = Home::new().unwrap();
    let own = pem(&home, "own", &certificate("own").unwrap()).unwrap();
    let other = pem(&home, "other", &certificate("other").unwrap()).unwrap();
    let line = |conf: &str, name: &str| {
        let line = conf.lines().find(|line| line.starts_with(name)).unwrap();
        format!("{line}\n")
    };
    let open = private(
        &home,
        "open.key",
        &fs::read_to_string(home.join("own.key")).unwrap(),
    )
    .unwrap();
    owned_by_me(&open, 0o644).unwrap();
    let junk = home.write("junk.crt", "junk").unwrap();
    let cases = [
        (
            line(&own, "tls-cert-file"),
            "shared.conf: tls-cert-file needs a private key beside it",
        ),
        (
            line(&own, "tls-key-file"),
            "shared.conf: tls-key-file needs a certificate beside it",
        ),
        (
            line(&own, "tls-cert-file") + &line(&other, "tls-key-file"),
            "other.key: it is not the private key of the certificate CN=own in ",
        ),
        (
            line(&own, "tls-cert-file") + &format!("tls-key-file = {}\n", open.display()),
            "open.key: others may use this private key (mode 0644): make it 0400",
        ),
        (
            line(&own, "tls-key-file") + &format!("tls-cert-file = {}\n", junk.display()),
            "junk.crt: there is no certificate in it",
        ),
        (
            own.clone() + "tls-ca-cert-file = /no/such.crt\n",
            "shared.conf: tls-ca-cert-file: /no/such.crt: cannot read it: No such file or directory",
        ),
        (
            own.clone() + "tls-ca-cert-dir = /no/such\n",
            "shared.conf: tls-ca-cert-dir: /no/such: cannot read it",
        ),
        (
            own.clone() + "tls-ca-cert-file = here.crt\n",
            "tls-ca-cert-file = here.crt: expected an absolute path",
        ),
        (
            own.clone() + "tls-ciphers = HIGH:RC4-SHA\n",
            "shared.conf: tls-ciphers: \"RC4-SHA\" is not supported (there are: ECDHE-",
        ),
        (
            own.clone() + "tls-ciphersuites = TLS_AES_128_CCM_SHA256\n",
            "shared.conf: tls-ciphersuites: \"TLS_AES_128_CCM_SHA256\" is not supported (there are: TLS_",
        ),
        (
            own.clone() + "tls-verify-clients = maybe\n",
            "tls-verify-clients = maybe: expected true or false",
        ),
        (
            own.clone() + "tls-verify-clients = true\n",
            "client certificates are required, but no authority",
        ),
        (
            own.clone() + "tls-cert-file\n",
            "shared.conf:3: expected NAME = VALUE",
        ),
        (
            own.clone() + &line(&other, "tls-cert-file").replace("tls-", "tls-client-"),
            "tls-client-cert-file needs a private key beside it",
        ),
    ];
    for (conf, text) in cases {
        refuses(&home, with_tls_conf(&home, &conf).unwrap(), text).unwrap();
    }
    let text = "[pmproxy]\ncertificates = /own.crt\n";
    home.write("partial.conf", text).unwrap();
    let start = with_options(&home, &["-c", "partial.conf"]);
    refuses(
        &home,
        start,
        "[pmproxy] certificates needs a private key beside it",
    )
    .unwrap();
    home.write("secure.conf", "[pmproxy]\nsecure.enabled = perhaps\n")
        .unwrap();
    let start = with_options(&home, &["-c", "secure.conf"]);
    refuses(
        &home,
        start,
        "[pmproxy] secure.enabled = \"perhaps\": expected true or false",
    )
    .unwrap();
}

#[test]
fn required_client_certificates_need_a_certificate_and_an_authority() {
    let home = Home::new().unwrap();
    let start = with_options(&home, &["-Q"]);
    refuses(
        &home,
        start,
        "-Q: client certificates cannot be required without a certificate",
    )
    .unwrap();
    let authority = Authority::new("CA").unwrap();
    let own = pem(&home, "own", &authority.issue(&["own"]).unwrap()).unwrap();
    let start = with_tls_conf(&home, &own).unwrap().add(["-Q"]);
    refuses(
        &home,
        start,
        "client certificates are required, but no authority",
    )
    .unwrap();
    let trusted = home.write("ca.crt", &authority.certificate()).unwrap();
    let conf = own + &format!("tls-ca-cert-file = {}\n", trusted.display());
    starts(
        with_tls_conf(&home, &conf).unwrap().add(["-Q", "-S"]),
        "; 1 authority is trusted",
    )
    .unwrap();
}

#[test]
fn an_expired_certificate_is_warned_about_and_a_renewed_one_is_taken_on_sighup() {
    let home = Home::new().unwrap();
    let draft = || Draft::self_signed(&["own"]).unwrap();
    let conf = pem(&home, "own", &draft().valid(-9, -2).issue().unwrap()).unwrap();
    let mut guest = with_tls_conf(&home, &conf).unwrap().up().unwrap();
    guest.says("the certificate CN=own expired on ").unwrap();
    let renew = |issued: Certificate| -> Result<()> {
        fs::write(home.join("own.crt"), issued.certificate)?;
        private(&home, "own.key", &issued.key).unwrap();
        Ok(())
    };
    renew(draft().valid(-1, 10).issue().unwrap()).unwrap();
    guest.signal(Signal::SIGHUP).unwrap();
    guest
        .says("SIGHUP: secure channels end here with CN=own")
        .unwrap();
    guest
        .says("the certificate CN=own expires in 9 days")
        .unwrap();
    fs::write(home.join("own.crt"), "").unwrap();
    guest.signal(Signal::SIGHUP).unwrap();
    guest
        .says("SIGHUP: the certificates stay as they were: ")
        .unwrap();
    guest
        .says("own.crt: there is no certificate in it")
        .unwrap();
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
}

#[test]
fn variables_about_certificates_are_read() {
    let home = Home::new().unwrap();
    let start = || with_options(&home, &[]);
    let text = "PCP_SECURE_SOCKETS=always is ignored: expected nothing, enforce or relaxed";
    starts(start().env("PCP_SECURE_SOCKETS", "always"), text).unwrap();
    for value in ["", "enforce", "relaxed"] {
        let guest = start().env("PCP_SECURE_SOCKETS", value).up().unwrap();
        assert!(!guest.said().contains("is ignored"), "{}", guest.said());
    }
}

#[test]
fn the_check_of_the_configuration_reads_the_certificates_too() {
    let home = Home::new().unwrap();
    let check = |conf: &str| {
        let start = with_tls_conf(&home, conf).unwrap().add(["--check-config"]);
        start.ends().unwrap()
    };
    let conf = pem(
        &home,
        "own",
        &Draft::self_signed(&["own"])
            .unwrap()
            .valid(-9, -2)
            .issue()
            .unwrap(),
    )
    .unwrap();
    let fine = check(&conf).succeeded().unwrap();
    assert!(
        fine.contains("secure channels end here with CN=own, from "),
        "{fine}"
    );
    assert!(
        fine.contains("the certificate CN=own expired on "),
        "{fine}"
    );
    let bad = check(&(conf + "tls-ciphers = NONE\n"));
    assert!(!bad.status.success());
    assert!(
        bad.stderr
            .contains("tls-ciphers: \"NONE\" is not supported"),
        "{bad}"
    );
}
