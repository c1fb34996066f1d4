//! execve(2) past the C library: where pmsocks is run by a program that it serves, our own library is
//! loaded into it, which would have pmsocks run what pmsocks is about to run.

#![expect(
    unsafe_code,
    reason = "no crate has a safe execve(2) that is the system's own"
)]

use std::convert::Infallible;
use std::ffi::{CStr, c_char};
use std::io;
use std::ptr;

use rustix::io::Errno;

/// Arguments or variables as the system takes them: strings that end with NUL.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    /// One behind the other: hundreds of allocations would be felt.
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl<'a, const PARTS: usize> FromIterator<[&'a [u8]; PARTS]> for Strings {
    /// Each is put together of its parts. What came from the system has no NUL in it; what has is left
    /// away.
    fn from_iter<I: IntoIterator<Item = [&'a [u8]; PARTS]>>(strings: I) -> Strings {
        let mut all = Strings::default();
        let is_whole = |parts: &[&[u8]; PARTS]| !parts.iter().any(|part| part.contains(&0));
        for parts in strings.into_iter().filter(is_whole) {
            all.starts.push(all.bytes.len());
            for part in parts {
                all.bytes.extend_from_slice(part);
            }
            all.bytes.push(0);
        }
        all
    }
}

impl Strings {
    fn pointers(&self) -> Vec<*const c_char> {
        let strings = self
            .starts
            .iter()
            .map(|start| self.bytes[*start..].as_ptr().cast());
        strings.chain([ptr::null()]).collect()
    }
}

/// Replaces this process with a program. It comes back only if that fails.
pub(crate) fn execute(
    path: &CStr,
    arguments: &Strings,
    environment: &Strings,
) -> Result<Infallible, Errno> {
    let (arguments, environment) = (arguments.pointers(), environment.pointers());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_put_together_and_end_with_nul() {
        let strings: Strings = [["A", "=", "1"], ["B", "=", ""], ["C\0", "=", ""]]
            .map(|parts| parts.map(str::as_bytes))
            .into_iter()
            .collect();
        assert_eq!(strings.bytes, b"A=1\0B=\0");
        let pointers = strings.pointers();
        assert_eq!(pointers.len(), 3);
        assert_eq!(pointers[1], strings.bytes[4..].as_ptr().cast());
        assert!(pointers[2].is_null());
    }
}
