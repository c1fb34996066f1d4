//! A report as a table for people.

use std::fmt::Write;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::report::{Report, Session, Traffic};
use crate::presence::Stage;

const HEAD: [&str; 7] = [
    "CLIENT",
    "PMCD",
    "STATE",
    "SINCE",
    "FOR",
    "TO PMCD",
    "TO CLIENT",
];

/// The report as it looks at this moment, with times of this machine's zone.
pub(super) fn render(report: &Report) -> String {
    render_at(report, Timestamp::now(), &TimeZone::system())
}

fn render_at(report: &Report, now: Timestamp, zone: &TimeZone) -> String {
    let clock = Clock { now, zone };
    let mut text = format!(
        "pmproxy {}, process {}, since {} ({})\n",
        report.version,
        report.pid,
        clock.date(report.started),
        clock.age(report.started),
    );
    if !report.sessions.is_empty() {
        text.push('\n');
        let rows: Vec<[String; 7]> = report
            .sessions
            .iter()
            .map(|session| clock.row(session))
            .collect();
        write_table(&mut text, &rows);
    }
    text.push('\n');
    text.push_str(&total(report));
    text
}

/// Tells times.
struct Clock<'a> {
    now: Timestamp,
    zone: &'a TimeZone,
}

impl Clock<'_> {
    fn row(&self, session: &Session) -> [String; 7] {
        let state = session.state.name();
        [
            session.client.clone(),
            session.pmcd.clone().unwrap_or("-".into()),
            if session.secure {
                format!("{state}, secure")
            } else {
                state.into()
            },
            self.date(session.since),
            self.age(session.since),
            traffic(session.to_pmcd),
            traffic(session.to_client),
        ]
    }

    /// A moment in seconds since 1970 as local date and time.
    fn date(&self, seconds: f64) -> String {
        match timestamp(seconds) {
            Some(time) => {
                let time = time.to_zoned(self.zone.clone());
                time.strftime("%Y-%m-%d %H:%M:%S").to_string()
            }
            None => "-".into(),
        }
    }

    /// How long ago that was.
    fn age(&self, seconds: f64) -> String {
        let age = timestamp(seconds).map_or(0, |time| self.now.duration_since(time).as_secs());
        let age = age.max(0);
        let (days, hours) = (age / 86_400, age / 3600 % 24);
        let (minutes, seconds) = (age / 60 % 60, age % 60);
        match days {
            0 => format!("{hours:02}:{minutes:02}:{seconds:02}"),
            _ => format!("{days}d {hours:02}:{minutes:02}:{seconds:02}"),
        }
    }
}

fn timestamp(seconds: f64) -> Option<Timestamp> {
    let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since).ok()
}

/// The rows below the head, each column as wide as its widest cell.
fn write_table(text: &mut String, rows: &[[String; 7]]) {
    let head = HEAD.map(String::from);
    let lines = || std::iter::once(&head).chain(rows);
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let widths = lines().map(|line| line[column].chars().count());
        widths.max().unwrap_or(0)
    });
    for line in lines() {
        let mut out = String::new();
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{cell:width$}  ");
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
}

fn total(report: &Report) -> String {
    let sessions = &report.sessions;
    let at = |stage| {
        let there = sessions.iter().filter(|session| session.state == stage);
        format!("{} {}", there.count(), Stage::name(stage))
    };
    let sum = |traffic: fn(&Session) -> Traffic| {
        let all = sessions.iter().map(traffic);
        traffic_of(all)
    };
    let clients = match sessions.len() {
        1 => "1 client".into(),
        count => format!("{count} clients"),
    };
    let mut text = format!(
        "{clients} ({}, {}, {}); {} to pmcd, {} to clients\n",
        at(Stage::Greeting),
        at(Stage::Connecting),
        at(Stage::Relaying),
        traffic(sum(|session| session.to_pmcd)),
        traffic(sum(|session| session.to_client)),
    );
    if report.omitted > 0 {
        let _ = writeln!(text, "{} more clients are not shown", report.omitted);
    }
    text
}

fn traffic_of(all: impl Iterator<Item = Traffic>) -> Traffic {
    let none = Traffic {
        bytes: 0,
        pdus: Some(0),
    };
    all.fold(none, |sum, each| Traffic {
        bytes: sum.bytes.saturating_add(each.bytes),
        pdus: sum.pdus.zip(each.pdus).map(|(one, other)| one + other),
    })
}

/// Bytes and PDUs, as in `1.2 MB in 34 PDUs`.
fn traffic(traffic: Traffic) -> String {
    let bytes = bytes(traffic.bytes);
    match traffic.pdus {
        None => bytes,
        Some(1) => format!("{bytes} in 1 PDU"),
        Some(pdus) => format!("{bytes} in {pdus} PDUs"),
    }
}

/// A number of bytes with at most four digits, in units of powers of 1000.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut divisor, mut unit) = (1, 0);
    while count / divisor >= 1000 {
        divisor *= 1000;
        unit += 1;
    }
    let unit = UNITS[unit];
    if divisor == 1 {
        return format!("{count} {unit}");
    }
    let (whole, tenth) = (count / divisor, count % divisor / (divisor / 10));
    format!("{whole}.{tenth} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(client: &str, state: Stage, bytes: u64) -> Session {
        let traffic = |times| Traffic {
            bytes: bytes * times,
            pdus: Some(times),
        };
        Session {
            client: client.into(),
            pmcd: (state != Stage::Greeting).then(|| "nas1:44321".into()),
            state,
            secure: bytes > 10_000,
            since: 1_000_000_000.0,
            to_pmcd: traffic(1),
            to_client: traffic(2),
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_client_and_a_total() {
        let mut report = Report {
            version: "1.2.3".into(),
            pid: 7,
            started: 999_900_000.0,
            sessions: vec![
                session("127.0.0.1:40000", Stage::Relaying, 1234),
                session("[2001:db8::1]:40000", Stage::Relaying, 5_000_000),
                session("uid 0", Stage::Greeting, 0),
            ],
            omitted: 0,
        };
        let now = Timestamp::from_second(1_000_000_061).unwrap();
        let expected = "\
pmproxy 1.2.3, process 7, since 2001-09-07 22:00:00 (1d 03:47:41)

CLIENT               PMCD        STATE             SINCE                FOR       TO PMCD          TO CLIENT
127.0.0.1:40000      nas1:44321  relaying          2001-09-09 01:46:40  00:01:01  1.2 kB in 1 PDU  2.4 kB in 2 PDUs
[2001:db8::1]:40000  nas1:44321  relaying, secure  2001-09-09 01:46:40  00:01:01  5.0 MB in 1 PDU  10.0 MB in 2 PDUs
uid 0                -           greeting          2001-09-09 01:46:40  00:01:01  0 B in 1 PDU     0 B in 2 PDUs

3 clients (1 greeting, 0 connecting, 2 relaying); 5.0 MB in 3 PDUs to pmcd, 10.0 MB in 6 PDUs to clients
";
        assert_eq!(render_at(&report, now, &TimeZone::UTC), expected);
        report.sessions.truncate(1);
        report.sessions[0].to_pmcd.pdus = None;
        report.omitted = 2;
        let text = render_at(&report, now, &TimeZone::UTC);
        let end = "1 client (0 greeting, 0 connecting, 1 relaying); 1.2 kB to pmcd, \
                   2.4 kB in 2 PDUs to clients\n2 more clients are not shown\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn bytes_have_few_digits_and_no_number_is_too_large() {
        let shown = [0, 999, 1000, 1999, 999_999, 1_000_000, u64::MAX].map(bytes);
        let expected = [
            "0 B", "999 B", "1.0 kB", "1.9 kB", "999.9 kB", "1.0 MB", "18.4 EB",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn times_that_make_no_sense_are_told_all_the_same() {
        let clock = Clock {
            now: Timestamp::UNIX_EPOCH,
            zone: &TimeZone::UTC,
        };
        assert_eq!(clock.age(5.0), "00:00:00");
        assert_eq!(clock.date(f64::MAX), "-");
    }
}
