//! Makes databases with `certutil`, and judges keys with `openssl`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nss_db::{Identity, NssDatabase, Password};
use testbed::{Client, Scratch, packages};

/// Generating a key of RSA takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The passwords that databases are tested with.
pub(crate) const PASSWORD: &str = "sekrit pass";

/// An extension of a certificate: its object identifier and its value in DER.
pub(crate) type Extension = (&'static str, &'static [u8]);

/// BasicConstraints, CA true.
pub(crate) const IS_AUTHORITY: Extension = ("2.5.29.19", &[0x30, 0x03, 0x01, 0x01, 0xff]);

/// The kinds of keys, as arguments of `certutil`.
pub(crate) const RSA: &[&str] = &["-k", "rsa", "-g", "2048"];
pub(crate) const P_256: &[&str] = &["-k", "ec", "-q", "secp256r1"];
pub(crate) const P_384: &[&str] = &["-k", "ec", "-q", "secp384r1"];
pub(crate) const P_521: &[&str] = &["-k", "ec", "-q", "secp521r1"];

/// A database of NSS in a temporary folder.
#[derive(Debug)]
pub(crate) struct Nss {
    scratch: Scratch,
    folder: PathBuf,
    /// `sql` or `dbm`.
    format: &'static str,
    password: Option<&'static str>,
    serial_numbers: std::cell::Cell<u32>,
}

impl Nss {
    /// An empty database.
    pub(crate) fn new(password: Option<&'static str>) -> Result<Nss> {
        Nss::in_format("sql", password)
    }

    /// An empty database in the format before SQLite.
    pub(crate) fn in_old_format(password: Option<&'static str>) -> Result<Nss> {
        Nss::in_format("dbm", password)
    }

    fn in_format(format: &'static str, password: Option<&'static str>) -> Result<Nss> {
        packages::require("libnss3-tools")?;
        packages::require("openssl")?;
        let scratch = Scratch::new()?;
        scratch.write("password", password.unwrap_or_default())?;
        scratch.write("noise", [7; 64])?;
        let folder = scratch.join("nssdb");
        std::fs::create_dir(&folder)?;
        let nss = Nss {
            scratch,
            folder,
            format,
            password,
            serial_numbers: 1.into(),
        };
        nss.certutil(&["-N"])?;
        Ok(nss)
    }

    /// The same folder in the format of SQLite, to which NSS converts it when it is next written.
    pub(crate) fn into_sql(self) -> Nss {
        Nss {
            format: "sql",
            ..self
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The password that opens it.
    pub(crate) fn password(&self) -> Password {
        Password::new(self.password.unwrap_or_default())
    }

    pub(crate) fn open(&self) -> Result<NssDatabase> {
        Ok(NssDatabase::open(&self.folder)?)
    }

    pub(crate) fn identity(&self, nickname: &str) -> Result<Identity> {
        Ok(self.open()?.identity(nickname, &self.password())?)
    }

    /// Runs `certutil` on it, and gives what it prints.
    pub(crate) fn certutil(&self, args: &[&str]) -> Result<String> {
        let database = format!("{}:{}", self.format, self.folder.display());
        let finished = Client::new("certutil")
            .args(args)
            .args(["-d", &database, "-f"])
            .args([self.scratch.join("password")])
            .within(PATIENCE)
            .run()?;
        finished.succeeded()
    }

    /// A root authority; `trust` as in `certutil -t`.
    pub(crate) fn root(&self, nickname: &str, key: &[&str], trust: &str) -> Result<()> {
        self.issue(nickname, key, &["-x", "-t", trust], &[IS_AUTHORITY])
    }

    /// An authority below another.
    pub(crate) fn intermediate(&self, nickname: &str, issuer: &str) -> Result<()> {
        self.issue(
            nickname,
            P_256,
            &["-c", issuer, "-t", ",,"],
            &[IS_AUTHORITY],
        )
    }

    /// A certificate for a program.
    pub(crate) fn leaf(&self, nickname: &str, key: &[&str], issuer: &str) -> Result<()> {
        self.leaf_with(nickname, key, issuer, &[])
    }

    /// The same with more options of `certutil -S`.
    pub(crate) fn leaf_with(
        &self,
        nickname: &str,
        key: &[&str],
        issuer: &str,
        options: &[&str],
    ) -> Result<()> {
        let options = [&["-c", issuer, "-t", ",,"], options].concat();
        self.issue(nickname, key, &options, &[])
    }

    /// A certificate of any kind, with options of `certutil -S`.
    pub(crate) fn issue(
        &self,
        nickname: &str,
        key: &[&str],
        options: &[&str],
        extensions: &[Extension],
    ) -> Result<()> {
        let noise = self.scratch.join("noise").display().to_string();
        let subject = format!("CN={nickname}");
        let serial = self.serial_numbers.replace(self.serial_numbers.get() + 1);
        let serial = serial.to_string();
        let mut listed = Vec::new();
        for (oid, value) in extensions {
            let file = self.scratch.write(oid, value)?;
            listed.push(format!("{oid}:not-critical:{}", file.display()));
        }
        let listed = listed.join(",");

        let mut args = vec!["-S", "-n", nickname, "-s", &subject];
        args.extend_from_slice(&["-m", &serial, "-z", &noise]);
        args.extend_from_slice(key);
        args.extend_from_slice(options);
        if !listed.is_empty() {
            args.extend_from_slice(&["--extGeneric", &listed]);
        }
        self.certutil(&args).map(drop)
    }

    /// A certificate as `certutil` shows it, in PEM.
    pub(crate) fn pem(&self, nickname: &str) -> Result<String> {
        let printed = self.certutil(&["-L", "-a", "-n", nickname])?;
        Ok(printed.replace('\r', "").trim().to_owned())
    }

    /// The private key of an identity, where only this test reads it.
    fn write_key(&self, identity: &Identity) -> Result<PathBuf> {
        self.scratch.write("key.der", identity.key.pkcs8_der())
    }

    /// Has `openssl` judge that a key is sound and belongs to the first certificate.
    pub(crate) fn judge(&self, identity: &Identity) -> Result<()> {
        let key = self.write_key(identity)?;
        let certificate = self.scratch.write("certificate.der", &identity.chain[0])?;
        let der = ["-inform", "DER", "-in"];

        let check = Client::new("openssl").args(["pkey", "-check", "-noout"]);
        let check = check.args(der).args([&key]).run()?.succeeded()?;
        anyhow::ensure!(check.contains("Key is valid"), "{check}");

        let of_key = Client::new("openssl").args(["pkey", "-pubout"]);
        let of_key = of_key.args(der).args([&key]).run()?;
        let of_certificate = Client::new("openssl").args(["x509", "-pubkey", "-noout"]);
        let of_certificate = of_certificate.args(der).args([&certificate]).run()?;
        anyhow::ensure!(of_key.succeeded()? == of_certificate.succeeded()?);
        Ok(())
    }
}

/// What `openssl` makes of a certificate in DER: PEM.
pub(crate) fn pem(scratch: &Scratch, der: &[u8]) -> Result<String> {
    let file = scratch.write("one.der", der)?;
    let finished = Client::new("openssl")
        .args(["x509", "-inform", "DER", "-in"])
        .args([file])
        .run()?;
    Ok(finished.succeeded()?.trim().to_owned())
}

/// Has `openssl` verify that the chain of an identity leads to its last certificate.
pub(crate) fn verify_chain(scratch: &Scratch, identity: &Identity) -> Result<()> {
    let mut pems = Vec::new();
    for der in &identity.chain {
        pems.push(pem(scratch, der)?);
    }
    let root = pems.last().context("the chain is empty")?;
    let root = scratch.write("root.pem", root)?;
    let between = scratch.write("between.pem", pems.join("\n"))?;
    let first = scratch.write("first.pem", &pems[0])?;
    let verify = Client::new("openssl").args(["verify", "-CAfile"]);
    let verify = verify
        .args([root])
        .args(["-untrusted"])
        .args([between, first]);
    verify.run()?.succeeded().map(drop)
}
