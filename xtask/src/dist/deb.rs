//! Builds a package.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::contents::{Built, Contents};
use super::stage::{Stage, Texts, read};
use crate::tree::{cargo, must, output, root, target};

/// A package that was built.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
    /// What it depends on, as in its control file.
    pub(super) depends: String,
}

/// Builds the program, its parts and the package.
pub(super) fn build(contents: &Contents) -> Result<Package> {
    let package = contents.package;
    let built = contents.build()?;
    let folder = target()?.join("dist");
    fs::create_dir_all(&folder)?;
    let mut texts = texts(contents)?;
    let stage = Stage::lay_out(folder.join("stage"), contents, &built, &texts)?;
    put_legal_texts(&stage, contents, &built, &texts)?;
    let sums = md5sums(&stage)?;
    stage.put_text("DEBIAN/md5sums", &sums)?;
    texts
        .0
        .push(("depends", dependencies(&stage, contents, &built)?));
    texts.0.push(("size", size_in_kib(&stage)?));
    let control = texts.fill(&read(&contents.control_file("control"))?);
    stage.put_text("DEBIAN/control", &control)?;
    let name = texts.fill(&format!("{package}_@version@_@architecture@.deb"));
    let path = folder.join(name);
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
    Ok(Package {
        name: package,
        path,
        depends,
    })
}

/// What is known from the start.
fn texts(contents: &Contents) -> Result<Texts> {
    let history = ["log", "-1", "--format=%cD"];
    let date = output(Command::new("git").args(history).current_dir(root()))
        // Not every copy of the sources has its history.
        .or_else(|_| output(Command::new("date").arg("-R")))?;
    Ok(Texts(vec![
        // It has marks too.
        ("common", read(&contents.control_file("common.sh"))?),
        ("package", contents.package.into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        (
            "architecture",
            output(Command::new("dpkg").arg("--print-architecture"))?,
        ),
        ("date", date),
    ]))
}

/// Whose work is in the package, and on which terms.
fn put_legal_texts(
    stage: &Stage,
    contents: &Contents,
    built: &[Built],
    texts: &Texts,
) -> Result<()> {
    let is_static = built.iter().any(|built| built.is_static);
    let others = if is_static { contents.others } else { "" };
    let expat = fs::read_to_string(root().join("LICENSE-MIT"))?;
    let expat: String = expat
        .lines()
        .map(|line| format!(" {}\n", if line.is_empty() { "." } else { line }))
        .collect();
    let copyright = texts
        .fill(&read("debian/copyright")?)
        .replace("@others@\n", others)
        .replace("@expat@\n", &expat);
    stage.put_text(&contents.document("copyright"), &copyright)?;
    let tree = ["--edges", "normal", "--prefix", "none", "--no-dedupe"];
    let crates = output(
        cargo()
            .arg("tree")
            .args(contents.crates().flat_map(|krate| ["--package", krate]))
            .args(tree)
            .args(["--format", "{p}: {l}"]),
    )?;
    let ours = root().display().to_string();
    let mut crates: Vec<&str> = crates
        .lines()
        .filter(|line| !line.is_empty() && !line.contains(&ours))
        .collect();
    crates.sort_unstable();
    crates.dedup();
    stage.put_text(&contents.document("crates"), &(crates.join("\n") + "\n"))
}

/// The sums of all files, for `dpkg --verify`, except those that administrators may change.
fn md5sums(stage: &Stage) -> Result<String> {
    let sums = "find * -path DEBIAN -prune -o -type f -print0 | sort -z | xargs -0 md5sum";
    let sums = output(
        Command::new("sh")
            .args(["-c", sums])
            .current_dir(stage.folder()),
    )?;
    let conffiles = match fs::read_to_string(stage.at("DEBIAN/conffiles")) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        conffiles => conffiles?,
    };
    let is_conffile = |line: &&str| {
        let path = line.split_once("  ").map(|(_, path)| format!("/{path}"));
        path.is_some_and(|path| conffiles.lines().any(|conffile| conffile == path))
    };
    let kept = sums.lines().filter(|line| !is_conffile(line));
    Ok(kept.map(|line| format!("{line}\n")).collect())
}

/// The libraries that what was built needs.
fn dependencies(stage: &Stage, contents: &Contents, built: &[Built]) -> Result<String> {
    // The tool wants to be started in a source package.
    let source = tempfile::tempdir().context("cannot make a temporary folder")?;
    fs::create_dir(source.path().join("debian"))?;
    let package = contents.package;
    let control = format!("Source: gatehouse\n\nPackage: {package}\nArchitecture: any\n");
    fs::write(source.path().join("debian/control"), control)?;
    let dynamic = built.iter().filter(|built| !built.is_static);
    let dynamic = dynamic.map(|built| stage.at(built.place));
    let found = output(
        Command::new("dpkg-shlibdeps")
            .arg("-O")
            .args(dynamic)
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
