//! Distinguished names, compared with GnuTLS's own, and keys as GnuTLS writes them.

use testbed::Client;

use super::*;

/// What certtool shows: RFC 4514, in which the last attribute comes first.
fn shown_by_certtool(path: &Path) -> String {
    let shown = Client::new("certtool")
        .args(["-i", "--infile"])
        .args([path]);
    let shown = shown.run().unwrap().succeeded().unwrap();
    let subject = shown
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("Subject: "));
    subject.unwrap().to_owned()
}

fn der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    let der = rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes());
    der.unwrap().to_vec()
}

/// A certificate by OpenSSL with these lines of names.
fn named(files: &Files, lines: &str) -> PathBuf {
    let conf = format!(
        "[req]\nprompt = no\nutf8 = yes\nstring_mask = utf8only\ndistinguished_name = n\n[n]\n{lines}"
    );
    let conf = files.write("conf", &conf, 0o600);
    let path = files.path().join("named");
    let args = ["req", "-x509", "-new", "-nodes", "-newkey", "ec"];
    let openssl = Client::new("openssl").args(args);
    let openssl = openssl.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout"]);
    let openssl = openssl
        .args([files.path().join("named.key")])
        .args(["-config"]);
    let openssl = openssl.args([conf]).args(["-out"]).args([&path]);
    openssl.run().unwrap().succeeded().unwrap();
    path
}

#[test]
fn a_name_has_the_order_of_the_certificate_and_the_words_of_gnutls() {
    testbed::packages::require("gnutls-bin").unwrap();
    let files = Files::new();
    let cases: &[(&str, &[&str])] = &[
        (
            "C = GB\nST = London\nL = Old Town\nO = Libvirt Project\nCN = name\n",
            &[
                "C=GB",
                "ST=London",
                "L=Old Town",
                "O=Libvirt Project",
                "CN=name",
            ],
        ),
        (
            "0.DC = org\n1.DC = example\nOU = People\nUID = ann\nemailAddress = a@b.example\n",
            &[
                "DC=org",
                "DC=example",
                "OU=People",
                "UID=ann",
                "EMAIL=a@b.example",
            ],
        ),
        (
            "O = Bücher\nCN = \"a,b+c\\\"d\\\\e<f>g;h=i#j k\"\n",
            &["O=Bücher", "CN=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h=i#j k"],
        ),
        (
            "O = \"  two  \"\nCN = \"\\#x\"\n",
            &["O=\\  two \\ ", "CN=\\#x"],
        ),
        (
            "GN = Gi\nSN = Sur\nserialNumber = 42\ntitle = Dr\ndnQualifier = q\ntelephoneNumber = 1\n",
            &[
                "givenName=Gi",
                "surName=Sur",
                "serialNumber=42",
                "title=Dr",
                "dnQualifier=q",
                "telephoneNumber=#0c0131",
            ],
        ),
        ("0.1.2.3.4 = x\nCN = y\n", &["1.2.3.4=#0c0178", "CN=y"]),
        ("C = GB\n+ST = x\nO = o\n", &["ST=x+C=GB", "O=o"]),
    ];
    for (lines, expected) in cases {
        let path = named(&files, lines);
        let pem = std::fs::read_to_string(&path).unwrap();
        let name = distinguished_name(&der(&pem)).unwrap();
        assert_eq!(name, expected.join(","));
        let mut parts = expected.to_vec();
        parts.reverse();
        assert_eq!(shown_by_certtool(&path), parts.join(","));
    }
    assert_eq!(distinguished_name(b"no certificate"), None);
}

#[test]
fn keys_of_elliptic_curves_as_certtool_writes_them_are_read_whatever_their_first_bit() {
    testbed::packages::require("gnutls-bin").unwrap();
    let files = Files::new();
    let (mut long, mut plain) = (0, 0);
    // Half of the keys have the bit set.
    while long == 0 || plain == 0 {
        let path = files.path().join("key");
        let args = ["--generate-privkey", "--key-type", "ecdsa", "--outfile"];
        let certtool = Client::new("certtool").args(args).args([&path]);
        certtool.run().unwrap().succeeded().unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let key = text.split("-----BEGIN EC PRIVATE KEY-----").nth(1).unwrap();
        // SEQUENCE (119 or 120 bytes), version 1, OCTET STRING of 32 or 33 bytes.
        match key.trim().get(..9).unwrap() {
            "MHgCAQEEI" => long += 1,
            _ => plain += 1,
        }
        let chain = files.path().join("chain");
        let template = files.write("template", "cn = a\nexpiration_days = 9\n", 0o600);
        let certtool = Client::new("certtool").args(["--generate-self-signed", "--load-privkey"]);
        let certtool = certtool
            .args([&path])
            .args(["--template"])
            .args([&template]);
        let certtool = certtool.args(["--outfile"]).args([&chain]);
        certtool.run().unwrap().succeeded().unwrap();
        Identity::from_pem_files(&chain, &path, me()).unwrap();
    }
}
