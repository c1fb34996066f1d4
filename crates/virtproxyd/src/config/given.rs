//! What a file gives for one key, and how it is taken: with the right type, in the right range.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use virt_conf::{Element, Scalar, Value};

use super::Method;
use super::services::{SERVICES, port};

/// The most that a mode of a socket can say.
const MOST_PERMISSIONS: u32 = 0o777;

/// What is wrong with a value.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) what: String,
}

/// A value with its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    value: &'a Value<'a>,
    line: usize,
}

/// A string that stands in a list, or on its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
}

impl Text<'_> {
    pub(super) fn wrong<T>(&self, what: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong {
            line: self.line,
            what: what.into(),
        })
    }

    /// A path that means the same wherever the daemon is.
    pub(super) fn path(&self) -> Result<PathBuf, Wrong> {
        if Path::new(self.text).is_absolute() {
            Ok(self.text.into())
        } else {
            self.wrong(format!("{:?} is not an absolute path", self.text))
        }
    }
}

impl<'a> Given<'a> {
    pub(super) fn new(value: &'a Value<'a>, line: usize) -> Given<'a> {
        Given { value, line }
    }

    fn expected<T>(&self, expected: &str) -> Result<T, Wrong> {
        let given = match self.value {
            Value::One(scalar) => show(*scalar),
            Value::List(_) => "a list".into(),
        };
        Err(Wrong {
            line: self.line,
            what: format!("expected {expected}, not {given}"),
        })
    }

    pub(super) fn flag(&self) -> Result<bool, Wrong> {
        match self.value {
            Value::One(Scalar::Number(0)) => Ok(false),
            Value::One(Scalar::Number(1)) => Ok(true),
            _ => self.expected("0 or 1"),
        }
    }

    /// A number in `range`, which must lie in that of `N`.
    pub(super) fn number<N>(&self, range: RangeInclusive<i64>) -> Result<N, Wrong>
    where
        N: TryFrom<i64>,
    {
        if let Value::One(Scalar::Number(number)) = self.value
            && range.contains(number)
            && let Ok(number) = N::try_from(*number)
        {
            return Ok(number);
        }
        self.expected(&format!(
            "a number from {} to {}",
            range.start(),
            range.end()
        ))
    }

    /// A number of things, as in C's `unsigned int`.
    pub(super) fn count(&self) -> Result<u32, Wrong> {
        self.number(0..=u32::MAX.into())
    }

    /// A string that is not empty.
    pub(super) fn text(&self) -> Result<Text<'a>, Wrong> {
        match *self.value {
            Value::One(Scalar::Text(text)) if !text.is_empty() => Ok(Text {
                line: self.line,
                text,
            }),
            Value::One(Scalar::Text(_)) => self.expected("a string that is not empty"),
            _ => self.expected("a string in quotes"),
        }
    }

    pub(super) fn string(&self) -> Result<String, Wrong> {
        self.text().map(|given| given.text.into())
    }

    /// A string in which `check` finds nothing wrong; an empty one is as good as none.
    pub(super) fn checked<E: Display>(
        &self,
        check: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<Option<String>, Wrong> {
        if let Value::One(Scalar::Text("")) = self.value {
            return Ok(None);
        }
        let given = self.text()?;
        match check(given.text) {
            Ok(()) => Ok(Some(given.text.into())),
            Err(error) => given.wrong(error.to_string()),
        }
    }

    pub(super) fn path(&self) -> Result<PathBuf, Wrong> {
        self.text()?.path()
    }

    /// Strings; the list may be empty, they are not.
    pub(super) fn texts(&self) -> Result<Vec<Text<'a>>, Wrong> {
        let Value::List(elements) = self.value else {
            return self.expected("a list of strings in brackets");
        };
        elements.iter().map(text_of).collect()
    }

    pub(super) fn strings(&self) -> Result<Vec<String>, Wrong> {
        let texts = self.texts()?;
        Ok(texts.iter().map(|given| given.text.into()).collect())
    }

    /// Permissions, as a string of octal digits.
    pub(super) fn permissions(&self) -> Result<u32, Wrong> {
        let given = self.text()?;
        let digits = given.text.bytes().all(|byte| byte.is_ascii_digit());
        match u32::from_str_radix(given.text, 8) {
            Ok(mode @ ..=MOST_PERMISSIONS) if digits => Ok(mode),
            _ => self.expected("permissions as a string of octal digits, \"0\" to \"0777\""),
        }
    }

    /// A port number or the name of a service, as a string.
    pub(super) fn port(&self) -> Result<u16, Wrong> {
        let given = self.text()?;
        match given.text.parse() {
            Ok(port @ 1..) => Ok(port),
            Ok(0) => self.expected("a port from \"1\" to \"65535\""),
            Err(_) => match port(given.text, Path::new(SERVICES)) {
                Some(port) => Ok(port),
                None => given.wrong(format!(
                    "{:?} is neither a port from \"1\" to \"65535\" nor a TCP service of {SERVICES}",
                    given.text
                )),
            },
        }
    }

    /// How clients authenticate.
    pub(super) fn method(&self) -> Result<Method, Wrong> {
        match self.text()?.text {
            "none" => Ok(Method::None),
            "sasl" => Ok(Method::Sasl),
            "polkit" => Ok(Method::Polkit),
            _ => self.expected("\"none\", \"sasl\" or \"polkit\""),
        }
    }

    /// A list of a single path.
    pub(super) fn only_path(&self) -> Result<PathBuf, Wrong> {
        match self.texts()?.as_slice() {
            [only] => only.path(),
            several => Err(Wrong {
                line: self.line,
                what: format!(
                    "expected exactly one file, not {}: this virtproxyd has one certificate",
                    several.len()
                ),
            }),
        }
    }

    /// One of a few words.
    pub(super) fn one_of(&self, words: &[&str]) -> Result<(), Wrong> {
        if words.contains(&self.text()?.text) {
            return Ok(());
        }
        let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        self.expected(&quoted.join(" or "))
    }
}

fn text_of<'a>(element: &Element<'a>) -> Result<Text<'a>, Wrong> {
    match element.value {
        Scalar::Text(text) if !text.is_empty() => Ok(Text {
            line: element.line,
            text,
        }),
        other => Err(Wrong {
            line: element.line,
            what: format!(
                "expected strings that are not empty in the list, not {}",
                show(other)
            ),
        }),
    }
}

fn show(scalar: Scalar<'_>) -> String {
    match scalar {
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => format!("{text:?}"),
    }
}
