//! Whom a line is for: `*=userlist`, with names, user ids and files of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Field, RouteError};
use crate::line::{MAX_USER_LINE, lines};
use crate::{Lookup, Problem};

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// The effective user id.
    pub uid: u32,
    /// The name that belongs to it, if any.
    pub name: Option<&'a str>,
}

/// The users of a line.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    own: Set,
    /// Shared by the lines that name the same file.
    files: Vec<Arc<Set>>,
}

/// Some users, in order: a look-up must not take long, however many there are.
#[derive(Clone, Debug, Default)]
struct Set {
    names: Vec<String>,
    ids: Vec<u32>,
}

impl Users {
    pub(crate) fn contains(&self, user: &User<'_>) -> bool {
        self.own.contains(user) || self.files.iter().any(|set| set.contains(user))
    }
}

impl Set {
    /// A number is a user id.
    fn add(&mut self, text: &str) -> Result<(), Problem> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let id = text.parse().map_err(|_| Problem::UserId(text.to_owned()))?;
            self.ids.push(id);
        } else {
            self.names.push(text.to_owned());
        }
        Ok(())
    }

    fn sorted(mut self) -> Set {
        self.names.sort_unstable();
        self.ids.sort_unstable();
        self
    }

    fn contains(&self, user: &User<'_>) -> bool {
        let named = |name| {
            self.names
                .binary_search_by(|own| own.as_str().cmp(name))
                .is_ok()
        };
        self.ids.binary_search(&user.uid).is_ok() || user.name.is_some_and(named)
    }
}

/// The files of user names that a configuration refers to, each read once.
pub(crate) struct Files<'a> {
    lookup: &'a dyn Lookup,
    read: BTreeMap<PathBuf, Arc<Set>>,
}

/// What is wrong with a list of users: in the configuration's line, or in a file that it names.
pub(crate) enum UsersError {
    Here(Problem),
    There(RouteError),
}

impl<'a> Files<'a> {
    pub(crate) fn new(lookup: &'a dyn Lookup) -> Files<'a> {
        let read = BTreeMap::new();
        Files { lookup, read }
    }

    /// Reads `*=userlist`.
    pub(crate) fn parse_list(&mut self, list: &str) -> Result<Users, UsersError> {
        let (mut own, mut files) = (Set::default(), Vec::new());
        for element in list.split(',') {
            if element.is_empty() {
                return Err(UsersError::Here(Problem::EmptyElement));
            } else if element.starts_with('/') {
                files.push(self.file(Path::new(element))?);
            } else if element.contains('/') {
                let path = element.to_owned();
                return Err(UsersError::Here(Problem::RelativePath(path)));
            } else {
                own.add(element).map_err(UsersError::Here)?;
            }
        }
        let own = own.sorted();
        Ok(Users { own, files })
    }

    fn file(&mut self, path: &Path) -> Result<Arc<Set>, UsersError> {
        let place = match self.read.entry(path.to_owned()) {
            Entry::Occupied(read) => return Ok(Arc::clone(read.get())),
            Entry::Vacant(place) => place,
        };
        let text = self.lookup.file(path).map_err(|error| {
            let (path, why) = (path.to_owned(), error.to_string());
            UsersError::Here(Problem::UserFile { path, why })
        })?;
        let set = parse_file(&text, path).map_err(UsersError::There)?;
        Ok(Arc::clone(place.insert(Arc::new(set))))
    }
}

/// Names between blanks and commas, on any number of lines; `#` begins a comment.
fn parse_file(text: &[u8], path: &Path) -> Result<Set, RouteError> {
    let mut set = Set::default();
    for (number, line) in lines(text) {
        let wrong = |field, why| RouteError {
            file: path.to_owned(),
            line: number,
            field,
            why,
        };
        if line.len() > MAX_USER_LINE {
            return Err(wrong(Field::Line, Problem::LongUserLine(line.len())));
        }
        let names = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let names = str::from_utf8(names).map_err(|_| wrong(Field::Line, Problem::NotText))?;
        let between = |c: char| c == ',' || c.is_ascii_whitespace();
        for name in names.split(between).filter(|name| !name.is_empty()) {
            let added = match name.contains('/') {
                true => Err(Problem::NestedFile(name.to_owned())),
                false => set.add(name),
            };
            added.map_err(|why| wrong(Field::Userlist, why))?;
        }
    }
    Ok(set.sorted())
}
