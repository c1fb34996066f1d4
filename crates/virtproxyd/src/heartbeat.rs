//! When a silent client is pinged, and when it is dead. Only clients that have asked for the
//! feature are pinged.

use std::time::Duration;

use crate::config::Keepalive;

/// The pings of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    /// Whole seconds between pings; 0 for none.
    interval: u32,
    most: u32,
    unanswered: u32,
    begun: bool,
}

/// What is to be done after an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing: it was heard of.
    Rest,
    /// Ask whether it is there.
    Ping,
    /// It has not answered so many pings.
    Dead(u32),
}

impl Heartbeat {
    pub(crate) fn new(keepalive: Keepalive) -> Heartbeat {
        Heartbeat {
            interval: keepalive.interval.unwrap_or_default(),
            most: keepalive.count,
            unanswered: 0,
            begun: false,
        }
    }

    /// The client has asked for pings.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// How long a client may be silent; `None` if it is not pinged.
    pub(crate) fn interval(&self) -> Option<Duration> {
        let runs = self.begun && self.interval > 0;
        runs.then(|| Duration::from_secs(self.interval.into()))
    }

    /// An interval is over, in which the client was `heard` of or not.
    pub(crate) fn beat(&mut self, heard: bool) -> Beat {
        if heard {
            self.unanswered = 0;
            return Beat::Rest;
        }
        if self.unanswered >= self.most {
            return Beat::Dead(self.unanswered);
        }
        self.unanswered += 1;
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(interval: Option<u32>, count: u32) -> Heartbeat {
        Heartbeat::new(Keepalive { interval, count })
    }

    #[test]
    fn a_silent_client_is_dead_after_its_pings() {
        let mut heartbeat = heartbeat(Some(5), 2);
        heartbeat.begin();
        assert_eq!(heartbeat.interval(), Some(Duration::from_secs(5)));
        let silence = [Beat::Ping, Beat::Ping, Beat::Dead(2)];
        assert_eq!(silence.map(|_| heartbeat.beat(false)), silence);
    }

    #[test]
    fn whoever_is_heard_of_has_all_pings_before_it_again() {
        let mut heartbeat = heartbeat(Some(1), 1);
        heartbeat.begin();
        assert_eq!(heartbeat.beat(false), Beat::Ping);
        assert_eq!(heartbeat.beat(true), Beat::Rest);
        assert_eq!(heartbeat.beat(false), Beat::Ping);
    }

    #[test]
    fn without_a_count_one_silent_interval_is_the_end() {
        assert_eq!(heartbeat(Some(1), 0).beat(false), Beat::Dead(0));
    }

    #[test]
    fn who_has_not_asked_is_not_pinged() {
        let mut asked = heartbeat(None, 5);
        asked.begin();
        assert_eq!(asked.interval(), None);
        assert_eq!(heartbeat(Some(5), 5).interval(), None);
    }
}
