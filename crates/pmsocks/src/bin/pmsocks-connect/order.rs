//! What pmsocks tells this program to do: by arguments that it has looked at already.

use std::ffi::OsString;

use pmsocks_common::{Environment, Program};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Order {
    /// `--servers`: print what the name server of `SOCKS_NS` says about servers, for the library.
    Servers,
    /// `--check HOST PORT`
    Check(Goal),
    /// `--supervise PATH NAME [ARGUMENT ...]`
    Supervise(Program),
}

/// Where to try to connect.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Order {
    /// Takes the arguments, and the environment for a program. `None` if it is not pmsocks' way to put it.
    pub(crate) fn parse(arguments: Vec<OsString>, environment: Environment) -> Option<Order> {
        let mut arguments = arguments.into_iter();
        match arguments.next()?.to_str()? {
            "--servers" => arguments.next().is_none().then_some(Order::Servers),
            "--check" => {
                let host = arguments.next()?.into_string().ok()?;
                let port = arguments.next()?.to_str()?.parse().ok()?;
                let is_all = arguments.next().is_none();
                is_all.then_some(Order::Check(Goal { host, port }))
            }
            "--supervise" => {
                let program = Program {
                    path: arguments.next()?.into(),
                    arguments: arguments.collect(),
                    environment,
                };
                (!program.arguments.is_empty()).then_some(Order::Supervise(program))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<Order> {
        let words = words.iter().map(OsString::from).collect();
        let mut environment = Environment::default();
        environment.set("A", "1");
        Order::parse(words, environment)
    }

    #[test]
    fn a_program_has_a_path_a_name_and_arguments() {
        let Some(Order::Supervise(program)) = parse(&["--supervise", "/bin/sh", "-sh", "-c"])
        else {
            panic!("not understood");
        };
        assert_eq!(program.path.to_str(), Some("/bin/sh"));
        assert_eq!(program.arguments, ["-sh", "-c"]);
        assert_eq!(program.environment.get("A").unwrap(), "1");
    }

    #[test]
    fn a_goal_is_a_host_and_a_port() {
        let Some(Order::Check(goal)) = parse(&["--check", "moon", "80"]) else {
            panic!("not understood");
        };
        assert_eq!((goal.host.as_str(), goal.port), ("moon", 80));
    }

    #[test]
    fn servers_can_be_asked_for() {
        assert!(matches!(parse(&["--servers"]), Some(Order::Servers)));
    }

    #[test]
    fn nothing_else_is_understood() {
        for words in [
            &[][..],
            &["--help"],
            &["--servers", "x"],
            &["--check"],
            &["--check", "moon"],
            &["--check", "moon", "80", "81"],
            &["--check", "moon", "port"],
            &["--supervise"],
            &["--supervise", "/bin/sh"],
        ] {
            assert!(parse(words).is_none(), "{words:?}");
        }
    }
}
