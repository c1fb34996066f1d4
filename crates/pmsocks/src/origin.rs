//! Where the program of this process is.

#![expect(unsafe_code, reason = "no crate has getauxval(3) without a detour")]

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// The path by which it was executed, as it was given to execve(2). `/proc/self/exe` is surer and slower:
/// a process has no entry in /proc until somebody asks for it.
#[must_use]
pub fn executed_as() -> Option<&'static Path> {
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
