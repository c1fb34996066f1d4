//! Programs that the program executes.

use super::*;

/// # Safety
/// As for execve(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn execve(
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's lists, or ours.
    let run = |path, arguments| unsafe { next::execve(path, arguments, environment) };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_path(path, arguments, environment, run) }
}

/// # Safety
/// As for execvpe(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn execvpe(
    file: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's lists, or ours.
    let run = |file, arguments| unsafe { next::execvpe(file, arguments, environment) };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_name(file, arguments, environment, run) }
}

/// # Safety
/// As for execv(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn execv(path: *const c_char, arguments: *const *const c_char) -> c_int {
    // SAFETY: the caller's list, or ours.
    let run = |path, arguments| unsafe { next::execv(path, arguments) };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_path(path, arguments, clib::environment(), run) }
}

/// # Safety
/// As for execvp(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn execvp(file: *const c_char, arguments: *const *const c_char) -> c_int {
    // SAFETY: the caller's list, or ours.
    let run = |file, arguments| unsafe { next::execvp(file, arguments) };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_name(file, arguments, clib::environment(), run) }
}

/// # Safety
/// As for posix_spawn(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn posix_spawn(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's pointers, and its list or ours.
    let run = |path, arguments| unsafe {
        next::posix_spawn(pid, path, actions, attributes, arguments, environment)
    };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_path(path, arguments, environment, run) }
}

/// # Safety
/// As for posix_spawnp(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn posix_spawnp(
    pid: *mut pid_t,
    file: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's pointers, and its list or ours.
    let run = |file, arguments| unsafe {
        next::posix_spawnp(pid, file, actions, attributes, arguments, environment)
    };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_name(file, arguments, environment, run) }
}
