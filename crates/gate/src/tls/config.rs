//! The rustls configurations of both sides.

use std::sync::Arc;

use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::ring::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;

use super::authorities::Authorities;
use super::ciphers::Ciphers;
use super::error::{TlsError, TlsProblem};
use super::identity::Identity;
use super::trust::Trust;
use super::verifier::{ClientVerifier, ServerVerifier, Vetting};

/// What a server wants of the certificates of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCertificates {
    /// It does not ask for them.
    Unasked,
    /// It asks, and a client may have none; one that is not trusted ends the handshake.
    Welcome,
    /// A client without a trusted one is refused.
    Required,
}

/// What a client overlooks in a server's certificate. Its dates and the server's signature are
/// checked always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// It may be for another name.
    pub bad_name: bool,
    /// It may have been issued by nobody but itself.
    pub self_signed: bool,
}

/// The configuration of a server that shows `identity`. Where client certificates are welcome and
/// no authority is known, they are not asked for: none could be trusted.
///
/// Every configuration has session tickets of its own: a session can only be taken up again under
/// the rules that it began with.
///
/// # Errors
/// [`TlsProblem::NoAuthority`] when they are required and there is no authority, and whatever
/// rustls may find.
pub fn server_config(
    identity: &Identity,
    clients: ClientCertificates,
    authorities: &Authorities,
    ciphers: &Ciphers,
) -> Result<Arc<ServerConfig>, TlsError> {
    let at = |problem: TlsProblem| problem.at(identity.subject());
    let refused = |error| at(TlsProblem::Refused(error));
    let verifier = client_verifier(clients, authorities, ciphers).map_err(at)?;
    let mut config = ServerConfig::builder_with_provider(ciphers.provider())
        .with_protocol_versions(&ciphers.versions())
        .map_err(refused)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))));
    config.ticketer = Ticketer::new().map_err(refused)?;
    config.ignore_client_order = ciphers.server_order;
    Ok(Arc::new(config))
}

/// The configuration of a server that shows `identity` and asks every client for a certificate. If
/// that is `enforced`, one that has none which `trust` accepts is refused. Otherwise anyone gets in,
/// and what a client has shown proves nothing until [`Trust::verify`] has accepted it.
///
/// No session can be taken up again: each client is looked at anew.
///
/// # Errors
/// Whatever rustls may find.
pub fn vetting_server_config(
    identity: &Identity,
    trust: &Arc<Trust>,
    enforced: bool,
    ciphers: &Ciphers,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(ciphers.provider())
        .with_protocol_versions(&ciphers.versions())
        .map_err(|error| TlsProblem::Refused(error).at(identity.subject()))?
        .with_client_cert_verifier(Arc::new(Vetting::new(trust, enforced)))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.ignore_client_order = ciphers.server_order;
    Ok(Arc::new(config))
}

fn client_verifier(
    clients: ClientCertificates,
    authorities: &Authorities,
    ciphers: &Ciphers,
) -> Result<Arc<dyn ClientCertVerifier>, TlsProblem> {
    let mandatory = match clients {
        ClientCertificates::Required if authorities.is_empty() => {
            return Err(TlsProblem::NoAuthority);
        }
        ClientCertificates::Unasked => return Ok(Arc::new(NoClientAuth)),
        ClientCertificates::Welcome if authorities.is_empty() => {
            return Ok(Arc::new(NoClientAuth));
        }
        ClientCertificates::Required => true,
        ClientCertificates::Welcome => false,
    };
    let roots = Arc::clone(authorities.roots());
    let builder = WebPkiClientVerifier::builder_with_provider(roots, ciphers.provider());
    let builder = if mandatory {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    let verifier = builder.build().map_err(|_| TlsProblem::NoAuthority)?;
    Ok(Arc::new(ClientVerifier::new(verifier, authorities)))
}

/// The configuration of a client that trusts servers with certificates of `authorities` and shows
/// `identity`, if it has one, to a server that asks. Without any authority, no server is trusted
/// but those that `tolerance` lets through.
///
/// # Errors
/// Whatever rustls may find.
pub fn client_config(
    identity: Option<&Identity>,
    authorities: &Authorities,
    ciphers: &Ciphers,
    tolerance: Tolerance,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = ciphers.provider();
    let algorithms = provider.signature_verification_algorithms;
    let verifier = ServerVerifier::new(authorities, algorithms, tolerance);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&ciphers.versions())
        .map_err(|error| TlsProblem::Refused(error).at("the configuration of TLS"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = Arc::clone(&identity.key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
        }
    };
    // A server by OpenSSL that wants certificates, such as pmcd -Q, ends the handshake when a session
    // is to be taken up again and nobody has named it a context for that.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
