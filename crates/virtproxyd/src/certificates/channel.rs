//! A client's way into its secure channel: the handshake, who it is, and the byte that tells it that
//! it may begin.

use std::io;
use std::sync::Arc;

use gate::tls::{Certificate, Link, distinguished_name, explain};
use tokio::io::AsyncWriteExt;

use super::Loaded;
use super::sanity::{self, Role};

/// What a client awaits inside the channel before it sends its first call; one that is refused sees
/// the connection closed instead (`virNetServerClientCheckAccess`).
const WELCOME: u8 = 1;

/// Why a client has no channel. The connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// The handshake failed; for want of a good certificate, too.
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    /// The client's certificate may not be used, or not by clients.
    #[error("{0}")]
    Certificate(String),
    /// The client is not on the list.
    #[error("the name of the client's certificate, {name}, is not on tls_allowed_dn_list")]
    NotAllowed {
        /// As it would have to stand on the list, but for control characters, which are escaped.
        name: String,
    },
    /// The client has gone.
    #[error("the client went away: {}", gate::describe(.0))]
    Lost(io::Error),
}

/// Makes the handshake with a client, checks its certificate and welcomes it. Gives the distinguished
/// name of the certificate, as libvirt writes it, if that is proved; without `verify_clients` a client
/// may come in without. Takes as long as the client likes: limits are the caller's. Not cancel safe.
///
/// # Errors
/// [`ChannelError`] when the client is refused or gone.
pub(crate) async fn open_channel(
    link: &mut Link,
    loaded: &Loaded,
) -> Result<Option<String>, ChannelError> {
    link.accept(&[], Arc::clone(&loaded.config))
        .await
        .map_err(handshake_error)?;
    let name = match loaded.identify(link) {
        Ok(name) => Some(name),
        Err(error) if loaded.enforced => return Err(error),
        Err(error) => {
            tracing::debug!(
                "a client is let in without a certificate that proves its name: {error}"
            );
            None
        }
    };
    link.write_all(&[WELCOME])
        .await
        .map_err(ChannelError::Lost)?;
    link.flush().await.map_err(ChannelError::Lost)?;
    Ok(name)
}

impl Loaded {
    /// The name that the client's certificate proves. What the handshake has checked already is
    /// checked again where it does not insist on it.
    fn identify(&self, link: &Link) -> Result<String, ChannelError> {
        let chain = link.peer_certificates();
        if !self.enforced {
            self.trust
                .verify(chain)
                .map_err(|error| ChannelError::Certificate(explain(&error)))?;
        }
        let own = chain.first().map(AsRef::as_ref).unwrap_or_default();
        let certificate = Certificate::from_der(own)
            .map_err(|error| ChannelError::Certificate(error.to_string()))?;
        let place = "the client is refused";
        for flaw in sanity::check(&certificate, Role::Client, place) {
            if flaw.fatal {
                return Err(ChannelError::Certificate(flaw.text));
            }
            tracing::debug!("{}", flaw.text.replace(place, "a client is let in, but"));
        }
        let name = distinguished_name(own).unwrap_or_default();
        let allowed = self.allowed.as_ref();
        if allowed.is_some_and(|allowed| !allowed.iter().any(|one| one.matches(&name))) {
            let name = name.escape_debug().to_string();
            return Err(ChannelError::NotAllowed { name });
        }
        Ok(name)
    }
}

fn handshake_error(error: io::Error) -> ChannelError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(cause) => ChannelError::Handshake(explain(cause)),
        None => ChannelError::Lost(error),
    }
}
