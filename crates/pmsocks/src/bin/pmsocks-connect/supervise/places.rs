//! Where a process has a socket: the numbers that it is at, and the epoll instances that watch it. The
//! stand-in takes all these places, and gives them back.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::fstat;
use rustix::io::Errno;

use super::ffi::{self, OwnTable};
use super::tracee::{Caller, Tracee};

/// Puts another file in all places where the caller's process has this one, first at the number that
/// the call is about. What comes after that number is done even if the caller is interrupted.
pub(super) fn exchange(
    listener: BorrowedFd<'_>,
    caller: Caller,
    old: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let inode = fstat(old)?.st_ino;
    let (mut numbers, instances) = caller.tracee.places(inode);
    numbers.sort_by_key(|number| *number != caller.number);
    let replace = |number, file| {
        let closes = caller.tracee.closes_on_exec(number);
        ffi::replace(listener, caller.id, file, number, closes)
    };
    if let Some(first) = numbers.first() {
        replace(*first, new)?;
    }
    for number in numbers.iter().skip(1) {
        let _ = replace(*number, new);
    }
    let watchers = watchers(caller.tracee, &instances, inode);
    let register = |table: &OwnTable| register_anew(table, &watchers, old, new);
    if !watchers.is_empty() && ffi::in_own_table(register).is_err() {
        // There is no thread to be had: those who wait would be told of the wrong one.
        for number in numbers {
            let _ = replace(number, old);
        }
        return Err(Errno::AGAIN);
    }
    Ok(())
}

/// Whether any process that can be looked into has a socket at a number.
pub(super) fn is_anywhere(inode: u64) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut threads = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    threads.any(|thread| {
        let (numbers, _) = Tracee { thread }.places(inode);
        !numbers.is_empty()
    })
}

/// What an epoll instance has of a file. It knows a file together with its number, whichever process
/// asks.
#[derive(Debug, PartialEq, Eq)]
struct Registration {
    number: RawFd,
    events: u32,
    data: u64,
}

/// The instances that watch a file, and how.
fn watchers(tracee: Tracee, instances: &[RawFd], inode: u64) -> Vec<(OwnedFd, Vec<Registration>)> {
    let file = of_file(inode);
    let watcher = |instance: &RawFd| {
        let path = format!("/proc/{}/fdinfo/{instance}", tracee.thread);
        let facts = fs::read_to_string(path).ok()?;
        let lines = facts.lines().filter(|line| line.contains(&file));
        let found: Vec<Registration> = lines.filter_map(registration).collect();
        if found.is_empty() {
            return None;
        }
        Some((tracee.descriptor(*instance).ok()?, found))
    };
    instances.iter().filter_map(watcher).collect()
}

/// What a line has that is about a file.
fn of_file(inode: u64) -> String {
    format!(" ino:{inode:x} ")
}

/// Reads `tfd:        5 events:       19 data:                5  pos:0 ino:3b6e sdev:8` (proc(5)), with
/// hexadecimal numbers but for the first.
fn registration(line: &str) -> Option<Registration> {
    let mut words = line.split_ascii_whitespace();
    let mut value = |key| {
        let key = words.next().filter(|word| *word == key);
        key.and_then(|_| words.next())
    };
    let number = value("tfd:")?.parse().ok()?;
    let events = u32::from_str_radix(value("events:")?, 16).ok()?;
    let data = u64::from_str_radix(value("data:")?, 16).ok()?;
    Some(Registration {
        number,
        events,
        data,
    })
}

/// Has the instances watch the new file in place of the old one.
fn register_anew(
    table: &OwnTable,
    watchers: &[(OwnedFd, Vec<Registration>)],
    old: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let all = || watchers.iter().flat_map(|(_, found)| found);
    let taken: Vec<RawFd> = all().map(|registration| registration.number).collect();
    let (old, new) = (table.keep(old, &taken)?, table.keep(new, &taken)?);
    for (instance, found) in watchers {
        let instance = table.keep(instance.as_fd(), &taken)?;
        for Registration {
            number,
            events,
            data,
        } in found
        {
            table.put(old, *number)?;
            // The program may have taken it out meanwhile, or through another number of the instance.
            if table.unwatch(instance, *number).is_ok() {
                table.put(new, *number)?;
                table.watch(instance, *number, *events, *data)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

    use super::*;

    #[test]
    fn a_registration_is_read_as_the_kernel_writes_it() {
        let line = "tfd:        5 events: 80000019 data:         7f00000005  pos:0 ino:3b6e sdev:8";
        let expected = Registration {
            number: 5,
            events: 0x8000_0019,
            data: 0x7f_0000_0005,
        };
        assert_eq!(registration(line), Some(expected));
        assert_eq!(registration("pos:\t0"), None);
        assert!(line.contains(&of_file(0x3b6e)));
        assert!(!line.contains(&of_file(0x3b6)));
    }

    #[test]
    fn an_instance_watches_the_new_file_as_it_watched_the_old_one() {
        let event = || eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let (old, new, other) = (event(), event(), event());
        for (file, data) in [(&old, 0xfeed), (&other, 1)] {
            let data = epoll::EventData::new_u64(data);
            epoll::add(&instance, file, data, epoll::EventFlags::IN).unwrap();
        }
        let inode = fstat(&instance).unwrap().st_ino;
        assert_eq!(fstat(&old).unwrap().st_ino, inode, "files of one kind");
        let facts = fs::read_to_string(format!("/proc/self/fdinfo/{}", instance.as_raw_fd()));
        let found = facts
            .unwrap()
            .lines()
            .filter(|line| line.contains(&of_file(inode)))
            .filter_map(registration)
            .filter(|registration| registration.number == old.as_raw_fd())
            .collect();
        let watchers = [(instance.try_clone().unwrap(), found)];
        ffi::in_own_table(|table| register_anew(table, &watchers, old.as_fd(), new.as_fd()))
            .unwrap()
            .unwrap();
        rustix::io::write(&old, &1u64.to_ne_bytes()).unwrap();
        let now = Timespec::default();
        let mut events = Vec::with_capacity(4);
        epoll::wait(
            &instance,
            rustix::buffer::spare_capacity(&mut events),
            Some(&now),
        )
        .unwrap();
        assert!(events.is_empty());
        rustix::io::write(&new, &1u64.to_ne_bytes()).unwrap();
        epoll::wait(
            &instance,
            rustix::buffer::spare_capacity(&mut events),
            Some(&now),
        )
        .unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!({ events[0].data }.u64(), 0xfeed);
    }
}
