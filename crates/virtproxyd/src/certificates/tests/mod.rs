//! Certificates by certtool, and handshakes with the clients of OpenSSL and GnuTLS.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;

use gate::stream::Stream;
use gate::tls::Link;
use testbed::{Client, Finished, Scratch};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Builder;

use super::channel::{ChannelError, open_channel};
use super::*;

mod clients;
mod files;
mod sanity;

/// What a template for a usual client says beside its name.
const CLIENT: &str = "tls_www_client\nsigning_key\nencryption_key\nexpiration_days = 100\n";
const SERVER: &str = "cn = \"localhost\"\ndns_name = \"localhost\"\nip_address = \"127.0.0.1\"\n\
                      tls_www_server\nsigning_key\nencryption_key\nexpiration_days = 100\n";
const AUTHORITY: &str = "ca\ncert_signing_key\ncrl_signing_key\nexpiration_days = 100\n";

/// The dates of what has run out long ago.
const PAST: &str = "activation_date = \"2020-01-01 00:00:00\"\n\
                    expiration_date = \"2021-01-01 00:00:00\"\n";

/// A folder with an authority (`ca.pem`) and a server's certificate (`server.pem`), and what else a
/// test asks for; `NAME.key` is the key of `NAME.pem`.
struct Pki(Scratch);

impl Pki {
    fn new() -> Pki {
        testbed::packages::require("gnutls-bin").unwrap();
        let pki = Pki(Scratch::new().unwrap());
        pki.authority("ca", &format!("cn = \"CA\"\n{AUTHORITY}"));
        pki.issue("server", SERVER);
        pki
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn certtool(&self, args: &[&str], template: &str, out: &str) {
        let template = self.write("template", template);
        let path = self.path(out);
        let tool = Client::new("certtool").args(args).args(["--outfile"]);
        let tool = tool.args([&path]).args(["--template"]).args([&template]);
        tool.run().unwrap().succeeded().unwrap();
    }

    fn key(&self, name: &str) -> String {
        let key = format!("{name}.key");
        if !self.path(&key).exists() {
            let args = ["--generate-privkey", "--key-type", "ecdsa"];
            self.certtool(&args, "", &key);
            std::fs::set_permissions(self.path(&key), Permissions::from_mode(0o600)).unwrap();
        }
        self.path(&key).display().to_string()
    }

    /// A key that is not of an elliptic curve, so that keys can be enciphered with it.
    fn rsa_key(&self, name: &str) {
        let args = ["--generate-privkey", "--key-type", "rsa", "--bits", "2048"];
        let key = format!("{name}.key");
        self.certtool(&args, "", &key);
        std::fs::set_permissions(self.path(&key), Permissions::from_mode(0o600)).unwrap();
    }

    /// An authority, or whatever else signs itself.
    fn authority(&self, name: &str, template: &str) {
        let key = self.key(name);
        let args = ["--generate-self-signed", "--load-privkey", &key];
        self.certtool(&args, template, &format!("{name}.pem"));
    }

    /// A certificate by the authority `ca`.
    fn issue(&self, name: &str, template: &str) {
        self.issue_by("ca", name, template);
    }

    fn issue_by(&self, issuer: &str, name: &str, template: &str) {
        let key = self.key(name);
        let (ca, ca_key) = (self.path(&format!("{issuer}.pem")), self.key(issuer));
        let ca = ca.display().to_string();
        let args = [
            "--generate-certificate",
            "--load-privkey",
            &key,
            "--load-ca-certificate",
            &ca,
            "--load-ca-privkey",
            &ca_key,
        ];
        self.certtool(&args, template, &format!("{name}.pem"));
    }

    /// A client's certificate with its name as the common name.
    fn client(&self, name: &str, more: &str) {
        let template = format!(
            "country = GB\nstate = London\nlocality = \"Old Town\"\norganization = Gate\ncn = \
             \"{name}\"\n{more}"
        );
        self.issue(name, &template);
    }

    /// `issuer` takes a certificate back, in the list `out`.
    fn revoke(&self, issuer: &str, name: &str, dates: &str, out: &str) {
        let pem = |name: &str| self.path(&format!("{name}.pem")).display().to_string();
        let (ca, ca_key) = (pem(issuer), self.key(issuer));
        let taken_back = pem(name);
        let args = [
            "--generate-crl",
            "--load-ca-certificate",
            &ca,
            "--load-ca-privkey",
            &ca_key,
            "--load-certificate",
            &taken_back,
        ];
        self.certtool(&args, &format!("crl_number = 1\n{dates}"), out);
    }

    fn settings(&self) -> config::Tls {
        config::Tls {
            key_file: Some(self.path("server.key")),
            cert_file: Some(self.path("server.pem")),
            ca_file: Some(self.path("ca.pem")),
            crl_file: None,
            sanity_check: true,
            verify_clients: true,
            allowed_names: None,
            priority: None,
        }
    }

    /// Usual places in which there is nothing.
    fn places(&self) -> Places {
        Places {
            key: self.path("usual/serverkey.pem"),
            certificate: self.path("usual/servercert.pem"),
            authority: self.path("usual/cacert.pem"),
            revocations: self.path("usual/cacrl.pem"),
        }
    }

    fn load(&self, settings: &config::Tls) -> Loaded {
        Certificates::load(settings, &self.places()).unwrap()
    }

    /// All that is wrong, one problem a line, without the folder.
    fn problems(&self, settings: &config::Tls) -> String {
        let error = Certificates::load(settings, &self.places()).unwrap_err();
        let mut text = String::new();
        for problem in error.problems() {
            writeln!(text, "{problem}").unwrap();
        }
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    fn openssl(&self, client: Option<&str>) -> Client {
        let base = ["s_client", "-quiet", "-verify_return_error", "-CAfile"];
        let mut openssl = Client::new("openssl")
            .args(base)
            .args([self.path("ca.pem")]);
        if let Some(name) = client {
            let (pem, key) = (self.path(&format!("{name}.pem")), self.key(name));
            openssl = openssl.args(["-cert"]).args([pem]).args(["-key", &key]);
        }
        openssl.args(["-connect"])
    }

    /// A client of OpenSSL that takes any server.
    fn lenient(&self, client: &str, args: &[&str]) -> Client {
        let (pem, key) = (self.path(&format!("{client}.pem")), self.key(client));
        let openssl = Client::new("openssl")
            .args(["s_client", "-quiet"])
            .args(args);
        let openssl = openssl.args(["-cert"]).args([pem]);
        openssl.args(["-key", &key, "-connect"])
    }

    /// GnuTLS's client, whose standard input stays open until the server closes the connection.
    fn gnutls(&self, client: Option<&str>) -> Client {
        let mut script = format!(
            "mkfifo {0}/in; exec gnutls-cli --x509cafile {0}/ca.pem",
            self.0.path().display()
        );
        if let Some(name) = client {
            let folder = self.0.path().display();
            write!(
                script,
                " --x509certfile {folder}/{name}.pem --x509keyfile {folder}/{name}.key"
            )
            .unwrap();
        }
        write!(
            script,
            " -p \"${{0##*:}}\" localhost <>{}/in",
            self.0.path().display()
        )
        .unwrap();
        Client::new("sh").args(["-c", &script])
    }
}

/// What came of a client's visit.
#[derive(Debug)]
struct Met {
    server: Result<Option<String>, ChannelError>,
    client: Finished,
}

/// Lets the client in if it may, and closes the connection. `client` gets the address as its last
/// argument.
fn meet(loaded: &Loaded, client: &Client) -> Met {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let (stream, _) = listener.accept().await.unwrap();
                let mut link = Link::Plain(Stream::Tcp(stream));
                let result = open_channel(&mut link, loaded).await;
                if result.is_ok() {
                    link.shutdown().await.unwrap();
                }
                result
            })
        });
        let client = client.clone().args([&address]).run().unwrap();
        Met {
            server: server.join().unwrap(),
            client,
        }
    })
}

impl Met {
    /// The name by which the client got in.
    fn name(&self) -> Option<&str> {
        let client = &self.client;
        assert!(client.stdout.contains('\u{1}'), "{client}");
        self.server.as_ref().unwrap().as_deref()
    }

    /// Why it did not get in.
    fn refusal(&self) -> String {
        let client = &self.client;
        assert!(!client.stdout.contains('\u{1}'), "{client}");
        self.server.as_ref().unwrap_err().to_string()
    }
}
