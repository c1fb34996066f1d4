//! The one loop: pmcd on the pipe, collectors on the socket, signals, and what threads have done.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::agent::Agent;
use crate::children::Children;
use crate::containers::{Containers, Probe};
use crate::log;
use crate::mailbox::Mailbox;
use crate::server::{Client, Door, Flow, Services, State, failure};
use crate::signals::Signals;
use crate::starter::{Delivery, Starter};

/// What an event is about. Clients have higher numbers.
const PMCD_IN: u64 = 0;
const PMCD_OUT: u64 = 1;
const DOOR: u64 = 2;
const SIGNALS: u64 = 3;
const CHILDREN: u64 = 4;
const PROBES: u64 = 5;
const DELIVERIES: u64 = 6;
const FIRST_CLIENT: u64 = 16;

/// Descriptors that clients cannot have: those in use, and those that it takes to answer.
const RESERVE: u64 = 64;

/// How long the door stays shut when there is no room.
const PAUSE: Duration = Duration::from_millis(200);

/// How many events and how many new clients are dealt with in one turn.
const TURN: usize = 256;

/// All that the loop deals with.
pub(crate) struct Daemon {
    pub(crate) agent: Agent,
    pub(crate) containers: Containers,
    pub(crate) children: Children,
    pub(crate) starter: Starter,
    pub(crate) door: Door,
    pub(crate) signals: Signals,
    pub(crate) probes: Mailbox<Probe>,
    pub(crate) deliveries: Mailbox<Delivery>,
    pub(crate) max_descriptors: u64,
}

/// Why the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// pmcd has closed its side.
    Pmcd,
    /// Somebody sent a signal.
    Signal,
}

/// A client, and what is waited for on its connection.
struct Entry {
    client: Client,
    interest: epoll::EventFlags,
}

/// The loop and its state.
pub(crate) struct Loop {
    daemon: Daemon,
    epoll: OwnedFd,
    clients: HashMap<u64, Entry>,
    next_client: u64,
    /// The clients that wait for the state of a container.
    settling: HashSet<u64>,
    /// Since when the door is shut, if it is.
    shut: Option<Instant>,
    /// Whether that is in the log.
    is_shut_told: bool,
    writes_to_pmcd: bool,
}

impl Loop {
    pub(crate) fn new(daemon: Daemon) -> io::Result<Loop> {
        let this = Loop {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            daemon,
            clients: HashMap::new(),
            settling: HashSet::new(),
            next_client: FIRST_CLIENT,
            shut: None,
            is_shut_told: false,
            writes_to_pmcd: false,
        };
        this.wait_for(io::stdin(), PMCD_IN).map_err(|error| {
            let text = format!("cannot wait for pmcd on standard input: {error}");
            io::Error::new(error.kind(), text)
        })?;
        this.wait_for(this.daemon.door.listener(), DOOR)?;
        this.wait_for(&this.daemon.signals.end, SIGNALS)?;
        this.wait_for(&this.daemon.signals.child, CHILDREN)?;
        this.wait_for(&this.daemon.probes, PROBES)?;
        this.wait_for(&this.daemon.deliveries, DELIVERIES)?;
        rustix::io::ioctl_fionbio(io::stdout(), true)?;
        Ok(this)
    }

    fn wait_for(&self, source: impl AsFd, token: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(
            &self.epoll,
            source,
            data,
            epoll::EventFlags::IN,
        )?)
    }

    /// Runs until pmcd ends or a signal comes.
    pub(crate) fn run(&mut self) -> io::Result<End> {
        let mut events = Vec::with_capacity(TURN);
        loop {
            if let Some(end) = self.talk_with_pmcd()? {
                return Ok(end);
            }
            let timeout = self.timeout(Instant::now());
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                if let Some(end) = self.handle(event.data.u64(), event.flags)? {
                    return Ok(end);
                }
            }
            self.wake_those_who_waited(Instant::now());
        }
    }

    fn timeout(&self, now: Instant) -> Option<Timespec> {
        let clients = self
            .settling
            .iter()
            .filter_map(|number| self.settles_at(*number));
        let reopening = self.shut.map(|since| since + PAUSE);
        let next = clients
            .chain(self.daemon.agent.waits())
            .chain(reopening)
            .min()?;
        // A moment later, so that it has come for sure.
        let wait = next.saturating_duration_since(now) + Duration::from_millis(1);
        Timespec::try_from(wait).ok()
    }

    /// Until when a client waits for the state of a container.
    fn settles_at(&self, number: u64) -> Option<Instant> {
        match self.clients.get(&number)?.client.state {
            State::Settling { until, .. } => Some(until),
            State::Ready | State::Starting => None,
        }
    }

    fn handle(&mut self, token: u64, flags: epoll::EventFlags) -> io::Result<Option<End>> {
        match token {
            PMCD_IN => return self.hear_pmcd(),
            PMCD_OUT => {}
            DOOR => self.let_in(),
            SIGNALS => return Ok(self.daemon.signals.end.has_rung().then_some(End::Signal)),
            CHILDREN => {
                self.daemon.signals.child.has_rung();
                self.daemon.children.reap();
            }
            PROBES => {
                let probes = self.daemon.probes.take();
                self.daemon.containers.deliver(probes, Instant::now());
                self.wake_all();
            }
            DELIVERIES => {
                for delivery in self.daemon.deliveries.take() {
                    self.deliver(delivery);
                }
            }
            client => self.attend(client, flags),
        }
        Ok(None)
    }

    // pmcd

    fn hear_pmcd(&mut self) -> io::Result<Option<End>> {
        let mut piece = [0; 16384];
        // There is something: a pipe gives it without waiting for more.
        match rustix::io::read(io::stdin(), &mut piece) {
            Ok(0) => Ok(Some(End::Pmcd)),
            Ok(count) => {
                let bytes = piece.get(..count).unwrap_or_default();
                self.daemon.agent.receive(bytes).map_err(io::Error::other)?;
                Ok(None)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what is to be sent to pmcd, and answers the next question.
    fn talk_with_pmcd(&mut self) -> io::Result<Option<End>> {
        loop {
            let outgoing = self.daemon.agent.outgoing();
            while !outgoing.is_empty() {
                match rustix::io::write(io::stdout(), outgoing) {
                    Ok(count) => drop(outgoing.drain(..count)),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return self.watch_output(true).map(|()| None),
                    Err(Errno::PIPE) => return Ok(Some(End::Pmcd)),
                    Err(error) => return Err(error.into()),
                }
            }
            let (agent, containers) = (&mut self.daemon.agent, &mut self.daemon.containers);
            agent
                .answer(containers, Instant::now())
                .map_err(io::Error::other)?;
            if agent.outgoing().is_empty() {
                return self.watch_output(false).map(|()| None);
            }
        }
    }

    fn watch_output(&mut self, wanted: bool) -> io::Result<()> {
        if wanted != self.writes_to_pmcd {
            let data = epoll::EventData::new_u64(PMCD_OUT);
            if wanted {
                epoll::add(&self.epoll, io::stdout(), data, epoll::EventFlags::OUT)?;
            } else {
                epoll::delete(&self.epoll, io::stdout())?;
            }
            self.writes_to_pmcd = wanted;
        }
        Ok(())
    }

    // Collectors

    fn let_in(&mut self) {
        for _ in 0..TURN {
            let now = Instant::now();
            if self.clients.len() as u64 + RESERVE >= self.daemon.max_descriptors {
                self.shut_door(now, "there are as many clients as there can be");
                return;
            }
            match self.daemon.door.accept(now) {
                Ok(Some(client)) => {
                    self.is_shut_told = false;
                    self.add_client(client);
                }
                Ok(None) => return,
                Err(error) => {
                    self.shut_door(now, &error.to_string());
                    return;
                }
            }
        }
    }

    fn add_client(&mut self, client: Client) {
        let (number, data) = (
            self.next_client,
            epoll::EventData::new_u64(self.next_client),
        );
        self.next_client += 1;
        log::debug!("appl0", "{} is client {number}", client.peer);
        let interest = interest(&client);
        match epoll::add(&self.epoll, &client, data, interest) {
            Ok(()) => drop(self.clients.insert(number, Entry { client, interest })),
            Err(error) => log::error!("{}: cannot be waited for: {error}", client.peer),
        }
    }

    /// Rests, and lets those who wait have their turn later.
    fn shut_door(&mut self, now: Instant, why: &str) {
        if !std::mem::replace(&mut self.is_shut_told, true) {
            log::error!("no new clients for the moment: {why}");
        }
        match epoll::delete(&self.epoll, self.daemon.door.listener()) {
            Ok(()) => self.shut = Some(now),
            Err(error) => log::error!("cannot stop waiting for clients: {error}"),
        }
    }

    fn reopen_door(&mut self) {
        match self.wait_for(self.daemon.door.listener(), DOOR) {
            Ok(()) => self.shut = None,
            // It is tried again soon.
            Err(error) => {
                self.shut = Some(Instant::now());
                log::error!("cannot wait for clients: {error}");
            }
        }
    }

    /// Something has happened on a client's connection.
    fn attend(&mut self, number: u64, flags: epoll::EventFlags) {
        let Some(Entry { client, .. }) = self.clients.get_mut(&number) else {
            return;
        };
        match client.flush().and_then(|()| client.read()) {
            Ok(Flow::Open) => self.serve(number),
            Ok(Flow::Closed) => self.drop_client(number),
            Err(error) => self.cut(number, &error),
        }
        // What it asked before it left is done, and nobody waits for the answers.
        let has_left = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
        if has_left
            && self
                .clients
                .get(&number)
                .is_some_and(|entry| !entry.client.may_ask())
        {
            self.drop_client(number);
        }
    }

    fn serve(&mut self, number: u64) {
        let Some(entry) = self.clients.get_mut(&number) else {
            return;
        };
        let now = Instant::now();
        let mut services = Services {
            containers: &mut self.daemon.containers,
            children: &mut self.daemon.children,
            starter: &self.daemon.starter,
            client: number,
            now,
            asked: now,
        };
        let served = entry.client.serve(&mut services);
        if matches!(entry.client.state, State::Settling { .. }) {
            self.settling.insert(number);
        } else {
            self.settling.remove(&number);
        }
        let waits = entry.wait(&self.epoll, number);
        match (served, waits) {
            (Ok(()), Ok(())) => {}
            (Err(error), _) => self.cut(number, &error),
            (_, Err(error)) => self.cut(number, &error),
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let client = self.clients.get_mut(&delivery.client);
        let label = delivery.label.escape_ascii().to_string();
        let (pid, descriptors) = match delivery.process {
            Ok(process) => {
                let pid = process.child.id();
                let owner = client.is_some().then_some(delivery.client);
                self.daemon.children.add(process.child, label, owner);
                // It may have ended before it was known here.
                self.daemon.children.reap();
                (Ok(pid.cast_signed()), process.pipes)
            }
            Err(error) => {
                log::error!("cannot start {label}: {error}");
                (Err(failure(&error)), Vec::new())
            }
        };
        let Some(Entry { client, .. }) = client else {
            // Its descriptors are closed here, and that is what agents end by.
            return;
        };
        match client.started(&delivery.label, pid, descriptors) {
            Ok(()) => self.serve(delivery.client),
            Err(error) => self.cut(delivery.client, &error),
        }
    }

    fn cut(&mut self, number: u64, why: &dyn std::error::Error) {
        if let Some(entry) = self.clients.get(&number) {
            log::error!("{} is cut: {why}", entry.client.peer);
        }
        self.drop_client(number);
    }

    fn drop_client(&mut self, number: u64) {
        // Closing its descriptor takes it out of epoll.
        self.clients.remove(&number);
        self.settling.remove(&number);
        self.daemon.children.forget_client(number);
    }

    fn wake_those_who_waited(&mut self, now: Instant) {
        let is_due = |number: &u64| self.settles_at(*number).is_none_or(|until| until <= now);
        let due: Vec<u64> = self.settling.iter().copied().filter(is_due).collect();
        due.into_iter().for_each(|number| self.serve(number));
        if self.shut.is_some_and(|since| now >= since + PAUSE) {
            self.reopen_door();
        }
    }

    fn wake_all(&mut self) {
        let all: Vec<u64> = self.settling.iter().copied().collect();
        all.into_iter().for_each(|number| self.serve(number));
    }
}

impl Entry {
    /// Has epoll tell of what matters now.
    fn wait(&mut self, epoll: &OwnedFd, number: u64) -> io::Result<()> {
        let wanted = interest(&self.client);
        if wanted != self.interest {
            let data = epoll::EventData::new_u64(number);
            epoll::modify(epoll, &self.client, data, wanted)?;
            self.interest = wanted;
        }
        Ok(())
    }
}

fn interest(client: &Client) -> epoll::EventFlags {
    let mut interest = epoll::EventFlags::empty();
    interest.set(epoll::EventFlags::IN, client.wants_to_read());
    interest.set(epoll::EventFlags::OUT, client.wants_to_write());
    interest
}
