//! What each program that pmsocks runs has to wait for, built as it is to be installed: the launcher, and
//! the library that is loaded into the program. They take longer to link than the rest, and then have
//! fewer pages that a start touches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::tree::{cargo, host, must, output, rustc, target, works};

/// The profile in the workspace's `Cargo.toml`.
const PROFILE: &str = "startup";

/// Where the linker puts code, rather than where the kernel likes: the launcher gets nobody's rights but
/// its user's and reads nothing but the program that it is about to execute, and adding up the addresses
/// of a program that could lie anywhere is a tenth of its time.
const AT_FIXED_ADDRESSES: [&str; 2] = ["-C", "relocation-model=static"];

/// Code and what is only read lie in one piece, as they did for decades: each piece more is mapped and
/// unmapped in every program. Of the usual linkers, only GNU's does that for a library on demand.
const IN_ONE_PIECE: [&str; 4] = [
    "-C",
    "link-arg=-fuse-ld=bfd",
    "-C",
    "link-arg=-Wl,-z,noseparate-code",
];

/// The launcher `pmsocks`.
pub(crate) struct Launcher {
    pub(crate) path: PathBuf,
    pub(crate) is_static: bool,
}

/// Builds the launcher, linked statically, with musl: what a dynamic linker and glibc do first takes
/// longer than all that it does itself. Where the toolchain has no standard library for musl and gets
/// none, it is linked dynamically.
pub(crate) fn launcher() -> Result<Launcher> {
    let mut build = cargo();
    build.args(["rustc", "--quiet", "--profile", PROFILE]);
    build.args(["--package", "pmsocks", "--bin", "pmsocks"]);
    let Some(musl) = musl()? else {
        eprintln!("no standard library for musl: the launcher is linked dynamically");
        must(&mut build)?;
        return Ok(Launcher {
            path: target()?.join(PROFILE).join("pmsocks"),
            is_static: false,
        });
    };
    build
        .args(["--target", &musl, "--"])
        .args(AT_FIXED_ADDRESSES)
        .args(IN_ONE_PIECE);
    must(&mut build)?;
    Ok(Launcher {
        path: target()?.join(musl).join(PROFILE).join("pmsocks"),
        is_static: true,
    })
}

/// Builds the library.
pub(crate) fn library() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["rustc", "--quiet", "--profile", PROFILE]);
    build.args(["--package", "pmsocks-preload", "--"]);
    must(build.args(IN_ONE_PIECE))?;
    without_linker(&target()?.join(PROFILE).join("libpmsocks_preload.so"))
}

/// Takes the dynamic linker out of what a library says that it needs. It is in every program, behind the
/// libraries that the program needs. A preloaded library that needs it puts it before theirs, and it is
/// asked in vain for each of their thousands of symbols: about a fifth of what the library costs.
fn without_linker(library: &Path) -> Result<PathBuf> {
    const EDITOR: &str = "patchelf";
    if !works(Command::new(EDITOR).arg("--version")) {
        eprintln!("no {EDITOR}: the library makes programs ask the dynamic linker for symbols");
        return Ok(library.to_owned());
    }
    let folder = target()?.join(PROFILE).join("without-linker");
    fs::create_dir_all(&folder)?;
    let edited = folder.join(library.file_name().unwrap_or_default());
    fs::copy(library, &edited)?;
    let needed = output(Command::new(EDITOR).arg("--print-needed").arg(library))?;
    for name in needed.lines().filter(|name| name.starts_with("ld-linux")) {
        let mut edit = Command::new(EDITOR);
        must(edit.args(["--remove-needed", name]).arg(&edited))?;
    }
    Ok(edited)
}

/// What rustc calls this machine with musl, if it can build for it.
fn musl() -> Result<Option<String>> {
    let musl = host()?.replace("-gnu", "-musl");
    if has_library(&musl)? {
        return Ok(Some(musl));
    }
    eprintln!("adding the standard library for {musl} to the toolchain");
    works(Command::new("rustup").args(["target", "add", &musl]));
    Ok(has_library(&musl)?.then_some(musl))
}

fn has_library(target: &str) -> Result<bool> {
    let folder = output(rustc().args(["--print", "target-libdir", "--target", target]))?;
    Ok(Path::new(&folder).is_dir())
}
