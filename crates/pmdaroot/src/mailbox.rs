//! What threads hand to the one that waits in epoll: a queue, and a descriptor that wakes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use rustix::event::{EventfdFlags, eventfd};

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    letters: Receiver<T>,
    bell: Arc<OwnedFd>,
}

/// The sending end, for any number of threads.
#[derive(Debug)]
pub(crate) struct Postman<T> {
    letters: Sender<T>,
    bell: Arc<OwnedFd>,
}

impl<T> Clone for Postman<T> {
    fn clone(&self) -> Postman<T> {
        Postman {
            letters: self.letters.clone(),
            bell: Arc::clone(&self.bell),
        }
    }
}

/// Both ends.
pub(crate) fn mailbox<T>() -> std::io::Result<(Mailbox<T>, Postman<T>)> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, letters) = mpsc::channel();
    let postman = Postman {
        letters: sender,
        bell: Arc::clone(&bell),
    };
    Ok((Mailbox { letters, bell }, postman))
}

impl<T> Mailbox<T> {
    /// All that has come.
    pub(crate) fn take(&self) -> Vec<T> {
        // Silenced first: a letter that comes now rings again. An empty counter is no trouble.
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        self.letters.try_iter().collect()
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl<T> Postman<T> {
    /// Hands it over. Where nobody waits any more, it is lost.
    pub(crate) fn send(&self, letter: T) {
        if self.letters.send(letter).is_ok() {
            // It fails only when the counter is full, and then the bell rings already.
            let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
        }
    }
}
