//! What is required of our pmproxy, and whether a run of the bench saw it.

use super::super::figures::Figure;
use super::super::results::Results;
use super::super::verdict::{Bound, line};
use super::contender::Contender;
use super::load::Load;

/// A line for each requirement that was measured.
pub(super) fn lines(results: &Results<Contender>, loads: &[Load]) -> String {
    loads
        .iter()
        .filter_map(|load| match load.name {
            "16x1200" => share_of_plain(results, load),
            "idle" => idle_memory(results, load),
            _ => None,
        })
        .collect()
}

fn share_of_plain(results: &Results<Contender>, load: &Load) -> Option<String> {
    let (secure, plain) = (Contender::OursTls, Contender::Ours);
    let ratio = results.ratio(load, secure, plain, Figure::Rate)?;
    Some(line(
        "16 connections, round trips/s, TLS ours / plain ours >= 0.5",
        Bound::AtLeast(0.5),
        ratio,
        &format!("{ratio:.2}"),
    ))
}

fn idle_memory(results: &Results<Contender>, load: &Load) -> Option<String> {
    let each = results.median(load, Contender::OursTls, Figure::IdleMemory)?;
    let shown = Figure::IdleMemory.show(each);
    Some(line(
        "memory per idle connection with TLS <= 40 kB",
        Bound::AtMost(40e3),
        each,
        &format!("{shown} kB"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::figures::Sample;
    use super::super::super::suite::find_load;
    use super::super::load::LOADS;
    use super::*;

    fn measured() -> [Load; 2] {
        ["16x1200", "idle"].map(|name| find_load(&LOADS, name).unwrap())
    }

    fn verdicts(plain: f64, secure: f64, idle: f64) -> String {
        let loads = measured();
        let mut results = Results::default();
        let mut put = |load, contender, figure, value| {
            let sample = Sample::default().with(figure, value);
            results.push(load, contender, Some(sample));
        };
        put(loads[0], Contender::Ours, Figure::Rate, plain);
        put(loads[0], Contender::OursTls, Figure::Rate, secure);
        put(loads[1], Contender::OursTls, Figure::IdleMemory, idle);
        lines(&results, &loads)
    }

    #[test]
    fn what_is_required_is_met_at_its_limit_and_missed_beyond() {
        let text = verdicts(100.0, 50.0, 40_000.0);
        assert_eq!(text.matches(", holds\n").count(), 2, "{text}");
        let text = verdicts(100.0, 49.0, 40_010.0);
        assert!(text.contains("0.49, MISSED\n"), "{text}");
        assert!(text.contains("40.01 kB, MISSED\n"), "{text}");
    }

    #[test]
    fn what_was_not_measured_has_no_verdict() {
        let loads = measured();
        assert_eq!(lines(&Results::default(), &loads), "");
    }
}
