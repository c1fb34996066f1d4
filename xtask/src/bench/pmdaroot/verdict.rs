//! What is required of our pmdaroot, and whether a run of the bench saw it.

use super::super::figures::Figure;
use super::super::results::Results;
use super::super::verdict::{Bound, line};
use super::contender::Contender;
use super::load::Load;

/// A line for each requirement that was measured.
pub(super) fn lines(results: &Results<Contender>, loads: &[Load]) -> String {
    let of_load = |load: &Load| match load.name {
        "name-500" => {
            let what = "500 containers, look-ups/s by name, ours / C pmdaroot >= 10";
            rate(results, load, what, 10.0)
        }
        "id-500" => {
            let what = "500 containers, look-ups/s by id, ours / C pmdaroot >= 1";
            rate(results, load, what, 1.0)
        }
        "memory" => memory(results, load),
        "crowd" => crowd(results, load),
        _ => None,
    };
    loads.iter().filter_map(of_load).collect()
}

fn rate(results: &Results<Contender>, load: &Load, what: &str, least: f64) -> Option<String> {
    let ratio = results.ratio(load, Contender::Ours, Contender::C, Figure::Rate)?;
    let shown = format!("{ratio:.2}");
    Some(line(what, Bound::AtLeast(least), ratio, &shown))
}

fn memory(results: &Results<Contender>, load: &Load) -> Option<String> {
    let held = |contender| results.median(load, contender, Figure::Resident);
    let more = held(Contender::Ours)? - held(Contender::C)?;
    Some(line(
        "500 containers, memory beyond that of C pmdaroot <= 4 MB",
        Bound::AtMost(4e6),
        more,
        &format!("{} MB", Figure::Resident.show(more)),
    ))
}

fn crowd(results: &Results<Contender>, load: &Load) -> Option<String> {
    let served = results.median(load, Contender::Ours, Figure::Served)?;
    Some(line(
        "clients served at once >= 2000",
        Bound::AtLeast(2000.0),
        served,
        &Figure::Served.show(served),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::figures::Sample;
    use super::super::load::LOADS;
    use super::*;

    /// What is said when the loads that have a requirement were measured once, with figures for ours
    /// and for C.
    fn verdicts(name: [f64; 2], id: [f64; 2], memory: [f64; 2], crowd: f64) -> String {
        let mut results = Results::default();
        for load in LOADS {
            let (figure, values) = match load.name {
                "name-500" => (Figure::Rate, name),
                "id-500" => (Figure::Rate, id),
                "memory" => (Figure::Resident, memory),
                "crowd" => (Figure::Served, [crowd, 0.0]),
                _ => continue,
            };
            for (contender, value) in [Contender::Ours, Contender::C].into_iter().zip(values) {
                results.push(load, contender, Some(Sample::default().with(figure, value)));
            }
        }
        lines(&results, &LOADS)
    }

    #[test]
    fn what_is_required_is_met_at_its_limit_and_missed_beyond() {
        let text = verdicts([100.0, 10.0], [7.0, 7.0], [9e6, 5e6], 2000.0);
        assert_eq!(text.matches(", holds\n").count(), 4, "{text}");
        let text = verdicts([99.0, 10.0], [6.9, 7.0], [9.1e6, 5e6], 1999.0);
        assert_eq!(text.matches(", MISSED\n").count(), 4, "{text}");
        assert!(text.contains("4.1 MB, MISSED\n"), "{text}");
    }

    #[test]
    fn what_was_not_measured_has_no_verdict() {
        assert_eq!(lines(&Results::default(), &LOADS), "");
    }
}
