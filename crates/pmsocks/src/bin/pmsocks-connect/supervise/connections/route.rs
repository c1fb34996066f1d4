//! Which way a connection goes.

use std::net::SocketAddr;

use nix::unistd::User as Account;
use socks_conf::{Action, Asked, Decision, Server, User};
use socks_dial::{is_local_address, report};

use super::super::commands;
use super::super::tracee::Caller;
use super::Connections;

/// Which way a connection goes.
pub(super) enum Way {
    Deny,
    Direct,
    Through(Vec<Server>),
}

impl Connections {
    pub(super) fn decide(&self, caller: Caller, target: SocketAddr) -> Way {
        let target = SocketAddr::new(target.ip().to_canonical(), target.port());
        let routes = &self.configuration.routes;
        let account;
        let uid = routes.has_users().then(|| caller.tracee.user()).flatten();
        let user = match uid {
            Some(uid) if uid != self.around.user().uid => {
                account = Account::from_uid(uid.into()).ok().flatten();
                User {
                    uid,
                    name: account.as_ref().map(|account| account.name.as_str()),
                }
            }
            _ => self.around.user(),
        };
        let decision = routes.decide(&Asked {
            address: Some(target.ip()),
            name: None,
            port: target.port(),
            user,
            is_local: &is_local_address,
        });
        if let Some(command) = decision.command {
            let process = caller.tracee.thread.cast_unsigned();
            commands::run(command, process, target, user);
        }
        self.tell(&decision, target);
        match decision.action {
            Action::Deny => Way::Deny,
            Action::Direct => Way::Direct,
            Action::Sockd(servers) => Way::Through(servers.to_vec()),
        }
    }

    fn tell(&self, decision: &Decision<'_>, target: SocketAddr) {
        let settings = &self.configuration.settings;
        if !settings.debug {
            return;
        }
        let what = match decision.action {
            Action::Deny => "denied",
            Action::Direct => "direct",
            Action::Sockd(_) => "through a SOCKS server",
        };
        let line = decision
            .line
            .map_or("no line".to_owned(), |line| format!("line {line}"));
        report(&format_args!(
            "{} port {}: {what} ({line} of {})",
            target.ip(),
            target.port(),
            settings.routes_file.display()
        ));
    }
}
