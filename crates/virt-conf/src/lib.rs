//! The syntax of libvirt's configuration files, such as `virtproxyd.conf`: what libvirt's `virconf`
//! reads, as values with their lines. What the settings mean is not here.
//!
//! ```
//! use virt_conf::{Scalar, Value, parse};
//!
//! let settings = parse("listen_tcp = 1  # plain TCP\n").unwrap();
//! assert_eq!(settings[0].key, "listen_tcp");
//! assert_eq!(settings[0].value, Value::One(Scalar::Number(1)));
//! ```

#![forbid(unsafe_code)]

mod error;
mod parser;
#[cfg(test)]
mod tests;

pub use error::{Error, Problem};
pub use parser::parse;

/// One `key = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// Letters, digits and underscores, with a letter first.
    pub key: &'a str,
    /// The line of the key, from 1.
    pub line: usize,
    /// What the key is set to.
    pub value: Value<'a>,
}

/// What a key can be set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number or a string.
    One(Scalar<'a>),
    /// `[ ... ]`.
    List(Vec<Element<'a>>),
}

/// One of the values in a list. A list has no lists in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The line on which it begins.
    pub line: usize,
    /// The value itself.
    pub value: Scalar<'a>,
}

/// A value that is not a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A decimal number.
    Number(i64),
    /// What stands between the quotes; nothing in it is an escape.
    Text(&'a str),
}
