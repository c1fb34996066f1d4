//! Name servers of all kinds, each a thread that answers a few questions.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use simple_dns::rdata::{A, AAAA, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use super::*;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);

/// A name server whose answers `answer` makes of questions, for `count` datagrams.
fn server(
    count: usize,
    answer: impl Fn(usize, &Packet<'_>) -> Vec<Vec<u8>> + Send + 'static,
) -> NameServer {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        for number in 0..count {
            let mut bytes = [0; 512];
            let (length, client) = socket.recv_from(&mut bytes).unwrap();
            let question = Packet::parse(&bytes[..length]).unwrap();
            for message in answer(number, &question) {
                socket.send_to(&message, client).unwrap();
            }
        }
    });
    patient(address)
}

/// Waits so long that no question is asked twice of a server that answers.
fn patient(address: SocketAddr) -> NameServer {
    NameServer {
        address,
        tries: [Duration::from_secs(20); 3],
    }
}

fn reply<'a>(question: &Packet<'a>) -> Packet<'a> {
    let mut reply = Packet::new_reply(question.id());
    reply.questions = question.questions.clone();
    reply
}

fn record<'a>(name: &'a str, data: RData<'a>) -> ResourceRecord<'a> {
    ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 60, data)
}

fn address(name: &str) -> ResourceRecord<'_> {
    record(name, RData::A(A::from(ADDRESS)))
}

fn wants(question: &Packet<'_>, kind: TYPE) -> bool {
    question.questions[0].qtype == QTYPE::TYPE(kind)
}

/// Knows `gate.example.com` and nothing else.
fn ordinary(_: usize, question: &Packet<'_>) -> Vec<Vec<u8>> {
    let mut packet = reply(question);
    if question.questions[0].qname != Name::new("gate.example.com").unwrap() {
        *packet.rcode_mut() = RCODE::NameError;
    } else if wants(question, TYPE::A) {
        packet.answers.push(address("gate.example.com"));
    } else {
        let data = RData::AAAA(AAAA::from(std::net::Ipv6Addr::LOCALHOST));
        packet.answers.push(record("gate.example.com", data));
    }
    vec![packet.build_bytes_vec().unwrap()]
}

#[test]
fn a_host_has_addresses_of_both_families() {
    let found = server(2, ordinary)
        .addresses("gate.example.com", &[])
        .unwrap();
    let expected: [IpAddr; 2] = [ADDRESS.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    assert_eq!(found, expected);
}

#[test]
fn a_name_without_a_dot_is_one_of_the_own_domains() {
    let domains = ["nowhere.example".to_owned(), "example.com".to_owned()];
    let found = server(4, ordinary).addresses("gate", &domains).unwrap();
    assert_eq!(found[0], IpAddr::from(ADDRESS));
}

#[test]
fn an_unknown_host_is_an_error_that_names_host_and_server() {
    let server = server(2, ordinary);
    let error = server.addresses("moon.example.com", &[]).unwrap_err();
    assert!(matches!(error, NameError::Unknown { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("moon.example.com") && text.contains(&server.address.to_string()));
}

#[test]
fn a_question_that_gets_lost_is_asked_again() {
    // On a busy machine, others may be asked again, too.
    let mut server = server(99, |number, question| match number {
        0 => Vec::new(),
        _ => ordinary(number, question),
    });
    server.tries[0] = Duration::from_millis(200);
    assert!(server.addresses("gate.example.com", &[]).is_ok());
}

#[test]
fn answers_to_other_questions_are_not_looked_at() {
    let server = server(2, |number, question| {
        let forged = |change: fn(&mut Packet<'_>)| {
            let mut packet = reply(question);
            packet
                .answers
                .push(record("gate.example.com", RData::A(A { address: 1 })));
            change(&mut packet);
            packet.build_bytes_vec().unwrap()
        };
        let mut messages = vec![
            forged(|packet| packet.set_id(packet.id().wrapping_add(1))),
            forged(|packet| packet.questions.clear()),
            forged(|packet| packet.remove_flags(PacketFlag::RESPONSE)),
            b"nonsense".to_vec(),
        ];
        messages.extend(ordinary(number, question));
        messages
    });
    let found = server.addresses("gate.example.com", &[]).unwrap();
    assert_eq!(found[0], IpAddr::from(ADDRESS));
}

#[test]
fn aliases_are_followed_and_records_of_strangers_are_not() {
    let server = server(2, |_, question| {
        let mut packet = reply(question);
        if wants(question, TYPE::A) {
            let alias = |name| RData::CNAME(CNAME(Name::new(name).unwrap()));
            packet
                .answers
                .push(record("stranger.example.com", RData::A(A { address: 1 })));
            packet.answers.push(address("b.example.com"));
            packet
                .answers
                .push(record("a.example.com", alias("b.example.com")));
            packet
                .answers
                .push(record("gate.example.com", alias("a.example.com")));
        }
        vec![packet.build_bytes_vec().unwrap()]
    });
    let found = server.addresses("gate.example.com", &[]).unwrap();
    assert_eq!(found, [IpAddr::from(ADDRESS)]);
}

#[test]
fn an_answer_too_long_for_a_datagram_is_fetched_over_tcp() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(at).unwrap();
    thread::spawn(move || {
        for number in 0..2 {
            let mut bytes = [0; 512];
            let (length, client) = socket.recv_from(&mut bytes).unwrap();
            let mut cut = reply(&Packet::parse(&bytes[..length]).unwrap());
            cut.set_flags(PacketFlag::TRUNCATION);
            socket
                .send_to(&cut.build_bytes_vec().unwrap(), client)
                .unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut bytes = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut bytes).unwrap();
            let answer = ordinary(number, &Packet::parse(&bytes).unwrap()).remove(0);
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&length).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    let found = patient(at).addresses("gate.example.com", &[]).unwrap();
    assert_eq!(found.len(), 2);
}

#[test]
fn a_name_server_that_is_not_there_is_an_error() {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = patient(free.local_addr().unwrap());
    drop(free);
    let error = server.addresses("gate.example.com", &[]).unwrap_err();
    assert!(matches!(error, NameError::Silent { .. }), "{error}");
}

#[test]
fn a_name_server_that_refuses_says_why() {
    let server = server(1, |_, question| {
        let mut packet = reply(question);
        *packet.rcode_mut() = RCODE::Refused;
        vec![packet.build_bytes_vec().unwrap()]
    });
    let error = server.addresses("gate.example.com", &[]).unwrap_err();
    assert!(error.to_string().contains("Refused"), "{error}");
}

#[test]
fn a_name_server_is_a_name_or_an_address_with_a_port_or_without() {
    let address = |text: &str| NameServer::from_text(text).unwrap().address.to_string();
    assert_eq!(address("127.0.0.1"), "127.0.0.1:53");
    assert_eq!(address("127.0.0.1:5353"), "127.0.0.1:5353");
    assert_eq!(address("[::1]:5353"), "[::1]:5353");
    assert_eq!(address("::1"), "[::1]:53");
    for text in ["", "127.0.0.1:x", "[::1"] {
        let error = NameServer::from_text(text).unwrap_err();
        assert!(matches!(error, NameError::Malformed(_)), "{error}");
    }
}

#[test]
fn the_last_line_of_own_domains_counts() {
    let text = "domain a.example\nnameserver 10.0.0.1\nsearch b.example. c.example\n";
    assert_eq!(own_domains(text), ["b.example", "c.example"]);
    assert_eq!(own_domains("nameserver 10.0.0.1\n"), [""; 0]);
}
