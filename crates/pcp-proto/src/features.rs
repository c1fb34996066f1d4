//! The features that pmcd offers and clients ask for.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of protocol features: in pmcd's first PDU those that it offers, in the client's CREDS
/// those that it asks for. Bits without a name here are kept as they are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Features(pub u16);

impl Features {
    /// TLS between client and pmcd, from the PDU after CREDS on.
    pub const SECURE: Features = Features(1 << 0);
    /// Compression; no longer implemented upstream.
    pub const COMPRESS: Features = Features(1 << 1);
    /// Authentication of users.
    pub const AUTH: Features = Features(1 << 2);
    /// pmcd insists on authentication.
    pub const CREDS_REQUIRED: Features = Features(1 << 3);
    /// pmcd confirms CREDS with a PDU before TLS begins.
    pub const SECURE_ACK: Features = Features(1 << 4);
    /// Only used inside libpcp.
    pub const NO_NSS_INIT: Features = Features(1 << 5);
    /// Metrics of one container.
    pub const CONTAINER: Features = Features(1 << 6);
    /// pmcd insists on a client certificate.
    pub const CERT_REQUIRED: Features = Features(1 << 7);
    /// Labels, in an encoding that was given up.
    pub const BAD_LABEL: Features = Features(1 << 8);
    /// Labels.
    pub const LABELS: Features = Features(1 << 9);
    /// Time stamps in nanoseconds.
    pub const HIGHRES: Features = Features(1 << 10);
    /// Several descriptors in one exchange.
    pub const DESCS: Features = Features(1 << 11);

    const NAMES: [(Features, &str); 12] = [
        (Features::SECURE, "SECURE"),
        (Features::COMPRESS, "COMPRESS"),
        (Features::AUTH, "AUTH"),
        (Features::CREDS_REQUIRED, "CREDS_REQD"),
        (Features::SECURE_ACK, "SECURE_ACK"),
        (Features::NO_NSS_INIT, "NO_NSS_INIT"),
        (Features::CONTAINER, "CONTAINER"),
        (Features::CERT_REQUIRED, "CERT_REQD"),
        (Features::BAD_LABEL, "BAD_LABEL"),
        (Features::LABELS, "LABELS"),
        (Features::HIGHRES, "HIGHRES"),
        (Features::DESCS, "DESCS"),
    ];

    /// Whether all of `others` are in this set.
    pub fn contains(self, others: Features) -> bool {
        self.0 & others.0 == others.0
    }
}

impl BitOr for Features {
    type Output = Features;

    fn bitor(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }
}

impl BitOrAssign for Features {
    fn bitor_assign(&mut self, other: Features) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unnamed = self.0;
        let mut separator = "";
        f.write_str("Features(")?;
        for (feature, name) in Features::NAMES {
            if self.contains(feature) {
                write!(f, "{separator}{name}")?;
                separator = "|";
                unnamed &= !feature.0;
            }
        }
        if unnamed != 0 {
            write!(f, "{separator}{unnamed:#06x}")?;
        }
        f.write_str(")")
    }
}
