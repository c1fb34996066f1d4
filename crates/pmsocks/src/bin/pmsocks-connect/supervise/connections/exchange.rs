//! Puts sockets and their stand-ins where the program has the other, which can be done while a call of the
//! program's waits for its answer.

use std::os::fd::AsFd;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;

use super::super::places;
use super::super::stand_in::{self, StandIn};
use super::super::tracee::Caller;
use super::Connections;
use super::job::{Job, Place};
use super::socket::set_flags;

impl Connections {
    /// Puts the program's socket back where its stand-in is. It has no other call to do that by than the
    /// one that is being answered. A failure is forgotten with it, which is to be told now.
    pub(super) fn give_back(&mut self, index: usize, caller: Caller) -> Result<(), Errno> {
        let settled = &self.settled[index];
        let near = self.socket(caller)?;
        if near.cookie()? != settled.cookie || settled.is_relayed() {
            return Err(Errno::BADF);
        }
        let near = near.into_descriptor();
        // What the program has set meanwhile is on the stand-in.
        let kept = fcntl_getfl(&near)? & OFlags::NONBLOCK;
        set_flags(settled.socket(), (settled.flags - OFlags::NONBLOCK) | kept)?;
        let listener = self.listener.as_fd();
        places::exchange(listener, caller, near.as_fd(), settled.socket())?;
        if let Some(left) = self.settled.swap_remove(index).take() {
            self.settled.push(left);
        }
        Ok(())
    }

    /// Puts a stand-in where the job's socket is.
    pub(super) fn put_aside(&self, caller: Caller, job: &Job) -> Result<Place, Errno> {
        let StandIn { near, far } = StandIn::new(job.flags())?;
        let cookie = stand_in::cookie(&near)?;
        places::exchange(self.listener.as_fd(), caller, job.socket(), near.as_fd())?;
        Ok(Place { far, cookie })
    }
}
