//! A pmcd that cannot be reached: the client learns the true reason, the log names client and
//! reason, and nobody else is reached.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;
use pcp_proto::greeting::{CLIENT_HELLO, SERVER_HELLO};
use pcp_proto::{ErrorPdu, Pdu, Status};
use socket2::{Domain, Socket, Type};
use testbed::{Client, Ending, PATIENCE, Pmcd, Pmproxy, Scratch, Stub, Wire, deaf_port};

use crate::house::{House, address_of, name_of_pmcd, pdu, pminfo, pmproxy, through};

/// What a client that speaks by itself gets for an answer, and the line of the log about it.
struct Refusal {
    status: Status,
    logged: String,
}

fn ask(proxy: &Pmproxy, host: &str, port: u16) -> Result<Refusal> {
    let mut wire = Wire::through(proxy.port(), host, port)?;
    let (answer, ending) = wire.receive_to_end()?;
    ensure!(
        ending == Ending::Closed,
        "the answer was followed by a reset"
    );
    let status = ErrorPdu::decode(&answer)?.status();
    ensure!(answer == ErrorPdu::refusal(status).encode(0), "{answer:?}");
    let client = format!("client {} is not served: ", address_of(&wire)?);
    proxy.await_log(&client)?;
    let log = proxy.log();
    let logged = log
        .lines()
        .find_map(|line| Some(line.split_once(&client)?.1));
    Ok(Refusal {
        status,
        logged: logged.unwrap_or_default().to_owned(),
    })
}

/// What pminfo says of a host that it cannot reach.
fn complaint(client: &Client) -> Result<String> {
    let ended = client.run()?;
    let reason = ended.stderr.trim_end().rsplit_once("\": ");
    match reason {
        Some((_, reason)) if !ended.status.success() => Ok(reason.to_owned()),
        _ => bail!("no complaint: {ended}"),
    }
}

fn errno(number: i32) -> Status {
    Status::from_errno(number)
}

#[test]
fn a_name_that_nobody_knows_is_reported_and_leads_nowhere() {
    // Where the name servers are out of reach, the resolver is not to wait for longer than we do.
    let proxy = pmproxy().env("RES_OPTIONS", "timeout:1 attempts:1");
    let proxy = proxy.start().unwrap();
    let here = Stub::echo().unwrap();
    for host in ["no.such.host", "no-such-host.invalid"] {
        let client = pminfo(&format!(
            "{host}:{}@localhost:{}",
            here.port(),
            proxy.port()
        ));
        assert_eq!(
            complaint(&client.env("PMCD_CONNECT_TIMEOUT", "20")).unwrap(),
            "No route to host"
        );
        let refusal = ask(&proxy, host, here.port()).unwrap();
        assert_eq!(refusal.status, errno(nix::libc::EHOSTUNREACH));
        let wanted = format!("wanted {host}:{}: cannot resolve \"{host}\": ", here.port());
        assert!(refusal.logged.starts_with(&wanted), "{}", refusal.logged);
    }
    assert_eq!(here.accepted(), 0);
}

/// An address of the loopback network of our own, where a name server takes questions and never
/// answers.
fn silent_name_server() -> Result<UdpSocket> {
    ensure!(Uid::effective().is_root(), "this test needs root");
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 128 | high, middle, low);
    let server = UdpSocket::bind((address, 53)).context("cannot be a name server")?;
    server.set_read_timeout(Some(PATIENCE))?;
    Ok(server)
}

/// Connects to the proxy from another address than other clients have.
fn connect_from(address: Ipv4Addr, proxy: &Pmproxy) -> Result<Wire> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.port())).into())?;
    Wire::new(socket.into())
}

#[test]
fn who_waits_for_a_silent_name_server_holds_up_no_client_of_another_host() {
    let (server, folder) = (silent_name_server().unwrap(), Scratch::new().unwrap());
    let address = server.local_addr().unwrap().ip();
    let resolver = folder
        .write("resolv.conf", format!("nameserver {address}\n"))
        .unwrap();
    let script = "mount --bind \"$0\" /etc/resolv.conf; exec \"$@\"";
    let proxy = pmproxy()
        .through(["unshare", "--mount", "--", "sh", "-ec", script])
        .through([resolver])
        .start()
        .unwrap();
    let pmcd = Pmcd::start("alpha").unwrap();
    let waiting: Vec<Wire> = (0..40)
        .map(|number| {
            let mut wire = connect_from(Ipv4Addr::new(127, 0, 0, 2), &proxy).unwrap();
            wire.send(CLIENT_HELLO).unwrap();
            wire.send(format!("host{number}.test 44321\n").as_bytes())
                .unwrap();
            wire
        })
        .collect();
    server.recv(&mut [0; 512]).unwrap();
    for _ in 0..5 {
        let client = pminfo(&through(&proxy, pmcd.port()));
        assert_eq!(name_of_pmcd(&client).unwrap(), "alpha");
    }
    let timed_out = ErrorPdu::refusal(errno(nix::libc::ETIMEDOUT)).encode(0);
    for mut wire in waiting {
        let answer = wire.receive_to_end().unwrap().0;
        assert_eq!(answer, [SERVER_HELLO, &timed_out].concat());
    }
}

#[test]
fn a_port_where_nobody_listens_is_reported_as_refused() {
    let proxy = pmproxy().start().unwrap();
    let (_socket, port) = deaf_port().unwrap();
    let client = pminfo(&format!("localhost:{port}@localhost:{}", proxy.port()));
    assert_eq!(complaint(&client).unwrap(), "Connection refused");
    let refusal = ask(&proxy, "127.0.0.1", port).unwrap();
    assert_eq!(refusal.status, errno(nix::libc::ECONNREFUSED));
    let logged =
        format!("wanted 127.0.0.1:{port}: cannot connect to 127.0.0.1:{port}: Connection refused");
    assert_eq!(refusal.logged, logged);
}

/// Closing a connection with bytes unread resets it, and a reset overtakes what was sent before.
#[test]
fn a_client_that_did_not_wait_learns_the_reason_as_well() {
    let proxy = pmproxy().start().unwrap();
    let (_socket, port) = deaf_port().unwrap();
    let target = format!("127.0.0.1 {port}\n").into_bytes();
    let all_at_once = [CLIENT_HELLO, &target, &pdu(1000, 0).repeat(30)].concat();
    let refused = ErrorPdu::refusal(errno(nix::libc::ECONNREFUSED)).encode(0);
    for _ in 0..20 {
        let mut wire = Wire::connect(proxy.port()).unwrap();
        wire.send(&all_at_once).unwrap();
        let (answer, ending) = wire.receive_to_end().unwrap();
        assert_eq!(answer, [SERVER_HELLO, &refused].concat());
        assert_eq!(ending, Ending::Closed);
    }
}

#[test]
fn an_address_without_a_route_is_reported_as_unreachable() {
    let proxy = pmproxy().start().unwrap();
    // No connection leads to all hosts at once, whatever the routes are.
    let client = pminfo(&format!("255.255.255.255@localhost:{}", proxy.port()));
    assert_eq!(complaint(&client).unwrap(), "Network is unreachable");
    let refusal = ask(&proxy, "255.255.255.255", 44321).unwrap();
    assert_eq!(refusal.status, errno(nix::libc::ENETUNREACH));
    assert!(
        refusal.logged.ends_with(": Network is unreachable"),
        "{}",
        refusal.logged
    );
}

/// A listener whose queue is full, so that nobody's connection is answered any more.
struct FullHouse {
    port: u16,
    _listener: Socket,
    _queue: Vec<TcpStream>,
}

impl FullHouse {
    fn open() -> Result<FullHouse> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?.as_socket().context("no address")?;
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            ensure!(queue.len() < 64, "the queue has no end");
            queue.push(stream);
        }
        Ok(FullHouse {
            port: address.port(),
            _listener: listener,
            _queue: queue,
        })
    }
}

#[test]
fn a_pmcd_that_does_not_answer_is_reported_within_the_connect_timeout() {
    let proxy = pmproxy().env("PMCD_CONNECT_TIMEOUT", "3").start().unwrap();
    let full = FullHouse::open().unwrap();
    let client = pminfo(&format!(
        "127.0.0.1:{}@localhost:{}",
        full.port,
        proxy.port()
    ));
    let client = client.env("PMCD_CONNECT_TIMEOUT", "20");
    assert_eq!(complaint(&client).unwrap(), "Connection timed out");
    let refusal = ask(&proxy, "127.0.0.1", full.port).unwrap();
    assert_eq!(refusal.status, errno(nix::libc::ETIMEDOUT));
    let logged = format!(
        "wanted 127.0.0.1:{port}: cannot connect to \"127.0.0.1\" port {port} within 3s",
        port = full.port
    );
    assert_eq!(refusal.logged, logged);
}

#[test]
fn a_client_with_several_ports_goes_on_to_the_next() {
    let (proxy, pmcd) = (pmproxy().start().unwrap(), Pmcd::start("alpha").unwrap());
    let (_socket, deaf) = deaf_port().unwrap();
    let ports = |list: &str| pminfo(&format!("localhost:{list}@localhost:{}", proxy.port()));
    let open = pmcd.port();
    assert_eq!(
        name_of_pmcd(&ports(&format!("{deaf},{open}"))).unwrap(),
        "alpha"
    );
    assert_eq!(
        name_of_pmcd(&ports(&format!("{deaf},{deaf},{open}"))).unwrap(),
        "alpha"
    );
    assert_eq!(
        complaint(&ports(&format!("{deaf},{deaf}"))).unwrap(),
        "Connection refused"
    );
}

/// For the system, these addresses mean this very machine.
#[test]
fn the_unspecified_address_reaches_nobody() {
    let proxy = pmproxy().start().unwrap();
    let here = Stub::echo().unwrap();
    let there = Stub::start_on("[::1]:0".parse().unwrap(), |_, _| Ok(()));
    for host in ["0.0.0.0", "[::]", "0"] {
        let client = pminfo(&format!(
            "{host}:{}@localhost:{}",
            here.port(),
            proxy.port()
        ));
        assert_eq!(complaint(&client).unwrap(), "No route to host");
    }
    for host in ["0.0.0.0", "::", "::ffff:0.0.0.0", "0", "0x0", "00.0"] {
        for port in [Some(here.port()), there.as_ref().ok().map(Stub::port)]
            .into_iter()
            .flatten()
        {
            let refusal = ask(&proxy, host, port).unwrap();
            assert_eq!(refusal.status, errno(nix::libc::EHOSTUNREACH));
            assert!(
                refusal
                    .logged
                    .ends_with(" has no address that can be connected to"),
                "{}",
                refusal.logged
            );
        }
    }
    assert_eq!(
        here.accepted() + there.map_or(0, |there| there.accepted()),
        0
    );
}

/// The proxy greets clients only, so it waits for itself until the connect timeout.
#[test]
fn a_proxy_that_is_asked_for_itself_does_no_harm() {
    let house = House::open_with(pmproxy().env("PMCD_CONNECT_TIMEOUT", "2")).unwrap();
    let own = house.proxy.port();
    let ask = |_| Wire::through(own, "127.0.0.1", own).unwrap();
    for mut wire in [(); 5].map(ask) {
        assert_eq!(wire.receive_to_end().unwrap().0, []);
    }
    house.is_in_order().unwrap();
}
