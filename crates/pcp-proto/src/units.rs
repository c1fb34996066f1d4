//! What a metric is measured in (`pmUnits`): powers of space, time and count, each at a scale.

use std::fmt;

/// The dimension and scale of values: six fields of four bits and eight bits that are not in use.
///
/// From the highest bit on: the powers of space, time and count (signed), then the scales of space
/// and time (see [`SpaceScale`] and [`TimeScale`]) and of count (signed, a power of ten).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Units(u32);

/// Scales of space: each is 1024 times the one before (`PM_SPACE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SpaceScale {
    Byte,
    Kbyte,
    Mbyte,
    Gbyte,
    Tbyte,
    Pbyte,
    Ebyte,
    Zbyte,
    Ybyte,
}

/// Scales of time (`PM_TIME_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TimeScale {
    Nanosecond,
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
}

const SPACE_NAMES: [&str; 9] = [
    "byte", "Kbyte", "Mbyte", "Gbyte", "Tbyte", "Pbyte", "Ebyte", "Zbyte", "Ybyte",
];
const TIME_NAMES: [&str; 6] = ["nanosec", "microsec", "millisec", "sec", "min", "hour"];

impl Units {
    /// A plain number.
    pub const NONE: Units = Units(0);
    /// A number of events or things.
    pub const COUNT: Units = Units(1 << 20);

    /// An amount of memory, storage or traffic.
    pub const fn space(scale: SpaceScale) -> Units {
        Units(1 << 28 | (scale as u32) << 16)
    }

    /// A duration.
    pub const fn time(scale: TimeScale) -> Units {
        Units(1 << 24 | (scale as u32) << 12)
    }

    /// From the word on the wire; the eight bits that are not in use are dropped.
    pub const fn from_wire(word: u32) -> Units {
        Units(word & 0xffff_ff00)
    }

    /// The word on the wire.
    pub const fn to_wire(self) -> u32 {
        self.0
    }

    /// The power of space, -8 to 7.
    pub fn space_dimension(self) -> i32 {
        self.signed(0)
    }

    /// The power of time, -8 to 7.
    pub fn time_dimension(self) -> i32 {
        self.signed(4)
    }

    /// The power of count, -8 to 7.
    pub fn count_dimension(self) -> i32 {
        self.signed(8)
    }

    /// The scale of space, 0 to 15, of which [`SpaceScale`] names some.
    pub fn space_scale(self) -> u32 {
        self.0 >> 16 & 0xf
    }

    /// The scale of time, 0 to 15, of which [`TimeScale`] names some.
    pub fn time_scale(self) -> u32 {
        self.0 >> 12 & 0xf
    }

    /// The scale of count, a power of ten, -8 to 7.
    pub fn count_scale(self) -> i32 {
        self.signed(20)
    }

    /// The four bits that start `offset` bits from the top, as a signed number.
    fn signed(self, offset: u32) -> i32 {
        (self.0 << offset).cast_signed() >> 28
    }

    fn write_space(self, f: &mut fmt::Formatter<'_>, power: i32) -> fmt::Result {
        match SPACE_NAMES.get(self.space_scale() as usize) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "space-{}", self.space_scale())?,
        }
        write_power(f, power)
    }

    fn write_time(self, f: &mut fmt::Formatter<'_>, power: i32) -> fmt::Result {
        match TIME_NAMES.get(self.time_scale() as usize) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "time-{}", self.time_scale())?,
        }
        write_power(f, power)
    }

    fn write_count(self, f: &mut fmt::Formatter<'_>, power: i32) -> fmt::Result {
        match self.count_scale() {
            0 => f.write_str("count")?,
            1 => f.write_str("count x 10")?,
            scale => write!(f, "count x 10^{scale}")?,
        }
        write_power(f, power)
    }
}

fn write_power(f: &mut fmt::Formatter<'_>, power: i32) -> fmt::Result {
    if power == 1 {
        Ok(())
    } else {
        write!(f, "^{power}")
    }
}

/// As pminfo prints them: `Kbyte`, `Mbyte / sec`, `count x 10^6`; `none` for a plain number.
impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        type Write = fn(Units, &mut fmt::Formatter<'_>, i32) -> fmt::Result;
        let dimensions: [(i32, Write); 3] = [
            (self.space_dimension(), Units::write_space),
            (self.time_dimension(), Units::write_time),
            (self.count_dimension(), Units::write_count),
        ];
        if dimensions.iter().all(|(power, _)| *power == 0) {
            return f.write_str("none");
        }
        let mut separator = "";
        for (power, write) in dimensions.into_iter().filter(|(power, _)| *power > 0) {
            f.write_str(separator)?;
            write(*self, f, power)?;
            separator = " ";
        }
        let mut separator = if separator.is_empty() { "/ " } else { " / " };
        for (power, write) in dimensions.into_iter().filter(|(power, _)| *power < 0) {
            f.write_str(separator)?;
            write(*self, f, -power)?;
            separator = " ";
        }
        Ok(())
    }
}

impl fmt::Debug for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Units({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_the_bits_that_a_real_pmcd_sends() {
        // Recorded from pmcd 6.0.3: network.interface.in.bytes, disk.dev.read, kernel.all.uptime.
        assert_eq!(Units::space(SpaceScale::Byte).to_wire(), 0x1000_0000);
        assert_eq!(Units::COUNT.to_wire(), 0x0010_0000);
        assert_eq!(Units::time(TimeScale::Second).to_wire(), 0x0100_3000);
        // mem.physmem.
        assert_eq!(Units::space(SpaceScale::Kbyte).to_wire(), 0x1001_0000);
    }

    #[test]
    fn units_read_as_pminfo_prints_them() {
        let shown = |word: u32| Units::from_wire(word).to_string();
        assert_eq!(Units::NONE.to_string(), "none");
        assert_eq!(Units::space(SpaceScale::Kbyte).to_string(), "Kbyte");
        assert_eq!(shown(0x1f02_3000), "Mbyte / sec");
        assert_eq!(shown(0x01f0_5600), "hour / count x 10^6");
        assert_eq!(shown(0x0f00_3000), "/ sec");
        assert_eq!(shown(0x2001_0000), "Kbyte^2");
        assert_eq!(shown(0x0fe0_3000), "/ sec count^2");
        assert_eq!(shown(0x0010_0d00), "count x 10^-3");
        assert_eq!(shown(0x1009_0000), "space-9");
    }

    proptest::proptest! {
        #[test]
        fn any_units_can_be_shown_and_keep_their_bits(word: u32) {
            let units = Units::from_wire(word);
            proptest::prop_assert_eq!(Units::from_wire(units.to_wire()), units);
            proptest::prop_assert!(!units.to_string().is_empty());
        }
    }
}
