//! Distinguished names as GnuTLS writes them (`gnutls_x509_crt_get_dn`), which is how libvirt's lists
//! and daemons know them: attributes in the order of the certificate, without spaces between them.

use std::fmt::Write;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Encode, Tag, Tagged};

use super::certificate::Certificate;

/// The name of the subject of a certificate (in DER), as in `C=GB,L=London,O=Libvirt Project,CN=name`.
/// Characters that separate have a backslash before them; a value that is no text of the kind that
/// its attribute has, and any value of an attribute that GnuTLS has no name for, is `#` and the DER
/// in hexadecimal digits. Control characters stay as they are: escape it for a log. `None` for what
/// is not a certificate.
pub fn distinguished_name(certificate: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.distinguished_name())
}

/// Which strings an attribute may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    Printable,
    Ia5,
    Numeric,
}

/// The attributes that GnuTLS 3.7 has names for (`gnutls_x509_dn_oid_name`).
const ATTRIBUTES: &[(&str, &str, Kind)] = &[
    ("2.5.4.3", "CN", Kind::Directory),
    ("2.5.4.4", "surName", Kind::Directory),
    ("2.5.4.5", "serialNumber", Kind::Printable),
    ("2.5.4.6", "C", Kind::Printable),
    ("2.5.4.7", "L", Kind::Directory),
    ("2.5.4.8", "ST", Kind::Directory),
    ("2.5.4.9", "street", Kind::Directory),
    ("2.5.4.10", "O", Kind::Directory),
    ("2.5.4.11", "OU", Kind::Directory),
    ("2.5.4.12", "title", Kind::Directory),
    ("2.5.4.13", "description", Kind::Directory),
    ("2.5.4.15", "businessCategory", Kind::Directory),
    ("2.5.4.17", "postalCode", Kind::Directory),
    ("2.5.4.20", "telephoneNumber", Kind::Printable),
    ("2.5.4.41", "name", Kind::Directory),
    ("2.5.4.42", "givenName", Kind::Directory),
    ("2.5.4.43", "initials", Kind::Directory),
    ("2.5.4.44", "generationQualifier", Kind::Directory),
    ("2.5.4.46", "dnQualifier", Kind::Printable),
    ("2.5.4.65", "pseudonym", Kind::Directory),
    ("1.2.840.113549.1.9.1", "EMAIL", Kind::Ia5),
    ("0.9.2342.19200300.100.1.1", "UID", Kind::Directory),
    ("0.9.2342.19200300.100.1.25", "DC", Kind::Ia5),
    (
        "1.3.6.1.4.1.311.60.2.1.1",
        "jurisdictionOfIncorporationLocalityName",
        Kind::Directory,
    ),
    (
        "1.3.6.1.4.1.311.60.2.1.2",
        "jurisdictionOfIncorporationStateOrProvinceName",
        Kind::Directory,
    ),
    (
        "1.3.6.1.4.1.311.60.2.1.3",
        "jurisdictionOfIncorporationCountryName",
        Kind::Printable,
    ),
    ("1.2.643.3.131.1.1", "INN", Kind::Numeric),
    ("1.2.643.100.1", "OGRN", Kind::Numeric),
    ("1.2.643.100.3", "SNILS", Kind::Numeric),
    ("1.2.643.100.5", "OGRNIP", Kind::Numeric),
    ("1.3.6.1.5.5.7.9.2", "placeOfBirth", Kind::Directory),
    ("1.3.6.1.5.5.7.9.3", "gender", Kind::Printable),
    ("1.3.6.1.5.5.7.9.4", "countryOfCitizenship", Kind::Printable),
    ("1.3.6.1.5.5.7.9.5", "countryOfResidence", Kind::Printable),
];

/// One attribute, such as `CN=name`.
pub(super) fn attribute(attribute: &AttributeTypeAndValue) -> String {
    let (name, kind) = match known(attribute.oid) {
        Some((name, kind)) => (name.to_owned(), Some(kind)),
        None => (attribute.oid.to_string(), None),
    };
    let text = kind.and_then(|kind| text(attribute, kind));
    format!("{name}={}", text.unwrap_or_else(|| encoded(attribute)))
}

fn known(oid: ObjectIdentifier) -> Option<(&'static str, Kind)> {
    let oid = oid.to_string();
    let mut attributes = ATTRIBUTES.iter();
    let (_, name, kind) = attributes.find(|(known, _, _)| *known == oid)?;
    Some((name, *kind))
}

fn text(attribute: &AttributeTypeAndValue, kind: Kind) -> Option<String> {
    let bytes = attribute.value.value();
    let text = match (kind, attribute.value.tag()) {
        (Kind::Directory, Tag::BmpString) => {
            let (pairs, []) = bytes.as_chunks::<2>() else {
                return None;
            };
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16(&units).ok()?
        }
        (Kind::Directory, Tag::Utf8String | Tag::PrintableString | Tag::TeletexString)
        | (Kind::Printable, Tag::PrintableString)
        | (Kind::Ia5, Tag::Ia5String)
        | (Kind::Numeric, Tag::NumericString) => String::from_utf8(bytes.to_vec()).ok()?,
        _ => return None,
    };
    // What stands behind it would be lost on those who take it for the end.
    (!text.contains('\0')).then(|| escaped(&text))
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        let separates = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || character == '#' && index == 0
            || character == ' ' && (index == 0 || index == last);
        if separates {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn encoded(attribute: &AttributeTypeAndValue) -> String {
    let mut digits = String::from("#");
    for byte in attribute.value.to_der().unwrap_or_default() {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
