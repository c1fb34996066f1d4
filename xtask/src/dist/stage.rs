//! The tree of files that becomes a package.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::contents::{Built, Contents, Kind};
use crate::tree::{must, root};

/// What dpkg runs, and what it only reads, in the folder of a package in `dist/debian`. Not every
/// package has all of them.
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];
const LISTS: [&str; 2] = ["conffiles", "triggers"];

/// A tree of files, as they will lie on the machine that they are installed on.
pub(super) struct Stage {
    folder: PathBuf,
}

impl Stage {
    /// Lays out what was built, and all that belongs to it.
    pub(super) fn lay_out(
        folder: PathBuf,
        contents: &Contents,
        built: &[Built],
        texts: &Texts,
    ) -> Result<Stage> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let stage = Stage { folder };
        for file in built {
            stage.put_built(file)?;
        }
        for file in contents.files {
            stage.put(file.place, &texts.fill(&read(file.source)?), file.kind)?;
        }
        stage.put_control_files(contents, texts)?;
        let changelog = contents.document("changelog.Debian");
        let text = texts.fill(&read("debian/changelog")?);
        stage.put(&changelog, &text, Kind::Data)?;
        for folder in contents.folders {
            fs::create_dir_all(stage.at(folder))?;
        }
        must(
            Command::new("gzip")
                .args(["-9", "--no-name"])
                .arg(stage.at(&changelog))
                .args(contents.manuals.iter().map(|manual| stage.at(manual))),
        )?;
        // Whatever the builder's umask is.
        let find = ["-type", "d", "-exec", "chmod", "755", "{}", "+"];
        must(Command::new("find").arg(&stage.folder).args(find))?;
        Ok(stage)
    }

    fn put_built(&self, built: &Built) -> Result<()> {
        let place = self.at(built.place);
        fs::create_dir_all(place.parent().unwrap_or(&self.folder))?;
        must(Command::new("strip").arg("-o").arg(&place).arg(&built.file))?;
        fs::set_permissions(&place, Permissions::from_mode(built.kind.mode()))?;
        Ok(())
    }

    fn put_control_files(&self, contents: &Contents, texts: &Texts) -> Result<()> {
        let kinds = [(&SCRIPTS[..], Kind::Program), (&LISTS[..], Kind::Data)];
        for (names, kind) in kinds {
            for name in names {
                let source = contents.control_file(name);
                if dist(&source).exists() {
                    let text = texts.fill(&read(&source)?);
                    self.put(&format!("DEBIAN/{name}"), &text, kind)?;
                }
            }
        }
        Ok(())
    }

    fn put(&self, place: &str, text: &str, kind: Kind) -> Result<()> {
        let path = self.at(place);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(kind.mode()))?;
        Ok(())
    }

    /// Writes a document or a part of the package's own data.
    pub(super) fn put_text(&self, place: &str, text: &str) -> Result<()> {
        self.put(place, text, Kind::Data)
    }

    /// Where something lies.
    pub(super) fn at(&self, place: &str) -> PathBuf {
        self.folder.join(place)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Kind {
    fn mode(self) -> u32 {
        match self {
            Kind::Program => 0o755,
            Kind::Data => 0o644,
        }
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

/// What is in a file of the source tree's `dist`.
pub(super) fn read(name: &str) -> Result<String> {
    let path = dist(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn dist(name: &str) -> PathBuf {
    root().join("dist").join(name)
}
