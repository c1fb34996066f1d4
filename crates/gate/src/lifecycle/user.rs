//! Changing to an unprivileged user, and doing single things as that user before.

use std::ffi::CString;
use std::io;

use nix::errno::Errno;
use nix::unistd::{
    Gid, Uid, User, getegid, geteuid, getgroups, initgroups, setfsgid, setfsuid, setgid, setgroups,
    setuid,
};

use crate::errno::describe;

/// A user of this machine.
#[derive(Clone, Debug)]
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Why the identity of a user could not be assumed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The user database has no such user.
    #[error("there is no user {0:?} on this machine")]
    Unknown(String),
    /// The user database cannot be read.
    #[error("cannot look up the user {name:?}: {}", describe(.error))]
    Database {
        /// The user.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// The process is not root and not that user either.
    #[error("cannot become the user {name:?} (only root can): {}", describe(.error))]
    NotPermitted {
        /// The user.
        name: String,
        /// What the system said.
        error: io::Error,
    },
}

impl Account {
    /// Looks a user up.
    ///
    /// # Errors
    /// [`UserError::Unknown`], [`UserError::Database`].
    pub fn find(name: &str) -> Result<Account, UserError> {
        match User::from_name(name) {
            Ok(Some(user)) => Ok(Account {
                name: user.name,
                uid: user.uid,
                gid: user.gid,
            }),
            Ok(None) => Err(UserError::Unknown(name.into())),
            Err(errno) => Err(UserError::Database {
                name: name.into(),
                error: errno.into(),
            }),
        }
    }

    /// The name of the user that the process runs as, or its number when it has none.
    pub fn current_name() -> String {
        let uid = geteuid();
        User::from_uid(uid)
            .ok()
            .flatten()
            .map_or_else(|| uid.to_string(), |user| user.name)
    }

    /// Whether the process is root.
    pub fn is_root() -> bool {
        geteuid().is_root()
    }

    /// The number of the user that the process runs as.
    pub fn current_uid() -> u32 {
        geteuid().as_raw()
    }

    /// The user's number.
    pub fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the process is this user or could become it.
    ///
    /// # Errors
    /// [`UserError::NotPermitted`] when it is neither root nor this user.
    pub fn check(&self) -> Result<(), UserError> {
        let user = geteuid();
        if user.is_root() || user == self.uid {
            Ok(())
        } else {
            Err(self.not_permitted(Errno::EPERM))
        }
    }

    /// Becomes this user for good, with its groups and no others. There must be one thread only.
    ///
    /// # Errors
    /// [`UserError::NotPermitted`] when the process is neither root nor this user.
    pub fn assume(&self) -> Result<(), UserError> {
        if geteuid() == self.uid && !geteuid().is_root() {
            return Ok(());
        }
        self.try_assume().map_err(|errno| self.not_permitted(errno))
    }

    fn not_permitted(&self, errno: Errno) -> UserError {
        UserError::NotPermitted {
            name: self.name.clone(),
            error: errno.into(),
        }
    }

    fn try_assume(&self) -> Result<(), Errno> {
        self.join_groups()?;
        setgid(self.gid)?;
        setuid(self.uid)?;
        // Nothing must lead back.
        if !self.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// Gives the process the user's groups and no others.
    fn join_groups(&self) -> Result<(), Errno> {
        let name = CString::new(self.name.as_str()).map_err(|_| Errno::EINVAL)?;
        setgroups(&[])?;
        initgroups(&name, self.gid)
    }

    /// Runs `action` with this user's rights on files, those of its groups included, so that root
    /// follows no path that the user has laid out. There must be one thread only.
    pub fn with_file_rights<T>(&self, action: impl FnOnce() -> T) -> T {
        if !geteuid().is_root() {
            return action();
        }
        let groups = getgroups().unwrap_or_else(|_| vec![getegid()]);
        // Root without the right to do this cannot become the user either, and is told so then.
        let joined = self.join_groups().is_ok();
        let group = setfsgid(self.gid);
        let user = setfsuid(self.uid);
        let result = action();
        setfsuid(user);
        setfsgid(group);
        if joined {
            // What was allowed a moment ago still is.
            let _ = setgroups(&groups);
        }
        result
    }
}
