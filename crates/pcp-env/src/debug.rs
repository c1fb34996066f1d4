//! The debugging options of `pmdbg(1)`, as they stand after `-D`.

use std::collections::BTreeSet;
use std::str::FromStr;

/// Every name that `pmdbg -l` of PCP 6 lists.
const NAMES: &[&str] = &[
    "pdu",
    "fetch",
    "profile",
    "value",
    "context",
    "indom",
    "pdubuf",
    "log",
    "logmeta",
    "optfetch",
    "af",
    "appl0",
    "appl1",
    "appl2",
    "pmns",
    "libpmda",
    "timecontrol",
    "pmc",
    "derive",
    "lock",
    "interp",
    "config",
    "pmapi",
    "fault",
    "auth",
    "discovery",
    "attr",
    "http",
    "desperate",
    "deprecated",
    "exec",
    "labels",
    "series",
    "libweb",
    "alloc",
    "services",
    "appl3",
    "appl4",
    "appl5",
    "access",
    "qa",
    "search",
    "query",
    "compress",
    "dev0",
    "dev1",
    "dev2",
    "pmlc",
    "appl6",
    "appl7",
    "appl8",
    "appl9",
    "tls",
];

/// A set of debugging options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugOptions(BTreeSet<&'static str>);

/// A name that is no debugging option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a debugging option (pmdbg -l lists them)")]
pub struct UnknownDebugOption(String);

impl DebugOptions {
    /// Whether the option called `name` is on.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Adds all options of `other`.
    pub fn unite(&mut self, other: DebugOptions) {
        self.0.extend(other.0);
    }
}

impl FromStr for DebugOptions {
    type Err = UnknownDebugOption;

    /// Reads a comma-separated list; `all` stands for every option.
    fn from_str(list: &str) -> Result<DebugOptions, UnknownDebugOption> {
        let mut options = DebugOptions::default();
        for word in list.split(',').map(str::trim) {
            if word == "all" {
                options.0.extend(NAMES);
            } else {
                let name = NAMES.iter().find(|name| **name == word);
                let unknown = || UnknownDebugOption(word.chars().take(40).collect());
                options.0.insert(name.ok_or_else(unknown)?);
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_by_name() {
        let options: DebugOptions = "context,appl0".parse().unwrap();
        assert!(options.has("context") && options.has("appl0") && !options.has("pdu"));
        assert!("all".parse::<DebugOptions>().unwrap().has("tls"));
        let error = "context,contxt".parse::<DebugOptions>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"contxt\" is not a debugging option (pmdbg -l lists them)"
        );
    }
}
