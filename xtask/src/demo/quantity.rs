//! Numbers with units, for people.

use pcp_proto::Units;

/// Seconds in each of PCP's scales of time.
const SECONDS: [f64; 6] = [1e-9, 1e-6, 1e-3, 1.0, 60.0, 3600.0];

const BYTES: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A value in `units`, per second when `is_rate`.
pub(super) fn text(value: f64, units: Units, is_rate: bool) -> String {
    let per = if is_rate { "/s" } else { "" };
    let dimensions = (
        units.space_dimension(),
        units.time_dimension(),
        units.count_dimension(),
    );
    match dimensions {
        (1, 0, 0) => {
            let scale = i32::try_from(units.space_scale()).unwrap_or(0);
            bytes(value * 1024f64.powi(scale)) + per
        }
        (0, 1, 0) if !is_rate => match SECONDS.get(units.time_scale() as usize) {
            Some(seconds) => duration(value * seconds),
            None => format!("{} {units}", number(value)),
        },
        (0, 0, 1) if is_rate => format!("{} {per}", number(value)),
        (0, 0, 0) | (0, 0, 1) => number(value) + per,
        _ => format!("{} {units}{per}", number(value)),
    }
}

/// An amount of bytes with a prefix that leaves at most four digits before the point.
pub(super) fn bytes(mut value: f64) -> String {
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < BYTES.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        return format!("{value:.0} B");
    }
    format!("{value:.1} {}", BYTES[unit])
}

/// A number that is not measured in anything: whole when it is, with two decimals otherwise.
pub(super) fn number(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 10_000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let minutes = (seconds / 60.0).floor();
    let hours = (minutes / 60.0).floor();
    let days = (hours / 24.0).floor();
    let clock = format!(
        "{:02.0}:{:02.0}:{:02.0}",
        hours % 24.0,
        minutes % 60.0,
        (seconds % 60.0).floor()
    );
    if days > 0.0 {
        format!("{days:.0}d {clock}")
    } else {
        clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcp_proto::{SpaceScale, TimeScale};

    #[test]
    fn amounts_and_rates_of_bytes_get_a_prefix() {
        let kib = Units::space(SpaceScale::Kbyte);
        assert_eq!(text(24_684_096.0, kib, false), "23.5 GiB");
        let byte = Units::space(SpaceScale::Byte);
        assert_eq!(text(512.4, byte, true), "512 B/s");
        assert_eq!(text(1536.0, byte, true), "1.5 KiB/s");
    }

    #[test]
    fn durations_are_clock_times() {
        let seconds = Units::time(TimeScale::Second);
        assert_eq!(text(866.87, seconds, false), "00:14:26");
        assert_eq!(text(93_784.0, seconds, false), "1d 02:03:04");
        let milliseconds = Units::time(TimeScale::Millisecond);
        assert_eq!(text(2_500.0, milliseconds, false), "2.5 s");
    }

    #[test]
    fn counts_and_plain_numbers_have_no_unit() {
        assert_eq!(text(33_107.0, Units::COUNT, false), "33107");
        assert_eq!(text(12.5, Units::COUNT, true), "12.50 /s");
        assert_eq!(text(0.02, Units::NONE, false), "0.02");
        assert_eq!(text(2.0, Units::NONE, false), "2");
        assert_eq!(
            text(2.5, Units::from_wire(0x1f02_3000), false),
            "2.50 Mbyte / sec"
        );
    }
}
