//! What of the C library is needed beside system calls: errno, variables, the name of a user, and
//! which file code was loaded from.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_long, c_ulonglong, c_void};
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;

use crate::next;

/// What a function gives that is not there.
pub(crate) trait Absent {
    const ABSENT: Self;
}

impl Absent for c_int {
    const ABSENT: c_int = -1;
}

impl Absent for c_long {
    const ABSENT: c_long = -1;
}

impl Absent for isize {
    const ABSENT: isize = -1;
}

impl Absent for *mut libc::hostent {
    const ABSENT: *mut libc::hostent = std::ptr::null_mut();
}

/// Sets the calling thread's errno.
pub(crate) fn set_errno(errno: Errno) {
    // SAFETY: the pointer is valid for this thread.
    unsafe { *libc::__errno_location() = errno.raw_os_error() };
}

/// The calling thread's errno.
pub(crate) fn errno() -> Errno {
    // SAFETY: as above.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// A result as the C library gives it: 0, or -1 and errno.
pub(crate) fn result(result: Result<(), Errno>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(errno) => {
            set_errno(errno);
            -1
        }
    }
}

/// The environment of the program as it stands: a list of strings with a null pointer behind it.
pub(crate) fn environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the C library has it (environ(7)).
    unsafe { environ }
}

/// A variable of the environment. It goes past the functions of the C library, in whose place a program
/// may have its own (bash has), and past the standard library, which copies every name that it asks for.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    let mut at = environment();
    // SAFETY: the list has strings, and a null pointer at its end. As with getenv(3), nobody may change
    // what is in it meanwhile.
    unsafe {
        while let Some(text) = at.as_ref().filter(|text| !text.is_null()) {
            if let Some(value) = value_of(*text, name) {
                return Some(OsStr::from_bytes(value.to_bytes()).to_owned());
            }
            at = at.add(1);
        }
    }
    None
}

/// The value, if this is the variable of that name.
///
/// # Safety
/// The text ends with NUL.
unsafe fn value_of<'a>(text: *const c_char, name: &str) -> Option<&'a CStr> {
    let mut rest = text.cast::<u8>();
    for byte in name.bytes().chain([b'=']) {
        // SAFETY: nothing was behind the end so far, since no byte of the name is NUL.
        unsafe {
            if *rest != byte {
                return None;
            }
            rest = rest.add(1);
        }
    }
    // SAFETY: the end is still to come.
    Some(unsafe { CStr::from_ptr(rest.cast()) })
}

/// Takes a variable out of the environment, and says whether it was there.
///
/// # Safety
/// Nobody else changes the environment meanwhile.
pub(crate) unsafe fn take_variable(name: &str) -> bool {
    let mut at = environment().cast_mut();
    let mut is_found = false;
    // SAFETY: the list has strings, and a null pointer at its end, which is the last that is moved. The
    // caller says the rest.
    unsafe {
        while let Some(text) = at.as_mut().filter(|text| !text.is_null()) {
            is_found |= value_of(*text, name).is_some();
            if is_found {
                *text = *at.add(1);
            }
            at = at.add(1);
        }
    }
    is_found
}

/// What `_dl_find_object` tells (dlfcn.h).
#[repr(C)]
pub(crate) struct Object {
    flags: c_ulonglong,
    start: *mut c_void,
    end: *mut c_void,
    map: *const LinkMap,
    eh_frame: *mut c_void,
    reserved: [c_ulonglong; 8],
}

/// The beginning of a `struct link_map` (link.h).
#[repr(C)]
struct LinkMap {
    base: usize,
    path: *const c_char,
}

/// The path of the library or program that has something at this address. A C library before glibc
/// 2.35 is asked in another way, which takes long: it looks through all symbols of the library as well.
pub(crate) fn object_of(address: *const c_void) -> Option<&'static CStr> {
    // SAFETY: answers of zeroes are valid; a path is a string while the object is loaded.
    unsafe {
        let mut object: Object = std::mem::zeroed();
        if next::_dl_find_object(address, &raw mut object) == 0 {
            return object.map.as_ref().map(|map| CStr::from_ptr(map.path));
        }
        let mut found: libc::Dl_info = std::mem::zeroed();
        let is_found = libc::dladdr(address, &raw mut found) != 0 && !found.dli_fname.is_null();
        is_found.then(|| CStr::from_ptr(found.dli_fname))
    }
}

/// Room for the strings of one user's entry.
const USER_ENTRY: usize = 4096;

/// The login name of a user.
pub(crate) fn login(uid: u32) -> Option<String> {
    let mut buffer = [0; USER_ENTRY];
    // SAFETY: an entry of zeroes is valid: numbers and null pointers.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all that is pointed to is ours, and lives on.
    let failed = unsafe {
        libc::getpwuid_r(
            uid,
            &raw mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    if failed != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: the name ends with a NUL, inside the buffer.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    name.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_is_what_the_standard_library_has() {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for name in names {
            assert_eq!(variable(&name), std::env::var_os(&name), "{name}");
            assert!(variable(&name).is_some(), "{name}");
            let mut shorter = name.clone();
            shorter.pop();
            for other in [shorter, format!("{name}X")] {
                assert_eq!(variable(&other), std::env::var_os(&other), "{other}");
            }
        }
        assert_eq!(variable("NO_SUCH_VARIABLE"), None);
    }
}
