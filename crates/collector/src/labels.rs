//! Answers to questions for labels.

use pcp_proto::{Instance, LabelReq, LabelSet, LabelSubject, LabelText, Labels, Status};

use crate::host::Sample;
use crate::metrics::{AGENTS, Domain, domain};

/// The labels of what the question is about: none for a metric, or an instance domain that is
/// unknown.
pub(crate) fn labels(question: LabelReq, sample: &Sample<'_>) -> Result<Labels, Status> {
    let subject = question.0;
    let sets = match subject {
        LabelSubject::Context => {
            let name = json_text(sample.host_name());
            vec![set(Instance::NULL, &[("hostname", &name)], subject)]
        }
        LabelSubject::Domain(number) => {
            let agent = json_text(agent(number).ok_or(Status::NO_AGENT)?);
            vec![set(Instance::NULL, &[("agent", &agent)], subject)]
        }
        LabelSubject::InDom(indom) => match domain(indom) {
            Some(Domain { labels, .. }) if !labels.is_empty() => {
                vec![set(Instance::NULL, labels, subject)]
            }
            _ => Vec::new(),
        },
        LabelSubject::Instances(indom) => match domain(indom) {
            Some(domain) => of_instances(domain, subject, sample)?,
            None => Vec::new(),
        },
        LabelSubject::Cluster(_) | LabelSubject::Item(_) => Vec::new(),
    };
    Ok(Labels { subject, sets })
}

fn of_instances(
    domain: &Domain,
    subject: LabelSubject,
    sample: &Sample<'_>,
) -> Result<Vec<LabelSet>, Status> {
    let Some(label) = domain.instance_label else {
        return Ok(Vec::new());
    };
    let instances = (domain.instances)(sample)?.into_iter();
    Ok(instances
        .map(|(instance, name)| set(instance, &[(label, &json_text(&name))], subject))
        .collect())
}

fn set(instance: Instance, labels: &[(&str, &str)], subject: LabelSubject) -> LabelSet {
    let text = LabelText::new(labels.iter().copied(), subject.bit());
    LabelSet {
        instance,
        labels: text.ok_or(Status::TOO_BIG),
    }
}

fn agent(number: u32) -> Option<&'static str> {
    let mut agents = AGENTS.iter();
    agents
        .find(|(domain, _)| u32::from(*domain) == number)
        .map(|(_, name)| *name)
}

/// A text as JSON.
fn json_text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;
    use pcp_proto::{InDom, PmId};

    fn ask(subject: LabelSubject) -> Result<Vec<String>, Status> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("diskstats"),
            "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 16 sdb 1 2 3 4 5 6 7 8 9 10 11\n",
        )
        .unwrap();
        let host = Host::fake("al\"pha", folder.path());
        let labels = labels(LabelReq(subject), &host.sample())?;
        let texts = labels.sets.into_iter().flat_map(|set| set.labels);
        Ok(texts.map(|text| text.json().to_owned()).collect())
    }

    #[test]
    fn the_context_tells_the_host_and_a_domain_its_agent() {
        let host = r#"{"hostname":"al\"pha"}"#.to_owned();
        assert_eq!(ask(LabelSubject::Context), Ok(vec![host]));
        let agent = r#"{"agent":"linux"}"#.to_owned();
        assert_eq!(ask(LabelSubject::Domain(60)), Ok(vec![agent]));
        assert_eq!(ask(LabelSubject::Domain(61)), Err(Status::NO_AGENT));
    }

    #[test]
    fn instance_domains_and_their_instances_have_labels_of_their_own() {
        let disks = InDom::new(60, 1);
        let domain = r#"{"device_type":"block","indom_name":"per disk"}"#.to_owned();
        assert_eq!(ask(LabelSubject::InDom(disks)), Ok(vec![domain]));
        let each = ["sda", "sdb"].map(|name| format!(r#"{{"device_name":"{name}"}}"#));
        assert_eq!(ask(LabelSubject::Instances(disks)), Ok(each.to_vec()));
        assert_eq!(ask(LabelSubject::Instances(InDom::new(60, 2))), Ok(vec![]));
        assert_eq!(ask(LabelSubject::InDom(InDom::new(60, 99))), Ok(vec![]));
        assert_eq!(ask(LabelSubject::Item(PmId::new(60, 2, 0))), Ok(vec![]));
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(json_text("a\\b\n"), "\"a\\\\b\\u000a\"");
    }
}
