//! The program's epoll instances. They know a socket by its number and the file behind it, so that one
//! which is put aside, or put back, has to be registered anew, with the same events and data.

use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::retry_on_intr;

use crate::next;
use crate::stand_in::borrow;

/// The instances that the program uses. There are rarely more than two.
static KNOWN: [AtomicI32; 16] = [const { AtomicI32::new(-1) }; 16];

/// There were more: numbers up to [`HIGHEST`] are all looked at.
static MORE: AtomicBool = AtomicBool::new(false);

/// The highest number that is looked at where there are many.
const HIGHEST: RawFd = 4096;

/// How many registrations of one socket are kept. A program has one, perhaps two.
const MOST: usize = 8;

/// Remembers an instance that the program uses.
pub(crate) fn remember(epoll: RawFd) {
    if epoll < 0 {
        return;
    }
    for place in &KNOWN {
        match place.compare_exchange(-1, epoll, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(known) if known == epoll => return,
            Err(_) => {}
        }
    }
    MORE.store(true, Ordering::Relaxed);
}

/// One registration.
#[derive(Clone, Copy)]
struct Registration {
    epoll: RawFd,
    events: u32,
    data: u64,
}

/// The registrations of one socket, taken out.
pub(crate) struct Registrations {
    all: [Option<Registration>; MOST],
}

impl Registrations {
    /// Takes the socket at the number out of every instance that it is in.
    pub(crate) fn take(fd: RawFd) -> Registrations {
        let mut found = Registrations { all: [None; MOST] };
        let Ok(inode) = fstat(borrow(fd)).map(|facts| facts.st_ino) else {
            return found;
        };
        if MORE.load(Ordering::Relaxed) {
            (0..HIGHEST).for_each(|epoll| found.search(epoll, fd, inode));
        } else {
            let known = KNOWN.iter().map(|place| place.load(Ordering::Relaxed));
            known
                .take_while(|epoll| *epoll >= 0)
                .for_each(|epoll| found.search(epoll, fd, inode));
        }
        for registration in found.all.iter().flatten() {
            control(registration, libc::EPOLL_CTL_DEL, fd);
        }
        found
    }

    /// Registers what is at the number now.
    pub(crate) fn put(&self, fd: RawFd) {
        for registration in self.all.iter().flatten() {
            control(registration, libc::EPOLL_CTL_ADD, fd);
        }
    }

    fn search(&mut self, epoll: RawFd, fd: RawFd, inode: u64) {
        let found = |registration| {
            if let Some(place) = self.all.iter_mut().find(|place| place.is_none()) {
                *place = Some(registration);
            }
        };
        registrations(epoll, fd, inode, found);
    }
}

fn control(registration: &Registration, operation: c_int, fd: RawFd) {
    let mut event = libc::epoll_event {
        events: registration.events,
        u64: registration.data,
    };
    // SAFETY: the event is ours; the numbers are the program's.
    unsafe { next::epoll_ctl(registration.epoll, operation, fd, &raw mut event) };
}

/// Reads /proc/self/fdinfo of an instance (proc(5)): a line for each registration, with the number, the
/// events, the data and the inode.
fn registrations(epoll: RawFd, fd: RawFd, inode: u64, mut found: impl FnMut(Registration)) {
    let mut path = Path::new(b"/proc/self/fdinfo/");
    path.number(epoll);
    let Ok(file) = openat(
        CWD,
        path.text(),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    ) else {
        return;
    };
    let mut buffer = [0; 4096];
    let mut kept = 0;
    loop {
        let room = buffer.get_mut(kept..).unwrap_or_default();
        let Ok(count @ 1..) = retry_on_intr(|| rustix::io::read(&file, &mut *room)) else {
            return;
        };
        let filled = kept + count;
        let text = buffer.get(..filled).unwrap_or_default();
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        for line in text
            .get(..whole)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
        {
            let line = std::str::from_utf8(line).unwrap_or_default();
            if let Some(registration) = registration(line, epoll, fd, inode) {
                found(registration);
            }
        }
        // A line that is longer than the buffer is none of those.
        kept = if whole == 0 { 0 } else { filled - whole };
        buffer.copy_within(whole..whole + kept, 0);
    }
}

/// `tfd:        5 events:       19 data:                5  pos:0 ino:3b6e sdev:8`, with hexadecimal
/// numbers but for the first.
fn registration(line: &str, epoll: RawFd, fd: RawFd, inode: u64) -> Option<Registration> {
    let mut words = line
        .split_ascii_whitespace()
        .flat_map(|word| word.split_inclusive(':'));
    let (mut number, mut events, mut data, mut file) = (None, None, None, None);
    while let Some(key) = words.next() {
        let value = words.next()?;
        match key {
            "tfd:" => number = value.parse::<RawFd>().ok(),
            "events:" => events = u32::from_str_radix(value, 16).ok(),
            "data:" => data = u64::from_str_radix(value, 16).ok(),
            "ino:" => file = u64::from_str_radix(value, 16).ok(),
            _ => {}
        }
    }
    (number == Some(fd) && file == Some(inode)).then_some(Registration {
        epoll,
        events: events?,
        data: data?,
    })
}

/// A short path, made without allocating.
struct Path {
    bytes: [u8; 40],
    length: usize,
}

impl Path {
    fn new(start: &[u8]) -> Path {
        let mut path = Path {
            bytes: [0; 40],
            length: 0,
        };
        start.iter().for_each(|byte| path.push(*byte));
        path
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn number(&mut self, number: RawFd) {
        let digits = rustix::path::DecInt::new(number);
        digits.as_bytes().iter().for_each(|byte| self.push(*byte));
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_read_as_the_kernel_writes_it() {
        let line = "tfd:        5 events: 80000019 data:         7f00000005  pos:0 ino:3b6e sdev:8";
        let found = registration(line, 4, 5, 0x3b6e).unwrap();
        assert_eq!(found.epoll, 4);
        assert_eq!(found.events, 0x8000_0019);
        assert_eq!(found.data, 0x7f_0000_0005);
        assert!(registration(line, 4, 6, 0x3b6e).is_none());
        assert!(registration(line, 4, 5, 0x3b6f).is_none());
        assert!(registration("pos:\t0", 4, 5, 0x3b6e).is_none());
    }

    #[test]
    fn a_real_registration_is_found_among_many() {
        use rustix::event::{EventfdFlags, epoll, eventfd};
        use std::os::fd::{AsRawFd, OwnedFd};

        let instance = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let others: Vec<OwnedFd> = (0..200)
            .map(|_| eventfd(0, EventfdFlags::CLOEXEC).unwrap())
            .collect();
        let sought = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let flags = epoll::EventFlags::IN;
        for other in &others {
            epoll::add(&instance, other, epoll::EventData::new_u64(1), flags).unwrap();
        }
        let data = epoll::EventData::new_u64(0xfeed);
        epoll::add(&instance, &sought, data, flags | epoll::EventFlags::ET).unwrap();
        let inode = fstat(&sought).unwrap().st_ino;
        let mut found = Vec::new();
        registrations(instance.as_raw_fd(), sought.as_raw_fd(), inode, |one| {
            found.push(one);
        });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].data, 0xfeed);
        assert!(
            epoll::EventFlags::from_bits_retain(found[0].events).contains(epoll::EventFlags::ET)
        );
    }
}
