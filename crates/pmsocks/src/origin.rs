//! Where the program of this process is.

#![expect(unsafe_code, reason = "no crate has getauxval(3) without a detour")]

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::ptr;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::read;

/// Its path from the root on, if that is plain to see: this process was executed by it, and it is no
/// symbolic link, nor a script that names the program as its interpreter. To ask `/proc/self/exe` is a
/// surer way, and takes a tenth of the launcher's time: a process has no entry in /proc until somebody
/// asks for it.
#[must_use]
pub fn plain_path() -> Option<&'static Path> {
    let path = executed_as()?;
    let is_direct = |part| !matches!(part, Component::ParentDir | Component::CurDir);
    let is_plain = path.is_absolute() && path.components().all(is_direct) && is_elf_file(path);
    is_plain.then_some(path)
}

/// What was given to execve(2).
fn executed_as() -> Option<&'static Path> {
    // SAFETY: it asks for nothing but a number.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    let text = ptr::with_exposed_provenance::<c_char>(usize::try_from(address).ok()?);
    if text.is_null() {
        return None;
    }
    // SAFETY: the kernel puts the text there, with its NUL, and nobody changes it (getauxval(3)).
    let text = unsafe { CStr::from_ptr(text) };
    Some(Path::new(OsStr::from_bytes(text.to_bytes())))
}

/// Of a script, the kernel tells the script's path.
fn is_elf_file(path: &Path) -> bool {
    const MAGIC: [u8; 4] = *b"\x7fELF";
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut head = [0; MAGIC.len()];
    let got = open(path, flags, Mode::empty()).and_then(|file| read(file, &mut head));
    got.is_ok() && head == MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_with_machine_code_is_an_elf_file() {
        let folder = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        assert!(is_elf_file(&program));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&program, &link).unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, format!("#!{}\n", program.display())).unwrap();
        let nothing = folder.path().join("nothing");
        for other in [&link, &script, folder.path(), &nothing] {
            assert!(!is_elf_file(other), "{}", other.display());
        }
    }

    #[test]
    fn a_test_is_executed_by_its_path() {
        let program = std::env::current_exe().unwrap();
        assert_eq!(executed_as().unwrap().file_name(), program.file_name());
    }
}
