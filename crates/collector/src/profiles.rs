//! The profiles of one client: which instances its fetches are about.

use std::collections::HashMap;

use pcp_proto::{InDom, Instance, Profile, Selection};

/// How many contexts of one connection may have a profile. libpcp gives each context a connection
/// of its own; older ones shared it among a few.
const MAX_CONTEXTS: usize = 8;

/// The profiles of a client's contexts.
#[derive(Debug, Default)]
pub(crate) struct Profiles(HashMap<u32, Filter>);

impl Profiles {
    /// Keeps a profile. One of too many contexts is not kept: its fetches will be told that they
    /// have none.
    pub(crate) fn set(&mut self, profile: Profile) {
        if self.0.len() < MAX_CONTEXTS || self.0.contains_key(&profile.context) {
            self.0.insert(profile.context, Filter::new(profile));
        }
    }

    /// The filter for a context, once it has sent a profile.
    pub(crate) fn get(&self, context: u32) -> Option<&Filter> {
        self.0.get(&context)
    }
}

/// A profile in a form that answers quickly, however long its lists are.
#[derive(Debug)]
pub(crate) struct Filter {
    others: Selection,
    domains: HashMap<InDom, Rule>,
}

#[derive(Debug)]
struct Rule {
    others: Selection,
    /// In ascending order.
    listed: Vec<Instance>,
}

impl Filter {
    fn new(profile: Profile) -> Filter {
        let rules = profile.domains.into_iter().map(|mut domain| {
            domain.listed.sort_unstable();
            let rule = Rule {
                others: domain.others,
                listed: domain.listed,
            };
            (domain.indom, rule)
        });
        Filter {
            others: profile.others,
            domains: rules.collect(),
        }
    }

    /// Whether an instance is wanted. The value of a metric without instances always is.
    pub(crate) fn wants(&self, indom: InDom, instance: Instance) -> bool {
        if indom == InDom::NULL {
            return true;
        }
        match self.domains.get(&indom) {
            None => self.others == Selection::Include,
            Some(rule) => {
                let is_listed = rule.listed.binary_search(&instance).is_ok();
                is_listed != (rule.others == Selection::Include)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcp_proto::InDomProfile;

    const DISKS: InDom = InDom::new(60, 1);
    const OTHER: InDom = InDom::new(60, 2);

    fn profile(context: u32, others: Selection, rules: &[(Selection, &[u32])]) -> Profile {
        let domains = rules.iter().map(|(others, listed)| InDomProfile {
            indom: DISKS,
            others: *others,
            listed: listed.iter().copied().map(Instance).collect(),
        });
        Profile {
            context,
            others,
            domains: domains.collect(),
        }
    }

    fn wanted(profile: Profile, indom: InDom) -> Vec<u32> {
        let filter = Filter::new(profile);
        (0..5)
            .filter(|&number| filter.wants(indom, Instance(number)))
            .collect()
    }

    #[test]
    fn the_listed_instances_are_the_exceptions() {
        use Selection::{Exclude, Include};
        let all = [0, 1, 2, 3, 4];
        assert_eq!(wanted(profile(0, Include, &[]), DISKS), all);
        assert_eq!(wanted(profile(0, Exclude, &[]), DISKS), []);
        let two = |others, rule| profile(0, others, &[(rule, &[3, 1])]);
        assert_eq!(wanted(two(Include, Exclude), DISKS), [1, 3]);
        assert_eq!(wanted(two(Exclude, Include), DISKS), [0, 2, 4]);
        assert_eq!(wanted(two(Include, Exclude), OTHER), all);
        assert_eq!(wanted(two(Exclude, Include), OTHER), []);
    }

    #[test]
    fn a_single_value_is_always_wanted() {
        let filter = Filter::new(profile(0, Selection::Exclude, &[]));
        assert!(filter.wants(InDom::NULL, Instance::NULL));
    }

    #[test]
    fn profiles_of_endless_contexts_are_not_all_kept() {
        let mut profiles = Profiles::default();
        for context in 0..100 {
            profiles.set(profile(context, Selection::Include, &[]));
        }
        assert_eq!(profiles.0.len(), MAX_CONTEXTS);
        assert!(profiles.get(0).is_some() && profiles.get(99).is_none());
        profiles.set(profile(0, Selection::Exclude, &[]));
        let filter = profiles.get(0).unwrap();
        assert!(!filter.wants(DISKS, Instance(1)));
    }
}
