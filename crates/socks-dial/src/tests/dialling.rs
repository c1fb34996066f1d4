//! Dials through servers on loopback that follow a script.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Culprit, Destination, Dial, Failure, Route, Settings, Status, Surroundings};
use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use socks_conf::Server;
use socks_proto::Version;

const METHODS: &[u8] = &[5, 1, 0];
const REQUEST_5: usize = 10;
const GRANTED_5: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const GRANTED_4: &[u8] = &[0, 90, 0, 0, 0, 0, 0, 0];

/// Nothing but what the tests say.
#[derive(Default)]
struct Around {
    addresses: Vec<IpAddr>,
    looked_up: Cell<usize>,
}

impl Surroundings for Around {
    fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.looked_up.set(self.looked_up.get() + 1);
        Ok(self.addresses.clone())
    }

    fn login(&self) -> String {
        "alice".to_owned()
    }
}

/// A server that serves one connection after the other, each by the next of the scripts.
struct Scripted {
    server: Server,
    thread: JoinHandle<()>,
}

type Script = fn(TcpStream);

fn scripted(address: &str, scripts: &'static [Script]) -> Scripted {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let server = server(listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        for script in scripts {
            script(listener.accept().unwrap().0);
        }
    });
    Scripted { server, thread }
}

fn server(address: SocketAddr) -> Server {
    Server {
        host: address.ip().to_string(),
        port: Some(address.port()),
        version: None,
        credentials: None,
    }
}

/// One that refuses every connection.
fn nobody() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    server(listener.local_addr().unwrap())
}

fn settings(timeout: Duration) -> Settings {
    let mut settings = Settings::read(&|_| None).unwrap();
    settings.timeout = timeout;
    settings
}

fn socket(family: AddressFamily) -> OwnedFd {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::STREAM, flags, None).unwrap()
}

fn target() -> Destination {
    Destination::Address("192.0.2.9:44321".parse().unwrap())
}

/// Drives it to its end.
fn finish(dial: &mut Dial, around: &Around) -> Status {
    loop {
        match dial.drive(Instant::now(), around) {
            Status::Waiting { events, until } => {
                let patience = until.saturating_duration_since(Instant::now());
                let timeout = Timespec::try_from(patience + Duration::from_millis(1)).unwrap();
                let socket = dial.socket();
                poll(&mut [PollFd::new(&socket, events)], Some(&timeout)).unwrap();
            }
            done => return done,
        }
    }
}

fn dial(servers: &[Server]) -> Dial {
    let patience = settings(Duration::from_secs(20));
    let socket = socket(AddressFamily::INET);
    Dial::new(socket, target(), servers, &patience, Instant::now())
}

/// Drives it until it is connected.
fn connect_through(dial: &mut Dial, around: &Around) -> Route {
    match finish(dial, around) {
        Status::Connected(route) => route,
        other => panic!("{other:?}"),
    }
}

fn failed(status: Status) -> Failure {
    match status {
        Status::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut heard = vec![0; bytes.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, bytes);
}

fn skip(stream: &mut TcpStream, count: usize) {
    stream.read_exact(&mut vec![0; count]).unwrap();
}

/// Grants everything in version 5, and lets the target speak at once.
fn grant_5(mut stream: TcpStream) {
    expect(&mut stream, METHODS);
    stream.write_all(&[5, 0]).unwrap();
    expect(&mut stream, &[5, 1, 0, 1, 192, 0, 2, 9, 0xad, 0x21]);
    stream.write_all(&[GRANTED_5, b"hello"].concat()).unwrap();
    // Until the client is through.
    let _ = stream.read(&mut [0]);
}

fn refuse_5(mut stream: TcpStream) {
    skip(&mut stream, METHODS.len());
    stream.write_all(&[5, 0]).unwrap();
    skip(&mut stream, REQUEST_5);
    stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
}

/// A server of version 4, which does not know the first byte.
fn hang_up(mut stream: TcpStream) {
    skip(&mut stream, METHODS.len());
}

fn answer_in_4(mut stream: TcpStream) {
    skip(&mut stream, METHODS.len());
    stream.write_all(&[0, 91, 0, 0, 0, 0, 0, 0]).unwrap();
}

fn grant_4(mut stream: TcpStream) {
    expect(&mut stream, &[4, 1, 0xad, 0x21, 192, 0, 2, 9]);
    expect(&mut stream, b"alice\0");
    stream.write_all(GRANTED_4).unwrap();
    let _ = stream.read(&mut [0]);
}

/// Never says a word.
fn be_silent(mut stream: TcpStream) {
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
}

fn talk_nonsense(mut stream: TcpStream) {
    skip(&mut stream, METHODS.len());
    stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .unwrap();
}

fn want_a_password(mut stream: TcpStream) {
    skip(&mut stream, METHODS.len());
    stream.write_all(&[5, 0xff]).unwrap();
}

#[test]
fn what_follows_the_dialogue_is_left_to_the_program() {
    let server = scripted("127.0.0.1", &[grant_5]);
    let around = Around::default();
    let mut dial = dial(std::slice::from_ref(&server.server));
    let route = connect_through(&mut dial, &around);
    assert_eq!(route.version, Version::V5);
    assert!(!dial.is_replaced());
    let mut stream = TcpStream::from(dial.into_socket());
    stream.set_nonblocking(false).unwrap();
    expect(&mut stream, b"hello");
    drop(stream);
    server.thread.join().unwrap();
}

/// For one test at a time: the last server that spoke version 4 only is remembered.
static ONLY_4: Mutex<()> = Mutex::new(());

#[test]
fn a_server_that_hangs_up_or_answers_in_version_4_is_asked_in_version_4() {
    for scripts in [
        &[hang_up as Script, grant_4],
        &[answer_in_4 as Script, grant_4],
    ] {
        let _alone = ONLY_4.lock();
        let server = scripted("127.0.0.1", scripts);
        let around = Around::default();
        let mut dial = dial(std::slice::from_ref(&server.server));
        let route = connect_through(&mut dial, &around);
        assert_eq!(route.version, Version::V4);
        drop(dial);
        server.thread.join().unwrap();
    }
}

#[test]
fn a_server_of_version_4_is_not_asked_in_version_5_again() {
    let _alone = ONLY_4.lock();
    let server = scripted("127.0.0.1", &[hang_up, grant_4, grant_4]);
    for _ in 0..2 {
        let mut dial = dial(std::slice::from_ref(&server.server));
        connect_through(&mut dial, &Around::default());
    }
    server.thread.join().unwrap();
}

#[test]
fn a_server_that_is_down_or_makes_no_sense_gives_way_to_the_next() {
    for scripts in [
        &[talk_nonsense as Script] as &'static [Script],
        &[want_a_password],
    ] {
        let broken = scripted("127.0.0.1", scripts);
        let good = scripted("127.0.0.1", &[grant_5]);
        let mut first = broken.server.clone();
        first.version = Some(Version::V5);
        let mut dial = dial(&[nobody(), first, good.server.clone()]);
        connect_through(&mut dial, &Around::default());
        drop(dial);
        broken.thread.join().unwrap();
        good.thread.join().unwrap();
    }
}

#[test]
fn a_silent_server_has_only_its_share_of_the_time() {
    let silent = scripted("127.0.0.1", &[be_silent]);
    let good = scripted("127.0.0.1", &[grant_5]);
    let servers = [silent.server.clone(), good.server.clone()];
    let patience = settings(Duration::from_secs(6));
    let socket = socket(AddressFamily::INET);
    let mut dial = Dial::new(socket, target(), &servers, &patience, Instant::now());
    connect_through(&mut dial, &Around::default());
    drop(dial);
    silent.thread.join().unwrap();
    good.thread.join().unwrap();
}

#[test]
fn silence_is_a_timeout_of_the_server() {
    let silent = scripted("127.0.0.1", &[be_silent]);
    let patience = settings(Duration::from_millis(50));
    let socket = socket(AddressFamily::INET);
    let servers = [silent.server.clone()];
    let mut dial = Dial::new(socket, target(), &servers, &patience, Instant::now());
    let failure = failed(finish(&mut dial, &Around::default()));
    assert_eq!(
        (failure.errno(), failure.culprit()),
        (Errno::TIMEDOUT, Culprit::Server)
    );
    drop(dial);
    silent.thread.join().unwrap();
}

#[test]
fn a_refusal_by_the_target_is_the_targets_and_ends_the_search() {
    let server = scripted("127.0.0.1", &[refuse_5]);
    let mut dial = dial(&[server.server.clone(), nobody()]);
    let failure = failed(finish(&mut dial, &Around::default()));
    assert_eq!(
        (failure.errno(), failure.culprit()),
        (Errno::CONNREFUSED, Culprit::Target)
    );
    assert!(failure.to_string().contains("192.0.2.9:44321"), "{failure}");
    server.thread.join().unwrap();
}

#[test]
fn a_socket_that_failed_can_be_connected_to_something_else() {
    let server = scripted("127.0.0.1", &[refuse_5]);
    let mut dial = dial(std::slice::from_ref(&server.server));
    failed(finish(&mut dial, &Around::default()));
    server.thread.join().unwrap();
    let socket = dial.into_socket();
    assert_eq!(sockopt::socket_error(&socket), Ok(Ok(())));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = connect(&socket, &other.local_addr().unwrap());
    assert!(
        matches!(begun, Ok(()) | Err(Errno::INPROGRESS)),
        "{begun:?}"
    );
    other.accept().unwrap();
}

#[test]
fn an_ipv4_socket_reaches_a_server_of_ipv6_only_as_a_new_one_with_its_options() {
    let server = scripted("::1", &[grant_5]);
    let program = socket(AddressFamily::INET);
    sockopt::set_tcp_nodelay(&program, true).unwrap();
    sockopt::set_socket_keepalive(&program, true).unwrap();
    let patience = settings(Duration::from_secs(20));
    let servers = [server.server.clone()];
    let mut dial = Dial::new(program, target(), &servers, &patience, Instant::now());
    connect_through(&mut dial, &Around::default());
    assert!(dial.is_replaced());
    assert_eq!(sockopt::tcp_nodelay(dial.socket()), Ok(true));
    assert_eq!(sockopt::socket_keepalive(dial.socket()), Ok(true));
    drop(dial);
    server.thread.join().unwrap();
}

#[test]
fn an_ipv6_socket_reaches_a_server_of_ipv4_as_it_is() {
    let server = scripted("127.0.0.1", &[grant_5]);
    let program = socket(AddressFamily::INET6);
    sockopt::set_ipv6_v6only(&program, true).unwrap();
    let patience = settings(Duration::from_secs(20));
    let servers = [server.server.clone()];
    let mut dial = Dial::new(program, target(), &servers, &patience, Instant::now());
    connect_through(&mut dial, &Around::default());
    assert!(!dial.is_replaced());
    drop(dial);
    server.thread.join().unwrap();
}

#[test]
fn an_ipv4_socket_is_the_programs_again_when_a_server_of_ipv6_fails() {
    let server = scripted("::1", &[refuse_5]);
    let mut dial = dial(std::slice::from_ref(&server.server));
    failed(finish(&mut dial, &Around::default()));
    assert_eq!(
        sockopt::socket_domain(dial.socket().as_fd()),
        Ok(AddressFamily::INET)
    );
    server.thread.join().unwrap();
}

#[test]
fn a_servers_name_is_looked_up_when_its_turn_has_come() {
    let good = scripted("127.0.0.1", &[grant_5]);
    let named = Server {
        host: "never.example".to_owned(),
        ..nobody()
    };
    let around = Around::default();
    let mut dial = dial(&[good.server.clone(), named.clone()]);
    connect_through(&mut dial, &around);
    assert_eq!(around.looked_up.get(), 0);
    drop(dial);
    good.thread.join().unwrap();
}

#[test]
fn a_server_without_an_address_is_named() {
    let named = Server {
        host: "never.example".to_owned(),
        ..nobody()
    };
    let mut dial = dial(&[named]);
    let failure = failed(finish(&mut dial, &Around::default()));
    assert!(failure.to_string().contains("never.example"), "{failure}");
    assert_eq!(failure.errno(), Errno::HOSTUNREACH);
}

#[test]
fn what_the_launcher_handed_on_is_not_looked_up_again() {
    let good = scripted("127.0.0.1", &[grant_5]);
    let named = Server {
        host: "Fw.Example".to_owned(),
        ..good.server.clone()
    };
    let mut patience = settings(Duration::from_secs(20));
    patience.handed_on = "fw.example=127.0.0.1 other=::1,10.0.0.1".parse().unwrap();
    let around = Around::default();
    let socket = socket(AddressFamily::INET);
    let mut dial = Dial::new(socket, target(), &[named], &patience, Instant::now());
    connect_through(&mut dial, &around);
    assert_eq!(around.looked_up.get(), 0);
    drop(dial);
    good.thread.join().unwrap();
}

#[test]
fn without_any_server_it_says_what_to_set() {
    let mut dial = dial(&[]);
    let failure = failed(finish(&mut dial, &Around::default()));
    assert!(
        failure.to_string().contains("set SOCKS_SERVER"),
        "{failure}"
    );
    assert_eq!(failure.culprit(), Culprit::Here);
}

#[test]
fn ipv6_is_more_than_version_4_can_ask_for() {
    let mut server = nobody();
    server.version = Some(Version::V4);
    let destination = Destination::Address((Ipv6Addr::LOCALHOST, 1).into());
    let patience = settings(Duration::from_secs(20));
    let socket = socket(AddressFamily::INET6);
    let mut dial = Dial::new(socket, destination, &[server], &patience, Instant::now());
    let failure = failed(finish(&mut dial, &Around::default()));
    assert_eq!(failure.errno(), Errno::AFNOSUPPORT);
}
