//! What is required of our pmsocks, and whether a run of the bench saw it.

use super::super::figures::Figure;
use super::super::results::Results;
use super::super::suite::Contender as _;
use super::super::verdict::{Bound, line};
use super::contender::Contender;
use super::load::{LOADS, Load, Work};
use super::settings::MANY;

/// What 1000 lines of routes may cost a connect, in microseconds.
const COST: f64 = 50.0;

/// Ours with the launcher, and what of it is the library's: the launcher is a program that runs before
/// pminfo, which no dialogue has.
const OURS: [Contender; 2] = [Contender::Ours, Contender::Library];

/// A line for each requirement that was measured.
pub(super) fn lines(results: &Results<Contender>, loads: &[Load]) -> String {
    let of_load = |load: &Load| match load.work {
        Work::Pminfo { lines: 1, .. } => beside_others(results, load),
        Work::Connect { lines: MANY } => connect_cost(results, load).unwrap_or_default(),
        Work::Decide { .. } => decision(results, load).unwrap_or_default(),
        _ => String::new(),
    };
    loads.iter().map(of_load).collect()
}

fn beside_others(results: &Results<Contender>, load: &Load) -> String {
    let both = OURS.into_iter().flat_map(|ours| {
        [
            beside_dialogue(results, load, ours),
            beside_tsocks(results, load, ours),
        ]
    });
    both.flatten().collect()
}

fn beside_dialogue(results: &Results<Contender>, load: &Load, ours: Contender) -> Option<String> {
    let parts = [Contender::Direct, Contender::Dialogue];
    let ratio = results.ratio_to_sum(load, ours, &parts, Figure::P50)?;
    let what = format!(
        "{}, {} / (direct + bare dialogue) <= 1.1",
        load.title,
        ours.name()
    );
    Some(line(
        &what,
        Bound::AtMost(1.1),
        ratio,
        &format!("{ratio:.3}"),
    ))
}

fn beside_tsocks(results: &Results<Contender>, load: &Load, ours: Contender) -> Option<String> {
    let ratio = results.ratio(load, ours, Contender::Tsocks, Figure::P50)?;
    let what = format!("{}, {} / tsocks <= 1", load.title, ours.name());
    Some(line(
        &what,
        Bound::AtMost(1.0),
        ratio,
        &format!("{ratio:.3}"),
    ))
}

/// What connections take longer than with one line, whose load must have been measured too.
fn connect_cost(results: &Results<Contender>, load: &Load) -> Option<String> {
    let one_line = LOADS.iter().find(|load| load.name == "connect-1")?;
    let micros = |load| results.median(load, Contender::Ours, Figure::P50);
    let cost = micros(load)? - micros(one_line)?;
    Some(line(
        "1000 lines of routes, cost of a connect < 50 µs",
        Bound::Below(COST),
        cost,
        &format!("{cost:.1} µs"),
    ))
}

fn decision(results: &Results<Contender>, load: &Load) -> Option<String> {
    let micros = results.median(load, Contender::Ours, Figure::P50)?;
    Some(line(
        "1000 lines of routes, a decision < 50 µs",
        Bound::Below(COST),
        micros,
        &format!("{micros:.1} µs"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::figures::Sample;
    use super::super::super::suite::find_load;
    use super::*;

    const WHO: [Contender; 5] = [
        Contender::Direct,
        Contender::Dialogue,
        Contender::Ours,
        Contender::Library,
        Contender::Tsocks,
    ];

    /// What is said when pminfo took the contenders so long, once, and connections of ours with one
    /// line and many, and a decision.
    fn verdicts(pminfo: [f64; 5], connect: [f64; 2], decision: f64) -> String {
        let mut results = Results::default();
        let mut push = |load, contender, micros| {
            let sample = Sample::default().with(Figure::P50, micros);
            let load = find_load(&LOADS, load).unwrap();
            results.push(load, contender, Some(sample));
        };
        for (contender, micros) in WHO.into_iter().zip(pminfo) {
            push("danted", contender, micros);
        }
        for (load, micros) in ["connect-1", "connect-1000"].into_iter().zip(connect) {
            push(load, Contender::Ours, micros);
        }
        push("decide", Contender::Ours, decision);
        lines(&results, &LOADS)
    }

    #[test]
    fn what_is_required_is_met_at_its_limit_and_missed_beyond() {
        let text = verdicts([1500.0, 500.0, 2200.0, 2200.0, 2200.0], [10.0, 59.0], 49.0);
        assert_eq!(text.matches(", holds\n").count(), 6, "{text}");
        let text = verdicts([1500.0, 500.0, 2250.0, 2210.0, 2200.0], [10.0, 60.0], 50.0);
        assert_eq!(text.matches(", MISSED\n").count(), 6, "{text}");
        assert!(text.contains("1.125, MISSED\n"), "{text}");
    }

    #[test]
    fn what_was_not_measured_has_no_verdict() {
        assert_eq!(lines(&Results::default(), &LOADS), "");
    }
}
