//! Answers about what there is: names, descriptors, instances and help.

use pcp_proto::{
    DescIds, DescReq, Descriptor, Descs, InDom, Instance, InstanceList, InstanceReq, PmId,
    PmnsChild, PmnsIds, PmnsNames, PmnsTraverse, Status, Text, TextKind, TextReq, TextSubject,
};

use crate::host::Sample;
use crate::metrics::{domain, metric};
use crate::namespace;

/// Identifiers for names. A name alone fails with the reason; among several, those that are unknown
/// get [`PmId::NULL`].
pub(crate) fn identifiers(names: &PmnsNames) -> Result<PmnsIds, Status> {
    let names: Vec<&str> = match names {
        PmnsNames::Plain(names) => names.iter().map(String::as_str).collect(),
        PmnsNames::WithKinds(names) => names.iter().map(|(_, name)| name.as_str()).collect(),
    };
    match names[..] {
        [] => return Err(Status::TOO_SMALL),
        [name] => _ = namespace::find(name)?,
        _ => {}
    }
    let found = |name| namespace::find(name).map(|metric| metric.descriptor.pmid);
    let pmids: Vec<PmId> = names
        .into_iter()
        .map(|name| found(name).unwrap_or(PmId::NULL))
        .collect();
    let known = pmids.iter().filter(|&&pmid| pmid != PmId::NULL).count();
    Ok(PmnsIds {
        status: i32::try_from(known).unwrap_or(i32::MAX),
        pmids,
    })
}

/// The name of one metric.
pub(crate) fn names(ids: &PmnsIds) -> Result<PmnsNames, Status> {
    let [pmid] = ids.pmids[..] else {
        return Err(Status::IPC);
    };
    Ok(PmnsNames::Plain(vec![metric(pmid)?.name.to_owned()]))
}

/// The names just below a name.
pub(crate) fn children(question: &PmnsChild) -> Result<PmnsNames, Status> {
    let children = namespace::children(&question.name)?.into_iter();
    let children = children.map(|(kind, name)| (kind, name.to_owned()));
    if question.with_kinds && children.len() > 0 {
        return Ok(PmnsNames::WithKinds(children.collect()));
    }
    Ok(PmnsNames::Plain(children.map(|(_, name)| name).collect()))
}

/// The names of all metrics below a name.
pub(crate) fn traverse(question: &PmnsTraverse) -> Result<PmnsNames, Status> {
    let names = namespace::traverse(&question.name)?;
    Ok(PmnsNames::Plain(
        names.into_iter().map(str::to_owned).collect(),
    ))
}

/// What a metric is.
pub(crate) fn descriptor(question: DescReq) -> Result<Descriptor, Status> {
    // To a question about what a metric is, an agent that is unknown is no other answer.
    let found = metric(question.0).map_err(|_| Status::PMID)?;
    Ok(found.descriptor)
}

/// What several metrics are. It fails when all of them are unknown.
pub(crate) fn descriptors(question: &DescIds) -> Result<Descs, Status> {
    let found = question.0.iter();
    let found: Vec<_> = found
        .map(|&pmid| metric(pmid).ok().map(|metric| metric.descriptor))
        .collect();
    match found[..] {
        [] => Err(Status::TOO_SMALL),
        _ if found.iter().all(Option::is_none) => Err(Status::PMID),
        _ => Ok(Descs(found)),
    }
}

/// All instances, or one by name or number.
pub(crate) fn instances(
    question: &InstanceReq,
    sample: &Sample<'_>,
) -> Result<InstanceList, Status> {
    let indom = question.indom;
    let all = (domain(indom).ok_or(Status::INDOM)?.instances)(sample)?;
    let instances = match (question.instance, question.name.as_str()) {
        (Instance::NULL, "") => all,
        (number, "") => {
            let found = all.into_iter().find(|(instance, _)| *instance == number);
            let (_, name) = found.ok_or(Status::INST)?;
            vec![(Instance::NULL, name)]
        }
        (Instance::NULL, name) => {
            let found = all.into_iter().find(|(_, full)| is_called(full, name));
            let (number, _) = found.ok_or(Status::INST)?;
            vec![(number, String::new())]
        }
        _ => return Err(Status::INST),
    };
    Ok(InstanceList { indom, instances })
}

/// PCP takes the first word of an instance's name for the whole of it.
fn is_called(full: &str, name: &str) -> bool {
    full == name || full.split(' ').next() == Some(name)
}

/// Help.
pub(crate) fn text(question: &TextReq) -> Result<Text, Status> {
    let (one_line, help) = match question.subject {
        TextSubject::Metric(pmid) => {
            let metric = metric(pmid).map_err(|_| Status::TEXT)?;
            (metric.one_line, metric.help)
        }
        TextSubject::InDom(indom) => help_of(indom)?,
    };
    let text = match question.kind {
        TextKind::OneLine => one_line,
        TextKind::Help => help,
    };
    Ok(Text {
        ident: question.subject.ident(),
        text: text.to_owned(),
    })
}

fn help_of(indom: InDom) -> Result<(&'static str, &'static str), Status> {
    let domain = domain(indom).ok_or(Status::TEXT)?;
    Ok((domain.one_line, domain.help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;

    const LOAD: PmId = PmId::new(60, 2, 0);
    const UNKNOWN: PmId = PmId::new(60, 99, 0);

    fn plain(names: &[&str]) -> PmnsNames {
        PmnsNames::Plain(names.iter().copied().map(str::to_owned).collect())
    }

    #[test]
    fn names_become_identifiers_and_unknown_ones_do_not_spoil_the_others() {
        let found = identifiers(&plain(&["kernel.all.load", "no.such", "kernel"])).unwrap();
        let pmids = vec![LOAD, PmId::NULL, PmId::NULL];
        assert_eq!(found, PmnsIds { status: 1, pmids });
        assert_eq!(identifiers(&plain(&["no.such"])), Err(Status::NAME));
        assert_eq!(identifiers(&plain(&["kernel"])), Err(Status::NONLEAF));
        assert_eq!(identifiers(&plain(&[])), Err(Status::TOO_SMALL));
    }

    #[test]
    fn an_identifier_becomes_its_name() {
        let ids = |pmids: &[PmId]| PmnsIds {
            status: 0,
            pmids: pmids.to_vec(),
        };
        assert_eq!(names(&ids(&[LOAD])), Ok(plain(&["kernel.all.load"])));
        assert_eq!(names(&ids(&[UNKNOWN])), Err(Status::PMID));
        assert_eq!(names(&ids(&[LOAD, LOAD])), Err(Status::IPC));
    }

    #[test]
    fn several_descriptors_are_given_as_long_as_one_is_known() {
        let given = descriptors(&DescIds(vec![UNKNOWN, LOAD])).unwrap();
        assert!(given.0[0].is_none());
        assert_eq!(given.0[1].map(|descriptor| descriptor.pmid), Some(LOAD));
        assert_eq!(descriptors(&DescIds(vec![UNKNOWN])), Err(Status::PMID));
    }

    #[test]
    fn instances_are_found_by_number_name_and_first_word() {
        let host = Host::new("alpha");
        let ask = |number, name: &str| {
            let question = InstanceReq {
                indom: InDom::new(60, 2),
                instance: number,
                name: name.to_owned(),
            };
            instances(&question, &host.sample()).map(|list| list.instances)
        };
        assert_eq!(ask(Instance::NULL, "").map(|all| all.len()), Ok(3));
        assert_eq!(
            ask(Instance(15), ""),
            Ok(vec![(Instance::NULL, "15 minute".into())])
        );
        let fifth = vec![(Instance(5), String::new())];
        assert_eq!(ask(Instance::NULL, "5 minute"), Ok(fifth.clone()));
        assert_eq!(ask(Instance::NULL, "5"), Ok(fifth));
        assert_eq!(ask(Instance::NULL, "minute"), Err(Status::INST));
        assert_eq!(ask(Instance(7), ""), Err(Status::INST));
        assert_eq!(ask(Instance(5), "5 minute"), Err(Status::INST));
    }

    #[test]
    fn both_helps_are_given_for_metrics_and_instance_domains() {
        let ask = |subject, kind| {
            let question = TextReq {
                subject,
                kind,
                direct: false,
            };
            text(&question).map(|text| text.text)
        };
        let load = TextSubject::Metric(LOAD);
        assert_ne!(ask(load, TextKind::OneLine), ask(load, TextKind::Help));
        let disks = TextSubject::InDom(InDom::new(60, 1));
        assert_eq!(ask(disks, TextKind::OneLine), Ok("disks".into()));
        let unknown = TextSubject::Metric(UNKNOWN);
        assert_eq!(ask(unknown, TextKind::Help), Err(Status::TEXT));
    }
}
