//! The authentication of one client: the calls in which it says who it is, answered as a daemon does.
//!
//! The client is told that it failed, and the log why. A client may try again on the same
//! connection, though not for ever.

mod layer;
mod polkit;
mod sasl;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use ::sasl::{Sasl, SaslError, Session, check_passwords};
use gate::policy::Wildcard;
use gate::throttle::Throttle;
use tokio::sync::Semaphore;
use virt_proto::{
    AuthList, AuthPolkit, AuthType, AuthTypes, Payload, PolkitReply, Procedure, RemoteError,
    SaslInit, SaslStart, SaslStep,
};

pub(crate) use self::sasl::PLACES as SASL_PLACES;
pub(crate) use layer::SaslLayer;

use crate::clients::Transport;
use crate::config::{Auth, Listening, Method};
use crate::who::UnixPeer;

/// Attempts on one connection that may fail. Clients of libvirt make one.
const MAX_FAILURES: u32 = 10;

/// What authentication is done with; a reload makes another.
#[derive(Debug)]
pub(crate) struct AuthSettings {
    /// Where clients are asked for SASL at all.
    sasl: Option<Arc<Sasl>>,
    places: Arc<Semaphore>,
    tcp_min_ssf: u32,
    /// Without a list every name is good.
    allowed_usernames: Option<Vec<Wildcard>>,
    bus_address: Option<String>,
    throttle: Throttle,
}

/// What is elsewhere than on other systems.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elsewhere {
    /// The folder with SASL's `libvirt.conf`.
    pub(crate) sasl_folder: Option<PathBuf>,
    /// The address of the system's D-Bus.
    pub(crate) bus_address: Option<String>,
}

impl AuthSettings {
    /// Gets ready for what is configured. Reads files.
    ///
    /// # Errors
    /// When SASL is asked for by sockets that are `opened` and cannot be had, or its passwords are
    /// open to everyone. Without need for it, its absence shows once a client comes.
    pub(crate) fn new(
        auth: &Auth,
        opened: &Listening,
        elsewhere: Elsewhere,
    ) -> Result<AuthSettings, SaslError> {
        let opened_with = [
            (auth.unix_ro, true),
            (auth.unix_rw, true),
            (auth.tcp, opened.tcp),
            (auth.tls, opened.tls),
        ];
        let mut with_sasl = opened_with
            .iter()
            .filter(|(method, _)| *method == Method::Sasl);
        let is_needed = with_sasl.clone().any(|(_, opened)| *opened);
        let folder = elsewhere.sasl_folder.as_deref();
        let sasl = match with_sasl.next() {
            Some(_) if is_needed => {
                check_passwords(sasl::SERVICE, folder)?;
                Some(Sasl::load(sasl::SERVICE, folder)?)
            }
            Some(_) => Sasl::load(sasl::SERVICE, folder)
                .inspect_err(|error| tracing::debug!("no SASL, which no socket needs yet: {error}"))
                .ok(),
            None => None,
        };
        let patterns = |list: &Vec<String>| list.iter().map(|name| Wildcard::glob(name)).collect();
        Ok(AuthSettings {
            sasl,
            places: Arc::new(Semaphore::new(sasl::PLACES)),
            tcp_min_ssf: auth.tcp_min_ssf,
            allowed_usernames: auth.sasl_allowed_usernames.as_ref().map(patterns),
            bus_address: elsewhere.bus_address,
            throttle: Throttle::default(),
        })
    }
}

/// Whom it is about, as far as the connection tells.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// What is asked for where the client came in.
    pub(crate) method: Method,
    pub(crate) transport: Transport,
    pub(crate) read_only: bool,
    /// The process at the other end of a unix socket.
    pub(crate) unix: Option<UnixPeer>,
    /// Our address and the client's as SASL wants them (`127.0.0.1;1234`), where they have some.
    pub(crate) local_address: Option<String>,
    pub(crate) remote_address: Option<String>,
    /// For the log.
    pub(crate) who: String,
}

/// How far a client is with its authentication.
#[derive(Debug)]
pub(crate) struct Authentication {
    subject: Subject,
    settings: Arc<AuthSettings>,
    done: bool,
    failures: u32,
    /// Between AUTH_SASL_INIT and the end of the mechanism.
    session: Option<Session>,
    sasl_name: Option<String>,
    layer: Option<SaslLayer>,
}

/// Why an attempt failed.
#[derive(Debug)]
struct Failure {
    /// For the client.
    error: Box<RemoteError>,
    /// For the log.
    reason: String,
}

impl Failure {
    /// One of which the client learns nothing.
    fn untold(reason: impl Into<String>) -> Failure {
        Failure {
            error: Box::new(RemoteError::auth_failed()),
            reason: reason.into(),
        }
    }
}

impl Authentication {
    pub(crate) fn new(subject: Subject, settings: Arc<AuthSettings>) -> Authentication {
        Authentication {
            done: subject.method == Method::None,
            subject,
            settings,
            failures: 0,
            session: None,
            sasl_name: None,
            layer: None,
        }
    }

    /// Whether nothing (more) is asked for.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the client is to log in with SASL and has not yet.
    pub(crate) fn awaits_sasl(&self) -> bool {
        !self.done && self.subject.method == Method::Sasl
    }

    /// Whether the client has failed so often that it is to be disconnected.
    pub(crate) fn is_hopeless(&self) -> bool {
        !self.done && self.failures >= MAX_FAILURES
    }

    /// Who SASL says that the client is.
    pub(crate) fn sasl_name(&self) -> Option<&str> {
        self.sasl_name.as_deref()
    }

    /// SASL's security layer, if one was agreed on. To be asked after each answer: all that follows
    /// the reply that was just made is inside, and that reply is not (as libvirt 9.0 has it). There
    /// is one only on TCP; other sockets are secure by themselves.
    pub(crate) fn take_security_layer(&mut self) -> Option<SaslLayer> {
        self.layer.take()
    }

    /// What AUTH_LIST is answered with. To ask is enough for root where polkit is to be asked, so
    /// that root gets in without polkit.
    pub(crate) fn types(&mut self) -> AuthTypes {
        let is_root = self.subject.unix.is_some_and(|unix| unix.uid == 0);
        if !self.done && self.subject.method == Method::Polkit && is_root {
            tracing::debug!("{} is root and not asked for polkit", self.subject.who);
            self.done = true;
        }
        let asked = match self.subject.method {
            _ if self.done => AuthType::NONE,
            Method::None => AuthType::NONE,
            Method::Sasl => AuthType::SASL,
            Method::Polkit => AuthType::POLKIT,
        };
        AuthTypes(vec![asked])
    }

    /// The payload of the reply to one of the calls of authentication. Takes as long as passwords
    /// are looked up, or somebody types one for polkit; dropping it ends such a question.
    pub(crate) async fn answer(
        &mut self,
        procedure: Procedure,
        payload: &[u8],
    ) -> Result<Vec<u8>, RemoteError> {
        let undecodable = |_| RemoteError::undecodable();
        let answer = match procedure {
            Procedure::AUTH_LIST => {
                AuthList::decode(payload).map_err(undecodable)?;
                return Ok(self.types().encode());
            }
            Procedure::AUTH_SASL_INIT => {
                SaslInit::decode(payload).map_err(undecodable)?;
                self.sasl_init().await.map(|reply| reply.encode())
            }
            Procedure::AUTH_SASL_START => {
                let call = SaslStart::decode(payload).map_err(undecodable)?;
                self.sasl_start(call).await.map(|reply| reply.encode())
            }
            Procedure::AUTH_SASL_STEP => {
                let call = SaslStep::decode(payload).map_err(undecodable)?;
                self.sasl_step(call).await.map(|reply| reply.encode())
            }
            Procedure::AUTH_POLKIT => {
                AuthPolkit::decode(payload).map_err(undecodable)?;
                self.ask_polkit().await.map(|reply| reply.encode())
            }
            other => return Err(RemoteError::unknown_procedure(other)),
        };
        answer.map_err(|failure| self.note(failure))
    }

    async fn ask_polkit(&mut self) -> Result<PolkitReply, Failure> {
        self.expect(Method::Polkit)?;
        let unix = self.subject.unix;
        let unix = unix.ok_or_else(|| Failure::untold("it is not on a unix socket"))?;
        let action = match self.subject.read_only {
            true => polkit::MONITOR,
            false => polkit::MANAGE,
        };
        polkit::check(self.settings.bus_address.as_deref(), unix, action).await?;
        tracing::info!("{} may {action}, says polkit", self.subject.who);
        self.done = true;
        Ok(PolkitReply { complete: true })
    }

    /// Whether this is the way that is asked for. After it was gone, none is.
    fn expect(&self, method: Method) -> Result<(), Failure> {
        if self.done {
            return Err(Failure::untold("nothing more is asked for"));
        }
        if self.is_hopeless() {
            return Err(Failure::untold("it has failed too often"));
        }
        if self.subject.method != method {
            let asked = self.subject.method;
            let reason = format!("it tried {method:?}, and {asked:?} is asked for");
            return Err(Failure::untold(reason));
        }
        Ok(())
    }

    /// Counts and logs a failure, and gives what the client learns of it.
    fn note(&mut self, failure: Failure) -> RemoteError {
        self.failures = self.failures.saturating_add(1);
        if let Some(left_out) = self.settings.throttle.admit() {
            let who = &self.subject.who;
            let more = match left_out {
                0 => String::new(),
                count => format!(" ({count} such messages before were left out)"),
            };
            tracing::warn!("{who} could not authenticate: {}{more}", failure.reason);
        }
        *failure.error
    }
}
