//! The numbers at which a program has one socket: dup(2) makes more of them.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::fstat;

use crate::stand_in::{OUR_OWN, borrow};

/// How many are known of one socket.
const MOST: usize = 8;

/// Whether the program has ever made a second number for a socket: otherwise nobody looks for one.
static DUPLICATED: AtomicBool = AtomicBool::new(false);

/// The program has made a second number for a socket.
pub(crate) fn duplicated() {
    DUPLICATED.store(true, Ordering::Relaxed);
}

/// The numbers of one socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    all: [Option<RawFd>; MOST],
}

impl Numbers {
    /// The number, and all others of the same socket.
    pub(crate) fn of(fd: RawFd) -> Numbers {
        let mut numbers = Numbers { all: [None; MOST] };
        numbers.add(fd);
        if DUPLICATED.load(Ordering::Relaxed)
            && let Ok(facts) = fstat(borrow(fd))
        {
            let same = |other: &RawFd| {
                fstat(borrow(*other))
                    .is_ok_and(|other| (other.st_dev, other.st_ino) == (facts.st_dev, facts.st_ino))
            };
            (0..OUR_OWN)
                .filter(|other| *other != fd)
                .filter(same)
                .for_each(|other| {
                    numbers.add(other);
                });
        }
        numbers
    }

    /// Whether there was room for one more.
    pub(crate) fn add(&mut self, fd: RawFd) -> bool {
        let room = self.all.iter_mut().find(|place| place.is_none());
        room.is_some_and(|place| place.replace(fd).is_none())
    }

    pub(crate) fn remove(&mut self, fd: RawFd) {
        for place in &mut self.all {
            place.take_if(|known| *known == fd);
        }
    }

    pub(crate) fn contains(&self, fd: RawFd) -> bool {
        self.all.contains(&Some(fd))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.all.iter().all(Option::is_some)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = RawFd> {
        self.all.into_iter().flatten()
    }

    /// Those at which the file with this inode is.
    pub(crate) fn at(&self, inode: u64) -> Numbers {
        let mut numbers = *self;
        let is_there = |fd| fstat(borrow(fd)).is_ok_and(|facts| facts.st_ino == inode);
        self.iter()
            .filter(|fd| !is_there(*fd))
            .for_each(|fd| numbers.remove(fd));
        numbers
    }

    pub(crate) fn first(&self) -> Option<RawFd> {
        self.iter().next()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn all_numbers_of_a_socket_are_found_and_no_others() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let second = socket.try_clone().unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        duplicated();
        let mut numbers = Numbers::of(second.as_raw_fd());
        assert!(numbers.contains(socket.as_raw_fd()) && numbers.contains(second.as_raw_fd()));
        assert!(!numbers.contains(other.as_raw_fd()));
        numbers.remove(second.as_raw_fd());
        assert_eq!(numbers.first(), Some(socket.as_raw_fd()));
        let inode = fstat(&other).unwrap().st_ino;
        assert_eq!(numbers.at(inode).first(), None);
    }

    #[test]
    fn there_is_room_for_a_few() {
        let mut numbers = Numbers { all: [None; MOST] };
        for number in 0..8 {
            assert!(!numbers.is_full());
            assert!(numbers.add(number));
        }
        assert!(numbers.is_full() && !numbers.add(9));
    }
}
