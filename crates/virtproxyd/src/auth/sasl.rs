//! SASL's calls, and what is asked of a client beyond the right password.

use std::sync::Arc;
use std::time::Duration;

use sasl::{Options, SaslError, Session, Step};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use virt_proto::{SaslData, SaslMechanisms, SaslReply, SaslStart, SaslStep};
use zeroize::Zeroizing;

use super::{Authentication, Failure, SaslLayer};
use crate::clients::Transport;
use crate::config::Method;

/// libvirt's name as an application, whose configuration is `libvirt.conf`, and as a service, whose
/// keys Kerberos has under `libvirt/HOST`.
pub(super) const SERVICE: &str = "libvirt";

/// More than any cipher has: a layer may be as strong as it can.
const ANY_SSF: u32 = 100_000;

/// What libvirt takes at the least on TCP, whatever is configured: DES, for old Kerberos.
const LEAST_SSF: u32 = 56;

/// The strength of TLS: rustls has no cipher with a smaller key. Nothing is compared with it as long
/// as no strength is asked for on TLS; mechanisms may want to know that there is a channel.
const TLS_SSF: u32 = 128;

/// How long one step may take: files, `saslauthd`, LDAP servers and name servers are asked.
const LIMIT: Duration = Duration::from_secs(60);

/// Steps at the same time. One that hangs keeps its place, lest a `saslauthd` that does not answer
/// takes all threads for what may block.
pub(crate) const PLACES: usize = 64;

impl Authentication {
    /// AUTH_SASL_INIT.
    pub(super) async fn sasl_init(&mut self) -> Result<SaslMechanisms, Failure> {
        self.expect(Method::Sasl)?;
        if self.session.is_some() {
            return Err(Failure::untold("it began SASL a second time"));
        }
        let sasl = self.settings.sasl.clone();
        let sasl = sasl.ok_or_else(|| Failure::untold("libsasl2 was not loaded"))?;
        let options = self.options();
        let (session, names) = blocking(&self.settings.places, move || {
            let mut session = Session::new(&sasl, &options)?;
            let names = session.mechanisms()?;
            Ok((session, names))
        })
        .await?;
        self.session = Some(session);
        Ok(SaslMechanisms(names))
    }

    /// AUTH_SASL_START.
    pub(super) async fn sasl_start(&mut self, call: SaslStart) -> Result<SaslReply, Failure> {
        let SaslStart { mechanism, data } = call;
        self.advance(data, move |session, words| session.start(&mechanism, words))
            .await
    }

    /// AUTH_SASL_STEP.
    pub(super) async fn sasl_step(&mut self, call: SaslStep) -> Result<SaslReply, Failure> {
        self.advance(call.data, Session::step).await
    }

    /// Whatever fails here ends the session; the client may begin another.
    async fn advance(
        &mut self,
        words: SaslData,
        work: impl FnOnce(&mut Session, Option<&[u8]>) -> Result<Step, SaslError> + Send + 'static,
    ) -> Result<SaslReply, Failure> {
        // They may be a password.
        let words = words.0.map(Zeroizing::new);
        self.expect(Method::Sasl)?;
        let session = self.session.take();
        let mut session = session.ok_or_else(|| Failure::untold("it has not begun SASL"))?;
        let (session, step) = blocking(&self.settings.places, move || {
            let words = words.as_ref().map(|words| words.as_slice());
            let step = work(&mut session, words)?;
            Ok((session, step))
        })
        .await?;
        if step.complete {
            self.finish(session)?;
        } else {
            self.session = Some(session);
        }
        Ok(SaslReply {
            complete: step.complete,
            data: SaslData(step.data),
        })
    }

    /// The password was right; is the rest?
    fn finish(&mut self, mut session: Session) -> Result<(), Failure> {
        let ssf = session.ssf();
        let least = self.settings.tcp_min_ssf.max(LEAST_SSF);
        let on_tcp = self.subject.transport == Transport::Tcp;
        if on_tcp && ssf < least {
            return Err(Failure::untold(format!(
                "the security layer has a strength of {ssf}, and at least {least} is asked for"
            )));
        }
        let name = session
            .username()
            .map_err(|error| Failure::untold(error.to_string()))?;
        if let Some(allowed) = &self.settings.allowed_usernames
            && !allowed.iter().any(|pattern| pattern.matches(&name))
        {
            return Err(Failure::untold(format!(
                "sasl_allowed_username_list does not have {name:?}"
            )));
        }
        tracing::info!("{} is {name:?}, says SASL", self.subject.who);
        self.sasl_name = Some(name);
        self.layer = (on_tcp && ssf > 0).then(|| SaslLayer::new(session));
        self.done = true;
        Ok(())
    }

    /// On TCP the mechanism has to bring a security layer; all others are secure without it, and any
    /// mechanism is good there.
    fn options(&self) -> Options {
        let on_tcp = self.subject.transport == Transport::Tcp;
        Options {
            service: SERVICE.to_owned(),
            local_address: self.subject.local_address.clone(),
            remote_address: self.subject.remote_address.clone(),
            external_ssf: match self.subject.transport {
                Transport::Tls => TLS_SSF,
                Transport::Tcp | Transport::Unix => 0,
            },
            // libvirt does not tell it the name of a certificate, or there would be EXTERNAL.
            external_name: None,
            min_ssf: if on_tcp { self.settings.tcp_min_ssf } else { 0 },
            max_ssf: if on_tcp { ANY_SSF } else { 0 },
            allow_weak_mechanisms: !on_tcp,
        }
    }
}

/// Does what may block where it blocks nobody else. What takes too long is left alone.
async fn blocking<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, SaslError> + Send + 'static,
) -> Result<T, Failure> {
    let working = async {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.map_err(|error| Failure::untold(error.to_string()))?;
        let done = spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await
            .map_err(|error| Failure::untold(error.to_string()))?
            .map_err(|error| Failure::untold(error.to_string()))
    };
    let seconds = LIMIT.as_secs();
    timeout(LIMIT, working)
        .await
        .map_err(|_| Failure::untold(format!("SASL took longer than {seconds} s")))?
}
