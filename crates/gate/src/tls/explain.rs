//! Why a handshake failed, in plain words.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::certificate::shown_time;

/// Why a handshake or a channel failed, for the log and for the peer. "The peer" is whoever is at
/// the other end.
pub fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => "the peer has shown no certificate".into(),
        Error::InvalidCertRevocationList(error) => {
            format!("the revocation list for the peer's certificate cannot be used: {error:?}")
        }
        Error::AlertReceived(alert) => received(*alert),
        Error::PeerIncompatible(reason) => incompatible(reason),
        Error::PeerMisbehaved(what) => format!("the peer breaks the rules of TLS ({what:?})"),
        Error::InvalidMessage(InvalidMessage::InvalidContentType)
        | Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => {
            "what the peer sends is not TLS".into()
        }
        Error::InvalidMessage(what) => format!("the peer has sent a malformed message ({what:?})"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "the peer has sent a message of TLS at the wrong time".into()
        }
        Error::DecryptError => "what the peer has sent was changed on its way".into(),
        Error::PeerSentOversizedRecord => "the peer has sent too large a record".into(),
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the peer's certificate expired on {}", time(*not_after))
        }
        CertificateError::Expired => "the peer's certificate has expired".into(),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the peer's certificate is not valid before {}",
            time(*not_before)
        ),
        CertificateError::NotValidYet => "the peer's certificate is not valid yet".into(),
        CertificateError::UnknownIssuer => {
            "the peer's certificate was issued by an authority that is not trusted here".into()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = expected.to_str();
            let names = match presented.as_slice() {
                [] => "it has no alternative names".to_owned(),
                names => format!("it is for {}", listed(names)),
            };
            format!("the peer's certificate is not for {expected}: {names}")
        }
        CertificateError::NotValidForName => "the peer's certificate is for another name".into(),
        CertificateError::BadEncoding => "the peer's certificate is malformed".into(),
        CertificateError::BadSignature => {
            "the signature of the peer or of its certificate is wrong".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the peer's certificate is meant for another purpose (see its extended key usage)"
                .into()
        }
        CertificateError::Revoked => "the peer's certificate was revoked by its authority".into(),
        CertificateError::Other(error) => {
            format!("the peer's certificate cannot be checked: {}", error.0)
        }
        other => format!("the peer's certificate is refused: {other}"),
    }
}

/// How many names a message tells at most, and how long each may be.
const NAMED: usize = 8;
const LONGEST_NAME: usize = 80;

fn listed(names: &[String]) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| name.escape_debug().take(LONGEST_NAME).collect())
        .collect();
    if let Some(more @ 1..) = names.len().checked_sub(NAMED) {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}

fn received(alert: AlertDescription) -> String {
    let what = match alert {
        AlertDescription::UnknownCA => "it does not trust the issuer of our certificate",
        AlertDescription::CertificateExpired => "our certificate has expired or is not valid yet",
        AlertDescription::CertificateRequired => "it requires a certificate of ours",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => "it does not accept our certificate",
        AlertDescription::CertificateRevoked => "our certificate is revoked",
        AlertDescription::HandshakeFailure => "there is no cipher that both sides accept",
        AlertDescription::ProtocolVersion => "there is no version of TLS that both sides accept",
        AlertDescription::AccessDenied => "it denies access",
        AlertDescription::UnrecognisedName => "it does not know the name that it was asked for",
        AlertDescription::UserCanceled => "its user gave up",
        _ => return format!("the peer has ended the handshake with the alert {alert:?}"),
    };
    format!("the peer has refused: {what} (alert {alert:?})")
}

fn incompatible(reason: &PeerIncompatible) -> String {
    match reason {
        PeerIncompatible::NoCipherSuitesInCommon => {
            "there is no cipher that both sides accept".into()
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "there is no signature scheme that both sides accept".into()
        }
        PeerIncompatible::NoKxGroupsInCommon => {
            "there is no key exchange that both sides accept".into()
        }
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "there is no version of TLS that both sides accept (1.2 or 1.3 is needed)".into()
        }
        other => format!("the peer cannot do what is needed ({other:?})"),
    }
}

fn time(time: UnixTime) -> String {
    shown_time(Duration::from_secs(time.as_secs()))
}
