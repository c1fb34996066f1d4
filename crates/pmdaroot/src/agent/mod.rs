//! The agent (PMDA): what pmcd asks over its pipe, and the answers. No descriptor is touched here.

mod metrics;

use std::collections::VecDeque;
use std::time::Instant;

use pcp_proto::{
    Creds, DecodeError, DescReq, Descriptor, ErrorPdu, Features, Fetch, FetchResult, Instance,
    InstanceList, InstanceReq, LabelReq, Labels, LengthError, PDU_VERSION, Pdu, PduAssembler,
    PduHeader, PduLimit, PduType, PmId, Profile, Selection, Status, Text, TextKind, TextReq,
    TextSubject, ValueSet, VersionCred,
};

use crate::containers::Containers;
use metrics::{DOMAIN_HELP, DOMAIN_ONE_LINE, indom, metric};

/// The largest answer, in bytes, as libpcp has it for pipes.
const MAX_ANSWER: usize = 16 << 20;

/// The conversation with pmcd.
#[derive(Debug)]
pub(crate) struct Agent {
    domain: u16,
    incoming: PduAssembler,
    questions: VecDeque<Vec<u8>>,
    profile: Profile,
    outgoing: Vec<u8>,
    /// Until when the first question waits, at the latest.
    waits: Option<Instant>,
}

/// The longest PDU from pmcd, in bytes: profiles can be long.
const MAX_QUESTION: u32 = 16 << 20;

/// Why the conversation ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    #[error("pmcd sent a PDU that cannot be: {0}")]
    Length(#[from] LengthError),
    #[error("pmcd sent a malformed PDU: {0}")]
    Malformed(#[from] DecodeError),
}

impl Agent {
    /// Begins with the agent's credentials. `domain` is the agent's number.
    pub(crate) fn new(domain: u16) -> Agent {
        let version = VersionCred {
            version: PDU_VERSION,
            features: Features::default(),
        };
        let creds = Creds {
            versions: vec![version],
        };
        Agent {
            domain,
            incoming: PduAssembler::new(PduLimit::new(MAX_QUESTION).unwrap_or(PduLimit::DEFAULT)),
            questions: VecDeque::new(),
            profile: Profile::default(),
            outgoing: creds.encode(std::process::id()),
            waits: None,
        }
    }

    /// Takes what pmcd has sent.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        self.incoming.push(bytes);
        while let Some(pdu) = self.incoming.next_pdu()? {
            self.questions.push_back(pdu.to_vec());
        }
        Ok(())
    }

    /// What is to be sent.
    pub(crate) fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Until when the next question waits.
    pub(crate) fn waits(&self) -> Option<Instant> {
        self.waits
    }

    /// Answers questions, as long as the answers before have gone.
    pub(crate) fn answer(
        &mut self,
        containers: &mut Containers,
        now: Instant,
    ) -> Result<(), AgentError> {
        while self.outgoing.is_empty()
            && let Some(pdu) = self.questions.pop_front()
        {
            let pdu_type = PduHeader::decode(&pdu)?.pdu_type;
            if matches!(pdu_type, PduType::FETCH | PduType::INSTANCE_REQ)
                && self.must_wait(pdu_type == PduType::FETCH, containers, now)
            {
                self.questions.push_front(pdu);
                return Ok(());
            }
            if let Some(answer) = self.answer_to(pdu_type, &pdu, containers)? {
                self.outgoing = answer;
            }
        }
        Ok(())
    }

    /// Whether a question about containers waits for their states: until all are known, and not
    /// beyond the time that was set when it came.
    fn must_wait(&mut self, is_fetch: bool, containers: &mut Containers, now: Instant) -> bool {
        if self.waits.is_none() {
            containers.refresh(now);
            if is_fetch {
                containers.want_states(now);
            }
            self.waits = containers.settles_at(now);
        }
        let is_over = |until: Instant| until <= now || containers.settles_at(now).is_none();
        if self.waits.is_some_and(is_over) {
            self.waits = None;
        }
        self.waits.is_some()
    }

    fn answer_to(
        &mut self,
        pdu_type: PduType,
        pdu: &[u8],
        containers: &Containers,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        Ok(Some(match pdu_type {
            PduType::PROFILE => {
                self.profile = Profile::decode(pdu)?;
                return Ok(None);
            }
            // pmcd tells that a context has ended, who its client is, or what it can do itself.
            PduType::ERROR | PduType::AUTH | PduType::CREDS => return Ok(None),
            PduType::FETCH => reply(self.fetch(&Fetch::decode(pdu)?, containers)),
            PduType::INSTANCE_REQ => reply(self.instances(&InstanceReq::decode(pdu)?, containers)),
            PduType::DESC_REQ => reply(self.descriptor(DescReq::decode(pdu)?)),
            PduType::TEXT_REQ => reply(self.text(&TextReq::decode(pdu)?)),
            PduType::LABEL_REQ => reply(Ok(Labels {
                subject: LabelReq::decode(pdu)?.0,
                sets: Vec::new(),
            })),
            // Nothing can be stored.
            PduType::RESULT => error(Status::PERMISSION),
            // All names stand in the name space of pmcd.
            PduType::PMNS_IDS => error(Status::PMID),
            PduType::PMNS_NAMES | PduType::PMNS_CHILD | PduType::PMNS_TRAVERSE => {
                error(Status::NAME)
            }
            _ => error(Status::NOT_IMPLEMENTED),
        }))
    }

    fn fetch(&self, fetch: &Fetch, containers: &Containers) -> Result<FetchResult, Status> {
        let mut sets = Vec::with_capacity(fetch.pmids.len());
        for &pmid in &fetch.pmids {
            let values = match metric(pmid, self.domain) {
                Some(metric) => metric.values(containers, |instance| self.wants(instance)),
                None => pcp_proto::Values::Missing(Status::PMID),
            };
            sets.push(ValueSet { pmid, values });
        }
        // pmcd puts the time in.
        Ok(FetchResult {
            seconds: 0,
            microseconds: 0,
            sets,
        })
    }

    /// Whether the client of the last profile wants to know about an instance.
    fn wants(&self, instance: Instance) -> bool {
        let indom = indom(self.domain);
        match self.profile.domains.iter().find(|rule| rule.indom == indom) {
            None => self.profile.others == Selection::Include,
            Some(rule) => rule.listed.contains(&instance) != (rule.others == Selection::Include),
        }
    }

    fn instances(
        &self,
        question: &InstanceReq,
        containers: &Containers,
    ) -> Result<InstanceList, Status> {
        let indom = question.indom;
        if indom != self::indom(self.domain) {
            return Err(Status::INDOM);
        }
        let mut all = containers.all();
        let instances = match (question.instance, question.name.as_str()) {
            (Instance::NULL, "") => all
                .map(|(number, container)| (Instance(number), container.id.clone()))
                .collect(),
            (Instance(wanted), "") => {
                let (_, container) = all
                    .find(|(number, _)| *number == wanted)
                    .ok_or(Status::INST)?;
                vec![(Instance::NULL, container.id.clone())]
            }
            (Instance::NULL, name) => {
                // PCP takes the first word of a name for the whole of it.
                let is_it = |id: &str| id == name || id.split(' ').next() == Some(name);
                let (number, _) = all
                    .find(|(_, container)| is_it(&container.id))
                    .ok_or(Status::INST)?;
                vec![(Instance(number), String::new())]
            }
            _ => return Err(Status::INST),
        };
        Ok(InstanceList { indom, instances })
    }

    fn descriptor(&self, question: DescReq) -> Result<Descriptor, Status> {
        let found: Option<_> = metric(question.0, self.domain);
        Ok(found.ok_or(Status::PMID)?.descriptor(self.domain))
    }

    fn text(&self, question: &TextReq) -> Result<Text, Status> {
        let (one_line, help) = match question.subject {
            TextSubject::Metric(pmid) => self.help(pmid)?,
            TextSubject::InDom(asked) if asked == indom(self.domain) => {
                (DOMAIN_ONE_LINE, DOMAIN_HELP)
            }
            TextSubject::InDom(_) => return Err(Status::TEXT),
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

    fn help(&self, pmid: PmId) -> Result<(&'static str, &'static str), Status> {
        let found = metric(pmid, self.domain).ok_or(Status::TEXT)?;
        Ok((found.one_line, found.help))
    }
}

fn reply<P: Pdu>(answer: Result<P, Status>) -> Vec<u8> {
    let answer = match answer {
        Ok(answer) => answer.encode(std::process::id()),
        Err(status) => error(status),
    };
    if answer.len() > MAX_ANSWER {
        return error(Status::TOO_BIG);
    }
    answer
}

fn error(status: Status) -> Vec<u8> {
    ErrorPdu::Plain(status).encode(std::process::id())
}
