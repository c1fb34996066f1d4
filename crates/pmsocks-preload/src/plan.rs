//! What is to be done with connections: the settings and the routes, read once, when the library is
//! loaded.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use socks_conf::{Asked, Decision, NameDecision, Routes, User};
use socks_dial::{BEGINS, Settings, is_local_address, report};

use crate::clib;

/// Settings and routes.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) routes: Routes,
    /// Whether `SOCKS_NS` says who is to be asked for the names of servers.
    pub(crate) has_name_server: bool,
    uid: u32,
    login: Option<String>,
}

static PLAN: OnceLock<Result<Plan, String>> = OnceLock::new();

/// The exit status of pmsocks where something is wrong with the call or the settings.
const FAILURE: i32 = 1;

/// Whether it was told already that there is no plan.
static TOLD: AtomicBool = AtomicBool::new(false);

/// The plan. Where it could not be read, nothing may be connected: going directly, as others do then,
/// would be what the user of pmsocks does not want. That is told once.
pub(crate) fn plan() -> Result<&'static Plan, Errno> {
    PLAN.get_or_init(read).as_ref().map_err(|error| {
        if !TOLD.swap(true, Ordering::Relaxed) {
            report(&format_args!("{error}: connections are refused"));
        }
        Errno::ACCESS
    })
}

/// Reads it. In the program that the user of pmsocks has asked for, one that cannot be read is the end,
/// before main: it goes as pmsocks does where it finds something wrong.
pub(crate) fn begin() {
    let plan = PLAN.get_or_init(read);
    // SAFETY: the program itself has not begun, and libraries have no business with its variables.
    if !unsafe { clib::take_variable(BEGINS) } {
        return;
    }
    match plan {
        Ok(plan) => plan.settings.tell_what_is_off(&plan.routes),
        Err(error) => {
            report(&format_args!("{error}"));
            // SAFETY: it ends the process, and whoever else runs in it.
            unsafe { libc::_exit(FAILURE) }
        }
    }
}

/// Whether a line is wanted on standard error.
pub(crate) fn debug() -> Option<&'static Plan> {
    plan().ok().filter(|plan| plan.settings.debug)
}

fn read() -> Result<Plan, String> {
    let settings = Settings::read(&clib::variable).map_err(|error| error.to_string())?;
    let routes = Routes::load(&settings.routes_file).map_err(|error| error.to_string())?;
    let uid = rustix::process::geteuid().as_raw();
    let login = routes.has_users().then(|| clib::login(uid)).flatten();
    Ok(Plan {
        has_name_server: clib::variable("SOCKS_NS").is_some_and(|value| !value.is_empty()),
        settings,
        routes,
        uid,
        login,
    })
}

impl Plan {
    /// The line that decides about a destination.
    pub(crate) fn decide(&'static self, destination: &Destination<'_>) -> Decision<'static> {
        self.as_user(|user| {
            self.routes.decide(&Asked {
                address: destination.address,
                name: destination.name,
                port: destination.port,
                user,
                is_local: &is_local_address,
            })
        })
    }

    /// What the lines say about a name that nobody here knows.
    pub(crate) fn decide_name(&self, name: &str) -> NameDecision {
        self.as_user(|user| self.routes.decide_name(name, &user))
    }

    /// The login name was looked up for the user that the program began as. Where it has become
    /// another one since, that one's is.
    fn as_user<T>(&self, decide: impl FnOnce(User<'_>) -> T) -> T {
        let uid = rustix::process::geteuid().as_raw();
        let other;
        let name = if uid == self.uid || !self.routes.has_users() {
            self.login.as_deref()
        } else {
            other = clib::login(uid);
            other.as_deref()
        };
        decide(User { uid, name })
    }
}

/// What is asked about.
pub(crate) struct Destination<'a> {
    pub(crate) address: Option<std::net::IpAddr>,
    pub(crate) name: Option<&'a str>,
    pub(crate) port: u16,
}
