//! Builds the package `gatehouse-pmproxy`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::stage::{PMPROXY, Stage, Texts, dist};
use crate::tree::{cargo, must, output, root, target};

/// A package that was built.
pub(super) struct Package {
    pub(super) path: PathBuf,
    /// What it depends on, as in its control file.
    pub(super) depends: String,
}

/// Builds the program and the package.
pub(super) fn build() -> Result<Package> {
    must(cargo().args(["build", "--quiet", "--release", "--package", "pmproxy"]))?;
    let program = target()?.join("release/pmproxy");
    let folder = target()?.join("dist");
    fs::create_dir_all(&folder)?;
    let mut texts = texts()?;
    let stage = Stage::lay_out(folder.join("stage"), &program, &texts)?;
    put_legal_texts(&stage, &texts)?;
    let sums = md5sums(&stage)?;
    stage.put_text("DEBIAN/md5sums", &sums)?;
    texts.0.push(("depends", dependencies(&stage)?));
    texts.0.push(("size", size_in_kib(&stage)?));
    let control = texts.fill(&fs::read_to_string(dist("debian/control"))?);
    stage.put_text("DEBIAN/control", &control)?;
    let path = folder.join(texts.fill("gatehouse-pmproxy_@version@_@architecture@.deb"));
    must(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .args([stage.folder(), &path])
            .stdout(std::io::stderr()),
    )?;
    let depends = control
        .lines()
        .find_map(|line| line.strip_prefix("Depends: "));
    let depends = depends
        .context("the control file has no line Depends")?
        .into();
    Ok(Package { path, depends })
}

/// What is known from the start.
fn texts() -> Result<Texts> {
    let history = ["log", "-1", "--format=%cD"];
    let date = output(Command::new("git").args(history).current_dir(root()))
        // Not every copy of the sources has its history.
        .or_else(|_| output(Command::new("date").arg("-R")))?;
    Ok(Texts(vec![
        ("common", fs::read_to_string(dist("debian/common.sh"))?),
        ("version", env!("CARGO_PKG_VERSION").into()),
        (
            "architecture",
            output(Command::new("dpkg").arg("--print-architecture"))?,
        ),
        ("date", date),
    ]))
}

/// Whose work is in the package, and on which terms.
fn put_legal_texts(stage: &Stage, texts: &Texts) -> Result<()> {
    let expat = fs::read_to_string(root().join("LICENSE-MIT"))?;
    let expat: String = expat
        .lines()
        .map(|line| format!(" {}\n", if line.is_empty() { "." } else { line }))
        .collect();
    let copyright = fs::read_to_string(dist("debian/copyright"))?;
    let copyright = texts.fill(&copyright).replace("@expat@\n", &expat);
    stage.put_text("usr/share/doc/gatehouse-pmproxy/copyright", &copyright)?;
    let tree = [
        "tree",
        "--package",
        "pmproxy",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ];
    let crates = output(
        cargo()
            .args(tree)
            .args(["--format", "{p}: {l}", "--no-dedupe"]),
    )?;
    let ours = root().display().to_string();
    let mut crates: Vec<&str> = crates
        .lines()
        .filter(|line| !line.contains(&ours))
        .collect();
    crates.sort_unstable();
    crates.dedup();
    stage.put_text(
        "usr/share/doc/gatehouse-pmproxy/crates",
        &(crates.join("\n") + "\n"),
    )
}

/// The sums of all files, for `dpkg --verify`.
fn md5sums(stage: &Stage) -> Result<String> {
    let sums = "find * -path DEBIAN -prune -o -type f -print0 | sort -z | xargs -0 md5sum";
    let sums = output(
        Command::new("sh")
            .args(["-c", sums])
            .current_dir(stage.folder()),
    )?;
    Ok(sums + "\n")
}

/// The libraries that the program needs.
fn dependencies(stage: &Stage) -> Result<String> {
    // The tool wants to be started in a source package.
    let source = tempfile::tempdir().context("cannot make a temporary folder")?;
    fs::create_dir(source.path().join("debian"))?;
    let control = "Source: gatehouse\n\nPackage: gatehouse-pmproxy\nArchitecture: any\n";
    fs::write(source.path().join("debian/control"), control)?;
    let found = output(
        Command::new("dpkg-shlibdeps")
            .args(["-O", "-e"])
            .arg(stage.at(PMPROXY))
            .current_dir(source.path()),
    )?;
    let depends = found
        .lines()
        .find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(depends.context("dpkg-shlibdeps found no libraries")?.into())
}

fn size_in_kib(stage: &Stage) -> Result<String> {
    let sizes = output(
        Command::new("du")
            .args(["-sk", "--exclude=DEBIAN"])
            .arg(stage.folder()),
    )?;
    let size = sizes.split_whitespace().next();
    Ok(size.context("du gave no size")?.into())
}
