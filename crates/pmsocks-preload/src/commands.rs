//! Runs the shell command of a line that has decided. The program must not notice: no SIGCHLD, nothing
//! for its wait(2), and it does not wait itself.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::{env, ptr};

use socks_conf::{Command, Facts, User, service_name};

use crate::clib;
use crate::lock::{block_signals, set_signals};
use crate::plan::Destination;

/// Room for a child that calls nothing but execve(2).
const STACK: usize = 32 * 1024;

/// What the shell is to do with the command, which is its first argument.
const IN_THE_BACKGROUND: &str = r#"eval "$1" </dev/null &"#;

/// Starts the command.
pub(crate) fn run(command: &Command, destination: &Destination<'_>) {
    let uid = rustix::process::geteuid().as_raw();
    let name = clib::login(uid);
    let host = rustix::system::uname();
    let login = env::var("LOGNAME").ok().or_else(|| name.clone());
    let text = command.expand(&Facts {
        client_name: &host.nodename().to_string_lossy(),
        client_address: None,
        pid: std::process::id(),
        port: destination.port,
        service: service_name(destination.port).as_deref(),
        login: login.as_deref().unwrap_or_default(),
        user: User {
            uid,
            name: name.as_deref(),
        },
        name: destination.name,
        address: destination.address,
    });
    if let Some(shell) = Shell::new(&text) {
        shell.start();
    }
}

/// What execve(2) wants.
struct Shell {
    arguments: Vec<CString>,
    variables: Vec<CString>,
}

/// The same as pointers, with a null behind each list.
struct Pointers {
    arguments: Vec<*const c_char>,
    variables: Vec<*const c_char>,
    signals: libc::sigset_t,
}

impl Shell {
    /// The command gets the program's variables, but for those that would have its own connections
    /// come here, and start it again.
    fn new(text: &str) -> Option<Shell> {
        let arguments = ["sh", "-c", IN_THE_BACKGROUND, "pmsocks", text];
        let arguments = arguments
            .into_iter()
            .map(CString::new)
            .collect::<Result<_, _>>();
        let variables = env::vars_os()
            .filter(|(key, _)| key != "LD_PRELOAD")
            .filter_map(|(key, value)| {
                let variable = [key.as_bytes(), b"=", value.as_bytes()].concat();
                CString::new(variable).ok()
            });
        Some(Shell {
            arguments: arguments.ok()?,
            variables: variables.collect(),
        })
    }

    fn start(&self) {
        let pointers = |texts: &[CString]| {
            let texts = texts.iter().map(|text| text.as_ptr());
            texts.chain([ptr::null()]).collect::<Vec<_>>()
        };
        let mut child = Pointers {
            arguments: pointers(&self.arguments),
            variables: pointers(&self.variables),
            signals: block_signals(),
        };
        let mut stack = vec![0u8; STACK];
        // The child has no signal for its end, so that only who asks for such children hears of it.
        // It shares the memory until it calls execve(2), and this thread rests meanwhile.
        let flags = libc::CLONE_VM | libc::CLONE_VFORK;
        // SAFETY: the stack's end is its upper one, with the alignment that every platform wants; all
        // that the child looks at outlives it.
        let pid = unsafe {
            let end = stack.as_mut_ptr().add(STACK);
            let end = end.sub(end.addr() % 16);
            libc::clone(execute, end.cast(), flags, (&raw mut child).cast())
        };
        set_signals(&child.signals);
        if pid > 0 {
            let mut status = 0;
            // SAFETY: the status is ours. The shell ends at once: the command is in the background.
            while unsafe { libc::waitpid(pid, &raw mut status, libc::__WCLONE) } == -1
                && clib::errno() == rustix::io::Errno::INTR
            {}
        }
    }
}

extern "C" fn execute(pointers: *mut c_void) -> c_int {
    // SAFETY: `start` passes this, and waits. Only calls that are safe after vfork(2) follow.
    unsafe {
        let pointers = &*pointers.cast::<Pointers>();
        set_signals(&pointers.signals);
        // What ends the program from its terminal is not to end this.
        libc::setpgid(0, 0);
        libc::execve(
            c"/bin/sh".as_ptr(),
            pointers.arguments.as_ptr(),
            pointers.variables.as_ptr(),
        );
        libc::_exit(127)
    }
}
