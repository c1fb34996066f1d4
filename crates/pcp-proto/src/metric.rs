//! What names and describes a metric: identifiers, instance domains, types and semantics. Units
//! have a module of their own.

use std::fmt;

use crate::Units;
use crate::codec::{DecodeError, Reader, Writer};

/// Identifies a metric (`pmID`): the domain of the agent that knows it, a cluster and an item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PmId(pub u32);

impl PmId {
    /// No metric (`PM_ID_NULL`).
    pub const NULL: PmId = PmId(u32::MAX);

    /// The identifier with these parts, of 9, 12 and 10 bits; higher bits are dropped.
    pub const fn new(domain: u16, cluster: u16, item: u16) -> PmId {
        let domain = (domain as u32 & 0x1ff) << 22;
        let cluster = (cluster as u32 & 0xfff) << 10;
        PmId(domain | cluster | (item as u32 & 0x3ff))
    }

    /// The agent's domain, 0 to 511.
    pub fn domain(self) -> u32 {
        self.0 >> 22 & 0x1ff
    }

    /// The cluster within the domain, 0 to 4095.
    pub fn cluster(self) -> u32 {
        self.0 >> 10 & 0xfff
    }

    /// The item within the cluster, 0 to 1023.
    pub fn item(self) -> u32 {
        self.0 & 0x3ff
    }
}

impl fmt::Display for PmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == PmId::NULL {
            return f.write_str("PM_ID_NULL");
        }
        write!(f, "{}.{}.{}", self.domain(), self.cluster(), self.item())
    }
}

impl fmt::Debug for PmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Identifies an instance domain (`pmInDom`): a set of things that a metric has a value for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InDom(pub u32);

impl InDom {
    /// The metric has a single value (`PM_INDOM_NULL`).
    pub const NULL: InDom = InDom(u32::MAX);

    /// The instance domain with these parts, of 9 and 22 bits; higher bits are dropped.
    pub const fn new(domain: u16, serial: u32) -> InDom {
        InDom((domain as u32 & 0x1ff) << 22 | serial & 0x3f_ffff)
    }

    /// The agent's domain, 0 to 511.
    pub fn domain(self) -> u32 {
        self.0 >> 22 & 0x1ff
    }

    /// The number within the domain.
    pub fn serial(self) -> u32 {
        self.0 & 0x3f_ffff
    }
}

impl fmt::Display for InDom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == InDom::NULL {
            return f.write_str("PM_INDOM_NULL");
        }
        write!(f, "{}.{}", self.domain(), self.serial())
    }
}

impl fmt::Debug for InDom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of an instance within its instance domain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance(pub u32);

impl Instance {
    /// The only value of a metric without an instance domain, or no instance (`PM_IN_NULL`).
    pub const NULL: Instance = Instance(u32::MAX);
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Instance::NULL => f.write_str("PM_IN_NULL"),
            Instance(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! named_numbers {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $konst:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub i32);

        impl $name {
            $($(#[$item_doc])* pub const $konst: $name = $name($number);)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($number => f.write_str($text),)*
                    other => write!(f, "{}({other})", stringify!($name)),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

named_numbers! {
    /// The type of a metric's values (`PM_TYPE_*`). A newer peer may use types that have no name
    /// here.
    ValueType {
        /// The agent cannot give this metric on this machine.
        NO_SUPPORT = -1, "unsupported";
        /// 32-bit signed integer.
        I32 = 0, "32";
        /// 32-bit unsigned integer.
        U32 = 1, "U32";
        /// 64-bit signed integer.
        I64 = 2, "64";
        /// 64-bit unsigned integer.
        U64 = 3, "U64";
        /// 32-bit floating point.
        FLOAT = 4, "FLOAT";
        /// 64-bit floating point.
        DOUBLE = 5, "DOUBLE";
        /// Text that a NUL byte ends.
        STRING = 6, "STRING";
        /// Bytes that only their agent understands.
        AGGREGATE = 7, "AGGREGATE";
        /// As [`ValueType::AGGREGATE`].
        AGGREGATE_STATIC = 8, "AGGREGATE_STATIC";
        /// Event records with time stamps in microseconds.
        EVENT = 9, "EVENT";
        /// Event records with time stamps in nanoseconds.
        HIGHRES_EVENT = 10, "HIGHRES_EVENT";
        /// Only in value blocks.
        UNKNOWN = 255, "unknown";
    }
}

named_numbers! {
    /// How a metric's values behave over time (`PM_SEM_*`).
    Semantics {
        /// It only grows; its rate of change is what matters.
        COUNTER = 1, "counter";
        /// The value at this moment, of something that changes continuously.
        INSTANT = 3, "instant";
        /// The value at this moment, of something that seldom changes.
        DISCRETE = 4, "discrete";
    }
}

/// What a metric is (`pmDesc`). It is also the DESC PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// Its identifier.
    pub pmid: PmId,
    /// The type of its values.
    pub value_type: ValueType,
    /// What it has values for, or [`InDom::NULL`].
    pub indom: InDom,
    /// How its values behave.
    pub semantics: Semantics,
    /// What they are measured in.
    pub units: Units,
}

impl Descriptor {
    /// Bytes that a descriptor takes on the wire.
    pub(crate) const SIZE: usize = 20;

    pub(crate) fn write(&self, body: &mut Writer) {
        body.u32(self.pmid.0);
        body.i32(self.value_type.0);
        body.u32(self.indom.0);
        body.i32(self.semantics.0);
        body.u32(self.units.to_wire());
    }

    pub(crate) fn read(body: &mut Reader<'_>) -> Result<Descriptor, DecodeError> {
        Ok(Descriptor {
            pmid: PmId(body.u32("metric identifier")?),
            value_type: ValueType(body.i32("type")?),
            indom: InDom(body.u32("instance domain")?),
            semantics: Semantics(body.i32("semantics")?),
            units: Units::from_wire(body.u32("units")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_fall_into_the_parts_that_pminfo_prints() {
        assert_eq!(PmId(0x0f00_0800), PmId::new(60, 2, 0));
        assert_eq!(PmId(0x0080_0015), PmId::new(2, 0, 21));
        assert_eq!(PmId(0x0f00_0c08).to_string(), "60.3.8");
        assert_eq!(PmId::NULL.to_string(), "PM_ID_NULL");
        assert_eq!(InDom(0x0f00_0002), InDom::new(60, 2));
        assert_eq!(InDom(0x0f00_0002).to_string(), "60.2");
        assert_eq!(InDom::NULL.to_string(), "PM_INDOM_NULL");
    }

    #[test]
    fn types_without_a_name_show_their_number() {
        assert_eq!(ValueType::DOUBLE.to_string(), "DOUBLE");
        assert_eq!(ValueType(77).to_string(), "ValueType(77)");
        assert_eq!(Semantics::COUNTER.to_string(), "counter");
    }

    proptest::proptest! {
        #[test]
        fn the_parts_of_an_identifier_make_it_again(
            domain in 0u16..512, cluster in 0u16..4096, item in 0u16..1024, serial in 0u32..0x40_0000,
        ) {
            let pmid = PmId::new(domain, cluster, item);
            let parts = (pmid.domain(), pmid.cluster(), pmid.item());
            proptest::prop_assert_eq!(parts, (domain.into(), cluster.into(), item.into()));
            let indom = InDom::new(domain, serial);
            proptest::prop_assert_eq!((indom.domain(), indom.serial()), (domain.into(), serial));
        }
    }
}
