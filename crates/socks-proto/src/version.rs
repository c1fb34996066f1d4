//! The versions of SOCKS.

use std::fmt;
use std::str::FromStr;

/// A version of SOCKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// IPv4 addresses only.
    V4,
    /// SOCKS 4 with names, which the server resolves.
    V4a,
    /// IPv4, IPv6 and names, and more than one way to authenticate.
    V5,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V4 => "4",
            Version::V4a => "4a",
            Version::V5 => "5",
        })
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Version, UnknownVersion> {
        match text {
            "4" => Ok(Version::V4),
            "4a" | "4A" => Ok(Version::V4a),
            "5" => Ok(Version::V5),
            _ => Err(UnknownVersion),
        }
    }
}

/// A text that names no version of SOCKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a version of SOCKS (there are 4, 4a and 5)")]
pub struct UnknownVersion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_read_as_it_is_shown() {
        for version in [Version::V4, Version::V4a, Version::V5] {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert_eq!("4A".parse(), Ok(Version::V4a));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "3", "6", " 5", "5 ", "5a", "socks5"] {
            assert_eq!(text.parse::<Version>(), Err(UnknownVersion), "{text:?}");
        }
    }
}
