//! A small blocking client of PCP that goes through a pmproxy.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pcp_proto::greeting::{CLIENT_HELLO, SERVER_HELLO, Target, parse_server_hello};
use pcp_proto::{
    Creds, DescReq, Descriptor, ErrorPdu, Features, Fetch, FetchResult, InDom, Instance,
    InstanceList, InstanceReq, PDU_VERSION, Pdu, PduAssembler, PduHeader, PduLimit, PduType, PmId,
    PmnsIds, PmnsNames, Profile, Status, VersionCred,
};

/// How long to wait for a connection or an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest answer that is taken, in bytes.
const MAX_ANSWER: u32 = 16 << 20;

/// A session with a pmcd. It has one context, for which all instances are wanted.
pub(super) struct Client {
    stream: TcpStream,
    assembler: PduAssembler,
}

/// The client has one context.
const CONTEXT: u32 = 0;

impl Client {
    /// Asks the pmproxy on a loopback port for a pmcd, and opens a session with it.
    pub(super) fn through(proxy: u16, pmcd: &Target) -> Result<Client> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, proxy));
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("cannot connect to pmproxy on {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        greet(&mut stream, pmcd).context("pmproxy did not answer the greeting")?;
        let limit = PduLimit::new(MAX_ANSWER).unwrap_or(PduLimit::DEFAULT);
        let mut client = Client {
            stream,
            assembler: PduAssembler::new(limit),
        };
        client.introduce()?;
        Ok(client)
    }

    /// Takes pmcd's greeting, which may also be pmproxy's news that there is no pmcd, and answers.
    fn introduce(&mut self) -> Result<()> {
        let greeting = self.receive().context("no greeting came")?;
        let greeting = ErrorPdu::decode(&greeting).context("pmcd's greeting is malformed")?;
        if greeting.status().is_error() {
            bail!("{}", greeting.status());
        }
        let versions = vec![VersionCred {
            version: PDU_VERSION,
            features: Features::default(),
        }];
        self.send(&Creds { versions })?;
        self.send(&Profile {
            context: CONTEXT,
            ..Profile::default()
        })
    }

    /// The identifiers of metrics, [`PmId::NULL`] for those that pmcd does not have.
    pub(super) fn identifiers(&mut self, names: &[&str]) -> Result<Vec<PmId>> {
        let question = PmnsNames::Plain(names.iter().copied().map(str::to_owned).collect());
        let answer: PmnsIds = self
            .ask(&question)?
            .map_err(|status| anyhow::anyhow!("pmcd does not look names up: {status}"))?;
        if answer.pmids.len() != names.len() {
            bail!(
                "pmcd gave {} identifiers for {} names",
                answer.pmids.len(),
                names.len()
            );
        }
        Ok(answer.pmids)
    }

    /// What a metric is.
    pub(super) fn descriptor(&mut self, pmid: PmId) -> Result<Result<Descriptor, Status>> {
        self.ask(&DescReq(pmid))
    }

    /// All instances of an instance domain.
    pub(super) fn instances(
        &mut self,
        indom: InDom,
    ) -> Result<Result<Vec<(Instance, String)>, Status>> {
        let question = InstanceReq {
            indom,
            instance: Instance::NULL,
            name: String::new(),
        };
        let answer: Result<InstanceList, Status> = self.ask(&question)?;
        Ok(answer.map(|list| list.instances))
    }

    /// The values of metrics, in their order.
    pub(super) fn fetch(&mut self, pmids: &[PmId]) -> Result<FetchResult> {
        let question = Fetch {
            context: CONTEXT,
            pmids: pmids.to_vec(),
        };
        let answer: Result<FetchResult, Status> = self.ask(&question)?;
        let result = answer.map_err(|status| anyhow::anyhow!("pmcd gave no values: {status}"))?;
        let given = result.sets.iter().map(|set| set.pmid);
        if !given.eq(pmids.iter().copied()) {
            bail!("pmcd gave the values of other metrics than were asked for");
        }
        Ok(result)
    }

    /// Asks, and gives the answer or the status that came in its place.
    fn ask<A: Pdu>(&mut self, question: &impl Pdu) -> Result<Result<A, Status>> {
        self.send(question)?;
        let pdu = self
            .receive()
            .with_context(|| format!("no {} came", A::TYPE))?;
        if PduHeader::decode(&pdu)?.pdu_type == PduType::ERROR {
            return Ok(Err(ErrorPdu::decode(&pdu)?.status()));
        }
        let answer = A::decode(&pdu).with_context(|| format!("a malformed {} came", A::TYPE))?;
        Ok(Ok(answer))
    }

    fn send<Q: Pdu>(&mut self, question: &Q) -> Result<()> {
        self.stream
            .write_all(&question.encode(std::process::id()))
            .with_context(|| format!("cannot send a {}", Q::TYPE))
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        let mut piece = [0; 8192];
        loop {
            if let Some(pdu) = self.assembler.next_pdu()? {
                return Ok(pdu.to_vec());
            }
            match self.stream.read(&mut piece) {
                Ok(0) => bail!("the connection was closed"),
                Ok(len) => self.assembler.push(&piece[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn greet(stream: &mut TcpStream, pmcd: &Target) -> Result<()> {
    stream.write_all(CLIENT_HELLO)?;
    let mut hello = [0; SERVER_HELLO.len()];
    stream.read_exact(&mut hello)?;
    parse_server_hello(&hello)?;
    stream.write_all(&pmcd.to_line())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use pcp_proto::{ValueSet, Values};
    use testbed::{Stub, Wire};

    fn pmcd() -> Target {
        Target::new("pmcd.host", NonZeroU16::new(44321).unwrap()).unwrap()
    }

    /// Takes a client's greeting and its wish for [`pmcd`], as pmproxy does.
    fn greet_as_pmproxy(wire: &mut Wire) -> Result<()> {
        assert_eq!(wire.receive(CLIENT_HELLO.len())?, CLIENT_HELLO);
        wire.send(SERVER_HELLO)?;
        let line = pmcd().to_line();
        assert_eq!(wire.receive(line.len())?, line);
        Ok(())
    }

    /// Serves a client up to its profile.
    fn open(wire: &mut Wire) -> Result<()> {
        greet_as_pmproxy(wire)?;
        wire.greet_as_pmcd()?;
        let creds = Creds::decode(&wire.receive_pdu()?)?;
        assert_eq!(creds.versions[0].version, PDU_VERSION);
        Profile::decode(&wire.receive_pdu()?)?;
        Ok(())
    }

    fn connect(stub: &Stub) -> Result<Client> {
        Client::through(stub.port(), &pmcd())
    }

    fn error<T>(result: Result<T>) -> String {
        result.err().map(|error| format!("{error:#}")).unwrap()
    }

    #[test]
    fn the_reason_why_there_is_no_pmcd_is_told() {
        let stub = Stub::start(|mut wire, _| {
            greet_as_pmproxy(&mut wire)?;
            wire.send_pdu(&ErrorPdu::refusal(Status::from_errno(111)))
        });
        assert!(error(connect(&stub.unwrap())).contains("Connection refused"));
    }

    #[test]
    fn a_status_may_come_in_the_place_of_an_answer() {
        let stub = Stub::start(|mut wire, _| {
            open(&mut wire)?;
            let question = DescReq::decode(&wire.receive_pdu()?)?;
            assert_eq!(question.0, PmId::new(60, 2, 0));
            wire.send_pdu(&ErrorPdu::Plain(Status::PMID))
        });
        let stub = stub.unwrap();
        let mut client = connect(&stub).unwrap();
        let described = client.descriptor(PmId::new(60, 2, 0)).unwrap();
        assert_eq!(described, Err(Status::PMID));
    }

    #[test]
    fn values_of_another_metric_are_not_taken_for_an_answer() {
        let stub = Stub::start(|mut wire, _| {
            open(&mut wire)?;
            Fetch::decode(&wire.receive_pdu()?)?;
            let set = ValueSet {
                pmid: PmId::new(1, 2, 3),
                values: Values::Missing(Status::OK),
            };
            wire.send_pdu(&FetchResult {
                seconds: 0,
                microseconds: 0,
                sets: vec![set],
            })
        });
        let stub = stub.unwrap();
        let mut client = connect(&stub).unwrap();
        let fetched = client.fetch(&[PmId::new(60, 2, 0)]);
        assert!(error(fetched).contains("other metrics than were asked for"));
    }

    #[test]
    fn a_connection_that_closes_is_an_error() {
        let stub = Stub::start(|mut wire, _| open(&mut wire));
        let stub = stub.unwrap();
        let mut client = connect(&stub).unwrap();
        let named = client.identifiers(&["kernel.all.load"]);
        assert!(error(named).starts_with("no PMNS_IDS came"));
    }
}
