//! The program's epoll instances. They know a socket by its number and the file behind it, so that one
//! which is put aside, or put back, has to be registered anew, with the same events and data.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::ffi::{self, Operation};
use super::tracee::Tracee;

/// What an epoll instance's descriptor shows in /proc.
const INSTANCE: &str = "anon_inode:[eventpoll]";

/// One registration.
pub(super) struct Registration {
    epoll: OwnedFd,
    events: u32,
    data: u64,
}

/// The registrations of a file under a number, in all instances of the process.
pub(super) fn find(tracee: Tracee, number: RawFd, file: impl AsFd) -> Vec<Registration> {
    let Ok(inode) = rustix::fs::fstat(file).map(|facts| facts.st_ino) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for instance in tracee.numbers_with(INSTANCE) {
        search(tracee, instance, number, inode, &mut found);
    }
    found
}

fn search(
    tracee: Tracee,
    instance: RawFd,
    number: RawFd,
    inode: u64,
    found: &mut Vec<Registration>,
) {
    let path = format!("/proc/{}/fdinfo/{instance}", tracee.thread);
    let facts = fs::read_to_string(path).unwrap_or_default();
    for (events, data) in facts
        .lines()
        .filter_map(|line| registration(line, number, inode))
    {
        if let Ok(epoll) = tracee.descriptor(instance) {
            found.push(Registration {
                epoll,
                events,
                data,
            });
        }
    }
}

/// Events and data out of a line like
/// `tfd:        5 events:       19 data:                5  pos:0 ino:3b6e sdev:8` (proc(5)), whose
/// numbers are hexadecimal but for the first.
fn registration(line: &str, number: RawFd, inode: u64) -> Option<(u32, u64)> {
    let spaced = line.replace(':', " ");
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let value = |key| {
        words
            .iter()
            .position(|word| *word == key)
            .and_then(|at| words.get(at + 1))
    };
    let hexadecimal = |key| u64::from_str_radix(value(key)?, 16).ok();
    if value("tfd")?.parse() != Ok(number) || hexadecimal("ino")? != inode {
        return None;
    }
    Some((
        u32::try_from(hexadecimal("events")?).ok()?,
        hexadecimal("data")?,
    ))
}

/// Registers `new` in the place of `old`, under the number that both have in the program.
pub(super) fn exchange(
    registrations: &[Registration],
    number: RawFd,
    old: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
) -> Result<(), Errno> {
    if registrations.is_empty() {
        return Ok(());
    }
    let operations = registrations.iter().flat_map(|registration| {
        let one = |adds| Operation {
            epoll: registration.epoll.as_fd(),
            adds,
            events: registration.events,
            data: registration.data,
        };
        [one(false), one(true)]
    });
    ffi::with_number(number, old, new, &operations.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use rustix::event::{Timespec, epoll};

    use super::super::stand_in::{StandIn, release};
    use super::*;

    #[test]
    fn a_line_is_read_as_the_kernel_writes_it() {
        let line = "tfd:        5 events: 80000019 data:         7f00000005  pos:0 ino:3b6e sdev:8";
        assert_eq!(
            registration(line, 5, 0x3b6e),
            Some((0x8000_0019, 0x7f_0000_0005))
        );
        assert_eq!(registration(line, 6, 0x3b6e), None);
        assert_eq!(registration(line, 5, 0x3b6f), None);
        assert_eq!(registration("pos:\t0", 5, 0x3b6e), None);
    }

    #[test]
    fn a_socket_is_registered_in_the_place_of_another() {
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let old = StandIn::new().unwrap();
        let new = StandIn::new().unwrap();
        let data = epoll::EventData::new_u64(0xfeed);
        epoll::add(&instance, &old.near, data, epoll::EventFlags::OUT).unwrap();
        let own = Tracee {
            thread: rustix::thread::gettid().as_raw_nonzero().get(),
        };
        let number = old.near.as_raw_fd();
        let found = find(own, number, &old.near);
        assert_eq!(found.len(), 1);
        exchange(&found, number, old.near.as_fd(), new.near.as_fd()).unwrap();
        release(old.far.as_fd());
        let mut events = Vec::with_capacity(4);
        let nothing = Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        });
        let spare = rustix::buffer::spare_capacity(&mut events);
        assert_eq!(epoll::wait(&instance, spare, nothing).unwrap(), 0);
        release(new.far.as_fd());
        let spare = rustix::buffer::spare_capacity(&mut events);
        assert_eq!(epoll::wait(&instance, spare, nothing).unwrap(), 1);
        assert_eq!(events[0].data.u64(), 0xfeed);
    }
}
