//! Whether a run of the bench saw what is required of one of our programs.

/// What a requirement sets a bound to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

/// The line for one requirement: `what` names it with its bound, `shown` is what was measured.
pub(super) fn line(what: &str, bound: Bound, value: f64, shown: &str) -> String {
    let holds = match bound {
        Bound::AtLeast(least) => value >= least,
        Bound::AtMost(most) => value <= most,
        Bound::Below(limit) => value < limit,
    };
    let verdict = if holds { "holds" } else { "MISSED" };
    format!("- {what}: {shown}, {verdict}\n")
}
