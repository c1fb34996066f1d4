//! Makes the programs, each with one of the libraries.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use testbed::{Client, Scratch, packages};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/acceptance");
const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/include");
const PKG_CONFIG: &str = include_str!("../../libpcp_pmda_root.pc.in");

/// A library that programs are linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    Debian,
    Ours,
    /// Linked with Debian's, and ours is loaded before it.
    OursAtRunTime,
}

/// A program in a folder of its own.
pub(crate) struct Program {
    scratch: Scratch,
    library: Library,
}

impl Program {
    /// Compiles `source` and links it.
    pub(crate) fn make(source: &str, library: Library) -> Result<Program> {
        packages::require("gcc")?;
        packages::require("libpcp-pmda3-dev")?;
        let scratch = Scratch::new()?;
        let mut gcc = Client::new("gcc").args(["-Wall", "-Wextra", "-Werror", "-o"]);
        gcc = gcc.args([scratch.join("program"), Path::new(SOURCES).join(source)]);
        gcc = match library {
            Library::Ours => gcc.args(our_flags(&scratch)?).args(["-lpcp"]),
            Library::Debian | Library::OursAtRunTime => gcc.args(["-lpcp_pmda", "-lpcp"]),
        };
        gcc.run()?.succeeded()?;
        Ok(Program { scratch, library })
    }

    /// The program, with the library that it wants.
    pub(crate) fn run(&self) -> Result<Client> {
        let client = Client::new(self.scratch.join("program"));
        let library = built_library()?;
        let folder = library.parent().context("a library lies in a folder")?;
        Ok(match self.library {
            Library::Debian => client,
            Library::Ours => client.env("LD_LIBRARY_PATH", folder),
            Library::OursAtRunTime => client.env("LD_PRELOAD", library),
        })
    }
}

/// Where cargo has put the library for these tests: beside them.
pub(crate) fn built_library() -> Result<PathBuf> {
    let mut path = std::env::current_exe().context("a test has a path")?;
    path.set_file_name("libpcp_pmda_root.so");
    ensure!(path.exists(), "there is no {}", path.display());
    Ok(path)
}

/// What pkg-config says of our library, as if it were installed.
fn our_flags(scratch: &Scratch) -> Result<Vec<String>> {
    packages::require("pkg-config")?;
    let library = built_library()?;
    let folder = library.parent().context("a library lies in a folder")?;
    let filled = PKG_CONFIG
        .replace("@prefix@", "/nonexistent")
        .replace("@libdir@", &folder.to_string_lossy())
        .replace("${prefix}/include", INCLUDE)
        .replace("@version@", env!("CARGO_PKG_VERSION"));
    scratch.write("libpcp_pmda_root.pc", filled)?;
    let said = Client::new("pkg-config")
        .args(["--cflags", "--libs", "libpcp_pmda_root"])
        .env("PKG_CONFIG_PATH", scratch.path())
        .run()?
        .succeeded()?;
    Ok(said.split_whitespace().map(str::to_owned).collect())
}
