//! Where everything lies in a file, as in `mmv(5)`: a header, a table of contents, and a section
//! each for instance domains, instances, metrics, values and strings. Sizes and numbers are facts of
//! PCP's `mmv_dev.h` and `mmv_stats.h`.

use std::fmt;

use pcp_proto::ValueType;

use crate::catalogue::{Catalogue, MOST_TEXT};

/// Where the first of the two generation numbers stands, which must be equal and not 0 for the file
/// to be read.
pub(crate) const GENERATION: u64 = 8;

/// Where the process identifier stands.
pub(crate) const PROCESS: usize = 32;

/// What every file begins with.
pub(crate) const MAGIC: [u8; 4] = *b"MMV\0";

pub(crate) const HEADER: usize = 40;
const TOC_ENTRY: usize = 16;
const INDOM: usize = 32;
const INSTANCE: usize = 24;
const METRIC: usize = 48;
const VALUE: usize = 32;
const STRING: usize = MOST_TEXT + 1;

/// The version with names of any length; the next only adds labels.
const VERSION: u32 = 2;

/// `MMV_FLAG_NOPREFIX`: the name of the file is no part of the metrics' names; and
/// `MMV_FLAG_PROCESS`: without the process, there are no metrics.
const FLAGS: u32 = 0x1 | 0x2;

/// The sections in their order, with the numbers that the table of contents has for them.
const SECTIONS: [(u32, usize); 5] = [
    (1, INDOM),
    (2, INSTANCE),
    (3, METRIC),
    (4, VALUE),
    (5, STRING),
];

/// The place of each section in [`SECTIONS`].
const INDOMS: usize = 0;
const INSTANCES: usize = 1;
const METRICS: usize = 2;
const VALUES: usize = 3;
const STRINGS: usize = 4;

/// A file that is laid out.
pub(crate) struct Layout {
    /// All of it, with values of 0.
    pub(crate) bytes: Vec<u8>,
    /// Where the values begin.
    pub(crate) values: usize,
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layout")
            .field("size", &self.bytes.len())
            .field("values", &self.values)
            .finish()
    }
}

impl Layout {
    /// Lays out a file of this process.
    pub(crate) fn new(catalogue: &Catalogue, generation: u64, process: u32) -> Layout {
        let mut builder = Builder::new(catalogue);
        builder.write_header(catalogue, generation, process);
        let first_instances = builder.write_indoms(catalogue);
        builder.write_metrics(catalogue, &first_instances);
        Layout {
            values: builder.section(VALUES),
            bytes: builder.bytes,
        }
    }

    /// The values as they are to be written.
    pub(crate) fn values(&self, count: usize) -> &[u8] {
        &self.bytes[self.values..self.values + count * VALUE]
    }

    /// Sets the values.
    pub(crate) fn set_values(&mut self, values: &[u64]) {
        let entries = self.bytes[self.values..].chunks_exact_mut(VALUE);
        for (entry, value) in entries.zip(values) {
            entry[..8].copy_from_slice(&value.to_ne_bytes());
        }
    }
}

/// Fills a file whose size is known.
struct Builder {
    bytes: Vec<u8>,
    /// How many entries each section has.
    counts: [usize; 5],
    /// Strings written so far.
    strings: usize,
}

impl Builder {
    fn new(catalogue: &Catalogue) -> Builder {
        let indoms = catalogue.indoms();
        let instances = indoms.iter().map(|indom| indom.instances.len()).sum();
        let metrics = catalogue.metrics().len();
        let strings = instances + 3 * metrics;
        let values = catalogue.values();
        let mut builder = Builder {
            bytes: Vec::new(),
            counts: [indoms.len(), instances, metrics, values, strings],
            strings: 0,
        };
        let size = builder.section(SECTIONS.len());
        builder.bytes = vec![0; size];
        builder
    }

    /// Where a section begins; after the last one, the size of the file.
    fn section(&self, number: usize) -> usize {
        let sections = self.counts.iter().zip(SECTIONS).take(number);
        let sizes = sections.map(|(count, (_, size))| count * size);
        HEADER + SECTIONS.len() * TOC_ENTRY + sizes.sum::<usize>()
    }

    fn write_header(&mut self, catalogue: &Catalogue, generation: u64, process: u32) {
        let mut header = Entry::at(&mut self.bytes, 0);
        header.raw(&MAGIC);
        header.u32(VERSION);
        header.u64(generation);
        header.u64(generation);
        header.count(SECTIONS.len());
        header.u32(FLAGS);
        header.u32(process);
        header.u32(catalogue.cluster().into());
        for (place, (number, _)) in SECTIONS.into_iter().enumerate() {
            let (offset, count) = (self.section(place), self.counts[place]);
            let mut toc = Entry::at(&mut self.bytes, HEADER + place * TOC_ENTRY);
            toc.u32(number);
            toc.count(count);
            toc.offset(offset);
        }
    }

    /// Writes the instance domains and their instances, and gives where the instances of each begin.
    fn write_indoms(&mut self, catalogue: &Catalogue) -> Vec<usize> {
        let mut next = self.section(INSTANCES);
        let mut firsts = Vec::new();
        for (place, indom) in catalogue.indoms().iter().enumerate() {
            firsts.push(next);
            let here = self.section(INDOMS) + place * INDOM;
            let mut entry = Entry::at(&mut self.bytes, here);
            entry.u32(indom.serial.into());
            entry.count(indom.instances.len());
            // The PMDA gives no help on instance domains.
            entry.offset(next);
            for (number, name) in indom.instances.iter().enumerate() {
                let name = self.write_string(name);
                let mut entry = Entry::at(&mut self.bytes, next);
                entry.offset(here);
                entry.u32(0);
                entry.count(number);
                entry.offset(name);
                next += INSTANCE;
            }
        }
        firsts
    }

    /// Writes the metrics and their values, all 0.
    fn write_metrics(&mut self, catalogue: &Catalogue, first_instances: &[usize]) {
        let mut value = self.section(VALUES);
        for (place, metric) in catalogue.metrics().iter().enumerate() {
            let texts = [metric.name, metric.short_help, metric.help];
            let [name, short_help, help] = texts.map(|text| self.write_string(text));
            let here = self.section(METRICS) + place * METRIC;
            let mut entry = Entry::at(&mut self.bytes, here);
            entry.offset(name);
            entry.u32(metric.item.into());
            entry.u32(ValueType::U64.0.cast_unsigned());
            entry.u32(metric.semantics.0.cast_unsigned());
            entry.u32(metric.units.to_wire());
            entry.u32(metric.indom.unwrap_or(0).into());
            entry.u32(0);
            entry.offset(short_help);
            entry.offset(help);
            let indoms = catalogue.indoms().iter().zip(first_instances);
            let instances = indoms
                .filter(|(indom, _)| Some(indom.serial) == metric.indom)
                .flat_map(|(indom, first)| {
                    (0..indom.instances.len()).map(move |number| first + number * INSTANCE)
                });
            let instances: Vec<usize> = match metric.indom {
                Some(_) => instances.collect(),
                None => vec![0],
            };
            for instance in instances {
                // The value itself, and room for values of other types.
                let mut entry = Entry::at(&mut self.bytes, value + 16);
                entry.offset(here);
                entry.offset(instance);
                value += VALUE;
            }
        }
    }

    /// Writes a string, and gives where.
    fn write_string(&mut self, text: &str) -> usize {
        let here = self.section(STRINGS) + self.strings * STRING;
        self.strings += 1;
        // A catalogue has no text that is too long.
        let text = &text.as_bytes()[..text.len().min(MOST_TEXT)];
        Entry::at(&mut self.bytes, here).raw(text);
        here
    }
}

/// A piece of the file that is written from its start on.
struct Entry<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Entry<'_> {
    fn at(bytes: &mut [u8], at: usize) -> Entry<'_> {
        Entry { bytes, at }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn u32(&mut self, value: u32) {
        self.raw(&value.to_ne_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.raw(&value.to_ne_bytes());
    }

    fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn offset(&mut self, offset: usize) {
        self.u64(offset as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InstanceDomain, Metric};
    use pcp_proto::{Semantics, Units};

    fn u32_at(bytes: &[u8], at: usize) -> usize {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    fn u64_at(bytes: &[u8], at: usize) -> usize {
        usize::try_from(u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
    }

    fn string_at(bytes: &[u8], at: usize) -> &str {
        let end = bytes[at..].iter().position(|byte| *byte == 0).unwrap();
        std::str::from_utf8(&bytes[at..at + end]).unwrap()
    }

    /// Walks through a file as its readers do: every value leads to its metric and its instance.
    #[test]
    fn every_value_leads_to_its_names() {
        let metric = |name, item, indom| Metric {
            name,
            item,
            semantics: Semantics::COUNTER,
            units: Units::COUNT,
            indom,
            short_help: "short",
            help: "long",
        };
        let indom = |serial, names: [&str; 2]| InstanceDomain {
            serial,
            instances: names.map(String::from).to_vec(),
        };
        let metrics = vec![
            metric("plain", 7, None),
            metric("by.colour", 8, Some(2)),
            metric("by.size", 9, Some(1)),
        ];
        let indoms = vec![indom(1, ["small", "large"]), indom(2, ["red", "blue"])];
        let catalogue = Catalogue::new(3, indoms, metrics).unwrap();
        let mut layout = Layout::new(&catalogue, 0x1234, 42);
        layout.set_values(&[10, 20, 30, 40, 50]);
        let bytes = &layout.bytes;
        assert_eq!(bytes[..4], MAGIC);
        assert_eq!((u64_at(bytes, 8), u64_at(bytes, 16)), (0x1234, 0x1234));
        assert_eq!((u32_at(bytes, PROCESS), u32_at(bytes, 36)), (42, 3));
        let toc = |place: usize| {
            let at = HEADER + place * TOC_ENTRY;
            (
                u32_at(bytes, at),
                u32_at(bytes, at + 4),
                u64_at(bytes, at + 8),
            )
        };
        assert_eq!(toc(3), (4, 5, layout.values));
        let (_, strings, at) = toc(4);
        assert_eq!(at + strings * STRING, bytes.len());

        let seen: Vec<_> = (0..5)
            .map(|number| {
                let at = layout.values + number * VALUE;
                let (metric, instance) = (u64_at(bytes, at + 16), u64_at(bytes, at + 24));
                let name = string_at(bytes, u64_at(bytes, metric));
                let instance = match instance {
                    0 => "",
                    at => string_at(bytes, u64_at(bytes, at + 16)),
                };
                (name, instance, u64_at(bytes, at))
            })
            .collect();
        let expected = [
            ("plain", "", 10),
            ("by.colour", "red", 20),
            ("by.colour", "blue", 30),
            ("by.size", "small", 40),
            ("by.size", "large", 50),
        ];
        assert_eq!(seen, expected);
    }
}
