//! Answers to fetches: the values of metrics, for the instances that the client wants.

use std::time::{Duration, SystemTime};

use pcp_proto::{
    Fetch, FetchResult, HighresResult, InDom, Instance, PmId, Status, ValueSet, Values,
};

use crate::host::Sample;
use crate::metrics::metric;
use crate::profiles::{Filter, Profiles};

/// The largest answer, in bytes: a client may name a metric as often as it likes.
const MAX_ANSWER: usize = 1 << 20;

/// The values that a fetch asks for.
pub(crate) fn values(
    fetch: &Fetch,
    profiles: &Profiles,
    sample: &Sample<'_>,
) -> Result<Vec<ValueSet>, Status> {
    if fetch.pmids.is_empty() {
        return Err(Status::TOO_SMALL);
    }
    let filter = profiles.get(fetch.context).ok_or(Status::NO_PROFILE)?;
    let mut size = 0;
    let mut sets = Vec::with_capacity(fetch.pmids.len());
    for &pmid in &fetch.pmids {
        let set = ValueSet {
            pmid,
            values: of_metric(pmid, filter, sample),
        };
        size += wire_size(&set.values);
        if size > MAX_ANSWER {
            return Err(Status::TOO_BIG);
        }
        sets.push(set);
    }
    Ok(sets)
}

fn of_metric(pmid: PmId, filter: &Filter, sample: &Sample<'_>) -> Values {
    let read = metric(pmid).and_then(|metric| {
        let values = (metric.read)(sample)?;
        Ok(select(values, metric.descriptor.indom, filter))
    });
    read.unwrap_or_else(Values::Missing)
}

/// The values for the instances that are wanted.
fn select(values: Values, indom: InDom, filter: &Filter) -> Values {
    let wants = |instance: Instance| filter.wants(indom, instance);
    let selected = match values {
        Values::Missing(status) => Values::Missing(status),
        Values::InSitu(mut values) => {
            values.retain(|(instance, _)| wants(*instance));
            Values::InSitu(values)
        }
        Values::Blocks(mut values) => {
            values.retain(|(instance, _)| wants(*instance));
            Values::Blocks(values)
        }
    };
    match selected {
        Values::InSitu(values) if values.is_empty() => Values::Missing(Status::OK),
        Values::Blocks(values) if values.is_empty() => Values::Missing(Status::OK),
        values => values,
    }
}

/// About what the values take on the wire, in bytes.
fn wire_size(values: &Values) -> usize {
    match values {
        Values::Missing(_) => 8,
        Values::InSitu(values) => 12 + 8 * values.len(),
        Values::Blocks(values) => {
            12 + values
                .iter()
                .map(|(_, block)| 8 + block.wire_size())
                .sum::<usize>()
        }
    }
}

/// The answer to a fetch.
pub(crate) fn result(sets: Vec<ValueSet>, now: SystemTime) -> FetchResult {
    let now = since_epoch(now);
    FetchResult {
        seconds: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
        microseconds: now.subsec_micros(),
        sets,
    }
}

/// The answer to a high resolution fetch.
pub(crate) fn highres_result(sets: Vec<ValueSet>, now: SystemTime) -> HighresResult {
    let now = since_epoch(now);
    HighresResult {
        seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: now.subsec_nanos().into(),
        sets,
    }
}

/// A clock that is set before 1970 is taken to be at 1970.
fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;
    use pcp_proto::{InDomProfile, Profile, Selection, ValueType};

    const LOAD: PmId = PmId::new(60, 2, 0);
    const HOSTNAME: PmId = PmId::new(2, 0, 21);

    fn fetch(profile: Option<Profile>, pmids: &[PmId]) -> Result<Vec<ValueSet>, Status> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("loadavg"), "1 5 15 1/9 9").unwrap();
        let host = Host::fake("alpha", folder.path());
        let mut profiles = Profiles::default();
        profile
            .into_iter()
            .for_each(|profile| profiles.set(profile));
        let fetch = Fetch {
            context: 0,
            pmids: pmids.to_vec(),
        };
        values(&fetch, &profiles, &host.sample())
    }

    #[test]
    fn values_come_in_the_order_in_which_they_were_asked_for() {
        let sets = fetch(Some(Profile::default()), &[HOSTNAME, LOAD]).unwrap();
        assert_eq!(sets[0].values.text(), Some("alpha"));
        let load = sets[1].values.numbers(ValueType::FLOAT);
        let each = [1, 5, 15].map(|minutes| (Instance(minutes), f64::from(minutes)));
        assert_eq!(load, each);
    }

    #[test]
    fn the_profile_selects_instances() {
        let only = |listed| Profile {
            domains: vec![InDomProfile {
                indom: InDom::new(60, 2),
                others: Selection::Exclude,
                listed,
            }],
            ..Profile::default()
        };
        let sets = fetch(Some(only(vec![Instance(5)])), &[LOAD]).unwrap();
        assert_eq!(
            sets[0].values.numbers(ValueType::FLOAT),
            [(Instance(5), 5.0)]
        );
        let sets = fetch(Some(only(vec![])), &[LOAD]).unwrap();
        assert_eq!(sets[0].values, Values::Missing(Status::OK));
    }

    #[test]
    fn what_cannot_be_read_tells_why_and_spoils_nothing() {
        let (unknown, uptime) = (PmId::new(60, 99, 0), PmId::new(60, 26, 0));
        let pmids = [unknown, PmId::new(99, 0, 0), uptime, HOSTNAME];
        let sets = fetch(Some(Profile::default()), &pmids).unwrap();
        assert_eq!(sets[0].values, Values::Missing(Status::PMID));
        assert_eq!(sets[1].values, Values::Missing(Status::NO_AGENT));
        assert_eq!(sets[2].values, Values::Missing(Status::from_errno(2)));
        assert_eq!(sets[3].values.text(), Some("alpha"));
    }

    #[test]
    fn a_fetch_needs_a_profile_and_a_metric() {
        assert_eq!(fetch(None, &[LOAD]), Err(Status::NO_PROFILE));
        assert_eq!(fetch(Some(Profile::default()), &[]), Err(Status::TOO_SMALL));
    }

    #[test]
    fn an_answer_that_would_be_too_large_is_refused() {
        let many = vec![LOAD; 30_000];
        assert_eq!(fetch(Some(Profile::default()), &many), Err(Status::TOO_BIG));
    }

    #[test]
    fn time_stamps_are_those_of_the_sample() {
        let now = SystemTime::UNIX_EPOCH + Duration::new(7, 123_456_789);
        let plain = result(Vec::new(), now);
        assert_eq!((plain.seconds, plain.microseconds), (7, 123_456));
        let highres = highres_result(Vec::new(), now);
        assert_eq!((highres.seconds, highres.nanoseconds), (7, 123_456_789));
    }
}
