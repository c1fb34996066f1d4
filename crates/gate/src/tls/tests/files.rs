//! Certificates, keys and authorities in files.

use super::*;

#[test]
fn keys_of_all_kinds_are_read_in_all_forms() {
    testbed::packages::require("openssl").unwrap();
    let files = Files::new();
    let make = |args: &[&str], name: &str| {
        let path = files.path().join(name);
        let (command, rest) = args.split_at(1);
        let openssl = testbed::Client::new("openssl").args(command).args(["-out"]);
        openssl
            .args([&path])
            .args(rest)
            .run()
            .unwrap()
            .succeeded()
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let rsa = make(&["genrsa", "-traditional", "2048"], "rsa");
    let ec = make(
        &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
        "ec",
    );
    let ed = make(&["genpkey", "-algorithm", "ed25519"], "ed");
    for (key, begins) in [
        (&rsa, "-----BEGIN RSA PRIVATE KEY"),
        (&ec, "-----BEGIN EC PRIVATE KEY"),
        (&ed, "-----BEGIN PRIVATE KEY"),
    ] {
        let text = std::fs::read_to_string(key).unwrap();
        assert!(text.starts_with(begins), "{text}");
        let pkcs8 = make(
            &["pkcs8", "-topk8", "-nocrypt", "-in", key.to_str().unwrap()],
            "pkcs8",
        );
        let pkcs8_text = std::fs::read_to_string(&pkcs8).unwrap();
        let draft = Draft::self_signed(&["a"]).unwrap();
        let issued = draft.key(&pkcs8_text).unwrap().issue().unwrap();
        let chain = files.write("chain", &issued.certificate, 0o644);
        for form in [key, &pkcs8] {
            let identity = Identity::from_pem_files(&chain, form, me()).unwrap();
            assert_eq!(identity.subject(), "CN=a");
        }
        std::fs::remove_file(&pkcs8).unwrap();
    }
    for (args, name) in [
        (&["genrsa", "1024"][..], "small"),
        (
            &["ecparam", "-name", "secp521r1", "-genkey", "-noout"],
            "p521",
        ),
    ] {
        let chain = files.path().join("chain");
        let error = Identity::from_pem_files(&chain, &make(args, name), me()).unwrap_err();
        assert!(
            matches!(error.problem, TlsProblem::UnsupportedKey),
            "{error}"
        );
    }
    let sealed = make(
        &[
            "pkcs8",
            "-topk8",
            "-passout",
            "pass:x",
            "-in",
            rsa.to_str().unwrap(),
        ],
        "sealed",
    );
    let old = make(
        &[
            "rsa",
            "-traditional",
            "-aes128",
            "-passout",
            "pass:x",
            "-in",
            rsa.to_str().unwrap(),
        ],
        "old",
    );
    for sealed in [sealed, old] {
        let error = Identity::from_pem_files(&files.path().join("chain"), &sealed, me());
        assert!(error.unwrap_err().to_string().contains("by a passphrase"));
    }
}

#[test]
fn files_of_an_identity_must_be_in_order() {
    let files = Files::new();
    let authority = Authority::new("CA").unwrap();
    let issued = authority.issue(&["pmcd.example"]).unwrap();
    let chain = files.write("chain", &issued.certificate, 0o644);
    let key = files.write("key", &issued.key, 0o400);
    let error = |chain: &Path, key: &Path| {
        let error = Identity::from_pem_files(chain, key, me()).unwrap_err();
        error
            .to_string()
            .replace(&files.path().display().to_string(), "")
    };
    let missing = files.path().join("missing");
    assert_eq!(
        error(&missing, &key),
        "/missing: cannot read it: No such file or directory"
    );
    assert_eq!(
        error(&chain, &missing),
        "/missing: cannot read it: No such file or directory"
    );
    assert_eq!(error(files.path(), &key), ": it is not a plain file");
    assert!(error(&key, &key).starts_with("/key: there is no certificate in it"));
    assert!(
        error(&chain, &files.write("none", "x", 0o400)).starts_with("/none: there is no private")
    );
    let cut = files.write("cut", &issued.key[..80], 0o400);
    assert_eq!(error(&chain, &cut), "/cut: it is not sound PEM");
    assert_eq!(error(&cut, &key), "/cut: it is not sound PEM");
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let junk = files.write("junk", &(issued.certificate.clone() + junk), 0o644);
    assert!(error(&junk, &key).starts_with("/junk: the certificate number 2 in it is malformed"));
    let other = authority.issue(&["pmcd.example"]).unwrap();
    assert_eq!(
        error(&chain, &files.write("other", &other.key, 0o400)),
        "/other: it is not the private key of the certificate CN=pmcd.example in /chain"
    );
    let large = files.path().join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(5 << 20)
        .unwrap();
    assert_eq!(
        error(&large, &key),
        "/large: it is larger than 4194304 bytes"
    );
}

#[test]
fn a_private_key_is_nobody_elses_business() {
    let files = Files::new();
    let issued = Authority::new("CA").unwrap().issue(&["a"]).unwrap();
    let chain = files.write("chain", &issued.certificate, 0o644);
    let read = |key: &Path| Identity::from_pem_files(&chain, key, me());
    for mode in [0o400, 0o600, 0o440, 0o640] {
        read(&files.write("good", &issued.key, mode)).unwrap();
        std::fs::remove_file(files.path().join("good")).unwrap();
    }
    for mode in [0o404, 0o401, 0o402, 0o420, 0o644, 0o660] {
        let key = files.write("bad", &issued.key, mode);
        let error = read(&key).unwrap_err().to_string();
        let expected = format!("others may use this private key (mode {mode:04o}): make it 0400");
        assert!(error.contains(&expected), "{error}");
        std::fs::remove_file(&key).unwrap();
    }
    let key = files.write("key", &issued.key, 0o400);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&key, Some(65534), None).unwrap();
        let error = read(&key).unwrap_err();
        assert!(matches!(
            error.problem,
            TlsProblem::ForeignOwner { owner: 65534, .. }
        ));
        Identity::from_pem_files(&chain, &key, 65534).unwrap();
        std::os::unix::fs::chown(&key, Some(0), None).unwrap();
        Identity::from_pem_files(&chain, &key, 65534).unwrap();
    }
}

#[test]
fn authorities_come_from_a_file_or_a_folder_and_each_counts_once() {
    let [one, two] = ["One", "Two"].map(|name| Authority::new(name).unwrap().certificate());
    let files = Files::new();
    let bundle = files.write("bundle", &format!("{one}{two}{one}"), 0o644);
    assert_eq!(Authorities::from_file(&bundle).unwrap().len(), 2);
    let error = |path: &Path| Authorities::from_file(path).unwrap_err().to_string();
    let empty = files.write("empty", "", 0o644);
    assert!(error(&empty).contains("there is no certificate in it"));
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(error(&files.write("junk", &(one.clone() + junk), 0o644)).contains("number 2"));

    let folder = files.path().join("folder");
    std::fs::create_dir_all(folder.join("below")).unwrap();
    let error = Authorities::from_folder(&folder).unwrap_err().to_string();
    assert!(error.contains("there is no certificate in it"), "{error}");
    std::fs::write(folder.join("one.pem"), &one).unwrap();
    std::os::unix::fs::symlink("one.pem", folder.join("0a1b2c3d.0")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("0a1b2c3d.1")).unwrap();
    std::fs::write(folder.join("junk"), junk).unwrap();
    std::fs::write(folder.join("two.crt"), &two).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("pipe"), pipe, 0o600.into(), 0).unwrap();
    let found = Authorities::from_folder(&folder).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found.and(trust(&[&one])).len(), 2);
}

#[test]
fn an_identity_warns_before_and_after_its_end() {
    let authority = Authority::new("CA").unwrap();
    let warning = |from, to| {
        let draft = authority.draft(&["a"]).unwrap().valid(from, to);
        load(&draft.issue().unwrap()).unwrap().expiry_warning()
    };
    assert_eq!(warning(-1, 31), None);
    let soon = warning(-1, 30).unwrap();
    assert!(
        soon.starts_with("the certificate CN=a expires in 29 days, on 20"),
        "{soon}"
    );
    let past = warning(-9, -1).unwrap();
    assert!(
        past.starts_with("the certificate CN=a expired on 20"),
        "{past}"
    );
    let future = warning(1, 99).unwrap();
    assert!(future.contains("is not valid before 20"), "{future}");

    let issuer = Draft::self_signed(&["old issuer"]).unwrap();
    let issuer = issuer.valid(-9, 9).issue().unwrap();
    let mut chain = authority
        .draft(&["a"])
        .unwrap()
        .valid(-1, 99)
        .issue()
        .unwrap();
    chain.certificate += &issuer.certificate;
    let identity = load(&chain).unwrap();
    let warning = identity.expiry_warning().unwrap();
    assert!(
        warning.starts_with("the certificate CN=old issuer in the chain of CN=a expires in 8 days"),
        "{warning}"
    );
    assert!(identity.expires() > SystemTime::now());
}
