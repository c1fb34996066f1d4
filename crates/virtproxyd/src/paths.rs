//! Where things are: for root's daemon in the system's folders, for a user's own in that user's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

use crate::certificates::Places;

/// libvirt's folder for configuration; packages put it elsewhere where `/etc` is not theirs.
const SYSTEM_CONFIG: &str = "/etc/libvirt";

/// Folders for what lives as long as the system runs.
const SYSTEM_RUN: &str = "/run";

/// Logs of the system.
const SYSTEM_LOGS: &str = "/var/log/libvirt";

/// Whose daemon this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Root's: it serves all users of the host.
    System,
    /// A user's: it serves that user.
    Session,
}

impl Mode {
    /// What the user of this process makes it.
    pub(crate) fn of_process() -> Mode {
        if geteuid().is_root() {
            Mode::System
        } else {
            Mode::Session
        }
    }
}

/// Where things are unless options or the configuration say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    mode: Mode,
    pub(crate) config: PathBuf,
    pub(crate) pid_file: PathBuf,
    /// Where a daemon that has left its terminal logs to without a journal.
    pub(crate) log: PathBuf,
    pub(crate) certificates: Places,
    /// The folder of libvirt's sockets: ours, and those of the modular daemons. It may not exist.
    pub(crate) run: PathBuf,
}

/// Our unix sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sockets {
    pub(crate) rw: PathBuf,
    /// A user's daemon has none.
    pub(crate) ro: Option<PathBuf>,
    pub(crate) admin: PathBuf,
}

/// Why it is not known where things are.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither HOME nor the user database tells the home folder of user {0}")]
pub(crate) struct NoHome(Uid);

impl Paths {
    /// Those of this process, whose user and environment decide.
    pub(crate) fn of_process() -> Result<Paths, NoHome> {
        match Mode::of_process() {
            Mode::System => Ok(Paths::system()),
            Mode::Session => Paths::session(|name| std::env::var_os(name), home_of_user),
        }
    }

    /// Those of root's daemon, whatever its environment.
    pub(crate) fn system() -> Paths {
        let run = Path::new(SYSTEM_RUN);
        Paths {
            mode: Mode::System,
            config: Path::new(SYSTEM_CONFIG).join("virtproxyd.conf"),
            pid_file: run.join("virtproxyd.pid"),
            log: Path::new(SYSTEM_LOGS).join("virtproxyd.log"),
            certificates: Places::system(),
            run: run.join("libvirt"),
        }
    }

    /// Those of a user's daemon with these variables. What is not an absolute path counts as not set,
    /// as the XDG base directory specification has it.
    pub(crate) fn session(
        variable: impl Fn(&str) -> Option<OsString>,
        home: impl Fn() -> Result<PathBuf, NoHome>,
    ) -> Result<Paths, NoHome> {
        let folder = |name: &str| {
            let path = variable(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let home = match folder("HOME") {
            Some(home) => home,
            None => home()?,
        };
        let under = |name: &str, fallback: &str| {
            let base = folder(name).unwrap_or_else(|| home.join(fallback));
            base.join("libvirt")
        };
        let cache = under("XDG_CACHE_HOME", ".cache");
        let run =
            folder("XDG_RUNTIME_DIR").map_or_else(|| cache.clone(), |run| run.join("libvirt"));
        Ok(Paths {
            mode: Mode::Session,
            config: under("XDG_CONFIG_HOME", ".config").join("virtproxyd.conf"),
            pid_file: run.join("virtproxyd.pid"),
            log: cache.join("virtproxyd.log"),
            certificates: Places::session(&home),
            run,
        })
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Our sockets: in `folder`, if the configuration names one (`unix_sock_dir`).
    pub(crate) fn sockets(&self, folder: Option<&Path>) -> Sockets {
        let folder = folder.unwrap_or(&self.run);
        Sockets {
            rw: folder.join("libvirt-sock"),
            ro: (self.mode == Mode::System).then(|| folder.join("libvirt-sock-ro")),
            admin: folder.join("libvirt-admin-sock"),
        }
    }
}

fn home_of_user() -> Result<PathBuf, NoHome> {
    let uid = geteuid();
    match User::from_uid(uid) {
        Ok(Some(user)) if user.dir.is_absolute() => Ok(user.dir),
        _ => Err(NoHome(uid)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(variables: &[(&str, &str)]) -> Result<Paths, NoHome> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Paths::session(variable, || Err(NoHome(Uid::from_raw(7))))
    }

    #[test]
    fn roots_daemon_is_in_the_systems_folders() {
        let paths = Paths::system();
        assert_eq!(paths.config, Path::new("/etc/libvirt/virtproxyd.conf"));
        assert_eq!(paths.pid_file, Path::new("/run/virtproxyd.pid"));
        assert_eq!(paths.certificates, Places::system());
        let sockets = paths.sockets(None);
        assert_eq!(sockets.rw, Path::new("/run/libvirt/libvirt-sock"));
        assert_eq!(
            sockets.ro.as_deref(),
            Some(Path::new("/run/libvirt/libvirt-sock-ro"))
        );
        let elsewhere = paths.sockets(Some(Path::new("/elsewhere")));
        assert_eq!(elsewhere.admin, Path::new("/elsewhere/libvirt-admin-sock"));
    }

    #[test]
    fn a_users_daemon_is_in_the_users_folders() {
        let paths = session(&[
            ("HOME", "/home/ann"),
            ("XDG_CONFIG_HOME", "/conf"),
            ("XDG_RUNTIME_DIR", "/run/user/7"),
        ])
        .unwrap();
        assert_eq!(paths.config, Path::new("/conf/libvirt/virtproxyd.conf"));
        assert_eq!(
            paths.pid_file,
            Path::new("/run/user/7/libvirt/virtproxyd.pid")
        );
        assert_eq!(
            paths.log,
            Path::new("/home/ann/.cache/libvirt/virtproxyd.log")
        );
        assert_eq!(paths.certificates, Places::session(Path::new("/home/ann")));
        let sockets = paths.sockets(None);
        assert_eq!(sockets.rw, Path::new("/run/user/7/libvirt/libvirt-sock"));
        assert_eq!(sockets.ro, None);
    }

    #[test]
    fn without_xdg_variables_the_home_folder_serves() {
        for odd in ["", "relative"] {
            let paths = session(&[("HOME", "/home/ann"), ("XDG_RUNTIME_DIR", odd)]).unwrap();
            assert_eq!(paths.run, Path::new("/home/ann/.cache/libvirt"));
            let config = Path::new("/home/ann/.config/libvirt/virtproxyd.conf");
            assert_eq!(paths.config, config);
        }
    }

    #[test]
    fn a_user_without_a_home_is_told_so() {
        let error = session(&[]).unwrap_err();
        assert!(
            error.to_string().contains("home folder of user 7"),
            "{error}"
        );
        assert!(Paths::session(|_| None, || Ok("/home/bob".into())).is_ok());
    }
}
