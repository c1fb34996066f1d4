//! Reads the lines of a configuration, one field after the other:
//! `action [@=serverlist] [*=userlist] dst_addr [dst_mask] [op dst_port] [: shell_cmd]`.

use std::path::Path;

use crate::destination::{Address, Destination};
use crate::error::{Field, RouteError};
use crate::line::{MAX_LINE, Words, lines};
use crate::ports::{Operator, Ports, parse_port};
use crate::servers::parse_list;
use crate::users::{Files, Users, UsersError};
use crate::{Command, Lookup, Problem, Route, Routes, Untrusted, Way};

/// What is wrong with a line.
enum Fault {
    /// In this field.
    Field(Field, Problem),
    /// In a file that it names.
    Elsewhere(RouteError),
}

/// Names the field in which a problem is.
trait In<T> {
    fn within(self, field: Field) -> Result<T, Fault>;
}

impl<T> In<T> for Result<T, Problem> {
    fn within(self, field: Field) -> Result<T, Fault> {
        self.map_err(|problem| Fault::Field(field, problem))
    }
}

impl Routes {
    /// Reads a configuration. `file` is its name for errors; `lookup` knows what it refers to.
    /// Its commands are off, see [`Routes::with_commands`].
    ///
    /// # Errors
    ///
    /// The first line that is wrong.
    pub fn parse(text: &[u8], file: &Path, lookup: &dyn Lookup) -> Result<Routes, RouteError> {
        let mut reader = Reader {
            lookup,
            files: Files::new(lookup),
        };
        let mut routes = Vec::new();
        for (number, line) in lines(text) {
            let read = reader.line(number, line).map_err(|fault| match fault {
                Fault::Elsewhere(error) => error,
                Fault::Field(field, why) => RouteError {
                    file: file.to_owned(),
                    line: number,
                    field,
                    why,
                },
            })?;
            routes.extend(read);
        }
        Ok(Routes {
            lines: routes,
            untrusted: Some(Untrusted::Unknown),
        })
    }
}

struct Reader<'a> {
    lookup: &'a dyn Lookup,
    files: Files<'a>,
}

impl Reader<'_> {
    /// `None`: the line is blank or a comment.
    fn line(&mut self, number: usize, line: &[u8]) -> Result<Option<Route>, Fault> {
        if line.len() > MAX_LINE {
            return Err(Problem::LongLine(line.len())).within(Field::Line);
        }
        let mut words = Words::new(line);
        if words.is_empty() {
            return Ok(None);
        }
        let mut way = action(&mut words)?;
        let users = self.lists(&mut words, &mut way)?;
        let destination = destination(&mut words)?;
        let ports = self.ports(&mut words)?;
        let command = words.command().within(Field::Command)?;
        let command = command
            .map(Command::parse)
            .transpose()
            .within(Field::Command)?;
        if let Some(word) = words.next().within(Field::Line)? {
            return Err(Problem::Trailing(word.to_owned())).within(Field::Line);
        }
        Ok(Some(Route {
            line: number,
            way,
            users,
            destination,
            ports,
            command,
        }))
    }

    /// `@=serverlist` and `*=userlist`, in either order. The servers become those of the way.
    fn lists(&mut self, words: &mut Words<'_>, way: &mut Way) -> Result<Option<Users>, Fault> {
        let (mut servers, mut users) = (None, None);
        loop {
            let word = words.peek().within(Field::Address)?.unwrap_or_default();
            if let Some(list) = word.strip_prefix("@=") {
                let list = parse_list(list).within(Field::Serverlist)?;
                once(&mut servers, list).within(Field::Serverlist)?;
            } else if let Some(list) = word.strip_prefix("*=") {
                let list = self.files.parse_list(list).map_err(|error| match error {
                    UsersError::Here(problem) => Fault::Field(Field::Userlist, problem),
                    UsersError::There(error) => Fault::Elsewhere(error),
                })?;
                once(&mut users, list).within(Field::Userlist)?;
            } else {
                break;
            }
            words.next().within(Field::Address)?;
        }
        match (way, servers) {
            (_, None) => Ok(users),
            (Way::Sockd(place), Some(servers)) => {
                *place = servers;
                Ok(users)
            }
            (Way::Deny | Way::Direct, Some(_)) => {
                Err(Problem::ServersWithoutSockd).within(Field::Serverlist)
            }
        }
    }

    fn ports(&self, words: &mut Words<'_>) -> Result<Ports, Fault> {
        let Some(word) = words.next().within(Field::Operator)? else {
            return Ok(Ports::Any);
        };
        let unknown = || Problem::Operator(word.to_owned());
        let operator = Operator::parse(word)
            .ok_or_else(unknown)
            .within(Field::Operator)?;
        let port = words.next().within(Field::Port)?;
        let port = port.ok_or(Problem::Missing).within(Field::Port)?;
        let port = parse_port(port, self.lookup).within(Field::Port)?;
        Ok(operator.ports(port))
    }
}

/// The first word; the servers of `sockd` come behind it.
fn action(words: &mut Words<'_>) -> Result<Way, Fault> {
    let word = words.next().within(Field::Action)?;
    let word = word.ok_or(Problem::Missing).within(Field::Action)?;
    match word.to_ascii_lowercase().as_str() {
        "deny" => Ok(Way::Deny),
        "direct" => Ok(Way::Direct),
        "sockd" => Ok(Way::Sockd(Vec::new())),
        _ => Err(Problem::Action(word.to_owned())).within(Field::Action),
    }
}

fn destination(words: &mut Words<'_>) -> Result<Destination, Fault> {
    let text = words.next().within(Field::Address)?;
    let text = text.ok_or(Problem::Missing).within(Field::Address)?;
    let address = Address::parse(text).within(Field::Address)?;
    let next = words.peek().within(Field::Mask)?;
    let mask = next.filter(|word| Operator::parse(word).is_none());
    if mask.is_some() {
        words.next().within(Field::Mask)?;
    }
    address.with_mask(text, mask).within(Field::Mask)
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Problem> {
    match place.replace(value) {
        Some(_) => Err(Problem::Twice),
        None => Ok(()),
    }
}
