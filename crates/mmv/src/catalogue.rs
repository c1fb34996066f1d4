//! What a file tells of: metrics and their instances, checked as the PMDA would.

use pcp_proto::{Semantics, Units};

/// The longest name or text, in bytes: a string has 256, and a NUL ends it.
pub(crate) const MOST_TEXT: usize = 255;

/// The highest number of a cluster, of 12 bits.
const MOST_CLUSTER: u16 = 0xfff;

/// The highest number of a metric within its cluster, of 10 bits.
const MOST_ITEM: u16 = 0x3ff;

/// The highest number of an instance domain within its cluster, of 11 bits.
const MOST_SERIAL: u16 = 0x7ff;

/// A set of things that metrics have a value for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceDomain {
    /// Its number, 1 to 2047. The PMDA takes 0 for none.
    pub serial: u16,
    /// The instances, with the names by which clients know them. Their numbers are their places.
    pub instances: Vec<String>,
}

/// A metric, whose values are unsigned and have 64 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name below that of the PMDA: words of letters, digits and `_`, with dots between them.
    pub name: &'static str,
    /// Its number within the cluster, 0 to 1023.
    pub item: u16,
    /// How its values behave.
    pub semantics: Semantics,
    /// What they are measured in.
    pub units: Units,
    /// The serial of its instance domain, if it has one.
    pub indom: Option<u16>,
    /// What it is, in one line.
    pub short_help: &'static str,
    /// What it is, in full.
    pub help: &'static str,
}

/// All that a file tells of. It cannot change later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    cluster: u16,
    indoms: Vec<InstanceDomain>,
    metrics: Vec<Metric>,
}

/// Why a catalogue cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// The PMDA would choose another cluster.
    #[error("cluster {0} is not from 1 to {MOST_CLUSTER}")]
    Cluster(u16),
    /// Not a number that a metric can have, or one that another has.
    #[error("metric {name}: item {item} is over {MOST_ITEM} or taken")]
    Item {
        /// The metric.
        name: &'static str,
        /// Its number.
        item: u16,
    },
    /// Not a number that an instance domain can have, or one that another has.
    #[error("instance domain {0} is not from 1 to {MOST_SERIAL} or taken")]
    Serial(u16),
    /// The metric is about an instance domain that is not in the catalogue.
    #[error("metric {name}: there is no instance domain {serial}")]
    NoInstances {
        /// The metric.
        name: &'static str,
        /// The number of the instance domain.
        serial: u16,
    },
    /// Not a name that a metric can have.
    #[error("{0:?} cannot be the name of a metric")]
    Name(&'static str),
    /// Longer than a string in a file.
    #[error("{0:?} has more than {MOST_TEXT} bytes or a NUL")]
    Text(String),
}

impl Catalogue {
    /// The metrics of the cluster, 1 to 4095, and what they have values for.
    ///
    /// # Errors
    /// [`CatalogueError`] when the PMDA or its clients could make nothing of it.
    pub fn new(
        cluster: u16,
        indoms: Vec<InstanceDomain>,
        metrics: Vec<Metric>,
    ) -> Result<Catalogue, CatalogueError> {
        if !(1..=MOST_CLUSTER).contains(&cluster) {
            return Err(CatalogueError::Cluster(cluster));
        }
        for (place, indom) in indoms.iter().enumerate() {
            let taken = indoms[..place]
                .iter()
                .any(|other| other.serial == indom.serial);
            if taken || !(1..=MOST_SERIAL).contains(&indom.serial) {
                return Err(CatalogueError::Serial(indom.serial));
            }
            indom
                .instances
                .iter()
                .try_for_each(|name| check_text(name))?;
        }
        for (place, metric) in metrics.iter().enumerate() {
            metric.check(&metrics[..place], &indoms)?;
        }
        Ok(Catalogue {
            cluster,
            indoms,
            metrics,
        })
    }

    /// How many values a file has: one for each metric without instances, and one for each instance
    /// of the others, in the order in which the metrics and the instances were given.
    pub fn values(&self) -> usize {
        let counts = self
            .metrics
            .iter()
            .map(|metric| match self.indom_of(metric) {
                Some(indom) => indom.instances.len(),
                None => 1,
            });
        counts.sum()
    }

    pub(crate) fn cluster(&self) -> u16 {
        self.cluster
    }

    pub(crate) fn indoms(&self) -> &[InstanceDomain] {
        &self.indoms
    }

    pub(crate) fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    pub(crate) fn indom_of(&self, metric: &Metric) -> Option<&InstanceDomain> {
        let serial = metric.indom?;
        self.indoms.iter().find(|indom| indom.serial == serial)
    }
}

impl Metric {
    /// The same metric with a value for each instance of the domain with this serial.
    #[must_use]
    pub const fn of_each(self, indom: u16) -> Metric {
        Metric {
            indom: Some(indom),
            ..self
        }
    }

    fn check(&self, before: &[Metric], indoms: &[InstanceDomain]) -> Result<(), CatalogueError> {
        let (name, item) = (self.name, self.item);
        let is_word = |word: &str| {
            let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
            word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(rest)
        };
        if !name.split('.').all(is_word) || before.iter().any(|other| other.name == name) {
            return Err(CatalogueError::Name(name));
        }
        if item > MOST_ITEM || before.iter().any(|other| other.item == item) {
            return Err(CatalogueError::Item { name, item });
        }
        if let Some(serial) = self.indom
            && !indoms.iter().any(|indom| indom.serial == serial)
        {
            return Err(CatalogueError::NoInstances { name, serial });
        }
        [name, self.short_help, self.help]
            .into_iter()
            .try_for_each(check_text)
    }
}

fn check_text(text: &str) -> Result<(), CatalogueError> {
    if text.len() > MOST_TEXT || text.contains('\0') {
        return Err(CatalogueError::Text(text.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRIC: Metric = Metric {
        name: "bytes.in",
        item: 0,
        semantics: Semantics::COUNTER,
        units: Units::COUNT,
        indom: None,
        short_help: "",
        help: "",
    };

    fn refusal(indoms: &[InstanceDomain], metrics: &[Metric]) -> CatalogueError {
        Catalogue::new(1, indoms.to_vec(), metrics.to_vec()).unwrap_err()
    }

    #[test]
    fn what_the_pmda_would_not_take_is_refused() {
        assert_eq!(
            Catalogue::new(0, vec![], vec![]),
            Err(CatalogueError::Cluster(0))
        );
        assert_eq!(
            Catalogue::new(4096, vec![], vec![]),
            Err(CatalogueError::Cluster(4096))
        );
        for name in ["", "a..b", ".a", "a.", "1a", "a.2", "a-b", "ä", "a b"] {
            let metric = Metric { name, ..METRIC };
            assert_eq!(refusal(&[], &[metric]), CatalogueError::Name(name));
        }
        let indom = |serial, name: &str| InstanceDomain {
            serial,
            instances: vec![name.into()],
        };
        assert_eq!(refusal(&[indom(0, "a")], &[]), CatalogueError::Serial(0));
        assert_eq!(
            refusal(&[indom(2048, "a")], &[]),
            CatalogueError::Serial(2048)
        );
        assert_eq!(
            refusal(&[indom(7, "a"), indom(7, "b")], &[]),
            CatalogueError::Serial(7)
        );
        let long = "x".repeat(256);
        assert_eq!(refusal(&[indom(1, &long)], &[]), CatalogueError::Text(long));
        assert!(Catalogue::new(1, vec![indom(1, &"x".repeat(255))], vec![]).is_ok());
        let nul = "a\0b".to_owned();
        assert_eq!(refusal(&[indom(1, &nul)], &[]), CatalogueError::Text(nul));
        let metric = Metric {
            indom: Some(3),
            ..METRIC
        };
        let (name, serial) = (METRIC.name, 3);
        assert_eq!(
            refusal(&[], &[metric]),
            CatalogueError::NoInstances { name, serial }
        );
    }

    #[test]
    fn no_two_metrics_have_the_same_number_or_name() {
        let other = Metric {
            name: "other",
            ..METRIC
        };
        let taken = CatalogueError::Item {
            name: "other",
            item: 0,
        };
        assert_eq!(refusal(&[], &[METRIC, other.clone()]), taken);
        let same = Metric { item: 1, ..METRIC };
        assert_eq!(
            refusal(&[], &[METRIC, same]),
            CatalogueError::Name("bytes.in")
        );
        let other = Metric {
            item: 1024,
            ..other
        };
        let over = CatalogueError::Item {
            name: "other",
            item: 1024,
        };
        assert_eq!(refusal(&[], &[METRIC, other]), over);
    }
}
