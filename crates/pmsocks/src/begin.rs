//! Where a process begins. Rust's own beginning would ignore SIGPIPE and open closed standard streams,
//! and the program that is executed in the end would inherit that instead of what the user gave it.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use crate::streams;

/// Makes a function that takes the arguments, its own name left out, and gives the exit status into
/// the program.
#[macro_export]
macro_rules! main {
    ($run:path) => {
        /// Called by the C library.
        #[cfg(not(test))]
        #[allow(
            unsafe_code,
            reason = "a function that C's start-up calls has an unmangled name"
        )]
        // SAFETY: it is the one `main` of this program, and C's start-up calls it with these types. A
        // panic ends the process at this boundary.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: ::std::ffi::c_int,
            arguments: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            // SAFETY: they are those of C's start-up.
            let arguments = unsafe { $crate::begin(count, arguments) };
            let status: u8 = $run(arguments);
            status.into()
        }

        // Nothing begins there in tests.
        #[cfg(test)]
        const _: fn(::std::vec::Vec<::std::ffi::OsString>) -> u8 = $run;
    };
}

/// Fills the places of closed standard streams, and takes the arguments without the program's name.
/// [`main!`] calls it.
///
/// # Safety
/// There are `count` arguments, and each is a string that ends with NUL and is never changed.
#[doc(hidden)]
pub unsafe fn begin(count: c_int, arguments: *const *const c_char) -> Vec<OsString> {
    streams::fill();
    let count = usize::try_from(count).unwrap_or_default();
    let argument = |index| {
        // SAFETY: the caller says so.
        let text = unsafe { CStr::from_ptr(*arguments.add(index)) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    (1..count).map(argument).collect()
}

// The compiler's unwinder is linked in: loading libgcc_s would be a tenth of the time until the
// program runs.
#[cfg(target_env = "gnu")]
#[link(name = "gcc_eh", kind = "static", modifiers = "+whole-archive,-bundle")]
unsafe extern "C" {}
