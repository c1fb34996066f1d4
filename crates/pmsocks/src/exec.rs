//! execve(2) past the C library: where pmsocks is run by a program that it serves, our own library is
//! loaded into it, which would have pmsocks run what pmsocks is about to run.

#![expect(
    unsafe_code,
    reason = "no crate has a safe execve(2) that is the system's own"
)]

use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::ptr;

use rustix::io::Errno;

use crate::environment::Environment;

/// Replaces this process with a program. It comes back only if that fails.
pub(crate) fn execute(
    path: &CStr,
    arguments: &[CString],
    environment: &Environment,
) -> Result<Infallible, Errno> {
    let arguments = pointers(arguments.iter().map(AsRef::as_ref));
    let environment = pointers(environment.strings());
    // SAFETY: all pointers are to strings that end with NUL, and both lists end with a null pointer;
    // they outlive the call. Nothing of this process is left if it succeeds.
    unsafe {
        libc::syscall(
            libc::SYS_execve,
            path.as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
}

fn pointers<'a>(strings: impl Iterator<Item = &'a CStr>) -> Vec<*const c_char> {
    strings.map(CStr::as_ptr).chain([ptr::null()]).collect()
}
