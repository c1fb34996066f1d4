//! The numbers of PKCS #11 (sections "Objects" and "Manifest constants") and of NSS's `pkcs11n.h`
//! that the databases are written in.

/// The number of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attribute(pub(crate) u32);

impl Attribute {
    pub(crate) const LABEL: Attribute = Attribute(0x3);
    pub(crate) const VALUE: Attribute = Attribute(0x11);
    pub(crate) const ISSUER: Attribute = Attribute(0x81);
    pub(crate) const SERIAL_NUMBER: Attribute = Attribute(0x82);
    pub(crate) const SUBJECT: Attribute = Attribute(0x101);
    /// What a certificate and its keys have in common.
    pub(crate) const ID: Attribute = Attribute(0x102);
    pub(crate) const MODULUS: Attribute = Attribute(0x120);
    pub(crate) const PUBLIC_EXPONENT: Attribute = Attribute(0x122);
    pub(crate) const PRIVATE_EXPONENT: Attribute = Attribute(0x123);
    pub(crate) const PRIME_1: Attribute = Attribute(0x124);
    pub(crate) const PRIME_2: Attribute = Attribute(0x125);
    pub(crate) const EXPONENT_1: Attribute = Attribute(0x126);
    pub(crate) const EXPONENT_2: Attribute = Attribute(0x127);
    pub(crate) const COEFFICIENT: Attribute = Attribute(0x128);
    pub(crate) const EC_PARAMS: Attribute = Attribute(0x180);
    pub(crate) const TRUST_SERVER_AUTH: Attribute = Attribute(0xce53_6358);
    pub(crate) const TRUST_CLIENT_AUTH: Attribute = Attribute(0xce53_6359);
    pub(crate) const CERT_SHA1_HASH: Attribute = Attribute(0xce53_63b4);

    /// The column that holds it.
    pub(crate) fn column(self) -> String {
        format!("a{:x}", self.0)
    }
}

/// The class of an object, which is its attribute 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(pub(crate) u32);

impl Class {
    pub(crate) const CERTIFICATE: Class = Class(1);
    pub(crate) const PRIVATE_KEY: Class = Class(3);
    pub(crate) const NSS_TRUST: Class = Class(0xce53_4353);
}

/// The value of a trust attribute that makes a certificate an authority for others.
pub(crate) const TRUSTED_DELEGATOR: [u8; 4] = 0xce53_4352_u32.to_be_bytes();

/// Stands for a value of no length, since SQLite would take that for NULL.
pub(crate) const EMPTY: [u8; 3] = [0xa5, 0x00, 0x5a];
