//! What is required of our virtproxyd, and whether a run of the bench saw it.

use super::super::figures::Figure;
use super::super::results::Results;
use super::super::verdict::{Bound, line};
use super::contender::Contender;
use super::load::Load;

/// What is compared with its bound.
#[derive(Clone, Copy)]
enum Measure {
    /// The ratio to a direct connection.
    OfDirect,
    /// The figure itself.
    Own,
}

/// One requirement, which belongs to a load.
struct Requirement {
    load: &'static str,
    what: &'static str,
    figure: Figure,
    measure: Measure,
    bound: Bound,
}

const REQUIREMENTS: [Requirement; 7] = [
    Requirement {
        load: "1",
        what: "1 connection, p50 / direct <= 1.7",
        figure: Figure::P50,
        measure: Measure::OfDirect,
        bound: Bound::AtMost(1.7),
    },
    Requirement {
        load: "8",
        what: "8 connections, calls/s / direct >= 0.75",
        figure: Figure::Rate,
        measure: Measure::OfDirect,
        bound: Bound::AtLeast(0.75),
    },
    Requirement {
        load: "8",
        what: "8 connections, CPU of the proxy for one call <= 12 µs",
        figure: Figure::Cpu,
        measure: Measure::Own,
        bound: Bound::AtMost(12.0),
    },
    Requirement {
        load: "stream",
        what: "a stream of 256 MiB, MB/s / direct >= 0.7",
        figure: Figure::Throughput,
        measure: Measure::OfDirect,
        bound: Bound::AtLeast(0.7),
    },
    Requirement {
        load: "crowd",
        what: "memory per idle connection <= 1 kB",
        figure: Figure::IdleMemory,
        measure: Measure::Own,
        bound: Bound::AtMost(1e3),
    },
    Requirement {
        load: "crowd",
        what: "memory per busy connection <= 6 kB",
        figure: Figure::BusyMemory,
        measure: Measure::Own,
        bound: Bound::AtMost(6e3),
    },
    Requirement {
        load: "stalled",
        what: "growth behind a stream that is not read < 4 MB",
        figure: Figure::StalledMemory,
        measure: Measure::Own,
        bound: Bound::Below(4e6),
    },
];

/// A line for each requirement that was measured.
pub(super) fn lines(results: &Results<Contender>, loads: &[Load]) -> String {
    let of_load = |requirement: &Requirement| {
        let load = loads.iter().find(|load| load.name == requirement.load)?;
        judge(results, load, requirement)
    };
    REQUIREMENTS.iter().filter_map(of_load).collect()
}

fn judge(results: &Results<Contender>, load: &Load, requirement: &Requirement) -> Option<String> {
    let figure = requirement.figure;
    let (value, shown) = match requirement.measure {
        Measure::OfDirect => {
            let ratio = results.ratio(load, Contender::Ours, Contender::Direct, figure)?;
            (ratio, format!("{ratio:.2}"))
        }
        Measure::Own => {
            let value = results.median(load, Contender::Ours, figure)?;
            (value, figure.show(value))
        }
    };
    Some(line(requirement.what, requirement.bound, value, &shown))
}

#[cfg(test)]
mod tests {
    use super::super::super::figures::Sample;
    use super::super::super::suite::find_load;
    use super::super::load::LOADS;
    use super::*;

    /// What is said when each load was measured once with these figures for ours and for direct.
    fn verdicts(measured: &[(&str, Figure, f64, f64)]) -> String {
        let mut results = Results::default();
        for &(name, figure, ours, direct) in measured {
            let load = find_load(&LOADS, name).unwrap();
            let sample = |value| Some(Sample::default().with(figure, value));
            results.push(load, Contender::Ours, sample(ours));
            results.push(load, Contender::Direct, sample(direct));
        }
        lines(&results, &LOADS)
    }

    #[test]
    fn what_is_required_is_met_at_its_limit_and_missed_beyond() {
        let text = verdicts(&[
            ("1", Figure::P50, 17.0, 10.0),
            ("8", Figure::Rate, 75.0, 100.0),
            ("crowd", Figure::IdleMemory, 1000.0, 0.0),
        ]);
        assert_eq!(text.matches(", holds\n").count(), 3, "{text}");
        let text = verdicts(&[
            ("8", Figure::Cpu, 12.1, 0.0),
            ("stream", Figure::Throughput, 69.0, 100.0),
            ("stalled", Figure::StalledMemory, 4e6, 0.0),
        ]);
        assert_eq!(text.matches(", MISSED\n").count(), 3, "{text}");
        assert!(text.contains("one call <= 12 µs: 12.1, MISSED\n"), "{text}");
    }

    #[test]
    fn what_was_not_measured_has_no_verdict() {
        assert_eq!(verdicts(&[]), "");
    }

    #[test]
    fn every_requirement_belongs_to_a_load_and_one_of_its_figures() {
        use super::super::super::suite::Work;
        for requirement in REQUIREMENTS {
            let load = find_load(&LOADS, requirement.load).unwrap();
            assert!(load.work.figures().contains(&requirement.figure));
        }
    }
}
