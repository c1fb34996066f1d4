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

/// Replaces this process with a program. It comes back only if that fails.
pub(crate) fn execute(
    path: &CStr,
    arguments: &[CString],
    environment: &[CString],
) -> Result<Infallible, Errno> {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
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

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let strings = strings.iter().map(|string| string.as_ptr());
    strings.chain([ptr::null()]).collect()
}
