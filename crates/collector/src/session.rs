//! A client's session, without its connection: a PDU comes in, an answer goes out.

use std::time::SystemTime;

use pcp_proto::{
    Creds, DecodeError, DescIds, DescReq, ErrorPdu, Features, Fetch, FetchResult, HighresFetch,
    InstanceReq, LabelReq, PDU_VERSION, Pdu, PduHeader, PduType, PmnsChild, PmnsIds, PmnsNames,
    PmnsTraverse, Profile, Status, TextReq,
};

use crate::catalogue;
use crate::fetch;
use crate::host::Host;
use crate::labels;
use crate::profiles::Profiles;

/// What clients may ask for.
const FEATURES: [Features; 3] = [Features::LABELS, Features::HIGHRES, Features::DESCS];

/// The features that need more than this collector has.
const NOT_OFFERED: Features =
    Features(Features::SECURE.0 | Features::COMPRESS.0 | Features::AUTH.0 | Features::CONTAINER.0);

/// One client's session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    introduced: bool,
    profiles: Profiles,
}

/// Why a session ends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A PDU is not what its type says.
    #[error("malformed {pdu_type}: {error}")]
    Malformed {
        /// Its type.
        pdu_type: PduType,
        /// What is wrong.
        error: DecodeError,
    },
    /// The first PDU must be CREDS.
    #[error("it sent {0} before it had introduced itself")]
    NotIntroduced(PduType),
    /// It speaks another version of the protocol, or none.
    #[error("it does not speak version {PDU_VERSION} of the protocol")]
    Version,
    /// It asked for what was not offered.
    #[error("it asked for features that were not offered: {0:?}")]
    Features(Features),
}

impl Refusal {
    /// The last PDU that the client gets.
    pub(crate) fn pdu(&self) -> Vec<u8> {
        let status = match self {
            Refusal::Malformed { .. } | Refusal::NotIntroduced(_) | Refusal::Version => Status::IPC,
            Refusal::Features(_) => Status::NOT_IMPLEMENTED,
        };
        ErrorPdu::Plain(status).encode(0)
    }
}

/// The first PDU that goes to a client that is welcome.
pub(crate) fn greeting() -> Vec<u8> {
    let features = FEATURES
        .into_iter()
        .fold(Features::default(), |all, one| all | one);
    let greeting = ErrorPdu::Extended {
        status: Status::OK,
        version: PDU_VERSION,
        features,
    };
    greeting.encode(0)
}

impl Session {
    /// The answer to a whole PDU, if there is one.
    ///
    /// # Errors
    /// When the session must end; see [`Refusal::pdu`].
    pub(crate) fn answer(
        &mut self,
        pdu: &[u8],
        host: &Host,
        now: SystemTime,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let pdu_type = PduHeader::decode(pdu)
            .map(|header| header.pdu_type)
            .map_err(|error| malformed(PduType(0), error))?;
        if pdu_type == PduType::CREDS {
            return self.introduce(&read(pdu)?).map(|()| None);
        }
        if !self.introduced {
            return Err(Refusal::NotIntroduced(pdu_type));
        }
        if pdu_type == PduType::PROFILE {
            self.profiles.set(read::<Profile>(pdu)?);
            return Ok(None);
        }
        self.inform(pdu_type, pdu, host, now).map(Some)
    }

    fn introduce(&mut self, creds: &Creds) -> Result<(), Refusal> {
        let first = creds.versions.first().ok_or(Refusal::Version)?;
        if first.version != PDU_VERSION {
            return Err(Refusal::Version);
        }
        let excess = Features(first.features.0 & NOT_OFFERED.0);
        if excess != Features::default() {
            return Err(Refusal::Features(excess));
        }
        self.introduced = true;
        Ok(())
    }

    /// Answers a question.
    fn inform(
        &self,
        pdu_type: PduType,
        pdu: &[u8],
        host: &Host,
        now: SystemTime,
    ) -> Result<Vec<u8>, Refusal> {
        let sample = host.sample();
        Ok(match pdu_type {
            PduType::PMNS_NAMES => reply(catalogue::identifiers(&read::<PmnsNames>(pdu)?)),
            PduType::PMNS_IDS => reply(catalogue::names(&read::<PmnsIds>(pdu)?)),
            PduType::PMNS_CHILD => reply(catalogue::children(&read::<PmnsChild>(pdu)?)),
            PduType::PMNS_TRAVERSE => reply(catalogue::traverse(&read::<PmnsTraverse>(pdu)?)),
            PduType::DESC_REQ => reply(catalogue::descriptor(read::<DescReq>(pdu)?)),
            PduType::DESC_IDS => reply(catalogue::descriptors(&read::<DescIds>(pdu)?)),
            PduType::INSTANCE_REQ => {
                reply(catalogue::instances(&read::<InstanceReq>(pdu)?, &sample))
            }
            PduType::TEXT_REQ => reply(catalogue::text(&read::<TextReq>(pdu)?)),
            PduType::LABEL_REQ => reply(labels::labels(read::<LabelReq>(pdu)?, &sample)),
            PduType::FETCH => {
                let values = fetch::values(&read::<Fetch>(pdu)?, &self.profiles, &sample);
                reply(values.map(|sets| fetch::result(sets, now)))
            }
            PduType::HIGHRES_FETCH => {
                let values = fetch::values(&read::<HighresFetch>(pdu)?.0, &self.profiles, &sample);
                reply(values.map(|sets| fetch::highres_result(sets, now)))
            }
            PduType::RESULT => {
                read::<FetchResult>(pdu)?;
                error(Status::PERMISSION)
            }
            _ => error(Status::NOT_IMPLEMENTED),
        })
    }
}

fn read<P: Pdu>(pdu: &[u8]) -> Result<P, Refusal> {
    P::decode(pdu).map_err(|error| malformed(P::TYPE, error))
}

fn malformed(pdu_type: PduType, error: DecodeError) -> Refusal {
    Refusal::Malformed { pdu_type, error }
}

fn reply<P: Pdu>(answer: Result<P, Status>) -> Vec<u8> {
    match answer {
        Ok(answer) => answer.encode(0),
        Err(status) => error(status),
    }
}

fn error(status: Status) -> Vec<u8> {
    ErrorPdu::Plain(status).encode(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcp_proto::{Descriptor, HighresResult, PmId, ValueType, Values, VersionCred};
    use proptest::prelude::*;

    const NCPU: PmId = PmId::new(60, 0, 32);

    fn answer(session: &mut Session, pdu: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        session.answer(pdu, &Host::new("alpha"), SystemTime::UNIX_EPOCH)
    }

    fn creds(version: u8, features: Features) -> Vec<u8> {
        let versions = vec![VersionCred { version, features }];
        Creds { versions }.encode(1)
    }

    fn introduced() -> Session {
        let mut session = Session::default();
        let answered = answer(&mut session, &creds(2, Features::default()));
        assert_eq!(answered, Ok(None));
        session
    }

    fn status(pdu: Option<Vec<u8>>) -> Status {
        ErrorPdu::decode(&pdu.unwrap()).unwrap().status()
    }

    #[test]
    fn a_client_must_introduce_itself_first() {
        let refused = answer(&mut Session::default(), &DescReq(NCPU).encode(0));
        assert_eq!(refused, Err(Refusal::NotIntroduced(PduType::DESC_REQ)));
        let refused = answer(&mut Session::default(), &creds(1, Features::default()));
        assert_eq!(refused, Err(Refusal::Version));
        let refused = answer(&mut Session::default(), &creds(2, Features::SECURE));
        assert_eq!(refused, Err(Refusal::Features(Features::SECURE)));
        let refused = answer(&mut Session::default(), &Creds::default().encode(0));
        assert_eq!(refused, Err(Refusal::Version));
    }

    #[test]
    fn nothing_is_offered_that_would_be_refused() {
        let ErrorPdu::Extended { features, .. } = ErrorPdu::decode(&greeting()).unwrap() else {
            panic!("not the extended form");
        };
        assert_eq!(features.0 & NOT_OFFERED.0, 0);
        assert!(answer(&mut Session::default(), &creds(2, features)).is_ok());
    }

    #[test]
    fn a_fetch_follows_a_profile_and_both_resolutions_are_served() {
        let mut session = introduced();
        let fetch = Fetch {
            context: 3,
            pmids: vec![NCPU],
        };
        let early = answer(&mut session, &fetch.encode(0)).unwrap();
        assert_eq!(status(early), Status::NO_PROFILE);
        let profile = Profile {
            context: 3,
            ..Profile::default()
        };
        assert_eq!(answer(&mut session, &profile.encode(0)), Ok(None));
        let plain = answer(&mut session, &fetch.encode(0)).unwrap().unwrap();
        let plain = FetchResult::decode(&plain).unwrap();
        assert_eq!(plain.sets[0].values.numbers(ValueType::U32).len(), 1);
        let highres = answer(&mut session, &HighresFetch(fetch).encode(0)).unwrap();
        let highres = HighresResult::decode(&highres.unwrap()).unwrap();
        assert!(matches!(highres.sets[0].values, Values::InSitu(_)));
    }

    #[test]
    fn what_is_not_served_is_refused_and_the_session_goes_on() {
        let mut session = introduced();
        let unknown = PduHeader {
            len: 12,
            pdu_type: PduType(0x7099),
            from: 0,
        };
        let answered = answer(&mut session, &unknown.encode()).unwrap();
        assert_eq!(status(answered), Status::NOT_IMPLEMENTED);
        let store = FetchResult {
            seconds: 0,
            microseconds: 0,
            sets: Vec::new(),
        };
        let answered = answer(&mut session, &store.encode(0)).unwrap();
        assert_eq!(status(answered), Status::PERMISSION);
        let described = answer(&mut session, &DescReq(NCPU).encode(0)).unwrap();
        let described = Descriptor::decode(&described.unwrap()).unwrap();
        assert_eq!(described.pmid, NCPU);
    }

    #[test]
    fn a_malformed_question_ends_the_session() {
        let cut = PduHeader {
            len: 14,
            pdu_type: PduType::DESC_REQ,
            from: 0,
        };
        let pdu = [&cut.encode()[..], &[0, 0]].concat();
        let refused = answer(&mut introduced(), &pdu).unwrap_err();
        assert!(
            refused.to_string().starts_with("malformed DESC_REQ:"),
            "{refused}"
        );
        assert_eq!(status(Some(refused.pdu())), Status::IPC);
    }

    proptest! {
        #[test]
        fn no_pdu_makes_it_panic(
            pdu_type in 0x7000u32..0x7019, body in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let len = u32::try_from(PduHeader::SIZE + body.len()).unwrap();
            let header = PduHeader { len, pdu_type: PduType(pdu_type), from: 0 };
            let pdu = [&header.encode()[..], &body].concat();
            let mut session = introduced();
            session.profiles.set(Profile::default());
            let _ = answer(&mut session, &pdu);
        }
    }
}
