//! One loop of the engine: waits on epoll, gives each session its turn, takes out those that end.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use super::dismiss::Which;
use super::inspect::Inspector;
use super::session::{Next, Readiness, Session, make_nonblocking};
use super::survey::Survey;
use super::timers::{Reason, Timer, Timers};
use super::workshop::Workshop;
use super::{End, HALF_CLOSE_GRACE, Handover, LoopCounters, Side, Summary};

/// What the other threads tell a loop.
pub(crate) enum Command<I, T> {
    Adopt(Handover<I, T>),
    Survey(Survey<I, T>),
    Dismiss(Which<I, T>),
    Stop,
}

/// How the other threads reach a loop.
pub(crate) struct Remote<I, T> {
    commands: Sender<Command<I, T>>,
    waker: Waker,
}

impl<I, T> Remote<I, T> {
    /// Gives the command back when the loop has gone.
    pub(crate) fn send(&self, command: Command<I, T>) -> Result<(), Command<I, T>> {
        self.commands.send(command).map_err(|refused| refused.0)?;
        // The only failure of an eventfd is a full counter, and then the loop wakes anyway.
        let _ = self.waker.wake();
        Ok(())
    }
}

/// Events taken from the kernel in one go.
const EVENTS: usize = 512;

const WAKE: Token = Token(usize::MAX);

pub(crate) struct Engine<I: Inspector, T, F> {
    poll: Poll,
    commands: Receiver<Command<I, T>>,
    counters: Arc<LoopCounters>,
    tally: Arc<I::Tally>,
    on_end: F,
    workshop: Workshop,
    sessions: Slab<Session<I, T>>,
    /// Sessions that are to have a turn.
    queue: VecDeque<usize>,
    /// Sessions that have ended. Their places are given away only once all events that were fetched
    /// with them are through, so that none of those reaches a newcomer.
    ended: Vec<(usize, End<I::Refusal>)>,
    timers: Timers,
    next_serial: u64,
    stopping: bool,
}

impl<I, T, F> Engine<I, T, F>
where
    I: Inspector,
    F: Fn(T, Summary<I::Refusal>),
{
    pub(crate) fn new(
        counters: Arc<LoopCounters>,
        tally: Arc<I::Tally>,
        on_end: F,
    ) -> io::Result<(Self, Remote<I, T>)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (sender, commands) = channel();
        let engine = Engine {
            poll,
            commands,
            counters,
            tally,
            on_end,
            workshop: Workshop::new()?,
            sessions: Slab::new(),
            queue: VecDeque::new(),
            ended: Vec::new(),
            timers: Timers::new(),
            next_serial: 0,
            stopping: false,
        };
        Ok((
            engine,
            Remote {
                commands: sender,
                waker,
            },
        ))
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.stopping {
            if let Err(error) = self.poll.poll(&mut events, self.timeout()) {
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                tracing::error!("a relay loop cannot wait for events and ends: {error}");
                break;
            }
            for event in &events {
                match event.token() {
                    WAKE => self.obey(),
                    token => self.note(token, event),
                }
            }
            self.give_turns();
            self.watch();
            self.take_out_ended();
        }
        let all: Vec<usize> = self.sessions.iter().map(|(key, _)| key).collect();
        self.ended = all.into_iter().map(|key| (key, End::Shutdown)).collect();
        self.take_out_ended();
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.queue.is_empty() {
            Some(Duration::ZERO)
        } else {
            self.timers.sleep()
        }
    }

    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Adopt(handover) => self.adopt(handover),
                Command::Survey(look) => {
                    look(&mut self.sessions.iter().map(|(_, session)| session.moved()));
                }
                Command::Dismiss(which) => {
                    for (key, session) in &self.sessions {
                        let (inspector, tag, _) = session.moved();
                        if which(inspector, tag) {
                            self.ended.push((key, End::Dismissed));
                        }
                    }
                }
                Command::Stop => self.stopping = true,
            }
        }
    }

    fn adopt(&mut self, handover: Handover<I, T>) {
        let Handover {
            client,
            server,
            early,
            mut inspector,
            tag,
        } = handover;
        inspector.enter(&self.tally);
        let entry = self.sessions.vacant_entry();
        let key = entry.key();
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let session = entry.insert(Session::new(client, server, inspector, tag, serial));
        let begun = [Side::Client, Side::Server]
            .into_iter()
            .try_for_each(|side| {
                let socket = session.socket(side);
                make_nonblocking(socket)
                    .and_then(|()| {
                        let interest = Interest::READABLE | Interest::WRITABLE;
                        let mut source = SourceFd(&socket.as_raw_fd());
                        self.poll
                            .registry()
                            .register(&mut source, token(key, side), interest)
                    })
                    .map_err(|error| End::Failed(side, error))
            })
            .and_then(|()| session.start(&early, &mut self.workshop));
        self.counters.set_sessions(self.sessions.len());
        match begun {
            // Whatever was ready before is announced again on registration, yet a turn now saves
            // the way through the kernel.
            Ok(()) => self.enqueue(key),
            Err(end) => self.ended.push((key, end)),
        }
    }

    fn note(&mut self, token: Token, event: &Event) {
        let (key, side) = addressee(token);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let readiness = Readiness {
            readable: event.is_readable(),
            ending: event.is_read_closed(),
            failed: event.is_error(),
        };
        match session.note(side, readiness) {
            Ok(()) => self.enqueue(key),
            Err(end) => self.ended.push((key, end)),
        }
    }

    fn enqueue(&mut self, key: usize) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if !session.queued {
            session.queued = true;
            self.queue.push_back(key);
        }
    }

    /// One turn for each session that is in the queue now.
    fn give_turns(&mut self) {
        for _ in 0..self.queue.len() {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            session.queued = false;
            let next = session.turn(&mut self.workshop);
            self.counters.count(&session.take_progress());
            if let Some(interval) = session.needs_pulse() {
                self.timers
                    .set(interval, key, session.serial, Reason::Pulse);
            }
            if session.needs_watch() {
                self.timers
                    .set(HALF_CLOSE_GRACE, key, session.serial, Reason::Silence);
            }
            match next {
                Next::Wait => {}
                Next::Again => self.enqueue(key),
                Next::End(end) => self.ended.push((key, end)),
            }
        }
    }

    /// Looks at the sessions whose time has come.
    fn watch(&mut self) {
        if self.timers.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(timer) = self.timers.take_due(now) {
            let Timer { key, serial, .. } = timer;
            let found = self
                .sessions
                .get_mut(key)
                .filter(|session| session.serial == serial);
            let Some(session) = found else { continue };
            match timer.reason {
                Reason::Silence if session.was_silent() => {
                    let side = session.half_closed().unwrap_or(Side::Client);
                    self.ended.push((key, End::Abandoned(side)));
                }
                Reason::Silence => {
                    self.timers
                        .set(HALF_CLOSE_GRACE, key, serial, Reason::Silence);
                }
                // The turn that follows sets the timer again.
                Reason::Pulse => match session.pulse(&mut self.workshop) {
                    Ok(()) => self.enqueue(key),
                    Err(end) => self.ended.push((key, end)),
                },
            }
        }
    }

    fn take_out_ended(&mut self) {
        for (key, end) in std::mem::take(&mut self.ended) {
            // A session may have ended twice in one round.
            if let Some(session) = self.sessions.try_remove(key) {
                let (tag, summary) = session.close(end, &mut self.workshop);
                self.counters.set_sessions(self.sessions.len());
                (self.on_end)(tag, summary);
            }
        }
    }
}

fn token(key: usize, side: Side) -> Token {
    Token(key << 1 | usize::from(side == Side::Server))
}

fn addressee(token: Token) -> (usize, Side) {
    let side = if token.0 & 1 == 1 {
        Side::Server
    } else {
        Side::Client
    };
    (token.0 >> 1, side)
}
