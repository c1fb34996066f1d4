//! Reads the lines of a configuration, one field after the other:
//! `action [@=serverlist] [*=userlist] dst_addr [dst_mask] [op dst_port] [: shell_cmd]`.

use std::path::Path;

use crate::destination::{Address, Destination};
use crate::error::{Field, RouteError};
use crate::line::{MAX_LINE, Words, lines};
use crate::ports::{Operator, Ports, parse_port};
use crate::servers::{Server, parse_list};
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
        let (way, users) = self.action_and_lists(&mut words)?;
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

    fn action_and_lists(&mut self, words: &mut Words<'_>) -> Result<(Way, Option<Users>), Fault> {
        let action = words.next().within(Field::Action)?;
        let action = action.ok_or(Problem::Missing).within(Field::Action)?;
        let (servers, users) = self.lists(words)?;
        let way = match action.to_ascii_lowercase().as_str() {
            "sockd" => Way::Sockd(servers.unwrap_or_default()),
            "direct" | "deny" if servers.is_some() => {
                return Err(Problem::ServersWithoutSockd).within(Field::Serverlist);
            }
            "direct" => Way::Direct,
            "deny" => Way::Deny,
            _ => return Err(Problem::Action(action.to_owned())).within(Field::Action),
        };
        Ok((way, users))
    }

    /// `@=serverlist` and `*=userlist`, in either order.
    fn lists(
        &mut self,
        words: &mut Words<'_>,
    ) -> Result<(Option<Vec<Server>>, Option<Users>), Fault> {
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
                return Ok((servers, users));
            }
            words.next().within(Field::Address)?;
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
