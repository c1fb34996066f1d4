//! polkit: a real one with rules of its own, on a bus of its own. It takes root to start it.

use std::os::unix::process::CommandExt;

use nix::unistd::User;
use testbed::{Client, PATIENCE, Polkit, Process, Running, clean_command, eventually, packages};
use virt_proto::{AuthPolkit, ErrorDomain, PolkitReply};

use super::*;
use crate::who::{self, UnixPeer};

/// Someone who is asked on behalf of a process, and gives up at once or never answers.
const AGENT: &str = r"
import sys, dbus, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

NAME = 'org.freedesktop.PolicyKit1'
address, pid, started, manner = sys.argv[1:]

class Cancelled(dbus.DBusException):
    _dbus_error_name = NAME + '.Error.Cancelled'

class Agent(dbus.service.Object):
    @dbus.service.method(NAME + '.AuthenticationAgent', in_signature='sssa{ss}sa(sa{sv})',
                         async_callbacks=('done', 'failed'))
    def BeginAuthentication(self, action, message, icon, details, cookie, whom, done, failed):
        print('asked', action, flush=True)
        if manner == 'dismiss':
            failed(Cancelled())

    @dbus.service.method(NAME + '.AuthenticationAgent', in_signature='s')
    def CancelAuthentication(self, cookie):
        print('withdrawn', flush=True)

DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(address)
agent = Agent(bus, '/agent')
authority = bus.get_object(NAME, '/org/freedesktop/PolicyKit1/Authority')
subject = {'pid': dbus.UInt32(pid), 'start-time': dbus.UInt64(started)}
authority.RegisterAuthenticationAgent(('unix-process', subject), 'C', '/agent',
                                      dbus_interface=NAME + '.Authority')
print('ready', flush=True)
GLib.MainLoop().run()
";

/// A bus with polkit.
struct Bed(Polkit);

impl Bed {
    fn new() -> Bed {
        Bed(Polkit::start().unwrap())
    }

    fn client(&self, process: &Subprocess, read_only: bool) -> Authentication {
        client(self.0.address(), process.peer, read_only)
    }

    /// Somebody to be asked about a process.
    fn agent(&self, process: &Subprocess, manner: &str) -> Running {
        for package in ["python3-dbus", "python3-gi"] {
            packages::require(package).unwrap();
        }
        let script = self.0.scratch().write("agent.py", AGENT).unwrap();
        let known = process.peer.process.unwrap();
        let (pid, started) = (known.pid.to_string(), known.started.to_string());
        let agent = Client::new("/usr/bin/python3")
            .args([
                script.to_str().unwrap(),
                self.0.address(),
                &pid,
                &started,
                manner,
            ])
            .start()
            .unwrap();
        let ready = eventually(PATIENCE, "the agent", || agent.stdout().contains("ready"));
        assert!(ready.is_ok(), "{}", agent.stderr());
        agent
    }
}

fn client(address: &str, peer: UnixPeer, read_only: bool) -> Authentication {
    let elsewhere = Elsewhere {
        sasl_folder: None,
        bus_address: Some(address.to_owned()),
    };
    let settings = AuthSettings::new(&auth(Method::Polkit), &sockets(), elsewhere).unwrap();
    let subject = Subject {
        read_only,
        unix: Some(peer),
        ..subject(Method::Polkit, Transport::Unix)
    };
    Authentication::new(subject, Arc::new(settings))
}

/// A process that does nothing, of some user.
struct Subprocess {
    process: Process,
    peer: UnixPeer,
}

impl Subprocess {
    fn of(user: &str) -> Subprocess {
        let user = User::from_name(user).unwrap().unwrap();
        let mut command = clean_command("sleep");
        command.arg("1000").uid(user.uid.as_raw());
        let process = Process::spawn("sleep", command).unwrap();
        let pid = i32::try_from(process.pid()).unwrap();
        let started = who::start_of(pid).unwrap();
        let peer = UnixPeer {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            process: Some(who::Process { pid, started }),
        };
        Subprocess { process, peer }
    }
}

#[tokio::test]
async fn polkit_lets_in_whom_its_rules_and_defaults_let_in() {
    let bed = Bed::new();
    for (user, read_only, lets_in) in [
        ("root", false, true),
        ("daemon", false, true),
        ("daemon", true, true),
        ("nobody", true, true),
        ("nobody", false, false),
        ("games", true, false),
        ("games", false, false),
    ] {
        let process = Subprocess::of(user);
        let mut auth = bed.client(&process, read_only);
        let reply = call(&mut auth, &AuthPolkit).await;
        assert_eq!(reply.is_ok(), lets_in, "{user} {read_only} {reply:?}");
        assert_eq!(auth.is_done(), lets_in);
        if let Ok(reply) = reply {
            assert_eq!(reply, PolkitReply { complete: true });
            // A second time, nothing is asked for.
            assert!(call(&mut auth, &AuthPolkit).await.is_err());
        }
    }
}

#[tokio::test]
async fn the_client_is_told_in_libvirts_way_why_it_is_not_let_in() {
    let bed = Bed::new();
    for (user, number, words) in [
        (
            "games",
            ErrorNumber::AUTH_FAILED,
            "authentication failed: access denied by policy",
        ),
        (
            "nobody",
            ErrorNumber::AUTH_UNAVAILABLE,
            "authentication unavailable: no polkit agent available to authenticate action \
             'org.libvirt.unix.manage'",
        ),
    ] {
        let process = Subprocess::of(user);
        let mut auth = bed.client(&process, false);
        let error = call(&mut auth, &AuthPolkit).await.unwrap_err();
        assert_eq!(error.number, number, "{error}");
        assert_eq!(error.domain, ErrorDomain::POLKIT);
        assert_eq!(error.to_string(), words);
    }
}

#[tokio::test]
async fn a_user_who_gives_up_is_told_so() {
    let bed = Bed::new();
    let process = Subprocess::of("nobody");
    let _agent = bed.agent(&process, "dismiss");
    let mut auth = bed.client(&process, false);
    let error = call(&mut auth, &AuthPolkit).await.unwrap_err();
    assert_eq!(error.number, ErrorNumber::AUTH_CANCELLED, "{error}");
    assert!(!auth.is_done());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_user_is_asked_ends_the_question() {
    let bed = Bed::new();
    let process = Subprocess::of("nobody");
    let agent = bed.agent(&process, "wait");
    let mut auth = bed.client(&process, false);
    let asking = tokio::spawn(async move { call(&mut auth, &AuthPolkit).await });
    let asked = || agent.stdout().contains("asked org.libvirt.unix.manage");
    eventually(PATIENCE, "the question", asked).unwrap();
    asking.abort();
    let withdrawn = || agent.stdout().contains("withdrawn");
    eventually(PATIENCE, "its end", withdrawn).unwrap();
}

#[tokio::test]
async fn a_process_that_has_ended_or_is_another_by_now_is_refused() {
    let bed = Bed::new();
    let mut process = Subprocess::of("daemon");
    let mut other = process.peer;
    other.process.as_mut().unwrap().started += 1;
    let mut auth = client(bed.0.address(), other, true);
    assert!(call(&mut auth, &AuthPolkit).await.is_err());
    assert!(!auth.is_done());
    process.process.kill();
    let mut auth = bed.client(&process, true);
    assert!(call(&mut auth, &AuthPolkit).await.is_err());
    assert!(!auth.is_done());
}

#[tokio::test]
async fn without_polkit_or_without_a_bus_nobody_is_let_in() {
    let bus = Polkit::missing().unwrap();
    let process = Subprocess::of("daemon");
    let nowhere = format!("unix:path={}", bus.scratch().join("nowhere").display());
    for address in [bus.address(), &nowhere, "nonsense"] {
        let mut auth = client(address, process.peer, true);
        let error = call(&mut auth, &AuthPolkit).await.unwrap_err();
        assert_eq!(error.number, ErrorNumber::AUTH_FAILED);
        let words = "authentication failed: polkit cannot be asked";
        assert_eq!(error.to_string(), words);
        assert!(!auth.is_done());
    }
}
