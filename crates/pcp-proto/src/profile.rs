//! The PROFILE PDU: which instances the fetches of a context are about.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{InDom, Instance, PduType};

/// What happens to the instances that are not listed; those that are listed get the opposite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// They are wanted.
    #[default]
    Include,
    /// They are not.
    Exclude,
}

impl Selection {
    fn read(body: &mut Reader<'_>, field: &'static str) -> Result<Selection, DecodeError> {
        match body.i32(field)? {
            0 => Ok(Selection::Include),
            1 => Ok(Selection::Exclude),
            other => Err(DecodeError::BadValue {
                field,
                value: other.into(),
            }),
        }
    }

    fn write(self, body: &mut Writer) {
        body.i32(match self {
            Selection::Include => 0,
            Selection::Exclude => 1,
        });
    }
}

/// Which instances of one instance domain are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDomProfile {
    /// The instance domain.
    pub indom: InDom,
    /// What happens to its instances that are not listed.
    pub others: Selection,
    /// The exceptions.
    pub listed: Vec<Instance>,
}

/// The profile of a context. A client sends it before its first fetch and after each change; pmcd
/// does not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The client's number for the context; its fetches name the same one.
    pub context: u32,
    /// What happens to instances of domains that are not listed.
    pub others: Selection,
    /// The instance domains with a rule of their own.
    pub domains: Vec<InDomProfile>,
}

/// Identifier, selection, count of instances, and a word that is not in use.
const DOMAIN_HEAD: usize = 16;

impl Pdu for Profile {
    const TYPE: PduType = PduType::PROFILE;

    fn encode_body(&self, body: &mut Writer) {
        body.u32(self.context);
        self.others.write(body);
        body.count(self.domains.len());
        body.u32(0);
        for domain in &self.domains {
            body.u32(domain.indom.0);
            domain.others.write(body);
            body.count(domain.listed.len());
            body.u32(0);
        }
        for instance in self.domains.iter().flat_map(|domain| &domain.listed) {
            body.u32(instance.0);
        }
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let context = body.u32("context")?;
        let others = Selection::read(body, "default of the profile")?;
        // The word that is not in use stands between the count and what it counts.
        let count = body.count(DOMAIN_HEAD, "number of instance domains")?;
        body.u32("padding")?;
        let mut heads = Vec::with_capacity(count);
        for _ in 0..count {
            let indom = InDom(body.u32("instance domain")?);
            let others = Selection::read(body, "default of the instance domain")?;
            let instances = body.i32("number of instances")?;
            body.u32("padding")?;
            heads.push((indom, others, instances));
        }
        let mut domains = Vec::with_capacity(count);
        for (indom, others, instances) in heads {
            let listed = Instance::read_list(body, instances)?;
            domains.push(InDomProfile {
                indom,
                others,
                listed,
            });
        }
        Ok(Profile {
            context,
            others,
            domains,
        })
    }
}

impl Instance {
    fn read_list(body: &mut Reader<'_>, count: i32) -> Result<Vec<Instance>, DecodeError> {
        let count = body.holds(count, 4, "number of instances")?;
        (0..count)
            .map(|_| body.u32("instance").map(Instance))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use proptest::prelude::*;

    #[test]
    fn the_profile_of_pmval_for_one_instance_is_understood() {
        // Recorded from pmval 6.0.3, `pmval -i 1 kernel.all.load`.
        let bytes = pdu(
            PduType::PROFILE,
            "00000000 00000000 00000001 00000000 0f000002 00000001 00000001 00000000 00000001",
        );
        let profile = Profile::decode(&bytes).unwrap();
        let only_first = InDomProfile {
            indom: InDom::new(60, 2),
            others: Selection::Exclude,
            listed: vec![Instance(1)],
        };
        let wanted = Profile {
            domains: vec![only_first],
            ..Profile::default()
        };
        assert_eq!(profile, wanted);
        assert_eq!(profile.encode(0), bytes);
    }

    #[test]
    fn the_lists_of_instances_stand_after_all_domains() {
        let domain = |serial, listed: &[u32]| InDomProfile {
            indom: InDom::new(60, serial),
            others: Selection::Include,
            listed: listed.iter().copied().map(Instance).collect(),
        };
        let profile = Profile {
            context: 3,
            others: Selection::Exclude,
            domains: vec![domain(1, &[7, 8]), domain(2, &[]), domain(3, &[9])],
        };
        let bytes = profile.encode(0);
        assert!(bytes.ends_with(&[0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9]));
        round_trip(&profile);
    }

    #[test]
    fn a_promise_of_more_instances_than_there_are_is_refused() {
        let bytes = pdu(
            PduType::PROFILE,
            "00000000 00000000 00000001 00000000 0f000002 00000001 7fffffff 00000000 00000001",
        );
        let refused = Profile::decode(&bytes);
        assert!(matches!(
            refused,
            Err(DecodeError::TooShort {
                field: "number of instances",
                ..
            })
        ));
    }

    prop_compose! {
        fn any_domain()(
            indom: u32, exclude: bool, listed in prop::collection::vec(any::<u32>(), 0..5),
        ) -> InDomProfile {
            let others = if exclude { Selection::Exclude } else { Selection::Include };
            let listed = listed.into_iter().map(Instance).collect();
            InDomProfile { indom: InDom(indom), others, listed }
        }
    }

    proptest! {
        #[test]
        fn a_profile_survives_the_wire(
            context: u32, domains in prop::collection::vec(any_domain(), 0..5),
        ) {
            round_trip(&Profile { context, others: Selection::Include, domains });
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = Profile::decode_body(&mut Reader::new(&body));
        }
    }
}
