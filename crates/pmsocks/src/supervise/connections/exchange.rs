//! Puts sockets and their stand-ins where the program has the other, which can be done while a call of the
//! program's waits for its answer.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::super::stand_in::{self, StandIn};
use super::super::{epolls, ffi};
use super::Connections;
use super::job::{Caller, Job, Place};
use super::socket::set_flags;

impl Connections {
    /// Puts the program's socket back at the number where its stand-in is. It has no other call to do
    /// that by than the one that is being answered.
    pub(super) fn give_back(&mut self, index: usize, caller: Caller) -> Result<(), Errno> {
        let settled = &self.settled[index];
        let near = self.socket(caller)?;
        if near.cookie()? != settled.cookie {
            return Err(Errno::BADF);
        }
        let near = near.into_descriptor();
        let kept = rustix::fs::fcntl_getfl(&near)? & OFlags::NONBLOCK;
        set_flags(settled.socket(), (settled.flags - OFlags::NONBLOCK) | kept)?;
        self.exchange(caller, near.as_fd(), settled.socket())?;
        if let Some(left) = self.settled.swap_remove(index).take() {
            self.settled.push(left);
        }
        Ok(())
    }

    /// Puts `new` wherever the process has `old`: at the number of the call, at others that were made of
    /// it by dup(2), and in epoll instances.
    fn exchange(
        &self,
        caller: Caller,
        old: BorrowedFd<'_>,
        new: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        self.exchange_at(caller, old, new)?;
        for number in caller.tracee.numbers_of(old) {
            // One that is closed meanwhile needs none.
            let _ = self.exchange_at(Caller { number, ..caller }, old, new);
        }
        Ok(())
    }

    fn exchange_at(
        &self,
        caller: Caller,
        old: BorrowedFd<'_>,
        new: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        let Caller {
            id, tracee, number, ..
        } = caller;
        let registrations = if self.uses_epoll {
            epolls::find(tracee, number, old)
        } else {
            Vec::new()
        };
        let closes = tracee.closes_on_exec(number);
        ffi::replace(self.listener.as_fd(), id, new, number, closes)?;
        // Without memory for it, the program has its socket all the same.
        let _ = epolls::exchange(&registrations, number, old, new);
        Ok(())
    }

    /// Puts a stand-in at the number where the job's socket is.
    pub(super) fn put_aside(&self, caller: Caller, job: &Job) -> Result<Place, Errno> {
        let StandIn { near, far } = StandIn::new()?;
        if !job.flags().contains(OFlags::NONBLOCK) {
            set_flags(&near, OFlags::empty())?;
        }
        let cookie = stand_in::cookie(&near)?;
        self.exchange(caller, job.socket(), near.as_fd())?;
        Ok(Place { far, cookie })
    }
}
