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

/// Defines a function whose arguments after the first are a list that ends with a null pointer: those
/// which the caller passed in registers are put in front of those on its stack, and are a list then.
macro_rules! listed {
    ($($name:ident => $with_list:ident;)*) => {
        $(
            /// # Safety
            /// As the function of that name says (exec(3)).
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            #[unsafe(naked)]
            #[cfg_attr(not(test), unsafe(no_mangle))]
            unsafe extern "C" fn $name(program: *const c_char, first: *const c_char) -> c_int {
                #[cfg(target_arch = "x86_64")]
                std::arch::naked_asm!(
                    "pop rax",
                    "push r9",
                    "push r8",
                    "push rcx",
                    "push rdx",
                    "push rsi",
                    "mov rsi, rsp",
                    "push rax",
                    "call {}",
                    "pop rcx",
                    "add rsp, 40",
                    "push rcx",
                    "ret",
                    sym $with_list,
                );
                #[cfg(target_arch = "aarch64")]
                std::arch::naked_asm!(
                    "sub sp, sp, #80",
                    "str x30, [sp, #8]",
                    "stp x1, x2, [sp, #24]",
                    "stp x3, x4, [sp, #40]",
                    "stp x5, x6, [sp, #56]",
                    "str x7, [sp, #72]",
                    "add x1, sp, #24",
                    "bl {}",
                    "ldr x30, [sp, #8]",
                    "add sp, sp, #80",
                    "ret",
                    sym $with_list,
                );
            }
        )*
    };
}

listed! {
    execl => execv;
    execlp => execvp;
    execle => execve_behind;
}

/// execve(2) with an environment that is behind the list of arguments.
///
/// # Safety
/// As for execle(3).
unsafe extern "C" fn execve_behind(path: *const c_char, arguments: *const *const c_char) -> c_int {
    // SAFETY: the environment is the word behind the null pointer.
    unsafe {
        let behind = arguments.add(execs::length(arguments) + 1);
        execve(
            path,
            arguments,
            behind.cast::<*const *const c_char>().read(),
        )
    }
}

#[cfg(test)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tests {
    use super::*;

    /// Whether the program was executed, with all words and the variable.
    fn ran(run: impl FnOnce()) -> bool {
        // SAFETY: the child executes a program, or ends.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                run();
                libc::_exit(1);
            }
            let mut status = -1;
            libc::waitpid(child, &raw mut status, 0) == child && status == 0
        }
    }

    #[test]
    fn a_list_of_arguments_may_be_of_any_length() {
        type Path = *const c_char;
        type Listed = unsafe extern "C" fn(Path, Path, ...) -> c_int;
        // SAFETY: this is how C calls them.
        let variadic = |function: unsafe extern "C" fn(Path, Path) -> c_int| unsafe {
            std::mem::transmute::<_, Listed>(function)
        };
        let word = |text: &'static std::ffi::CStr| text.as_ptr();
        let (sh, c, none) = (word(c"/bin/sh"), word(c"-c"), std::ptr::null::<c_char>());
        let environment = [word(c"V=1"), none];
        // SAFETY: all lists end with a null pointer.
        unsafe {
            assert!(ran(|| {
                variadic(execl)(sh, sh, c, word(c"exit 0"), none);
            }));
            let script = word(c"[ $#.$1$2$3$4$5$6$7$8 = 8.12345678 ]");
            let [a, b, d, e] = [word(c"1"), word(c"2"), word(c"3"), word(c"4")];
            let [f, g, h, i] = [word(c"5"), word(c"6"), word(c"7"), word(c"8")];
            assert!(ran(|| {
                variadic(execlp)(word(c"sh"), sh, c, script, sh, a, b, d, e, f, g, h, i, none);
            }));
            let script = word(c"[ $#.$1$V = 1.11 ]");
            assert!(ran(|| {
                variadic(execle)(sh, sh, c, script, sh, a, none, environment.as_ptr());
            }));
            assert_eq!(variadic(execl)(word(c"/nonexistent"), sh, none), -1);
        }
    }
}
