//! What the processes tell each other: the front sends signals, the supervisor reports what the program
//! does, and the program's process hands its listener over before it begins.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
    socketpair,
};

/// One end of a connection between two of the processes, on which messages keep their bounds.
pub(super) struct Link(OwnedFd);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Exited(u8),
    Killed(u8),
}

/// What the supervisor reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Stopped,
    /// The program wants its first connection.
    Connecting,
    /// The supervisor ends too if nobody is left.
    Ended {
        end: End,
        others_left: bool,
    },
}

/// Two ends. They are closed when a program is executed.
pub(super) fn pair() -> io::Result<(Link, Link)> {
    let (one, other) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((Link(one), Link(other)))
}

impl AsFd for Link {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Link {
    /// Sends one of a few bytes. If the other side is gone, it notices that when it receives.
    fn send(&self, message: &[u8]) {
        let _ = retry_on_intr(|| send(&self.0, message, SendFlags::NOSIGNAL));
    }

    /// Waits for a message; `None`: the other side is gone.
    fn receive<const N: usize>(&self) -> Option<[u8; N]> {
        let mut message = [0; N];
        let mut receive = || retry_on_intr(|| recv(&self.0, &mut message[..], RecvFlags::empty()));
        let received = match receive() {
            // The other side has ended with a message unread. The kernel says so once, before the last
            // message from there.
            Err(Errno::CONNRESET) => receive(),
            other => other,
        };
        matches!(received, Ok((count, _)) if count == N).then_some(message)
    }

    pub(super) fn report(&self, report: Report) {
        self.send(&match report {
            Report::Stopped => [0, 0, 0],
            Report::Connecting => [1, 0, 0],
            Report::Ended { end, others_left } => match end {
                End::Exited(status) => [2, status, others_left.into()],
                End::Killed(signal) => [3, signal, others_left.into()],
            },
        });
    }

    /// Waits for a report; `None`: the supervisor is gone.
    pub(super) fn next_report(&self) -> Option<Report> {
        let [kind, number, others_left] = self.receive()?;
        let end = match kind {
            0 => return Some(Report::Stopped),
            1 => return Some(Report::Connecting),
            2 => End::Exited(number),
            _ => End::Killed(number),
        };
        let others_left = others_left != 0;
        Some(Report::Ended { end, others_left })
    }

    pub(super) fn send_signal(&self, signal: u8) {
        self.send(&[signal]);
    }

    /// Waits for a signal to be passed on; `None`: the front is gone.
    pub(super) fn next_signal(&self) -> Option<u8> {
        self.receive().map(|[signal]| signal)
    }

    /// Has the other side go on.
    pub(super) fn release(&self) {
        self.send(&[1]);
    }

    /// Waits until the other side lets this one go on; `false`: it is gone.
    pub(super) fn wait_for_release(&self) -> bool {
        self.receive::<1>().is_some()
    }

    pub(super) fn hand_over(&self, descriptor: impl AsFd) -> io::Result<()> {
        let descriptors = [descriptor.as_fd()];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        // There is room: it was made for one.
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let bytes = [IoSlice::new(&[1])];
        retry_on_intr(|| sendmsg(&self.0, &bytes, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Waits for a descriptor; `None`: the other side has ended without.
    pub(super) fn take_over(&self) -> io::Result<Option<OwnedFd>> {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        loop {
            let mut bytes = [IoSliceMut::new(&mut byte)];
            match recvmsg(&self.0, &mut bytes, &mut control, flags) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        Ok(control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_and_signals_come_through() {
        let (front, back) = pair().unwrap();
        let ended = |end, others_left| Report::Ended { end, others_left };
        for report in [
            Report::Stopped,
            Report::Connecting,
            ended(End::Exited(0), false),
            ended(End::Exited(255), true),
            ended(End::Killed(9), false),
        ] {
            back.report(report);
            assert_eq!(front.next_report(), Some(report));
        }
        front.send_signal(64);
        assert_eq!(back.next_signal(), Some(64));
        drop(back);
        assert_eq!(front.next_report(), None);
    }

    #[test]
    fn the_last_report_comes_though_a_signal_was_not_read() {
        let (front, back) = pair().unwrap();
        let last = Report::Ended {
            end: End::Killed(15),
            others_left: false,
        };
        back.report(last);
        front.send_signal(15);
        drop(back);
        assert_eq!(front.next_report(), Some(last));
        assert_eq!(front.next_report(), None);
    }

    #[test]
    fn a_descriptor_is_handed_over() {
        let (one, other) = pair().unwrap();
        let (left, right) = pair().unwrap();
        one.hand_over(&left.0).unwrap();
        let left = Link(other.take_over().unwrap().unwrap());
        left.release();
        assert!(right.wait_for_release());
        drop(one);
        assert!(other.take_over().unwrap().is_none());
    }
}
