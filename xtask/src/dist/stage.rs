//! The tree of files that becomes the package.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tree::{must, root};

const PROGRAM: u32 = 0o755;
const DATA: u32 = 0o644;

/// What lies in `dist/`, where it goes, and with which permissions.
const FILES: [(&str, &str, u32); 10] = [
    (
        "discover/pcp-dns-sd",
        "usr/lib/pcp/bin/discover/pcp-dns-sd",
        PROGRAM,
    ),
    ("init.d/pmproxy", "etc/init.d/pmproxy", PROGRAM),
    (
        "systemd/pmproxy.service",
        "lib/systemd/system/pmproxy.service",
        DATA,
    ),
    (
        "systemd/pmproxy.socket",
        "lib/systemd/system/pmproxy.socket",
        DATA,
    ),
    (
        "systemd/pmproxy.tmpfiles",
        "usr/lib/tmpfiles.d/gatehouse-pmproxy.conf",
        DATA,
    ),
    (
        "pmproxy/pmproxy.conf",
        "usr/share/gatehouse-pmproxy/pmproxy.conf",
        DATA,
    ),
    (
        "pmproxy/pmproxy.options",
        "usr/share/gatehouse-pmproxy/pmproxy.options",
        DATA,
    ),
    (
        "sysconfig/pmproxy",
        "usr/share/gatehouse-pmproxy/pmproxy.default",
        DATA,
    ),
    (
        "debian/changelog",
        "usr/share/doc/gatehouse-pmproxy/changelog.Debian",
        DATA,
    ),
    ("man/pmproxy.1", "usr/share/man/man1/pmproxy.1", DATA),
];

/// Where the program goes.
pub(super) const PMPROXY: &str = "usr/lib/pcp/bin/pmproxy";

/// Folders that the package has for files of others.
const FOLDERS: [&str; 2] = ["etc/pcp/pmproxy", "var/log/pcp/pmproxy"];

/// Documents that Debian wants compressed.
const COMPRESSED: [&str; 2] = [
    "usr/share/doc/gatehouse-pmproxy/changelog.Debian",
    "usr/share/man/man1/pmproxy.1",
];

/// A tree of files, as they will lie on the machine that they are installed on.
pub(super) struct Stage {
    folder: PathBuf,
}

impl Stage {
    /// Lays out the program and all that belongs to it.
    pub(super) fn lay_out(folder: PathBuf, program: &Path, texts: &Texts) -> Result<Stage> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let stage = Stage { folder };
        stage.put_program(program)?;
        for (source, place, mode) in FILES {
            let source = dist(source);
            let text = fs::read_to_string(&source)
                .with_context(|| format!("cannot read {}", source.display()))?;
            stage.put(place, &texts.fill(&text), mode)?;
        }
        for name in ["preinst", "postinst", "prerm", "postrm"] {
            let script = fs::read_to_string(dist(&format!("debian/{name}")))?;
            stage.put(&format!("DEBIAN/{name}"), &texts.fill(&script), PROGRAM)?;
        }
        for folder in FOLDERS {
            fs::create_dir_all(stage.at(folder))?;
        }
        for document in COMPRESSED {
            must(
                Command::new("gzip")
                    .args(["-9", "--no-name"])
                    .arg(stage.at(document)),
            )?;
        }
        // Whatever the builder's umask is.
        let find = ["-type", "d", "-exec", "chmod", "755", "{}", "+"];
        must(Command::new("find").arg(&stage.folder).args(find))?;
        Ok(stage)
    }

    fn put_program(&self, program: &Path) -> Result<()> {
        let place = self.at(PMPROXY);
        fs::create_dir_all(place.parent().unwrap_or(&self.folder))?;
        must(Command::new("strip").arg("-o").arg(&place).arg(program))?;
        fs::set_permissions(&place, Permissions::from_mode(PROGRAM))?;
        Ok(())
    }

    /// Writes a file.
    pub(super) fn put(&self, place: &str, text: &str, mode: u32) -> Result<()> {
        let path = self.at(place);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Writes a document or a part of the package's own data.
    pub(super) fn put_text(&self, place: &str, text: &str) -> Result<()> {
        self.put(place, text, DATA)
    }

    /// Where something lies.
    pub(super) fn at(&self, place: &str) -> PathBuf {
        self.folder.join(place)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What is filled into files at marks such as `@version@`.
pub(super) struct Texts(pub(super) Vec<(&'static str, String)>);

impl Texts {
    pub(super) fn fill(&self, text: &str) -> String {
        let fill = |text: String, (name, value): &(&str, String)| {
            text.replace(&format!("@{name}@"), value.trim_end())
        };
        self.0.iter().fold(text.to_owned(), fill)
    }
}

/// A file of the source tree's `dist`.
pub(super) fn dist(name: &str) -> PathBuf {
    root().join("dist").join(name)
}
