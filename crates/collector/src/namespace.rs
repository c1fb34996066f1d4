//! The metric name space: a tree that follows from the dots in the names of the metrics.

use pcp_proto::{NodeKind, Status};

use crate::metrics::{METRICS, Metric};

/// The metric of this name.
///
/// # Errors
/// Whether the name is unknown or has more names below it.
pub(crate) fn find(name: &str) -> Result<&'static Metric, Status> {
    let known = METRICS.iter().find(|metric| metric.name == name);
    known.copied().ok_or_else(|| {
        let is_node = METRICS
            .iter()
            .any(|metric| below(metric.name, name).is_some());
        if is_node {
            Status::NONLEAF
        } else {
            Status::NAME
        }
    })
}

/// The names just below a name, of which the empty one is the root; none below a metric.
///
/// # Errors
/// When the name is unknown.
pub(crate) fn children(name: &str) -> Result<Vec<(NodeKind, &'static str)>, Status> {
    let mut children = Vec::new();
    for rest in METRICS.iter().filter_map(|metric| below(metric.name, name)) {
        let child = match rest.split_once('.') {
            Some((child, _)) => (NodeKind::NonLeaf, child),
            None => (NodeKind::Leaf, rest),
        };
        if !children.contains(&child) {
            children.push(child);
        }
    }
    if children.is_empty() {
        find(name)?;
    }
    Ok(children)
}

/// The full names of all metrics below a name, or the name itself when it is a metric.
///
/// # Errors
/// When the name is unknown.
pub(crate) fn traverse(name: &str) -> Result<Vec<&'static str>, Status> {
    if let Ok(metric) = find(name) {
        return Ok(vec![metric.name]);
    }
    let names = METRICS.iter().map(|metric| metric.name);
    let names: Vec<_> = names.filter(|full| below(full, name).is_some()).collect();
    if names.is_empty() {
        return Err(Status::NAME);
    }
    Ok(names)
}

/// The part of a full name that is below `name`.
fn below<'n>(full: &'n str, name: &str) -> Option<&'n str> {
    if name.is_empty() {
        return Some(full);
    }
    full.strip_prefix(name)?.strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use NodeKind::{Leaf, NonLeaf};

    #[test]
    fn the_root_has_the_first_part_of_each_name_once() {
        let roots = ["kernel", "hinv", "mem", "network", "disk", "pmcd"];
        assert_eq!(children(""), Ok(roots.map(|name| (NonLeaf, name)).to_vec()));
    }

    #[test]
    fn children_tell_metrics_from_nodes() {
        assert_eq!(
            children("mem"),
            Ok(vec![(Leaf, "physmem"), (NonLeaf, "util")])
        );
        assert_eq!(children("kernel.all.load"), Ok(vec![]));
        for unknown in ["nope", "mem.", "me", "mem.util.used.x"] {
            assert_eq!(children(unknown), Err(Status::NAME), "{unknown}");
        }
    }

    #[test]
    fn traversing_gives_full_names() {
        assert_eq!(traverse("").map(|names| names.len()), Ok(METRICS.len()));
        assert_eq!(
            traverse("disk.dev"),
            Ok(vec!["disk.dev.read", "disk.dev.write"])
        );
        assert_eq!(traverse("hinv.ncpu"), Ok(vec!["hinv.ncpu"]));
        assert_eq!(traverse("dis"), Err(Status::NAME));
    }

    #[test]
    fn a_node_is_no_metric() {
        assert_eq!(find("kernel.all").unwrap_err(), Status::NONLEAF);
        assert_eq!(find("").unwrap_err(), Status::NONLEAF);
        assert_eq!(find("kernel.al").unwrap_err(), Status::NAME);
    }
}
