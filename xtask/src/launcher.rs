//! The launcher `pmsocks` as it is to be installed: linked statically, with musl. It starts before each
//! program that it runs, and what a dynamic linker and glibc do first takes longer than all that it does
//! itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::tree::{cargo, host, must, output, rustc, target, works};

/// What was built.
pub(crate) struct Launcher {
    pub(crate) path: PathBuf,
    pub(crate) is_static: bool,
}

/// Builds it. Where the toolchain has no standard library for musl and gets none, it is the launcher that
/// every build makes, linked dynamically.
pub(crate) fn build() -> Result<Launcher> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--package", "pmsocks"]);
    build.args(["--bin", "pmsocks"]);
    let Some(musl) = musl()? else {
        eprintln!("no standard library for musl: the launcher is linked dynamically");
        must(&mut build)?;
        return Ok(Launcher {
            path: target()?.join("release/pmsocks"),
            is_static: false,
        });
    };
    must(build.args(["--target", &musl]))?;
    Ok(Launcher {
        path: target()?.join(musl).join("release/pmsocks"),
        is_static: true,
    })
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
