//! Pipes through which bulk data passes without being copied, and the pool that lends them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What a pipe holds, in bytes, where the system allows it (it lets unprivileged users have a
/// limited number of such pipes; smaller ones only make more system calls).
const CAPACITY: usize = 1 << 20;

/// Pipes that a pool keeps for good, so that bulk data in steady state opens none.
const KEPT: usize = 2;

/// Pipes that one pool has lent at most. A receiver that stalls may hold one; when all are held,
/// bulk data is copied instead.
const MOST: usize = 64;

/// A pipe and the number of bytes in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    pub(crate) filled: usize,
}

impl Pipe {
    fn open() -> io::Result<Pipe> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A refusal leaves the pipe at its default size, which works too.
        let _ = fcntl_setpipe_size(&write, CAPACITY);
        Ok(Pipe {
            read,
            write,
            filled: 0,
        })
    }

    /// Moves up to `most` bytes from a socket into the empty pipe; 0 is the end of the stream.
    pub(crate) fn fill(&mut self, from: &impl AsFd, most: usize) -> rustix::io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = splice(from, None, &self.write, None, most.min(CAPACITY), flags)?;
        self.filled += moved;
        Ok(moved)
    }

    /// Moves what is in the pipe to a socket.
    pub(crate) fn drain(&mut self, to: &impl AsFd) -> rustix::io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = splice(&self.read, None, to, None, self.filled, flags)?;
        self.filled -= moved;
        Ok(moved)
    }
}

/// Lends pipes to the sessions of one loop.
#[derive(Debug)]
pub(crate) struct PipePool {
    #[expect(
        clippy::vec_box,
        reason = "a lane holds a boxed pipe, which moves in and out as it is"
    )]
    idle: Vec<Box<Pipe>>,
    lent: usize,
}

impl PipePool {
    pub(crate) fn new() -> io::Result<PipePool> {
        let idle = (0..KEPT)
            .map(|_| Pipe::open().map(Box::new))
            .collect::<io::Result<_>>()?;
        Ok(PipePool { idle, lent: 0 })
    }

    /// An empty pipe, unless too many are lent or the system has no more.
    pub(crate) fn lend(&mut self) -> Option<Box<Pipe>> {
        if self.lent >= MOST {
            return None;
        }
        let pipe = match self.idle.pop() {
            Some(pipe) => pipe,
            None => Box::new(Pipe::open().ok()?),
        };
        self.lent += 1;
        Some(pipe)
    }

    /// Takes a pipe back; one with bytes in it is closed, since they are nobody's.
    pub(crate) fn give_back(&mut self, pipe: Box<Pipe>) {
        self.lent = self.lent.saturating_sub(1);
        if self.idle.len() < KEPT {
            if pipe.filled == 0 {
                self.idle.push(pipe);
            } else if let Ok(fresh) = Pipe::open() {
                self.idle.push(Box::new(fresh));
            }
        }
    }
}
