//! One session in the engine: two sockets, a lane in each direction, and how they end together.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_error;

use super::inspect::Inspector;
use super::lane::{Lane, Turn, Way};
use super::leg::Leg;
use super::workshop::Workshop;
use super::{End, Moved, Outbox, Side, Summary};

/// What epoll said of one socket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) ending: bool,
    pub(crate) failed: bool,
}

/// Bytes that have passed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) to_server: u64,
    pub(crate) to_client: u64,
}

/// What the engine is to do with a session after its turn.
#[derive(Debug)]
pub(crate) enum Next<R> {
    /// Wait for a socket.
    Wait,
    /// Give it another turn once the others had theirs.
    Again,
    /// Take it out.
    End(End<R>),
}

pub(crate) struct Session<I, T> {
    client: Leg,
    server: Leg,
    to_server: Lane,
    to_client: Lane,
    inspector: I,
    /// What the inspector sent and what has found no place yet.
    waiting: Option<Box<Outbox>>,
    tag: T,
    started: Instant,
    /// Which side closed its direction first.
    first_to_close: Option<Side>,
    /// The server failed; the client is still to read what it was sent.
    server_error: Option<io::Error>,
    /// Tells this session from an earlier one in the same place.
    pub(crate) serial: u64,
    /// What had passed when silence was last looked for.
    passed_before: u64,
    /// What [`Session::take_progress`] has given.
    reported: Progress,
    /// Already in the queue of those that turn.
    pub(crate) queued: bool,
    /// A timer is set to look for silence.
    watched: bool,
    /// A timer is set for the next pulse.
    pulsing: bool,
    /// Something has come from the client since the last pulse.
    heard: bool,
}

impl<I: Inspector, T> Session<I, T> {
    pub(crate) fn new(
        client: Leg,
        server: Leg,
        inspector: I,
        tag: T,
        serial: u64,
    ) -> Session<I, T> {
        Session {
            client,
            server,
            to_server: Lane::new(),
            to_client: Lane::new(),
            inspector,
            waiting: None,
            tag,
            started: Instant::now(),
            first_to_close: None,
            server_error: None,
            serial,
            passed_before: 0,
            reported: Progress::default(),
            queued: false,
            watched: false,
            pulsing: false,
            heard: false,
        }
    }

    /// The socket on one side.
    pub(crate) fn socket(&self, side: Side) -> &OwnedFd {
        match side {
            Side::Client => &self.client.socket,
            Side::Server => &self.server.socket,
        }
    }

    /// Passes on what came before the session was handed over.
    pub(crate) fn start(
        &mut self,
        early: &[u8],
        workshop: &mut Workshop,
    ) -> Result<(), End<I::Refusal>> {
        let mut way = Way {
            side: Side::Client,
            from: &mut self.client,
            to: &mut self.server,
        };
        let begun = self
            .to_server
            .run_early(&mut way, &mut self.inspector, workshop, early);
        self.put_outbox_away(workshop);
        begun
    }

    /// Makes the session's outbox that of the loop, for a turn.
    fn get_outbox(&mut self, workshop: &mut Workshop) {
        if let Some(waiting) = self.waiting.take() {
            workshop.outbox = *waiting;
        }
    }

    /// Keeps what waits in the loop's outbox until the next turn.
    fn put_outbox_away(&mut self, workshop: &mut Workshop) {
        if !workshop.outbox.is_empty() {
            self.waiting = Some(Box::new(std::mem::take(&mut workshop.outbox)));
        }
    }

    /// Takes note of what epoll said; the session is to have a turn afterwards.
    pub(crate) fn note(&mut self, side: Side, readiness: Readiness) -> Result<(), End<I::Refusal>> {
        if side == Side::Client && readiness.failed {
            // A client that is gone takes nothing more, so its session ends here and now.
            let error = socket_error(&self.client.socket).unwrap_or_else(Err);
            let error = error
                .err()
                .map_or_else(|| io::ErrorKind::ConnectionReset.into(), Into::into);
            return Err(End::Failed(Side::Client, error));
        }
        self.heard |= side == Side::Client && readiness.readable;
        let lane = match side {
            Side::Client => &mut self.to_server,
            Side::Server => &mut self.to_client,
        };
        if readiness.ending || readiness.failed {
            lane.source_is_ending();
        } else if readiness.readable {
            lane.source_is_readable();
        }
        Ok(())
    }

    /// Moves what can be moved.
    pub(crate) fn turn(&mut self, workshop: &mut Workshop) -> Next<I::Refusal> {
        self.get_outbox(workshop);
        let next = self.try_turn(workshop).unwrap_or_else(Next::End);
        self.put_outbox_away(workshop);
        next
    }

    fn try_turn(&mut self, workshop: &mut Workshop) -> Result<Next<I::Refusal>, End<I::Refusal>> {
        let requests = self.run(Side::Client, workshop)?;
        self.answer(Side::Client, workshop)?;
        let replies = self.run(Side::Server, workshop)?;
        self.answer(Side::Server, workshop)?;
        self.deliver_to_server(workshop)?;
        self.note_first_to_close();
        if self.is_over(requests, workshop) {
            return Ok(Next::End(self.natural_end()));
        }
        let unfinished = requests == Turn::Unfinished || replies == Turn::Unfinished;
        let again = unfinished
            || self.to_server.wants_turn(workshop)
            || self.to_client.wants_turn(workshop);
        Ok(if again { Next::Again } else { Next::Wait })
    }

    fn note_first_to_close(&mut self) {
        if self.first_to_close.is_none() {
            self.first_to_close = match (self.to_server.is_ending(), self.to_client.is_ending()) {
                (_, true) => Some(Side::Server),
                (true, false) => Some(Side::Client),
                (false, false) => None,
            };
        }
    }

    /// Whether there is nothing left to do, `requests` being how the client's turn ended.
    fn is_over(&mut self, requests: Turn, workshop: &mut Workshop) -> bool {
        if I::WHOLE_ENDS && self.to_server.is_ending() && requests != Turn::Unfinished {
            return true;
        }
        if I::WHOLE_ENDS && self.to_client.is_dry() {
            self.to_server.discard(workshop);
        }
        self.to_server.is_finished() && self.to_client.is_finished()
    }

    /// Gives the lane that reads from `side` a turn. A server's failure is not the end yet: the
    /// client first gets what the server still sent.
    fn run(&mut self, side: Side, workshop: &mut Workshop) -> Result<Turn, End<I::Refusal>> {
        let (lane, other, from, to) = match side {
            Side::Client => (
                &mut self.to_server,
                &mut self.to_client,
                &mut self.client,
                &mut self.server,
            ),
            Side::Server => (
                &mut self.to_client,
                &mut self.to_server,
                &mut self.server,
                &mut self.client,
            ),
        };
        let frames = lane.frame_count;
        let mut way = Way { side, from, to };
        let turn = lane.run(&mut way, &mut self.inspector, workshop);
        if lane.frame_count != frames {
            other.resume();
        }
        self.outlive_server(side, turn, workshop)
    }

    /// What becomes of a turn in which the server failed, while `side` was read.
    fn outlive_server(
        &mut self,
        side: Side,
        turn: Result<Turn, End<I::Refusal>>,
        workshop: &mut Workshop,
    ) -> Result<Turn, End<I::Refusal>> {
        let error = match turn {
            Err(End::Failed(Side::Server, error)) => error,
            other => return other,
        };
        self.server_error.get_or_insert(error);
        self.to_server.discard(workshop);
        match side {
            // Read on for what it sent before it failed.
            Side::Client => {
                self.to_client.source_is_ending();
                Ok(Turn::Unfinished)
            }
            // Nothing more can come from it.
            Side::Server => {
                let (from, to) = (&mut self.server, &mut self.client);
                Ok(self.to_client.finish(&Way { side, from, to }))
            }
        }
    }

    /// Sends what the inspector has answered to the server.
    fn deliver_to_server(&mut self, workshop: &mut Workshop) -> Result<(), End<I::Refusal>> {
        let side = Side::Client;
        let (from, to) = (&mut self.client, &mut self.server);
        let delivered = self
            .to_server
            .deliver(&mut Way { side, from, to }, workshop);
        let turn = delivered.map(|_| Turn::Idle);
        self.outlive_server(side, turn, workshop).map(drop)
    }

    /// Sends what TLS itself has to say to `side`, after what was sealed before.
    fn answer(&mut self, side: Side, workshop: &mut Workshop) -> Result<(), End<I::Refusal>> {
        let (lane, from, to) = match side {
            Side::Client => (&mut self.to_client, &mut self.server, &mut self.client),
            Side::Server => (&mut self.to_server, &mut self.client, &mut self.server),
        };
        if to
            .channel
            .as_ref()
            .is_some_and(|channel| channel.has_answer())
        {
            let side = side.other();
            lane.answer(&mut Way { side, from, to }, workshop)?;
        }
        Ok(())
    }

    fn natural_end(&mut self) -> End<I::Refusal> {
        match self.server_error.take() {
            Some(error) => End::Failed(Side::Server, error),
            None => End::Closed(self.first_to_close.unwrap_or(Side::Client)),
        }
    }

    /// The interval after which the inspector wants a pulse, if no timer is set for it.
    pub(crate) fn needs_pulse(&mut self) -> Option<Duration> {
        if self.pulsing {
            return None;
        }
        let interval = self.inspector.pulse_interval();
        self.pulsing = interval.is_some();
        interval
    }

    /// Tells the inspector that its interval has passed; the session is to have a turn afterwards.
    pub(crate) fn pulse(&mut self, workshop: &mut Workshop) -> Result<(), End<I::Refusal>> {
        self.pulsing = false;
        if self.inspector.pulse_interval().is_none() {
            return Ok(());
        }
        let heard = std::mem::take(&mut self.heard);
        self.get_outbox(workshop);
        let before = workshop.outbox.mark();
        let pulsed = self.inspector.pulse(heard, &mut workshop.outbox);
        workshop.outbox.forget_beyond(&before);
        self.put_outbox_away(workshop);
        self.to_server.resume();
        self.to_client.resume();
        pulsed.map_err(|refusal| End::Refused(Side::Client, refusal))
    }

    /// Whether one side has closed and no timer is set to look for silence.
    pub(crate) fn needs_watch(&mut self) -> bool {
        if self.watched || self.first_to_close.is_none() {
            return false;
        }
        self.watched = true;
        self.was_silent();
        true
    }

    /// The side that has closed its direction, if one has.
    pub(crate) fn half_closed(&self) -> Option<Side> {
        self.first_to_close
    }

    /// Whether nothing has passed since this was last asked.
    pub(crate) fn was_silent(&mut self) -> bool {
        let passed = self.passed();
        std::mem::replace(&mut self.passed_before, passed) == passed
    }

    fn passed(&self) -> u64 {
        self.to_server.passed.wrapping_add(self.to_client.passed)
    }

    /// Whose session it is, who looks at it, and what has passed so far.
    pub(crate) fn moved(&self) -> (&I, &T, Moved) {
        let moved = Moved {
            to_server: self.to_server.passed,
            to_client: self.to_client.passed,
            client_frames: self.to_server.frame_count,
            server_frames: self.to_client.frame_count,
            lasted: self.started.elapsed(),
        };
        (&self.inspector, &self.tag, moved)
    }

    /// What has passed since this was last asked.
    pub(crate) fn take_progress(&mut self) -> Progress {
        let now = Progress {
            to_server: self.to_server.passed,
            to_client: self.to_client.passed,
        };
        let before = std::mem::replace(&mut self.reported, now);
        Progress {
            to_server: now.to_server - before.to_server,
            to_client: now.to_client - before.to_client,
        }
    }

    /// Closes both sockets and gives back what the session held.
    pub(crate) fn close(
        mut self,
        end: End<I::Refusal>,
        workshop: &mut Workshop,
    ) -> (T, Summary<I::Refusal>) {
        self.to_server.release(workshop);
        self.to_client.release(workshop);
        let summary = Summary {
            end,
            to_server: self.to_server.passed,
            to_client: self.to_client.passed,
            lasted: self.started.elapsed(),
        };
        (self.tag, summary)
    }
}

/// Makes a socket non-blocking, which splice needs.
pub(crate) fn make_nonblocking(socket: &impl AsFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(socket, true)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Blind;

    impl Inspector for Blind {
        type Refusal = String;
        type Tally = ();

        fn inspect(&mut self, _: Side, _: &[u8], _: &mut Outbox) -> crate::relay::Verdict<String> {
            crate::relay::Verdict::PassAll
        }
    }

    #[test]
    fn an_idle_session_is_small() {
        let size = size_of::<Session<Blind, ()>>();
        assert!(size <= 304, "{size} bytes");
    }
}
