//! Carries bytes between a stand-in and the program's socket, for programs that go on with the stand-in
//! because no call of theirs gave the socket back to them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

/// Most bytes that are on their way in one direction.
const MOST: usize = 16 * 1024;

/// How often one direction is gone on with before others have their turn.
const TURNS: usize = 8;

/// Both directions.
pub(super) struct Relay {
    far: OwnedFd,
    socket: OwnedFd,
    up: Flow,
    down: Flow,
    /// Another process has the socket itself, so that its end is not for this one to tell.
    shared: bool,
    /// Nobody has the near end any more.
    gone: bool,
}

/// One direction.
#[derive(Default)]
struct Flow {
    waiting: Vec<u8>,
    /// All was read that there was, and was passed on.
    is_over: bool,
}

impl Relay {
    pub(super) fn new(far: OwnedFd, socket: OwnedFd, shared: bool) -> Relay {
        Relay {
            far,
            socket,
            up: Flow::default(),
            down: Flow::default(),
            shared,
            gone: false,
        }
    }

    pub(super) fn far(&self) -> BorrowedFd<'_> {
        self.far.as_fd()
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What is to be waited for at the far end and at the socket; `None`: nothing at all.
    pub(super) fn interest(&self) -> [Option<PollFlags>; 2] {
        let far = self.up.reads(PollFlags::IN) | self.down.writes(PollFlags::OUT);
        let own = self.down.reads(PollFlags::IN) | self.up.writes(PollFlags::OUT);
        // An end that has hung up says so all the time.
        let is_waited_for = |events: PollFlags| (!events.is_empty()).then_some(events);
        let far = if self.gone {
            is_waited_for(far)
        } else {
            Some(far)
        };
        [far, is_waited_for(own)]
    }

    /// Carries what can be carried now, given what was heard of the far end; `false`: all is over, and the
    /// program has closed its end, or both directions have ended.
    pub(super) fn drive(&mut self, heard: PollFlags) -> bool {
        self.gone |= heard.contains(PollFlags::HUP);
        if self.gone {
            self.down.stop();
        }
        self.up.step(&self.far, &self.socket, !self.shared);
        self.down.step(&self.socket, &self.far, true);
        !(self.gone && self.up.is_over)
    }
}

impl Flow {
    fn reads(&self, events: PollFlags) -> PollFlags {
        let reads = !self.is_over && self.waiting.is_empty();
        if reads { events } else { PollFlags::empty() }
    }

    fn writes(&self, events: PollFlags) -> PollFlags {
        let writes = !self.is_over && !self.waiting.is_empty();
        if writes { events } else { PollFlags::empty() }
    }

    /// Nobody takes any more.
    fn stop(&mut self) {
        self.waiting = Vec::new();
        self.is_over = true;
    }

    fn step(&mut self, from: impl AsFd, to: impl AsFd, tells_end: bool) {
        for _ in 0..TURNS {
            if self.is_over {
                return;
            }
            let stepped = if self.waiting.is_empty() {
                self.take(&from)
            } else {
                self.pass_on(&to).map(|()| true)
            };
            match stepped {
                Ok(true) => {}
                Ok(false) => {
                    if tells_end {
                        let _ = shutdown(&to, Shutdown::Write);
                    }
                    return self.stop();
                }
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    // What the program writes from now on is refused.
                    let _ = shutdown(&from, Shutdown::Read);
                    return self.stop();
                }
            }
        }
    }

    /// Reads something; `false`: nothing more will come.
    fn take(&mut self, from: impl AsFd) -> Result<bool, Errno> {
        let mut buffer = [0; MOST];
        match retry_on_intr(|| recv(&from, &mut buffer[..], RecvFlags::DONTWAIT)) {
            Err(Errno::AGAIN) => Err(Errno::AGAIN),
            Ok((count @ 1.., _)) => {
                self.waiting.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Ok(_) | Err(_) => Ok(false),
        }
    }

    fn pass_on(&mut self, to: impl AsFd) -> Result<(), Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let count = retry_on_intr(|| send(&to, &self.waiting, flags))?;
        self.waiting.drain(..count);
        if self.waiting.is_empty() {
            // Who is idle has no buffer.
            self.waiting = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Bench {
        relay: Relay,
        program: UnixStream,
        target: UnixStream,
    }

    impl Bench {
        fn new(shared: bool) -> Bench {
            let (program, far) = UnixStream::pair().unwrap();
            let (own, target) = UnixStream::pair().unwrap();
            for end in [&program, &target] {
                end.set_nonblocking(true).unwrap();
            }
            Bench {
                relay: Relay::new(far.into(), own.into(), shared),
                program,
                target,
            }
        }

        fn goes_on(&mut self) -> bool {
            self.relay.drive(PollFlags::IN)
        }

        fn ends(&mut self) -> bool {
            !self.relay.drive(PollFlags::HUP)
        }
    }

    fn said(mut end: &UnixStream) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 100];
        let count = end.read(&mut bytes).ok()?;
        bytes.truncate(count);
        Some(bytes)
    }

    #[test]
    fn bytes_go_both_ways_and_an_end_is_passed_on() {
        let mut bench = Bench::new(false);
        bench.program.write_all(b"question").unwrap();
        bench.program.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(bench.goes_on());
        assert_eq!(said(&bench.target).unwrap(), b"question");
        assert_eq!(said(&bench.target).unwrap(), b"");
        bench.target.write_all(b"answer").unwrap();
        assert!(bench.goes_on());
        assert_eq!(said(&bench.program).unwrap(), b"answer");
        bench.target.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(bench.goes_on());
        assert_eq!(said(&bench.program).unwrap(), b"");
        assert_eq!(bench.relay.interest(), [Some(PollFlags::empty()), None]);
        assert!(bench.ends());
    }

    #[test]
    fn what_was_written_before_the_program_ended_arrives() {
        let mut bench = Bench::new(false);
        bench.program.write_all(b"last words").unwrap();
        bench.program = UnixStream::pair().unwrap().0;
        assert!(bench.ends());
        assert_eq!(said(&bench.target).unwrap(), b"last words");
    }

    #[test]
    fn nothing_is_read_that_cannot_be_passed_on() {
        let mut bench = Bench::new(false);
        let mut sent = 0;
        while let Ok(count) = bench.program.write(&[1; 1000]) {
            sent += count;
            bench.goes_on();
            assert!(bench.relay.up.waiting.len() <= MOST);
            assert!(sent < 10_000_000, "it takes more than it can hold");
        }
        let full = [
            Some(PollFlags::empty()),
            Some(PollFlags::IN | PollFlags::OUT),
        ];
        assert_eq!(bench.relay.interest(), full);
        let mut arrived = 0;
        while let Some(bytes) = said(&bench.target) {
            arrived += bytes.len();
            bench.goes_on();
        }
        assert_eq!(arrived, sent);
        let idle = [Some(PollFlags::IN), Some(PollFlags::IN)];
        assert_eq!(bench.relay.interest(), idle);
    }

    #[test]
    fn a_target_that_is_gone_ends_both_directions() {
        let mut bench = Bench::new(false);
        bench.target = UnixStream::pair().unwrap().0;
        bench.program.write_all(b"anybody?").unwrap();
        assert!(bench.goes_on());
        assert_eq!(said(&bench.program).unwrap(), b"");
        let written = bench.program.write(b"really nobody?");
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_another_process_uses_is_not_ended() {
        let mut bench = Bench::new(true);
        let others = bench.relay.socket.try_clone().unwrap();
        bench.program.write_all(b"last words").unwrap();
        bench.program = UnixStream::pair().unwrap().0;
        assert!(bench.ends());
        drop(bench.relay);
        UnixStream::from(others).write_all(b" but one").unwrap();
        assert_eq!(said(&bench.target).unwrap(), b"last words but one");
    }

    #[test]
    fn an_end_is_passed_on_whenever_it_is_read() {
        for (chunks, waits) in (0..TURNS).flat_map(|chunks| [(chunks, false), (chunks, true)]) {
            let mut bench = Bench::new(false);
            if waits {
                bench.relay.up.waiting.push(b'.');
            }
            bench.program.write_all(&vec![b'.'; chunks * MOST]).unwrap();
            bench.program.shutdown(std::net::Shutdown::Write).unwrap();
            let waits_for_something =
                |up: &Flow| !(up.reads(PollFlags::IN) | up.writes(PollFlags::OUT)).is_empty();
            while waits_for_something(&bench.relay.up) {
                bench.goes_on();
            }
            let heard: Vec<_> =
                std::iter::from_fn(|| said(&bench.target).filter(|said| !said.is_empty()))
                    .flatten()
                    .collect();
            assert_eq!(heard.len(), chunks * MOST + usize::from(waits));
            assert_eq!(said(&bench.target).unwrap(), b"", "{chunks}, {waits}");
        }
    }
}
