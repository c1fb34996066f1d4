//! Intervals of time as users of PCP write them: `10min`, `1hour 30mins`, `2.5 hours`, `90`.

use std::time::Duration;

/// The longest interval that is taken; more is a mistake.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Why an interval could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an interval above 0 and up to 365 days, \
     such as 90 (seconds), 10min or 1hour 30mins"
)]
pub struct IntervalError(String);

/// Reads an interval as `PCPIntro(1)` describes: numbers with units of seconds, minutes, hours or
/// days, which are added up. A number without a unit counts seconds; spaces and case do not matter.
///
/// # Errors
/// [`IntervalError`] for anything else, and for intervals of 0 or beyond a year.
pub fn parse_interval(text: &str) -> Result<Duration, IntervalError> {
    let error = || IntervalError(text.chars().take(40).collect());
    let squeezed = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect::<String>()
        .to_lowercase();
    let mut rest = squeezed.as_str();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = head(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = head(after, |c| c.is_ascii_alphabetic());
        let count: f64 = number.parse().map_err(|_| error())?;
        let seconds = count * seconds_in(unit).ok_or_else(error)?;
        let part = Duration::try_from_secs_f64(seconds).map_err(|_| error())?;
        total = total.checked_add(part).ok_or_else(error)?;
        rest = after;
    }
    if total.is_zero() || total > LONGEST {
        return Err(error());
    }
    Ok(total)
}

/// What of the text belongs to its head, and the rest.
fn head(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn seconds_in(unit: &str) -> Option<f64> {
    match unit {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => Some(1.0),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60.0),
        "h" | "hour" | "hours" => Some(3_600.0),
        "d" | "day" | "days" => Some(86_400.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_manual_page_are_known() {
        let seconds = |text: &str| parse_interval(text).unwrap().as_secs();
        for text in [
            "4 days 6 hours 30 minutes",
            "4day6hour30min",
            "4d6h30m",
            "4D6.5h",
        ] {
            assert_eq!(seconds(text), 4 * 86_400 + 6 * 3_600 + 1_800, "{text}");
        }
        assert_eq!(seconds("1hour 15mins 30secs"), 3_600 + 900 + 30);
        assert_eq!(seconds("90"), 90);
        assert_eq!(parse_interval("0.25"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn nonsense_is_refused() {
        let bad = [
            "",
            " ",
            "0",
            "0s",
            "soon",
            "10 parsecs",
            "-1",
            "1..5",
            ".",
            "min",
            "4minutes 30mumble",
            "366d",
            "99999999999999999999999",
            "1e3",
            "inf",
            "NaN",
            "1µ",
        ];
        for text in bad {
            assert!(parse_interval(text).is_err(), "{text}");
        }
    }
}
