//! The first words of a session between client and pmcd, where pmproxy has a part in them: what pmcd
//! offers, what the client asks for, and the handshakes of secure channels. The relay has the rest.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gate::policy::{Denial, Grant};
use gate::stream::Peer;
use gate::tls::Link;
use pcp_proto::{Creds, ErrorPdu, Features, Pdu, PduHeader, PduLimit, PduType, Status};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::refusal::{CLIENT, HandshakeError, OpeningProblem as Problem, PMCD};
use crate::secure_channels::SecureChannels;
use crate::settings::SecurePmcd;

/// What pmproxy insists on before a session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demands {
    /// `-S`: clients prove to pmcd who they are.
    pub(crate) authentication: bool,
    /// `PCP_SECURE_SOCKETS`
    pub(crate) way_to_pmcd: SecurePmcd,
}

/// The longest PDU that may come before a secure channel, in bytes.
const LONGEST: u32 = 1024;

/// Why a client must have a certificate.
pub(crate) const BY_OPTION: &str = "-Q or tls-verify-clients requires one";
const BY_PMCD: &str = "pmcd requires one";

/// A session that is to begin.
pub(crate) struct Opening<'a> {
    pub(crate) demands: Demands,
    pub(crate) secure: &'a SecureChannels,
    pub(crate) client_peer: Peer,
    /// pmcd takes us for a client on its own machine, of which it requires no certificate.
    pub(crate) pmcd_is_here: bool,
    /// pmcd's host, as the client calls it.
    pub(crate) host: &'a str,
    pub(crate) client: &'a mut Link,
    pub(crate) pmcd: &'a mut Link,
    /// How long the client may take for each word and each handshake.
    pub(crate) client_limit: Duration,
    /// How long pmcd may take.
    pub(crate) pmcd_limit: Duration,
}

/// What the relay needs to know of an opening.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What came from the client and is to be passed on.
    pub(crate) early: Vec<u8>,
    /// pmcd has the client's credentials already.
    pub(crate) credentials_are_through: bool,
    /// The client's right to the connection.
    pub(crate) grant: Grant,
}

/// What the client has said: its credentials, if that is what it begins with.
struct Words {
    bytes: Vec<u8>,
    /// How many of the bytes are the CREDS PDU.
    creds: usize,
    features: Features,
}

impl Opening<'_> {
    /// Whether pmproxy has any part in this session's first words.
    pub(crate) fn has_to_listen(&self) -> bool {
        self.may_take_part() || (self.pmcd_is_here && !self.client_peer.is_local())
    }

    /// Whether it may have one, whatever pmcd offers.
    fn may_take_part(&self) -> bool {
        self.secure.server.is_some()
            || self.demands.way_to_pmcd != SecurePmcd::AsAsked
            || self.must_authenticate()
    }

    /// The system vouches for clients on a unix socket.
    fn must_authenticate(&self) -> bool {
        self.demands.authentication && !matches!(self.client_peer, Peer::Unix { .. })
    }

    /// Lets the client say what it says before its first request, to a pmcd that has `offered` this.
    /// `confirm` says whether it keeps its right to the connection, once its certificate is known or
    /// it is known that none will come.
    pub(crate) async fn proceed(
        mut self,
        offered: Features,
        early: Vec<u8>,
        grant: Grant,
        confirm: impl FnOnce(Grant, &Link) -> Result<Grant, Denial>,
    ) -> Result<Opened, Problem> {
        let certificate = self.certificate_needed(offered);
        if !self.may_take_part() && certificate.is_none() {
            return Ok(Opened {
                early,
                credentials_are_through: false,
                grant,
            });
        }
        let mut words = self.listen(early).await?;
        if self.must_authenticate() && !words.features.contains(Features::AUTH) {
            return Err(Problem::NeedsAuthentication);
        }
        let wants_channel = words.features.contains(Features::SECURE);
        let ends_here = wants_channel && self.may_be_server();
        if ends_here {
            self.be_server(&mut words).await?;
        }
        if let Some(why) = certificate
            && self.client.peer_certificates().is_empty()
        {
            return Err(Problem::NeedsCertificate(why));
        }
        let grant = confirm(grant, self.client)?;
        let passes_through = wants_channel && !ends_here;
        if ends_here || (!passes_through && self.upgrades(offered)) {
            self.be_client(&mut words, offered).await?;
        }
        Ok(Opened {
            credentials_are_through: self.pmcd.is_secure(),
            early: words.bytes,
            grant,
        })
    }

    /// Takes pmcd's greeting, looks at what it offers, and passes it on.
    pub(crate) async fn pass_greeting(&mut self) -> Result<Features, Problem> {
        let pdu = read_pdu(self.pmcd, Vec::new(), PMCD, self.pmcd_limit).await?;
        let Ok(ErrorPdu::Extended {
            status,
            version,
            mut features,
        }) = ErrorPdu::decode(&pdu)
        else {
            return Err(Problem::NotPmcd);
        };
        if status.is_error() {
            return Err(Problem::TurnedAway(status));
        }
        let offered = features;
        if self.demands.way_to_pmcd == SecurePmcd::Enforced && !offered.contains(Features::SECURE) {
            return Err(Problem::PmcdIsInsecure);
        }
        if self.must_authenticate() {
            if !offered.contains(Features::AUTH) {
                return Err(Problem::NoAuthentication);
            }
            // So that the client knows that it has to.
            features |= Features::CREDS_REQUIRED;
        }
        let greeting = ErrorPdu::Extended {
            status,
            version,
            features,
        };
        self.say(CLIENT, &greeting.encode(0)).await?;
        Ok(offered)
    }

    /// Why this client must have a certificate that pmproxy itself has seen, if it must. pmcd excuses
    /// clients of its own machine, but only those: what it takes for one may come from elsewhere.
    fn certificate_needed(&self, offered: Features) -> Option<&'static str> {
        let sees = self.pmcd_is_here || self.secure.server.is_some();
        if self.secure.require_certificate_of(self.client_peer) {
            Some(BY_OPTION)
        } else if !self.client_peer.is_local() && offered.contains(Features::CERT_REQUIRED) && sees
        {
            Some(BY_PMCD)
        } else {
            None
        }
    }

    /// Whether a secure channel that the client asks for ends here. Inside another one it does not.
    fn may_be_server(&self) -> bool {
        self.secure.server.is_some() && !self.client.is_secure()
    }

    /// Whether the way to pmcd is to be secure although the client has not asked for it.
    fn upgrades(&self, offered: Features) -> bool {
        match self.demands.way_to_pmcd {
            SecurePmcd::AsAsked => false,
            SecurePmcd::Relaxed | SecurePmcd::Enforced => offered.contains(Features::SECURE),
        }
    }

    /// Waits for the client's first PDU. Nothing but CREDS is awaited whole.
    async fn listen(&mut self, early: Vec<u8>) -> Result<Words, Problem> {
        let bytes = read(
            self.client,
            early,
            PduHeader::SIZE,
            CLIENT,
            self.client_limit,
        )
        .await?;
        if PduHeader::decode(&bytes).is_ok_and(|head| head.pdu_type != PduType::CREDS) {
            return Ok(Words {
                bytes,
                creds: 0,
                features: Features::default(),
            });
        }
        let bytes = read_pdu(self.client, bytes, CLIENT, self.client_limit).await?;
        let creds = pdu_length(&bytes, CLIENT)?;
        let features =
            Creds::decode(&bytes[..creds]).map_or(Features::default(), |creds| creds.features());
        Ok(Words {
            bytes,
            creds,
            features,
        })
    }

    /// Makes the handshake with the client, whose credentials ask for it.
    async fn be_server(&mut self, words: &mut Words) -> Result<(), Problem> {
        let Some(server) = &self.secure.server else {
            return Ok(());
        };
        let config = Arc::clone(&server.config);
        if words.features.contains(Features::SECURE_ACK) {
            let go_on = ErrorPdu::Plain(Status::OK).encode(0);
            self.say(CLIENT, &go_on).await?;
        }
        let rest = words.bytes.split_off(words.creds);
        let shaken = timeout(self.client_limit, self.client.accept(&rest, config)).await;
        in_time(shaken, CLIENT, self.client_limit)?
            .map_err(|error| Problem::ClientHandshake(HandshakeError(error)))
    }

    /// Passes on the credentials, which ask for a secure channel, and makes the handshake with pmcd.
    async fn be_client(&mut self, words: &mut Words, offered: Features) -> Result<(), Problem> {
        if words.creds == 0 {
            return Err(Problem::NoCredentials);
        }
        let rest = words.bytes.split_off(words.creds);
        let mut creds = std::mem::replace(&mut words.bytes, rest);
        let acknowledged = offered.contains(Features::SECURE_ACK);
        let mut features = words.features | Features::SECURE;
        if acknowledged {
            features |= Features::SECURE_ACK;
        }
        Creds::ask_for(&mut creds, features);
        self.say(PMCD, &creds).await?;
        if acknowledged {
            let answer = read_pdu(self.pmcd, Vec::new(), PMCD, self.pmcd_limit).await?;
            let answer = ErrorPdu::decode(&answer).map_err(|_| Problem::NotPmcd)?;
            if answer.status().is_error() {
                return Err(Problem::TurnedAway(answer.status()));
            }
        }
        let name = ServerName::try_from(self.host.to_owned()).map_err(|_| {
            let what = "its name cannot stand in a certificate";
            Problem::PmcdHandshake(HandshakeError(io::Error::other(what)))
        })?;
        let config = Arc::clone(&self.secure.client);
        let shaken = timeout(self.pmcd_limit, self.pmcd.connect(name, config)).await;
        in_time(shaken, PMCD, self.pmcd_limit)?
            .map_err(|error| Problem::PmcdHandshake(HandshakeError(error)))
    }

    async fn say(&mut self, to: &'static str, bytes: &[u8]) -> Result<(), Problem> {
        let (link, limit) = if to == PMCD {
            (&mut *self.pmcd, self.pmcd_limit)
        } else {
            (&mut *self.client, self.client_limit)
        };
        let said = timeout(limit, async {
            link.write_all(bytes).await?;
            link.flush().await
        })
        .await;
        in_time(said, to, limit)?.map_err(|error| failed(error, to))
    }
}

/// Reads until the first PDU is there whole.
async fn read_pdu(
    link: &mut Link,
    bytes: Vec<u8>,
    peer: &'static str,
    limit: Duration,
) -> Result<Vec<u8>, Problem> {
    let bytes = read(link, bytes, PduHeader::SIZE, peer, limit).await?;
    let length = pdu_length(&bytes, peer)?;
    read(link, bytes, length, peer, limit).await
}

/// The length of the PDU at the start of `bytes`.
fn pdu_length(bytes: &[u8], peer: &'static str) -> Result<usize, Problem> {
    let head = PduHeader::decode(bytes).map_err(|_| Problem::NotPmcd)?;
    let length = PduLimit::new(LONGEST)
        .unwrap_or(PduLimit::DEFAULT)
        .check(head.len)
        .map_err(|error| Problem::Length { peer, error })?;
    Ok(length as usize)
}

/// Reads until there are at least `wanted` bytes, and not one more: what follows is the relay's, or
/// begins a secure channel.
async fn read(
    link: &mut Link,
    mut bytes: Vec<u8>,
    wanted: usize,
    peer: &'static str,
    limit: Duration,
) -> Result<Vec<u8>, Problem> {
    let reading = async {
        while bytes.len() < wanted {
            let missing = (wanted - bytes.len()) as u64;
            if (&mut *link).take(missing).read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(bytes)
    };
    in_time(timeout(limit, reading).await, peer, limit)?.map_err(|error| failed(error, peer))
}

fn in_time<T>(
    outcome: Result<T, tokio::time::error::Elapsed>,
    peer: &'static str,
    limit: Duration,
) -> Result<T, Problem> {
    outcome.map_err(|_| Problem::Stalled { peer, limit })
}

fn failed(error: io::Error, peer: &'static str) -> Problem {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => Problem::Left(peer),
        _ => Problem::System(error),
    }
}
