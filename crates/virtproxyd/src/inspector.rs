//! Looks at the heads of frames as they pass between a client and its daemon: holds the client to
//! its number of calls, answers what is the proxy's to answer, and lets nobody claim an identity.

use std::time::Duration;

use gate::relay::{Inspector, Outbox, Side, Verdict};
use virt_proto::{
    AuthType, AuthTypes, DecodeError, Feature, FrameHead, FrameLimit, Header, LengthError,
    MessageType, Payload, Procedure, Program, RemoteError, Supported, SupportsFeature, keepalive,
};

use crate::heartbeat::{Beat, Heartbeat};

/// Watches one session.
#[derive(Debug)]
pub(crate) struct RpcInspector {
    /// Calls of the client that the daemon has not answered.
    outstanding: u32,
    /// More than these are not passed on.
    most_outstanding: u32,
    /// Whether descriptors can be passed to the client.
    passes_descriptors: bool,
    heartbeat: Heartbeat,
}

/// Why a session is ended.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// A length that nobody means.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// More descriptors than a frame can have, or no number of them.
    #[error(transparent)]
    Head(#[from] DecodeError),
    /// Pings without an answer.
    #[error("it has not answered {0} pings")]
    Dead(u32),
}

impl RpcInspector {
    pub(crate) fn new(
        most_outstanding: u32,
        passes_descriptors: bool,
        heartbeat: Heartbeat,
    ) -> RpcInspector {
        RpcInspector {
            outstanding: 0,
            most_outstanding: most_outstanding.max(1),
            passes_descriptors,
            heartbeat,
        }
    }

    #[cfg(test)]
    fn outstanding(&self) -> u32 {
        self.outstanding
    }

    fn inspect_client(
        &mut self,
        frame: Seen<'_>,
        out: &mut Outbox,
    ) -> Result<Verdict<Fault>, Fault> {
        let header = frame.head.header;
        if let Some(verdict) = frame.answer_ping(Side::Client, out) {
            return Ok(verdict);
        }
        if !is_call(header) {
            return frame.pass();
        }
        let answer = match frame.answer_to(self.passes_descriptors) {
            Answer::Needs(count) => return Ok(Verdict::Want(count)),
            Answer::Frame(answer) => Some(answer),
            Answer::Keepalive => {
                self.heartbeat.begin();
                Some(header.reply().frame(&Supported(true)))
            }
            Answer::OfTheDaemon if frame.brings_descriptors() && !self.passes_descriptors => {
                let error = "file descriptors cannot be passed over this connection";
                Some(header.refusal().frame(&RemoteError::rpc(error)))
            }
            Answer::OfTheDaemon => None,
        };
        if let Some(answer) = answer {
            let verdict = frame.swallow(self.passes_descriptors)?;
            if !matches!(verdict, Verdict::Want(_)) {
                out.send(Side::Client, &answer);
            }
            return Ok(verdict);
        }
        if self.outstanding >= self.most_outstanding {
            return Ok(Verdict::Pause);
        }
        let verdict = frame.pass()?;
        if !matches!(verdict, Verdict::Want(_)) {
            self.outstanding += 1;
        }
        Ok(verdict)
    }

    fn inspect_daemon(
        &mut self,
        frame: Seen<'_>,
        out: &mut Outbox,
    ) -> Result<Verdict<Fault>, Fault> {
        let header = frame.head.header;
        if let Some(verdict) = frame.answer_ping(Side::Server, out) {
            return Ok(verdict);
        }
        let verdict = if frame.brings_descriptors() && !self.passes_descriptors {
            let verdict = frame.swallow(true)?;
            if !matches!(verdict, Verdict::Want(_)) {
                let error = RemoteError::rpc(
                    "the answer has file descriptors, which cannot be passed over this connection",
                );
                let header = Header {
                    message_type: MessageType::REPLY,
                    ..header
                };
                out.send(Side::Client, &header.refusal().frame(&error));
            }
            verdict
        } else {
            frame.pass()?
        };
        let is_reply = [MessageType::REPLY, MessageType::REPLY_WITH_FDS];
        if is_reply.contains(&header.message_type) && !matches!(verdict, Verdict::Want(_)) {
            self.outstanding = self.outstanding.saturating_sub(1);
        }
        Ok(verdict)
    }
}

/// What is there of a frame.
#[derive(Clone, Copy)]
struct Seen<'a> {
    from: Side,
    bytes: &'a [u8],
    head: FrameHead,
}

/// Who answers a call.
enum Answer {
    /// More bytes are needed to tell.
    Needs(usize),
    /// The proxy, with this.
    Frame(Vec<u8>),
    /// The proxy, who pings the client from now on.
    Keepalive,
    OfTheDaemon,
}

fn is_call(header: Header) -> bool {
    [MessageType::CALL, MessageType::CALL_WITH_FDS].contains(&header.message_type)
}

impl Seen<'_> {
    /// Whether its receiver takes the bytes behind it for those of descriptors: a daemon behind calls
    /// only, a client behind answers only. For whoever is of another opinion here, these bytes would
    /// hide frames from the proxy.
    fn brings_descriptors(&self) -> bool {
        let expected = match self.from {
            Side::Client => MessageType::CALL_WITH_FDS,
            Side::Server => MessageType::REPLY_WITH_FDS,
        };
        self.head.header.message_type == expected
    }

    /// How many descriptors come with it; `None` while that is not known.
    fn descriptors(&self) -> Result<Option<u8>, Fault> {
        if !self.brings_descriptors() {
            return Ok(Some(0));
        }
        let needed = FrameHead::SIZE_WITH_FDS.min(self.head.len as usize);
        if self.bytes.len() < needed {
            return Ok(None);
        }
        let count = self.head.fds(self.bytes)?;
        Ok(Some(u8::try_from(count).unwrap_or(u8::MAX)))
    }

    fn pass(&self) -> Result<Verdict<Fault>, Fault> {
        let len = self.head.len.into();
        Ok(match self.descriptors()? {
            None => Verdict::Want(FrameHead::SIZE_WITH_FDS),
            Some(0) => Verdict::Pass(len),
            Some(descriptors) => Verdict::PassWith { len, descriptors },
        })
    }

    /// `with_trailer`: whether descriptors could come from that side at all.
    fn swallow(&self, with_trailer: bool) -> Result<Verdict<Fault>, Fault> {
        let len = self.head.len.into();
        let count = if with_trailer {
            self.descriptors()?
        } else {
            Some(0)
        };
        Ok(match count {
            None => Verdict::Want(FrameHead::SIZE_WITH_FDS),
            Some(descriptors) => Verdict::Swallow { len, descriptors },
        })
    }

    /// Keepalive is between neighbours.
    fn answer_ping(&self, from: Side, out: &mut Outbox) -> Option<Verdict<Fault>> {
        let procedure = keepalive::procedure(self.head.header)?;
        if procedure == keepalive::PING {
            out.send(from, &keepalive::header(keepalive::PONG).frame(&()));
        }
        Some(Verdict::Swallow {
            len: self.head.len.into(),
            descriptors: 0,
        })
    }

    /// What the proxy answers by itself: the session is open, so that it cannot be opened again, the
    /// client is authenticated, and who it is was told to the daemon.
    fn answer_to(&self, passes_descriptors: bool) -> Answer {
        let header = self.head.header;
        if header.program != Program::REMOTE || header.version != Program::VERSION {
            return Answer::OfTheDaemon;
        }
        let refuse = |error: &RemoteError| Answer::Frame(header.refusal().frame(error));
        match header.procedure {
            Procedure::CONNECT_OPEN => refuse(&RemoteError::already_open()),
            Procedure::CONNECT_SET_IDENTITY => refuse(&RemoteError::access_denied(
                "who a client is, is found out by virtproxyd and cannot be set",
            )),
            Procedure::AUTH_LIST => {
                Answer::Frame(header.reply().frame(&AuthTypes(vec![AuthType::NONE])))
            }
            Procedure::AUTH_SASL_INIT
            | Procedure::AUTH_SASL_START
            | Procedure::AUTH_SASL_STEP
            | Procedure::AUTH_POLKIT => refuse(&RemoteError::auth_failed()),
            Procedure::CONNECT_SUPPORTS_FEATURE => self.answer_about_feature(passes_descriptors),
            _ => Answer::OfTheDaemon,
        }
    }

    fn answer_about_feature(&self, passes_descriptors: bool) -> Answer {
        const WHOLE: usize = FrameHead::SIZE + 4;
        let header = self.head.header;
        // What is not the whole question is the daemon's to refuse.
        if self.head.len as usize != WHOLE {
            return Answer::OfTheDaemon;
        }
        let Some(payload) = self.bytes.get(FrameHead::SIZE..WHOLE) else {
            return Answer::Needs(WHOLE);
        };
        match SupportsFeature::decode(payload).ok().map(|asked| asked.0) {
            Some(Feature::PROGRAM_KEEPALIVE) => Answer::Keepalive,
            Some(Feature::FD_PASSING) if !passes_descriptors => {
                Answer::Frame(header.reply().frame(&Supported(false)))
            }
            _ => Answer::OfTheDaemon,
        }
    }
}

impl Inspector for RpcInspector {
    type Refusal = Fault;
    type Tally = ();

    const WHOLE_ENDS: bool = true;

    fn inspect(&mut self, side: Side, head: &[u8], out: &mut Outbox) -> Verdict<Fault> {
        if head.len() < FrameHead::SIZE {
            return Verdict::Want(FrameHead::SIZE);
        }
        let found = match FrameHead::decode(head) {
            Ok(found) => found,
            Err(error) => return Verdict::End(error.into()),
        };
        if let Err(error) = FrameLimit::CURRENT.check(found.len) {
            return Verdict::End(error.into());
        }
        let frame = Seen {
            from: side,
            // What is behind a short frame is not its own.
            bytes: &head[..head.len().min(found.len as usize)],
            head: found,
        };
        let verdict = match side {
            Side::Client => self.inspect_client(frame, out),
            Side::Server => self.inspect_daemon(frame, out),
        };
        verdict.unwrap_or_else(Verdict::End)
    }

    fn pulse_interval(&self) -> Option<Duration> {
        self.heartbeat.interval()
    }

    fn pulse(&mut self, heard: bool, out: &mut Outbox) -> Result<(), Fault> {
        match self.heartbeat.beat(heard) {
            Beat::Rest => Ok(()),
            Beat::Ping => {
                out.send(Side::Client, &keepalive::header(keepalive::PING).frame(&()));
                Ok(())
            }
            Beat::Dead(pings) => Err(Fault::Dead(pings)),
        }
    }
}

#[cfg(test)]
mod tests;
