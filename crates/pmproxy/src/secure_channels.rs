//! What sessions need to know of secure channels: the configurations of TLS on both sides.

use std::sync::Arc;

use gate::stream::Peer;
use gate::tls::{ClientConfig, Identity, ServerConfig};

/// How the daemon takes part in secure channels. A reload puts another in its place; sessions keep
/// the one that they began with.
#[derive(Clone, Debug)]
pub(crate) struct SecureChannels {
    /// Towards clients; without it, their secure channels pass through to pmcd.
    pub(crate) server: Option<ServerSide>,
    /// Towards pmcd.
    pub(crate) client: Arc<ClientConfig>,
}

/// How the daemon is a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerSide {
    pub(crate) identity: Identity,
    /// Where the certificate comes from.
    pub(crate) source: String,
    /// It asks clients for a certificate, where an authority is known that could vouch for one. Who
    /// must have one and has none is refused inside the channel, where the reason can be told.
    pub(crate) config: Arc<ServerConfig>,
    /// Clients of other machines must show one: `-Q` or `tls-verify-clients`.
    pub(crate) requires_certificates: bool,
    /// How many authorities are trusted.
    pub(crate) authorities: usize,
}

impl SecureChannels {
    /// Whether a client needs a certificate before it is asked what it wants.
    pub(crate) fn require_certificate_of(&self, peer: Peer) -> bool {
        let server = self.server.as_ref();
        !peer.is_local() && server.is_some_and(|server| server.requires_certificates)
    }
}

impl ServerSide {
    /// What the log says about it.
    pub(crate) fn describe(&self) -> String {
        let (subject, source) = (self.identity.subject(), &self.source);
        let until = self.identity.expires_text();
        let trusted = match self.authorities {
            0 => "no authority is trusted".into(),
            1 => "1 authority is trusted".into(),
            count => format!("{count} authorities are trusted"),
        };
        format!(
            "secure channels end here with {subject}, from {source}, valid until {until}; {trusted}"
        )
    }

    /// What to tell if the certificate is not valid or soon will not be.
    pub(crate) fn expiry_warning(&self) -> Option<String> {
        let warning = self.identity.expiry_warning()?;
        Some(format!("{warning} (it is from {})", self.source))
    }
}
