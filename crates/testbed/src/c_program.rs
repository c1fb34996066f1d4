//! Programs in C that call pmdaroot, each made with one of the libraries for it.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::packages;
use crate::scratch::Scratch;

/// The source of a program that calls every function and prints what it gives: the same, whatever
/// the library and the server. Its arguments are the socket, the first process of all containers, and
/// the names of containers to look up.
pub const ROOT_CALLS: &str = include_str!("root_calls.c");

const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pmda-root-c/include");
const PKG_CONFIG: &str = include_str!("../../pmda-root-c/libpcp_pmda_root.pc.in");

/// A library that programs are linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootLibrary {
    /// Debian's libpcp_pmda.
    Debian,
    /// Our libpcp_pmda_root, as its pkg-config file tells.
    Ours,
    /// Linked with Debian's, and ours is loaded before it.
    OursAtRunTime,
}

/// A program in a folder of its own. Ours is the library that cargo has built for the tests, which
/// therefore depend on `pmda-root-c`.
#[derive(Debug)]
pub struct RootProgram {
    scratch: Scratch,
    library: RootLibrary,
}

impl RootProgram {
    /// Compiles the text `source` and links it.
    ///
    /// # Errors
    /// When gcc does not like it, or a Debian package is missing.
    pub fn make(source: &str, library: RootLibrary) -> Result<RootProgram> {
        packages::require("gcc")?;
        packages::require("libpcp-pmda3-dev")?;
        let scratch = Scratch::new()?;
        let mut gcc = Client::new("gcc").args(["-Wall", "-Wextra", "-Werror", "-o"]);
        gcc = gcc.args([scratch.join("program"), scratch.write("program.c", source)?]);
        gcc = match library {
            RootLibrary::Ours => gcc.args(our_flags(&scratch)?).args(["-lpcp"]),
            RootLibrary::Debian | RootLibrary::OursAtRunTime => gcc.args(["-lpcp_pmda", "-lpcp"]),
        };
        gcc.run()?.succeeded()?;
        Ok(RootProgram { scratch, library })
    }

    /// The program, with the library that it wants. It must not outlive this.
    ///
    /// # Errors
    /// When our library has not been built.
    pub fn client(&self) -> Result<Client> {
        let client = Client::new(self.scratch.join("program"));
        let library = built_root_library()?;
        let folder = library.parent().context("a library lies in a folder")?;
        Ok(match self.library {
            RootLibrary::Debian => client,
            RootLibrary::Ours => client.env("LD_LIBRARY_PATH", folder),
            RootLibrary::OursAtRunTime => client.env("LD_PRELOAD", library),
        })
    }
}

/// Our library, which cargo has put beside the tests that depend on it.
///
/// # Errors
/// When it is not there.
pub fn built_root_library() -> Result<PathBuf> {
    let mut path = std::env::current_exe().context("a test has a path")?;
    path.set_file_name("libpcp_pmda_root.so");
    ensure!(
        path.exists(),
        "there is no {}: does the test's crate depend on pmda-root-c?",
        path.display()
    );
    Ok(path)
}

/// What pkg-config says of our library, as if it were installed.
fn our_flags(scratch: &Scratch) -> Result<Vec<String>> {
    packages::require("pkg-config")?;
    let library = built_root_library()?;
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
