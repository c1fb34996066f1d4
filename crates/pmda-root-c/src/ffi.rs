//! The boundary to C: pointers and descriptors become Rust's types here, and results numbers. No
//! panic goes beyond it.

use std::ffi::{CStr, c_char, c_int};
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::panic::catch_unwind;

use pcp_proto::Status;

use crate::calls::{self, INVALID, NOT_CONNECTED, Named, Outcome, TOO_LONG};

/// `MAXPATHLEN`: no text has so many bytes.
const MAXPATHLEN: usize = 4096;

/// `MAXPMDALEN`: no label has so many bytes.
const MAXPMDALEN: usize = 64;

/// Connects to pmdaroot. `path` is the path of its socket, or null.
///
/// # Safety
/// `path` is null or a text that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pmdaRootConnect(path: *const c_char) -> c_int {
    let path = if path.is_null() {
        None
    } else {
        // SAFETY: it is not null, and so a text that ends with a zero, which nobody changes
        // meanwhile.
        Some(unsafe { CStr::from_ptr(path) }.to_bytes())
    };
    number(|| calls::connect(path))
}

/// Shuts a connection down.
#[unsafe(no_mangle)]
pub extern "C" fn pmdaRootShutdown(fd: c_int) {
    number(|| {
        // SAFETY: the descriptor is the caller's, and stays open during the call.
        let socket = unsafe { socket(fd) }?;
        calls::shut_down(socket);
        Ok(0)
    });
}

/// The host name inside a container.
///
/// # Safety
/// `name` is null or has `namelen` bytes, or fewer and a zero behind them; `buffer` is null or has
/// room for `buflen` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pmdaRootContainerHostName(
    fd: c_int,
    name: *const c_char,
    namelen: c_int,
    buffer: *mut c_char,
    buflen: c_int,
) -> c_int {
    number(|| {
        // SAFETY: the descriptor is the caller's, and stays open during the call; the name is as
        // this function demands.
        let (socket, container) = unsafe { (socket(fd)?, named(name, namelen)?) };
        let host_name = calls::host_name(socket, container)?;
        // SAFETY: the buffer is as this function demands.
        unsafe { give_text(&host_name, buffer, buflen) }
    })
}

/// The first process of a container.
///
/// # Safety
/// `name` is as for [`pmdaRootContainerHostName`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pmdaRootContainerProcessID(
    fd: c_int,
    name: *const c_char,
    namelen: c_int,
) -> c_int {
    number(|| {
        // SAFETY: the descriptor is the caller's, and stays open during the call; the name is as
        // this function demands.
        let (socket, container) = unsafe { (socket(fd)?, named(name, namelen)?) };
        calls::process_id(socket, container)
    })
}

/// The control group of a container.
///
/// # Safety
/// `name` and `buffer` are as for [`pmdaRootContainerHostName`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pmdaRootContainerCGroupName(
    fd: c_int,
    name: *const c_char,
    namelen: c_int,
    buffer: *mut c_char,
    buflen: c_int,
) -> c_int {
    number(|| {
        // SAFETY: the descriptor is the caller's, and stays open during the call; the name is as
        // this function demands.
        let (socket, container) = unsafe { (socket(fd)?, named(name, namelen)?) };
        let cgroup = calls::cgroup_name(socket, container)?;
        // SAFETY: the buffer is as this function demands.
        unsafe { give_text(&cgroup, buffer, buflen) }
    })
}

/// Starts a process.
///
/// # Safety
/// `label` and `args` are null or have `labellen` and `argslen` bytes, or fewer and a zero behind
/// them; `pid`, `infd` and `outfd` are null or have room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pmdaRootProcessStart(
    fd: c_int,
    ipctype: c_int,
    label: *const c_char,
    labellen: c_int,
    args: *const c_char,
    argslen: c_int,
    pid: *mut c_int,
    infd: *mut c_int,
    outfd: *mut c_int,
) -> c_int {
    number(|| {
        // SAFETY: the descriptor is the caller's, and stays open during the call; both texts are as
        // this function demands.
        let (socket, label, arguments) = unsafe {
            (
                socket(fd)?,
                text(label, labellen, MAXPMDALEN)?,
                text(args, argslen, MAXPATHLEN)?,
            )
        };
        let started = calls::start(socket, ipctype, label, arguments)?;
        let keep_pipes = !infd.is_null() && !outfd.is_null();
        let (input, output) = match started.pipes.filter(|_| keep_pipes) {
            Some(pipes) => (pipes.input.into_raw_fd(), pipes.output.into_raw_fd()),
            None => (-1, -1),
        };
        // SAFETY: all three are null or have room for a number.
        unsafe {
            give(started.pid, pid);
            give(input, infd);
            give(output, outfd);
        }
        Ok(0)
    })
}

/// Waits for a process, or asks for any that has ended.
///
/// # Safety
/// `status` is null or has room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pmdaRootProcessWait(fd: c_int, pid: c_int, status: *mut c_int) -> c_int {
    number(|| {
        // SAFETY: the descriptor is the caller's, and stays open during the call.
        let socket = unsafe { socket(fd) }?;
        let (pid, code) = calls::wait(socket, pid)?;
        // SAFETY: it is null or has room for a number.
        unsafe { give(code, status) };
        Ok(pid)
    })
}

/// Ends a process.
#[unsafe(no_mangle)]
pub extern "C" fn pmdaRootProcessTerminate(fd: c_int, pid: c_int) -> c_int {
    number(|| {
        // SAFETY: the descriptor is the caller's, and stays open during the call.
        let socket = unsafe { socket(fd) }?;
        calls::kill(socket, pid).map(|()| 0)
    })
}

/// Makes the call, and its outcome a number. A panic is an error like others.
fn number(call: impl FnOnce() -> Outcome<c_int> + std::panic::UnwindSafe) -> c_int {
    match catch_unwind(call) {
        Ok(Ok(number)) => number,
        Ok(Err(Status(code))) => code,
        Err(_) => Status::GENERIC.0,
    }
}

/// # Safety
/// A descriptor that is not negative stays open as long as what is returned is used.
unsafe fn socket<'fd>(fd: c_int) -> Outcome<BorrowedFd<'fd>> {
    if fd < 0 {
        return Err(NOT_CONNECTED);
    }
    // SAFETY: it is not -1, and the caller keeps it open.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// # Safety
/// `name` is null or has `len` bytes, or fewer and a zero behind them, as long as what is returned is
/// used.
unsafe fn named<'a>(name: *const c_char, len: c_int) -> Outcome<Named<'a>> {
    if name.is_null() {
        return Ok(Named::Process(len));
    }
    // SAFETY: the caller sees to it.
    unsafe { text(name, len, MAXPATHLEN) }.map(Named::Text)
}

/// The bytes of a text that ends with a zero, or after `len` bytes, which must be below `limit`.
///
/// # Safety
/// As for [`named`].
unsafe fn text<'a>(text: *const c_char, len: c_int, limit: usize) -> Outcome<&'a [u8]> {
    let Some(max) = usize::try_from(len).ok().filter(|_| !text.is_null()) else {
        return Err(INVALID);
    };
    if max >= limit {
        return Err(TOO_LONG);
    }
    // SAFETY: each byte is looked at after all before it were found not to be zero, so that it is
    // there; a text is not longer than `max`.
    let len = (0..max)
        .take_while(|&at| unsafe { *text.add(at) } != 0)
        .count();
    // SAFETY: so many bytes have just been looked at.
    Ok(unsafe { std::slice::from_raw_parts(text.cast(), len) })
}

/// Gives a text and the zero behind it. Without a buffer only the length is told.
///
/// # Safety
/// `buffer` is null or has room for `len` bytes.
unsafe fn give_text(text: &[u8], buffer: *mut c_char, len: c_int) -> Outcome<c_int> {
    let length = c_int::try_from(text.len()).map_err(|_| TOO_LONG)?;
    if buffer.is_null() {
        return Ok(length);
    }
    if length >= len {
        return Err(TOO_LONG);
    }
    // SAFETY: the text and a zero behind it are at most `len` bytes, for which there is room; the
    // text is memory of this library, and so not a part of the buffer.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), text.len());
        *buffer.add(text.len()) = 0;
    }
    Ok(length)
}

/// # Safety
/// `place` is null or has room for a number.
unsafe fn give(number: c_int, place: *mut c_int) {
    if !place.is_null() {
        // SAFETY: it is not null, and so it has room.
        unsafe { *place = number };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(number(|| panic!("as a test")), -12345);
        assert_eq!(number(|| Err(INVALID)), -22);
        assert_eq!(number(|| Ok(5)), 5);
    }

    #[test]
    fn a_text_ends_where_c_ends_it() {
        let bytes = *b"alpha\0bet";
        let read = |len, limit| {
            // SAFETY: there are nine bytes, and a zero among the first six.
            unsafe { text(bytes.as_ptr().cast(), len, limit) }
        };
        assert_eq!(read(3, 64), Ok(&b"alp"[..]));
        assert_eq!(read(9, 64), Ok(&b"alpha"[..]));
        assert_eq!(read(60, 64), Ok(&b"alpha"[..]));
        assert_eq!(read(0, 64), Ok(&b""[..]));
        assert_eq!(read(-1, 64), Err(INVALID));
        assert_eq!(read(64, 64), Err(TOO_LONG));
        // SAFETY: there is no text.
        let nothing = unsafe { text(std::ptr::null(), 3, 64) };
        assert_eq!(nothing, Err(INVALID));
    }

    #[test]
    fn a_text_is_given_with_its_end_or_not_at_all() {
        let mut buffer = [b'?'; 8];
        let mut give = |text: &[u8], len| {
            // SAFETY: the buffer is never smaller than is said.
            let given = unsafe { give_text(text, buffer.as_mut_ptr().cast(), len) };
            (given, buffer)
        };
        assert_eq!(give(b"alpha", 5), (Err(TOO_LONG), *b"????????"));
        assert_eq!(give(b"alpha", -8), (Err(TOO_LONG), *b"????????"));
        assert_eq!(give(b"", 0), (Err(TOO_LONG), *b"????????"));
        assert_eq!(give(b"", 1), (Ok(0), *b"\0???????"));
        assert_eq!(give(b"alpha", 6), (Ok(5), *b"alpha\0??"));
        // SAFETY: there is no buffer.
        let given = unsafe { give_text(b"alpha", std::ptr::null_mut(), 0) };
        assert_eq!(given, Ok(5));
    }
}
