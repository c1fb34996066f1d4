//! Programs that the program runs in its place or beside it. This library comes along into those that
//! are dynamically linked. The others are run by pmsocks, which supervises them, so that a script may
//! call what it likes. Children after vfork(2) come here, which share their parent's memory: nothing
//! is allocated, and what is needed is kept on the stack or mapped. Threads have stacks of 16 kB at
//! least (PTHREAD_STACK_MIN), so what needs room for a path does not call what needs it too.

use std::ffi::{CStr, OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Stat, accessat, fstat, open, stat};
use rustix::io::{pread, retry_on_intr};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::clib;

/// The longest path (PATH_MAX in limits.h), with its NUL.
const LONGEST_PATH: usize = 4096;

/// The most that the kernel reads of a script's first line (BINPRM_BUF_SIZE), and what is read of
/// programs here: their program headers are right behind the file's own.
const START: usize = 2048;

/// How many scripts may be interpreted by scripts (the kernel's own limit).
const SCRIPTS: usize = 5;

/// Up to so many arguments are kept on the stack: what a child after vfork(2) maps stays mapped in its
/// parent.
const FEW: usize = 128;

/// What pmsocks is called with.
const BEFORE: [&CStr; 5] = [c"pmsocks", c"--mode", c"supervise", c"--argv0", c""];

/// Finds pmsocks itself: beside this library where it was built, and where it is installed.
fn launcher(found: &mut [u8; LONGEST_PATH]) -> Option<&CStr> {
    let inside: fn(&CStr) -> bool = is_executable;
    let own = clib::object_of(inside as *const c_void)?;
    let folder = Path::new(OsStr::from_bytes(own.to_bytes())).parent()?;
    // Elsewhere, a program of this name would be another one.
    let is_installed = folder.ends_with("lib/gatehouse");
    let folder = match folder.as_os_str().as_bytes() {
        b"" => b".",
        folder => folder,
    };
    let mut is_at = |place: &[u8]| {
        put(found, &[folder, place]) && CStr::from_bytes_until_nul(found).is_ok_and(is_executable)
    };
    (is_at(b"/pmsocks") || is_installed && is_at(b"/../../bin/pmsocks"))
        .then(|| CStr::from_bytes_until_nul(found).unwrap_or_default())
}

/// Runs `run` with a path and arguments: what the program gave, or those that have pmsocks supervise
/// it.
///
/// # Safety
/// `path` is a string; `arguments` and `environment` are lists of strings with a null pointer behind
/// them.
pub(crate) unsafe fn by_path<T>(
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    run: impl FnOnce(*const c_char, *const *const c_char) -> T,
) -> T {
    // SAFETY: the caller's duty.
    let goes_along = unsafe { goes_along(environment) };
    if !goes_along || path.is_null() {
        return run(path, arguments);
    }
    // SAFETY: the caller's duty.
    match static_program(unsafe { CStr::from_ptr(path) }) {
        // SAFETY: the caller's duty.
        Some(program) => unsafe { supervised(program, path, arguments, run) },
        None => run(path, arguments),
    }
}

/// The same for a file that is searched for in PATH unless its name has a slash.
///
/// # Safety
/// As for [`by_path`].
pub(crate) unsafe fn by_name<T>(
    file: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    run: impl FnOnce(*const c_char, *const *const c_char) -> T,
) -> T {
    // SAFETY: the caller's duty.
    if unsafe { !goes_along(environment) } {
        return run(file, arguments);
    }
    let mut found = [0; LONGEST_PATH];
    // SAFETY: the caller's duty.
    if file.is_null() || !search(unsafe { CStr::from_ptr(file) }, &mut found) {
        return run(file, arguments);
    }
    let path = CStr::from_bytes_until_nul(&found).unwrap_or_default();
    match static_program(path) {
        // SAFETY: the caller's duty.
        Some(program) => unsafe { supervised(program, path.as_ptr(), arguments, run) },
        None => run(file, arguments),
    }
}

/// Whether the environment that a program gets would have this library loaded into it, if it were
/// dynamically linked: one that is to have a clean environment goes without.
///
/// # Safety
/// It is null, or a list of strings with a null pointer behind it.
unsafe fn goes_along(environment: *const *const c_char) -> bool {
    const OURS: &[u8] = b"libpmsocks_preload.so";
    // SAFETY: the caller's duty.
    let count = unsafe { length(environment) };
    (0..count).any(|index| {
        // SAFETY: the index is below the count of strings.
        let text = unsafe { CStr::from_ptr(*environment.add(index)) };
        let libraries = text
            .to_bytes()
            .strip_prefix(b"LD_PRELOAD=")
            .unwrap_or_default();
        libraries.windows(OURS.len()).any(|part| part == OURS)
    })
}

/// Finds a file as execvp(3) does.
fn search(file: &CStr, found: &mut [u8; LONGEST_PATH]) -> bool {
    let name = file.to_bytes();
    if name.contains(&b'/') {
        return put(found, &[name]);
    }
    // SAFETY: the name is a string; what is found stays while nobody changes the environment.
    let folders = unsafe {
        let value = libc::getenv(c"PATH".as_ptr());
        if value.is_null() {
            c"/bin:/usr/bin"
        } else {
            CStr::from_ptr(value)
        }
    };
    folders
        .to_bytes()
        .split(|byte| *byte == b':')
        .any(|folder| {
            let folder = if folder.is_empty() { b"." } else { folder };
            put(found, &[folder, b"/", name])
                && CStr::from_bytes_until_nul(found).is_ok_and(is_program)
        })
}

/// Whether execvp(3) does not go on to the next folder: what is no file, or closed to the user, is not it.
fn is_program(path: &CStr) -> bool {
    let is_file = |facts: Stat| FileType::from_raw_mode(facts.st_mode).is_file();
    stat(path).is_ok_and(is_file) && is_executable(path)
}

fn is_executable(path: &CStr) -> bool {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok()
}

/// Puts the parts one behind the other, with a NUL at the end, if there is room.
fn put(room: &mut [u8; LONGEST_PATH], parts: &[&[u8]]) -> bool {
    let mut at = 0;
    for part in parts.iter().chain([&b"\0".as_slice()]) {
        let Some(place) = room.get_mut(at..at + part.len()) else {
            return false;
        };
        place.copy_from_slice(part);
        at += part.len();
    }
    true
}

/// Which file it is, by device and inode.
type Identity = (u64, u64);

fn identity(facts: &Stat) -> Identity {
    (facts.st_dev, facts.st_ino)
}

/// The program that is executed, or interprets a script, if the dynamic linker would not load this
/// library into it.
#[inline(never)]
fn static_program(path: &CStr) -> Option<Identity> {
    let mut place = [0; LONGEST_PATH];
    if !put(&mut place, &[path.to_bytes()]) {
        return None;
    }
    let mut start = [0; START];
    for _ in 0..SCRIPTS {
        let path = CStr::from_bytes_until_nul(&place).unwrap_or_default();
        let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let count = retry_on_intr(|| pread(&file, start.as_mut_slice(), 0)).ok()?;
        let start = start.get(..count).unwrap_or_default();
        let Some(line) = start.strip_prefix(b"#!") else {
            let facts = fstat(&file).ok().filter(|_| is_static(start));
            return facts.as_ref().map(identity);
        };
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        if !put(&mut place, &[words.next()?]) {
            return None;
        }
    }
    None
}

/// Whether a program has no interpreter, which is the dynamic linker (elf(5)), or is one of 32 bits,
/// whose dynamic linker does not take this library. What is no ELF file is not ours to judge.
fn is_static(start: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let word = |at: usize| Some(u16::from_ne_bytes(*start.get(at..)?.first_chunk()?));
    let headers = || {
        let offset = u64::from_ne_bytes(*start.get(32..)?.first_chunk()?);
        let offset = usize::try_from(offset).ok()?;
        let size = usize::from(word(54)?);
        let count = usize::from(word(56)?);
        for index in 0..count {
            let at = offset.checked_add(index.checked_mul(size)?)?;
            if u32::from_ne_bytes(*start.get(at..)?.first_chunk()?) == INTERPRETER {
                return Some(false);
            }
        }
        Some(true)
    };
    start.starts_with(b"\x7fELF\x01")
        || (start.starts_with(b"\x7fELF\x02") && headers().unwrap_or(false))
}

/// Has pmsocks supervise it. Without pmsocks, the program is on its own, and so is pmsocks itself, which
/// sees for itself to what it is to run.
///
/// # Safety
/// As for [`by_path`].
#[inline(never)]
unsafe fn supervised<T>(
    program: Identity,
    path: *const c_char,
    arguments: *const *const c_char,
    run: impl FnOnce(*const c_char, *const *const c_char) -> T,
) -> T {
    let mut found = [0; LONGEST_PATH];
    let is_another = |launcher: &&CStr| stat(*launcher).is_ok_and(|it| identity(&it) != program);
    let Some(launcher) = launcher(&mut found).filter(is_another) else {
        return run(path, arguments);
    };
    // SAFETY: the caller's duty.
    unsafe { launched(launcher, path, arguments, run) }
}

/// Runs the launcher, to supervise a program.
///
/// # Safety
/// As for [`by_path`].
unsafe fn launched<T>(
    launcher: &CStr,
    path: *const c_char,
    arguments: *const *const c_char,
    run: impl FnOnce(*const c_char, *const *const c_char) -> T,
) -> T {
    // SAFETY: the list ends with a null pointer.
    let count = unsafe { length(arguments) };
    let needed = count + BEFORE.len() + 2;
    let fill = |list: *mut *const c_char| {
        // SAFETY: the list has room for all that is needed, and ends with a null pointer, because it
        // is all null pointers before.
        unsafe {
            for (index, word) in BEFORE.iter().enumerate() {
                list.add(index).write(word.as_ptr());
            }
            let last = BEFORE.len() - 1;
            list.add(last)
                .write(if count > 0 { *arguments } else { path });
            list.add(last + 1).write(path);
            for index in 1..count {
                list.add(last + 1 + index).write(*arguments.add(index));
            }
        }
    };
    if needed <= FEW {
        let mut list = [ptr::null(); FEW];
        fill(list.as_mut_ptr());
        return run(launcher.as_ptr(), list.as_ptr());
    }
    let size = needed * size_of::<*const c_char>();
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: new memory, which nobody else has.
    let mapped = unsafe { mmap_anonymous(ptr::null_mut(), size, protection, MapFlags::PRIVATE) };
    let Ok(mapped) = mapped else {
        return run(path, arguments);
    };
    fill(mapped.cast());
    let done = run(launcher.as_ptr(), mapped.cast());
    // SAFETY: it was mapped above, and nobody looks at it any more.
    let _ = unsafe { munmap(mapped, size) };
    done
}

/// # Safety
/// A null pointer is behind the list, or it is null itself.
pub(crate) unsafe fn length(list: *const *const c_char) -> usize {
    let mut count = 0;
    // SAFETY: the caller's duty.
    while !list.is_null() && unsafe { !(*list.add(count)).is_null() } {
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_no_program() {
        assert!(is_program(c"/bin/sh"));
        assert!(!is_program(c"/bin"));
        assert!(!is_program(c"/etc/passwd"));
        assert!(!is_program(c"/nonexistent"));
    }

    #[test]
    fn programs_that_take_no_library_of_ours_are_told_by_their_head() {
        let mut head = [0; START];
        head[..5].copy_from_slice(b"\x7fELF\x01");
        assert!(is_static(&head), "32 bits");
        head[4] = 2;
        assert!(is_static(&head), "no program headers");
        head[32..40].copy_from_slice(&64_u64.to_ne_bytes());
        head[54..56].copy_from_slice(&56_u16.to_ne_bytes());
        head[56..58].copy_from_slice(&1_u16.to_ne_bytes());
        head[64..68].copy_from_slice(&3_u32.to_ne_bytes());
        assert!(!is_static(&head), "an interpreter");
        assert!(!is_static(b"echo"));
    }

    #[test]
    fn pmsocks_gets_all_arguments_however_many() {
        for count in [0, 1, 3, 2 * FEW] {
            let mut given = vec![c"word".as_ptr(); count];
            given.push(ptr::null());
            let seen = |_: *const c_char, list: *const *const c_char| {
                // SAFETY: the list ends with a null pointer.
                unsafe { (length(list), (*list.add(BEFORE.len())).is_null()) }
            };
            // SAFETY: both are as they should be.
            let seen = unsafe { launched(c"/pmsocks", c"/path".as_ptr(), given.as_ptr(), seen) };
            assert_eq!(seen, (BEFORE.len() + count.max(1), false));
        }
    }
}
