//! The variables that a program gets.

#![expect(
    unsafe_code,
    reason = "the standard library would copy every variable, which costs more than all else"
)]

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

/// Variables with their values, as execve(2) takes them: `name=value` each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<Cow<'static, CStr>>);

impl Environment {
    /// This process' own, untouched: what is no variable stays, and so does one that is there twice.
    #[must_use]
    pub fn own() -> Environment {
        unsafe extern "C" {
            static environ: *const *const c_char;
        }
        let mut all = Vec::new();
        // SAFETY: the C library has a list of strings there, which ends with a null pointer, or nothing
        // (environ(7)). No code of these programs changes it or what it points to.
        unsafe {
            let mut next = environ;
            while let Some(text) = next.as_ref().filter(|text| !text.is_null()) {
                all.push(Cow::Borrowed(CStr::from_ptr(*text)));
                next = next.add(1);
            }
        }
        Environment(all)
    }

    /// The value of a variable. Where there are more of that name, the first counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find_map(|text| value_of(text, name))
    }

    /// Takes a variable out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|text| value_of(text, name).is_none());
    }

    /// Sets a variable. A value with a NUL in it, which none that came from the system has, ends there.
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.remove(name);
        let value = value.as_ref().as_bytes();
        let text = [name.as_bytes(), b"=", value, b"\0"].concat();
        let text = CStr::from_bytes_until_nul(&text).map(CStr::to_owned);
        self.0.extend(text.map(Cow::Owned));
    }

    /// All that are variables.
    pub fn pairs(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().filter_map(|text| {
            let bytes = text.to_bytes();
            let equals = bytes.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (&bytes[..equals], &bytes[equals + 1..]);
            Some((OsStr::from_bytes(name), OsStr::from_bytes(value)))
        })
    }

    pub(crate) fn strings(&self) -> impl Iterator<Item = &CStr> {
        self.0.iter().map(AsRef::as_ref)
    }
}

fn value_of<'a>(text: &'a CStr, name: &str) -> Option<&'a OsStr> {
    let value = text.to_bytes().strip_prefix(name.as_bytes())?;
    value.strip_prefix(b"=").map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(texts: &[&'static CStr]) -> Environment {
        Environment(texts.iter().copied().map(Cow::Borrowed).collect())
    }

    fn strings(environment: &Environment) -> Vec<&CStr> {
        environment.strings().collect()
    }

    #[test]
    fn the_first_of_a_name_counts_and_all_are_taken_out() {
        let mut two = environment(&[c"A=1", c"AB=2", c"A=3"]);
        assert_eq!(two.get("A").unwrap(), "1");
        assert_eq!(two.get("B"), None);
        two.remove("A");
        assert_eq!(strings(&two), [c"AB=2"]);
    }

    #[test]
    fn a_variable_is_set_behind_the_others_and_once() {
        let mut two = environment(&[c"A=1", c"B=", c"A=3"]);
        two.set("A", "4");
        assert_eq!(strings(&two), [c"B=", c"A=4"]);
        assert_eq!(two.get("B").unwrap(), "");
    }

    #[test]
    fn what_is_no_variable_stays() {
        let mut odd = environment(&[c"odd", c"=x", c"A=1=2"]);
        odd.remove("odd");
        assert_eq!(strings(&odd), [c"odd", c"=x", c"A=1=2"]);
        let pairs: Vec<_> = odd.pairs().collect();
        assert_eq!(
            pairs,
            [("", "x"), ("A", "1=2")].map(|(a, b)| (OsStr::new(a), OsStr::new(b)))
        );
    }

    #[test]
    fn our_own_is_what_the_standard_library_has() {
        let own = Environment::own();
        let theirs: Vec<_> = std::env::vars_os().collect();
        let pairs = own
            .pairs()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs.collect::<Vec<_>>(), theirs);
    }
}
