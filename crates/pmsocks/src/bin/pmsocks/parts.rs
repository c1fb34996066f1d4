//! The other parts of the package: where they are.

use std::env;
use std::path::{Path, PathBuf};

use pmsocks_common::plain_path;

/// Where packages put them, relative to the folder above that of the executable, and absolutely.
const BESIDE_BIN: &str = "lib/gatehouse";
const USUAL: &str = "/usr/lib/gatehouse";

/// A part is nowhere.
#[derive(Debug, thiserror::Error)]
#[error("cannot find {name}: it is in none of {} (is the package complete?)", list(.folders))]
pub(crate) struct MissingPart {
    name: &'static str,
    folders: Vec<PathBuf>,
}

fn list(folders: &[PathBuf]) -> String {
    let shown: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    shown.join(", ")
}

/// The path of a part, from the root on: it must still be found when the program has changed its folder.
pub(crate) fn find(name: &'static str) -> Result<PathBuf, MissingPart> {
    let own = plain_path().and_then(Path::parent);
    if let Some(part) = own.and_then(|own| find_in(&around(own), name)) {
        return Ok(part);
    }
    let executable = env::current_exe().ok();
    find_for(executable.as_deref().and_then(Path::parent), name)
}

fn find_for(own: Option<&Path>, name: &'static str) -> Result<PathBuf, MissingPart> {
    let mut folders = own.map(around).unwrap_or_default();
    folders.push(USUAL.into());
    find_in(&folders, name).ok_or(MissingPart { name, folders })
}

/// The folder of the executable, and that of its package.
fn around(own: &Path) -> Vec<PathBuf> {
    let packaged = own.parent().map(|above| above.join(BESIDE_BIN));
    [own.to_owned()].into_iter().chain(packaged).collect()
}

fn find_in(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    let mut places = folders.iter().map(|folder| folder.join(name));
    places.find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NAME: &str = "part";

    #[test]
    fn a_part_is_beside_the_executable_or_where_packages_put_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let bin = root.join("bin");
        let packaged = root.join("lib/gatehouse");
        for folder in [&bin, &packaged] {
            fs::create_dir_all(folder).unwrap();
        }
        let error = find_for(Some(&bin), NAME).unwrap_err().to_string();
        assert!(error.starts_with("cannot find part: "), "{error}");
        fs::write(packaged.join(NAME), "").unwrap();
        assert_eq!(find_for(Some(&bin), NAME).unwrap(), packaged.join(NAME));
        fs::write(bin.join(NAME), "").unwrap();
        assert_eq!(find_for(Some(&bin), NAME).unwrap(), bin.join(NAME));
    }
}
