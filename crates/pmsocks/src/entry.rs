//! Where the process begins. Rust's own beginning would ignore SIGPIPE and open closed standard
//! streams, and the program that is executed here would inherit that instead of what the user gave it.

#![cfg_attr(
    not(test),
    expect(
        unsafe_code,
        reason = "a function that C's start-up calls has an unmangled name"
    )
)]

/// Called by the C library.
// SAFETY: it is the one `main` of this program, and C's start-up calls it with these types. A panic
// ends the process at this boundary.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main(
    _count: std::ffi::c_int,
    _arguments: *const *const std::ffi::c_char,
) -> std::ffi::c_int {
    crate::run().into()
}

// The compiler's unwinder is linked in: loading libgcc_s would be a tenth of the time until the
// program runs.
#[cfg(not(test))]
#[link(name = "gcc_eh", kind = "static", modifiers = "+whole-archive,-bundle")]
unsafe extern "C" {}
