//! How certificates of peers are checked: by rustls, but for a few things that PCP's users are used
//! to. A certificate that is itself configured as an authority is trusted, whatever it says of its
//! purpose, and a client can overlook the name or the issuer of a server.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::authorities::Authorities;
use super::certificate::Certificate;
use super::config::Tolerance;
use super::trust::Trust;

/// Checks the certificates of servers.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    authorities: Authorities,
    algorithms: WebPkiSupportedAlgorithms,
    tolerance: Tolerance,
}

impl ServerVerifier {
    pub(super) fn new(
        authorities: &Authorities,
        algorithms: WebPkiSupportedAlgorithms,
        tolerance: Tolerance,
    ) -> ServerVerifier {
        ServerVerifier {
            authorities: authorities.clone(),
            algorithms,
            tolerance,
        }
    }

    fn needs_no_issuer(&self, certificate: &CertificateDer<'_>) -> bool {
        self.authorities.contains(certificate)
            || self.tolerance.self_signed
                && Certificate::parse(certificate).is_ok_and(|parsed| parsed.is_self_issued())
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        if self.needs_no_issuer(end_entity) {
            check_dates(end_entity, now)?;
        } else {
            let (roots, all) = (self.authorities.roots(), self.algorithms.all);
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, all)?;
        }
        if !self.tolerance.bad_name {
            verify_server_name(&parsed, server_name)
                .map_err(|error| with_plain_names(error, end_entity))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks the certificates of clients.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    authorities: Authorities,
}

impl ClientVerifier {
    pub(super) fn new(
        inner: Arc<dyn ClientCertVerifier>,
        authorities: &Authorities,
    ) -> ClientVerifier {
        ClientVerifier {
            inner,
            authorities: authorities.clone(),
        }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.authorities.contains(end_entity) {
            check_dates(end_entity, now)?;
            return Ok(ClientCertVerified::assertion());
        }
        self.inner
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Asks clients for certificates and goes by [`Trust`] alone.
#[derive(Debug)]
pub(super) struct Vetting {
    trust: Arc<Trust>,
    enforced: bool,
}

impl Vetting {
    pub(super) fn new(trust: &Arc<Trust>, enforced: bool) -> Vetting {
        Vetting {
            trust: Arc::clone(trust),
            enforced,
        }
    }
}

impl ClientCertVerifier for Vetting {
    fn client_auth_mandatory(&self) -> bool {
        self.enforced
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.trust.names()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.enforced {
            self.trust.verify_at(end_entity, intermediates, now)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.trust.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.trust.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// rustls tells the names of a certificate in the notation of Rust.
fn with_plain_names(error: Error, certificate: &CertificateDer<'_>) -> Error {
    match (error, Certificate::parse(certificate)) {
        (
            Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                expected, ..
            }),
            Ok(parsed),
        ) => CertificateError::NotValidForNameContext {
            expected,
            presented: parsed.alternative_names(),
        }
        .into(),
        (error, _) => error,
    }
}

fn check_dates(certificate: &CertificateDer<'_>, time: UnixTime) -> Result<(), Error> {
    let parsed = Certificate::parse(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let not_before = UnixTime::since_unix_epoch(parsed.begins());
    let not_after = UnixTime::since_unix_epoch(parsed.ends());
    if time < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before }.into());
    }
    if time > not_after {
        return Err(CertificateError::ExpiredContext { time, not_after }.into());
    }
    Ok(())
}
