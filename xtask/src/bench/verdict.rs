//! What is required of our pmproxy, and whether a run of the bench saw it.

use super::contender::Contender;
use super::figures::Figure;
use super::load::Load;
use super::results::Results;

/// A line for each requirement that was measured.
pub(super) fn lines(results: &Results, loads: &[Load]) -> String {
    loads
        .iter()
        .filter_map(|&load| match load.name {
            "16x1200" => share_of_plain(results, load),
            "idle" => idle_memory(results, load),
            _ => None,
        })
        .collect()
}

fn share_of_plain(results: &Results, load: Load) -> Option<String> {
    let (secure, plain) = (Contender::OursTls, Contender::Ours);
    let ratio = results.ratio(load, secure, plain, Figure::Rate)?;
    let verdict = verdict(ratio >= 0.5);
    Some(format!(
        "- 16 connections, round trips/s, TLS ours / plain ours >= 0.5: {ratio:.2}, {verdict}\n"
    ))
}

fn idle_memory(results: &Results, load: Load) -> Option<String> {
    let each = results.median(load, Contender::OursTls, Figure::IdleMemory)?;
    let verdict = verdict(each <= 40e3);
    let shown = Figure::IdleMemory.show(each);
    Some(format!(
        "- memory per idle connection with TLS <= 40 kB: {shown} kB, {verdict}\n"
    ))
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Sample;
    use super::super::load::find;
    use super::*;

    fn verdicts(plain: f64, secure: f64, idle: f64) -> String {
        let loads = [find("16x1200").unwrap(), find("idle").unwrap()];
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
        let loads = [find("16x1200").unwrap(), find("idle").unwrap()];
        assert_eq!(lines(&Results::default(), &loads), "");
    }
}
