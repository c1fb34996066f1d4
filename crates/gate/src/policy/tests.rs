//! The policy as a whole: what it lets through, what it counts, and what it cannot read.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::stream::Peer;

const USERS: [(&str, u32); 2] = [("root", 0), ("alice", 1000)];

fn uid_of(name: &str) -> io::Result<Option<u32>> {
    Ok(USERS
        .iter()
        .find(|(user, _)| *user == name)
        .map(|(_, uid)| *uid))
}

/// A policy of some lines.
fn policy(lines: &str) -> Policy {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let rules = lines.map(|line| line.parse().unwrap()).collect();
    Policy::new(rules, uid_of).unwrap()
}

/// `10.0.0.1`, `uid 1000`, and after ` + ` what it has proved: `cert a|b`, `sasl a`, `cert ?`.
fn client(text: &str) -> Client {
    let (from, proofs) = text.split_once(" + ").unwrap_or((text, ""));
    let mut client = Client::new(match from.strip_prefix("uid ") {
        Some(uid) => Peer::Unix {
            uid: uid.parse().unwrap(),
            pid: Some(1),
        },
        None => tcp(from),
    });
    for proof in proofs.split(" + ").filter(|proof| !proof.is_empty()) {
        let (kind, names) = proof.split_once(' ').unwrap();
        let identity = match names {
            "?" => Identity::Pending,
            _ => Identity::Known(names.split('|').map(Into::into).collect()),
        };
        match kind {
            "cert" => client.certificate = identity,
            "sasl" => client.sasl = identity,
            other => panic!("no such proof: {other}"),
        }
    }
    client
}

fn tcp(address: &str) -> Peer {
    // A link-local client has the number of its zone with it.
    let address = match address.split_once('%') {
        Some((address, zone)) => format!("[{address}%{zone}]:50000").parse().unwrap(),
        None => SocketAddr::new(address.parse().unwrap(), 50000),
    };
    Peer::Tcp(address)
}

fn addresses(list: &str) -> Vec<SocketAddr> {
    list.split_whitespace()
        .map(|address| address.parse().unwrap())
        .collect()
}

/// What comes of a question, in short: the addresses, or which rule denies them.
fn outcome(policy: &Policy, who: &str, host: &str, stands_for: &str) -> String {
    match policy.permitted(&client(who), host, &addresses(stands_for)) {
        Ok((permitted, _grant)) => {
            let permitted: Vec<String> = permitted.iter().map(ToString::to_string).collect();
            permitted.join(" ")
        }
        Err(Denial::Rule { rule, .. }) => format!("denied by {}", rule.number()),
        Err(Denial::Unmatched { .. }) => "no rule".into(),
        Err(other) => other.to_string(),
    }
}

/// Behaviour, rules, client, host, what it stands for, outcome.
type Case = [&'static str; 6];

const ALL: &str = "[the same]";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Order.
    ["the first match decides, to deny", "deny from 10.0.0.1\nallow from 10.0.0.0/8", "10.0.0.1", "a.example", "1.2.3.4:1", "denied by 1"],
    ["the first match decides, to allow", "allow from 10.0.0.1\ndeny from 10.0.0.0/8", "10.0.0.1", "a.example", "1.2.3.4:1", ALL],
    ["what no rule is about is denied", "allow from 10.0.0.0/8", "11.0.0.1", "a.example", "1.2.3.4:1", "no rule"],
    ["what no rule denies is denied as well", "deny from 10.0.0.0/8", "11.0.0.1", "a.example", "1.2.3.4:1", "no rule"],
    ["both parts of a rule must match", "allow from 10.0.0.0/8 to 1.2.3.4", "10.0.0.1", "x", "1.2.3.5:1", "no rule"],
    ["no part to is any target", "allow from 10.0.0.0/8", "10.255.255.255", "x", "[2001:db8::1]:65535", ALL],
    ["no part from is any client", "allow to 1.2.3.4", "uid 5", "x", "1.2.3.4:1", ALL],
    ["any is any", "allow from any to any", "2001:db8::1", "x", "1.2.3.4:1", ALL],

    // Clients.
    ["the last address of a network is in it", "allow from 192.168.4.0/22", "192.168.7.255", "x", "1.2.3.4:1", ALL],
    ["the one after it is not", "allow from 192.168.4.0/22", "192.168.8.0", "x", "1.2.3.4:1", "no rule"],
    ["the one before it is not", "allow from 192.168.4.0/22", "192.168.3.255", "x", "1.2.3.4:1", "no rule"],
    ["a prefix need not end at a colon", "allow from 2001:db8:8000::/33", "2001:db8:7fff::1", "x", "1.2.3.4:1", "no rule"],
    ["a prefix of 33 bits holds its half", "allow from 2001:db8:8000::/33", "2001:db8:ffff::1", "x", "1.2.3.4:1", ALL],
    ["all of IPv4 is no IPv6", "allow from 0.0.0.0/0", "2001:db8::1", "x", "1.2.3.4:1", "no rule"],
    ["all of IPv6 is no IPv4", "allow from ::/0", "10.0.0.1", "x", "1.2.3.4:1", "no rule"],
    ["a mapped client is an IPv4 client", "allow from 10.0.0.0/8", "::ffff:10.1.2.3", "x", "1.2.3.4:1", ALL],
    ["a mapped client is no IPv6 client", "allow from ::/0", "::ffff:10.1.2.3", "x", "1.2.3.4:1", "no rule"],
    ["a mapped network is one of IPv4", "deny from ::ffff:10.0.0.0/104\nallow from any", "10.9.9.9", "x", "1.2.3.4:1", "denied by 1"],
    ["the zone of a client is not looked at", "allow from fe80::/10", "fe80::1%7", "x", "1.2.3.4:1", ALL],
    ["IPv4 loopback is local", "allow from local", "127.8.8.8", "x", "1.2.3.4:1", ALL],
    ["IPv6 loopback is local", "allow from local", "::1", "x", "1.2.3.4:1", ALL],
    ["mapped loopback is local", "allow from local", "::ffff:127.0.0.1", "x", "1.2.3.4:1", ALL],
    ["a unix socket is local", "allow from local", "uid 1000", "x", "1.2.3.4:1", ALL],
    ["another machine is not local", "allow from local", "128.0.0.1", "x", "1.2.3.4:1", "no rule"],
    ["a unix socket is in no network", "allow from 0.0.0.0/0, ::/0", "uid 0", "x", "1.2.3.4:1", "no rule"],
    ["a user by number", "allow from uid 1000", "uid 1000", "x", "1.2.3.4:1", ALL],
    ["another user", "allow from uid 1000", "uid 1001", "x", "1.2.3.4:1", "no rule"],
    ["a user by name", "allow from uid 7, user alice", "uid 1000", "x", "1.2.3.4:1", ALL],
    ["nobody on TCP is a user", "allow from uid 0, user root", "127.0.0.1", "x", "1.2.3.4:1", "no rule"],
    ["a certificate by any of its names", "allow from cert *.ops.example", "1.1.1.1 + cert Alice|pc.ops.example", "x", "1.2.3.4:1", ALL],
    ["a star is one label of a certificate's name", "allow from cert *.ops.example", "1.1.1.1 + cert a.b.ops.example", "x", "1.2.3.4:1", "no rule"],
    ["a certificate's name with a space", "allow from cert \"Alice Smith\"", "1.1.1.1 + cert alice smith", "x", "1.2.3.4:1", ALL],
    ["a star alone is any certificate", "allow from cert *", "1.1.1.1 + cert a.b.c", "x", "1.2.3.4:1", ALL],
    ["no certificate is none", "allow from cert *", "1.1.1.1", "x", "1.2.3.4:1", "no rule"],
    ["a SASL name", "allow from sasl *@EXAMPLE", "1.1.1.1 + sasl a.b@EXAMPLE", "x", "1.2.3.4:1", ALL],
    ["the case of a SASL name matters", "allow from sasl *@EXAMPLE", "1.1.1.1 + sasl a@example", "x", "1.2.3.4:1", "no rule"],
    ["a SASL name is no certificate", "allow from cert a", "1.1.1.1 + sasl a", "x", "1.2.3.4:1", "no rule"],
    ["a name that may follow counts for an allow", "allow from cert boss", "1.1.1.1 + cert ?", "x", "1.2.3.4:1", ALL],
    ["a name that may follow counts not for a deny", "deny from cert foe\nallow from any", "1.1.1.1 + cert ?", "x", "1.2.3.4:1", ALL],

    // Targets.
    ["a name is what was asked for", "allow to *.cluster.example", "1.1.1.1", "db.cluster.example", "10.0.0.1:1", ALL],
    ["case and a final dot do not matter", "allow to *.cluster.example", "1.1.1.1", "DB.Cluster.Example.", "10.0.0.1:1", ALL],
    ["a star stays in its label", "allow to *.cluster.example", "1.1.1.1", "a.b.cluster.example", "10.0.0.1:1", "no rule"],
    ["a name is not its end", "allow to *.cluster.example", "1.1.1.1", "evilcluster.example", "10.0.0.1:1", "no rule"],
    ["a name is not its beginning", "allow to db.example", "1.1.1.1", "db.example.evil.test", "10.0.0.1:1", "no rule"],
    ["an address has no name", "allow to **x**", "1.1.1.1", "0x7f.1", "127.0.0.1:1", "no rule"],
    ["a hexadecimal address has no name", "allow to *x*", "1.1.1.1", "0x7f000001", "127.0.0.1:1", "no rule"],
    ["a zone makes no name", "allow to *.cluster.example", "1.1.1.1", "fe80::1%a.cluster.example", "[fe80::1]:1", "no rule"],
    ["the port must match", "allow to db.example:44321", "1.1.1.1", "db.example", "10.0.0.1:44322", "no rule"],
    ["the ends of a range are in it", "allow to 10.0.0.0/8:1024-2048", "1.1.1.1", "x", "10.0.0.1:1024 10.0.0.2:2048", ALL],
    ["what is beside a range is not", "allow to 10.0.0.0/8:1024-2048", "1.1.1.1", "x", "10.0.0.1:1023 10.0.0.2:2049", "no rule"],
    ["any with a port", "allow to any:44321", "1.1.1.1", "x", "[2001:db8::1]:44321 10.0.0.1:1", "[2001:db8::1]:44321"],
    ["an IPv6 address with a port", "allow to [2001:db8::1]:44321", "1.1.1.1", "x", "[2001:db8::1]:44321 [2001:db8::2]:44321", "[2001:db8::1]:44321"],
    ["a mapped target is an IPv4 target", "deny to 10.0.0.0/8\nallow to any", "1.1.1.1", "x", "[::ffff:10.0.0.1]:1", "denied by 1"],
    ["the zone of a target is not looked at", "deny to fe80::/10\nallow to any", "1.1.1.1", "fe80::1%3", "[fe80::1%3]:1", "denied by 1"],
    ["local targets are loopback", "deny to local\nallow to any", "1.1.1.1", "x", "127.0.0.2:1 [::1]:1 [::ffff:127.0.0.1]:1 10.0.0.1:1", "10.0.0.1:1"],
    ["the unspecified address is local", "deny to local\nallow to any", "1.1.1.1", "x", "0.0.0.0:1 [::]:1", "denied by 1"],

    // Names that lead elsewhere.
    ["an allowed name leads to no denied address", "deny to 127.0.0.0/8\nallow to *.example", "1.1.1.1", "a.example", "127.0.0.1:1", "denied by 1"],
    ["of its addresses only the allowed ones are dialled", "deny to 127.0.0.0/8, ::1\nallow to *.example", "1.1.1.1", "a.example", "127.0.0.1:1 10.0.0.1:1 [::1]:1 10.0.0.2:1", "10.0.0.1:1 10.0.0.2:1"],
    ["an allowed name leads to no mapped denied address", "deny to 127.0.0.0/8\nallow to *.example", "1.1.1.1", "a.example", "[::ffff:127.0.0.1]:1", "denied by 1"],
    ["a denied network after the name comes too late", "allow to *.example\ndeny to 127.0.0.0/8", "1.1.1.1", "a.example", "127.0.0.1:1", ALL],
    ["an allowed network is reached by any name", "allow to 10.0.0.0/8", "1.1.1.1", "anything.test", "10.0.0.1:1", ALL],
    ["a name leads out of an allowed network", "allow to 10.0.0.0/8", "1.1.1.1", "inside.example", "10.0.0.1:1 8.8.8.8:1", "10.0.0.1:1"],
    ["a denied name is denied whatever it stands for", "deny to *.evil.test\nallow to 10.0.0.0/8", "1.1.1.1", "a.evil.test", "10.0.0.1:1", "denied by 1"],
    ["addresses may be allowed by different rules", "allow to 10.0.0.0/8\nallow to *.example", "1.1.1.1", "a.example", "9.9.9.9:1 10.0.0.1:1", ALL],
    ["a name without addresses is denied", "allow from any", "1.1.1.1", "a.example", "", "no rule"],
];

#[test]
fn each_case_comes_out_as_it_should() {
    for [behaviour, rules, who, host, stands_for, wanted] in CASES {
        let wanted = if *wanted == ALL { stands_for } else { wanted };
        let found = outcome(&policy(rules), who, host, stands_for);
        assert_eq!(found, *wanted, "{behaviour}");
    }
}

#[test]
fn without_a_policy_everything_is_allowed() {
    let open = Policy::default();
    assert!(open.is_open());
    assert_eq!(outcome(&open, "1.1.1.1", "x", "127.0.0.1:1"), "127.0.0.1:1");
}

#[test]
fn a_policy_without_rules_is_refused() {
    let error = Policy::parse([]).unwrap_err();
    assert!(matches!(error, PolicyError::Empty), "{error}");
}

#[test]
fn connections_are_counted_for_each_origin_until_their_grants_go() {
    let policy = policy("allow from any connections 2");
    let target = addresses("10.0.0.1:1");
    let ask = |who: &str| policy.permitted(&client(who), "x", &target);
    let (_, first) = ask("1.1.1.1").unwrap();
    let (_, _second) = ask("::ffff:1.1.1.1").unwrap();
    let denial = ask("1.1.1.1").unwrap_err();
    assert_eq!(
        denial.to_string(),
        "too many connections (2 of 2) under rule 1 (allow from any to any connections 2)"
    );
    assert!(denial.is_temporary());
    assert!(ask("1.1.1.2").is_ok());
    drop(first);
    assert!(ask("1.1.1.1").is_ok());

    let _others = [ask("2001:db8::1").unwrap(), ask("2001:db8::2").unwrap()];
    assert!(ask("2001:db8::3").is_err());
    assert!(ask("2001:db8:0:1::3").is_ok());
    let _users = [ask("uid 1").unwrap(), ask("uid 1").unwrap()];
    assert!(ask("uid 1").is_err());
    assert!(ask("uid 2").is_ok());
}

#[test]
fn a_rate_is_kept_for_each_origin_by_the_callers_clock() {
    let policy = policy("allow from any rate 2/m");
    let target = addresses("10.0.0.1:1");
    let start = Instant::now();
    let ask = |who: &str, seconds| {
        let now = start + Duration::from_secs(seconds);
        policy.permitted_at(&client(who), "x", &target, now)
    };
    assert!(ask("1.1.1.1", 0).is_ok());
    assert!(ask("1.1.1.1", 0).is_ok());
    let denial = ask("1.1.1.1", 29).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "connections opened too fast (over 2/m) under rule 1 (allow from any to any rate 2/m)"
    );
    assert!(ask("1.1.1.2", 29).is_ok());
    assert!(ask("1.1.1.1", 30).is_ok());
    assert!(ask("1.1.1.1", 31).is_err());
}

#[test]
fn the_limits_are_those_of_the_rule_that_allows_the_first_address() {
    let policy = policy(
        "allow to 10.0.0.0/8 connections 1
         allow to 9.0.0.0/8",
    );
    let client = client("1.1.1.1");
    let ask = |list: &str| policy.permitted(&client, "x", &addresses(list));
    let _unlimited = ask("9.0.0.1:1 10.0.0.1:1").unwrap();
    let _first = ask("8.0.0.1:1 10.0.0.1:1 9.0.0.1:1").unwrap();
    assert!(matches!(ask("10.0.0.1:1"), Err(Denial::TooMany { .. })));
    assert!(ask("9.0.0.1:1 10.0.0.1:1").is_ok());
}

#[test]
fn rules_count_each_for_itself() {
    let policy = policy(
        "allow to 10.0.0.0/8 connections 1
         allow to 9.0.0.0/8 connections 1",
    );
    let client = client("1.1.1.1");
    let ask = |list: &str| policy.permitted(&client, "x", &addresses(list));
    let _first = ask("10.0.0.1:1").unwrap();
    let _second = ask("9.0.0.1:1").unwrap();
    assert!(ask("10.0.0.2:1").is_err());
}

#[test]
fn a_rule_that_stays_goes_on_counting_where_it_was() {
    let old = policy(
        "allow from 10.0.0.0/8 connections 2
         allow from 11.0.0.0/8 connections 1",
    );
    let target = addresses("1.2.3.4:1");
    let ask = |policy: &Policy, who: &str| policy.permitted(&client(who), "x", &target);
    let (_, first) = ask(&old, "10.0.0.1").unwrap();
    let (_, _second) = ask(&old, "10.0.0.1").unwrap();
    let (_, _other) = ask(&old, "11.0.0.1").unwrap();

    // One has moved and has another limit, the other is about other clients now.
    let new = policy(
        "deny from 12.0.0.0/8
         allow from 11.0.0.0/9 connections 1
         allow from 10.0.0.0/8 connections 1",
    )
    .succeeding(&old);
    drop(old);
    let denial = ask(&new, "10.0.0.1").unwrap_err();
    assert!(
        matches!(
            denial,
            Denial::TooMany {
                held: 2,
                limit: 1,
                ..
            }
        ),
        "{denial}"
    );
    drop(first);
    assert!(ask(&new, "10.0.0.1").is_err());
    let (_, _afresh) = ask(&new, "11.0.0.1").unwrap();
}

#[test]
fn a_name_that_has_come_is_confirmed_without_counting_twice() {
    let policy = policy(
        "allow from cert boss connections 1 rate 2/h
         allow from 1.0.0.0/8 connections 1",
    );
    let target = addresses("1.2.3.4:1");
    let [pending, boss, none] = ["1.1.1.1 + cert ?", "1.1.1.1 + cert boss", "1.1.1.1"].map(client);
    let (permitted, grant) = policy.permitted(&pending, "x", &target).unwrap();
    let grant = policy.confirm(grant, &boss, "x", permitted[0]).unwrap();
    assert!(policy.permitted(&boss, "x", &target).is_err());

    // Without the name, the next rule has its say, and the first one its place back.
    let grant = policy.confirm(grant, &none, "x", permitted[0]).unwrap();
    assert!(policy.permitted(&none, "x", &target).is_err());
    assert!(policy.permitted(&boss, "x", &target).is_ok());
    drop(grant);
    assert!(policy.permitted(&none, "x", &target).is_ok());
}

#[test]
fn a_connection_that_is_not_confirmed_is_denied() {
    let policy = policy("deny from cert foe\nallow from cert *");
    let target = addresses("1.2.3.4:1");
    for who in ["2.1.1.1", "2.1.1.1 + cert foe"] {
        let pending = client("2.1.1.1 + cert ?");
        let (_, grant) = policy.permitted(&pending, "x", &target).unwrap();
        assert!(policy.confirm(grant, &client(who), "x", target[0]).is_err());
    }
}

#[test]
fn a_denial_says_what_was_asked_for_and_which_rule_stands_against_it() {
    let policy = policy("deny to 127.0.0.0/8\nallow to *.example");
    let deny = |host, list: &str| {
        let denied = policy.permitted(&client("1.1.1.1"), host, &addresses(list));
        denied.unwrap_err().to_string()
    };
    assert_eq!(
        deny("a.example", "127.0.0.1:44321"),
        "\"a.example\" at 127.0.0.1:44321 is denied by rule 1 (deny from any to 127.0.0.0/8)"
    );
    assert_eq!(
        deny("b.test", "10.0.0.1:1 10.0.0.2:1"),
        "\"b.test\" at 10.0.0.1:1 (the first of 2 addresses) is denied, since no rule of the \
         access policy is about it"
    );
}

#[test]
fn a_long_rule_is_cut_short_in_messages() {
    let networks: Vec<String> = (0..100).map(|net| format!("10.{net}.0.0/16")).collect();
    let policy = policy(&format!("deny from {}", networks.join(", ")));
    let text = policy.rules()[0].to_string();
    assert!(text.len() < 200 && text.ends_with("...)"), "{text}");
}

#[test]
fn an_explanation_tells_the_rule_for_each_address_and_takes_nothing() {
    let policy = policy(
        "deny to local
         allow from cert *.ops.example to *.example:44321 connections 1 rate 5/s",
    );
    let someone = client("1.1.1.1 + cert pc.ops.example");
    let found = addresses("127.0.0.1:44321 10.0.0.1:44321");
    for _ in 0..3 {
        let explanation = policy.explain(&someone, "a.example", &found);
        assert!(explanation.is_allowed());
        assert_eq!(
            explanation.to_string(),
            "client 1.1.1.1:50000 (certificate [\"pc.ops.example\"]) asks for \"a.example\":\n  \
             127.0.0.1:44321 is denied by rule 1 (deny from any to local)\n  \
             10.0.0.1:44321 is allowed by rule 2 (allow from cert *.ops.example to \
             *.example:44321 connections 1 rate 5/s)\n\
             It is connected, within the limits of rule 2: connections 1 rate 5/s."
        );
    }
    let explanation = policy.explain(&someone, "b.test", &found[1..]);
    assert!(!explanation.is_allowed());
    assert!(
        explanation
            .to_string()
            .ends_with("10.0.0.1:44321 is denied, since no rule is about it\nIt is refused.")
    );
}

/// Rule, and what is said about it.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str)] = &[
    ("permit from any", "\"permit\": expected allow or deny"),
    ("allow", "the end of the rule: expected from, to, connections or rate"),
    ("allow any", "\"any\": expected from, to, connections or rate"),
    ("allow from", "the end of the rule: expected a network, an address, local, uid NUMBER, user NAME, cert NAME, sasl NAME or any"),
    ("allow from to any", "\"to\": expected a network, an address"),
    ("allow from any, to any", "\"to\": expected a network, an address"),
    ("allow from 10.0.0.0/8 11.0.0.0/8", "\"11.0.0.0/8\": expected a comma, from, to, connections or rate"),
    ("allow from 10.0.0.0/8 cert a", "\"cert\": expected a comma, from"),
    ("allow to any rate 5/s, any", "\",\": expected from, to, connections or rate"),
    ("allow from 10.0.0.0/33", "\"10.0.0.0/33\": expected a prefix length from 0 to 32"),
    ("allow from 10.0.0.1/8", "(did you mean 10.0.0.0/8, or the address 10.0.0.1 alone?)"),
    ("allow from 10.0.0", "\"10.0.0\": expected an address"),
    ("allow from alice.example", "\"alice.example\": expected a network, an address, local, uid, user, cert, sasl or any (not a host name: whoever owns an address can give it any name)"),
    ("allow from *.example", "(not a host name"),
    ("allow from 10.0.0.1:80", "\"10.0.0.1:80\": expected an address"),
    ("allow from uid alice", "\"alice\": expected the number of a user"),
    ("allow from uid 4294967296", "\"4294967296\": expected the number of a user"),
    ("allow from user", "the end of the rule: expected the name of a user"),
    ("allow from cert to any", "\"to\": expected a certificate's name"),
    ("allow from cert \"Alice", "\"\\\"Alice\": expected a second quote after it"),
    ("allow from cert \"\"", "\"\": expected a certificate's name of 1 to 255 characters"),
    ("allow from from any", "\"from\": expected a network"),
    ("allow from any from any", "\"from\": expected it only once in a rule"),
    ("allow to db.example:0", "\"db.example:0\": expected a port from 1 to 65535"),
    ("allow to db.example:", "\"db.example:\": expected a port"),
    ("allow to db.example:65536", "expected a port"),
    ("allow to db.example:9-5", "two with a hyphen, the smaller one first"),
    ("allow to db.example:pmcd", "expected a port"),
    ("allow to :44321", "\"\": expected a host name"),
    ("allow to *", "\"*\": expected any, or a name with more than stars"),
    ("allow to **.*:44321", "\"**.*\": expected any, or a name with more than stars"),
    ("allow to 10.0.0.*", "\"10.0.0.*\": expected a network such as 10.0.0.0/24"),
    ("allow to a..b", "\"a..b\": expected a host name"),
    ("allow to db.example, 1234", "\"1234\": expected a host name"),
    ("allow to [::1", "\"[::1\": expected an IPv6 address or network in brackets"),
    ("allow to [::1]44321", "expected an IPv6 address or network in brackets"),
    ("allow to [10.0.0.1]:1", "expected an IPv6 address or network in brackets"),
    ("allow to [2001:db8::]/32:1", "expected an IPv6 address or network in brackets"),
    ("allow to any connections 0", "\"0\": expected a number from 1 to 1000000"),
    ("allow to any connections many", "\"many\": expected a number"),
    ("allow to any rate 5", "\"5\": expected a rate such as 5/s, 100/m or 1000/h"),
    ("allow to any rate 5/d", "\"5/d\": expected a rate"),
    ("allow to any rate 0/s", "\"0/s\": expected a rate"),
    ("allow to any rate 5/s rate 6/s", "\"rate\": expected it only once"),
    ("deny to any connections 5", "\"connections\": expected no limit in a rule that denies"),
];

#[test]
fn a_mistake_is_named_with_what_was_expected() {
    for (text, wanted) in MISTAKES {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn a_mistake_in_a_policy_is_named_with_its_rule() {
    let error = |settings: &[(&str, &str)]| {
        let settings = settings.iter().copied();
        Policy::parse(settings).unwrap_err().to_string()
    };
    let fine = ("allow", "from local");
    assert_eq!(
        error(&[fine, ("deny", "from all")]),
        format!("rule 2: {}", "deny from all".parse::<Rule>().unwrap_err())
    );
    assert_eq!(
        error(&[fine, fine, ("alow", "from any")]),
        "rule 3: \"alow\": expected allow or deny"
    );
    assert_eq!(
        error(&[("allow", "from user no-such-user-here")]),
        "rule 1: there is no user \"no-such-user-here\" on this machine"
    );
}

#[test]
fn users_are_known_to_the_system() {
    let policy = Policy::parse([("allow", "from user root")]).unwrap();
    assert_eq!(outcome(&policy, "uid 0", "x", "1.2.3.4:1"), "1.2.3.4:1");
    assert_eq!(outcome(&policy, "uid 1", "x", "1.2.3.4:1"), "no rule");
}

#[test]
fn a_rule_has_one_form_to_be_shown_in() {
    let shown = |text: &str| text.parse::<Rule>().unwrap().to_string();
    assert_eq!(
        shown(" allow\trate 5/s to [2001:db8::/32]:1-65535,Db.Example:7-7 from 10.0.0.1/32"),
        "allow from 10.0.0.1 to 2001:db8::/32, Db.Example:7 rate 5/s"
    );
    assert_eq!(
        shown("deny from cert \"to\", sasl \"a b\", user \"plain\""),
        "deny from cert \"to\", sasl \"a b\", user plain to any"
    );
}

/// A rule's text, right by construction.
fn rule_text() -> impl Strategy<Value = String> {
    let name = "[a-z*][a-z0-9.*-]{0,12}|\"[a-zA-Z *,.@=]{1,12}\"";
    let client = prop_oneof![
        Just("any".to_owned()),
        Just("local".to_owned()),
        any::<u32>().prop_map(|uid| format!("uid {uid}")),
        (prop_oneof!["user", "cert", "sasl"], name)
            .prop_map(|(kind, name)| format!("{kind} {name}")),
        network(),
    ];
    let host = prop_oneof![
        "any",
        "local",
        "x[a-z0-9*-]{0,9}(\\.y[a-z0-9*-]{0,5}){0,3}",
        network()
    ];
    let ports = prop::option::of((1u16.., 1u16..).prop_map(|(a, b)| (a.min(b), a.max(b))));
    let target = (host, ports).prop_map(|(host, ports)| match ports {
        None => host,
        Some((first, last)) if host.contains("::") => format!("[{host}]:{first}-{last}"),
        Some((first, last)) => format!("{host}:{first}-{last}"),
    });
    let connections = prop::option::of(1u32..=1_000_000);
    let rate = prop::option::of("[1-9][0-9]{0,5}/[smh]");
    (
        prop::collection::vec(client, 1..4),
        prop::collection::vec(target, 1..4),
        connections,
        rate,
    )
        .prop_map(|(clients, targets, connections, rate)| {
            let mut text = format!(
                "allow from {} to {}",
                clients.join(","),
                targets.join(" , ")
            );
            text.extend(connections.map(|count| format!(" connections {count}")));
            text.extend(rate.map(|rate| format!(" rate {rate}")));
            text
        })
}

/// Networks of both families, without bits beyond their prefix.
fn network() -> impl Strategy<Value = String> {
    let v4 = (any::<u32>(), 0u32..=32).prop_map(|(bits, prefix)| {
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(bits & mask))
    });
    // Never with an address that would be shown without "::".
    let v6 = (any::<u64>(), 0u32..=64).prop_map(|(bits, prefix)| {
        let mask = u64::MAX.checked_shl(64 - prefix).unwrap_or(0);
        let address = std::net::Ipv6Addr::from_bits(u128::from(bits & mask) << 64);
        format!("{address}/{prefix}")
    });
    prop_oneof![v4, v6]
}

/// What might stand in a rule, in no order.
fn rubble() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "allow|deny|from|to|connections|rate|any|local|uid|user|cert|sasl",
        "[,:/\\[\\]\"*%. -]{1,3}",
        "10.0.0.0/8|::1|\\[::1\\]|5/s|db.example:80|::ffff:1.2.3.4/1[0-3][0-9]|fe80::1%eth0",
        "\\PC{0,4}",
        "[0-9]{1,12}",
    ];
    prop::collection::vec((piece, prop_oneof!["", " "]), 0..16).prop_map(|pieces| {
        let pieces = pieces.into_iter().map(|(piece, space)| piece + &space);
        pieces.collect()
    })
}

proptest! {
    #[test]
    fn a_rule_that_is_shown_and_read_again_is_the_same(text in rule_text()) {
        let rule: Rule = text.parse().unwrap();
        let again: Rule = rule.to_string().parse().unwrap();
        prop_assert_eq!(again, rule);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof!["\\PC*", rubble()]) {
        for text in [text.clone(), format!("allow from {text}"), format!("deny to {text}")] {
            if let Ok(rule) = text.parse::<Rule>() {
                prop_assert_eq!(rule.to_string().parse(), Ok(rule));
            }
        }
    }

    #[test]
    fn only_addresses_that_a_rule_allows_come_through(
        allowed in rule_text(), denied in rule_text(), bits: [u32; 6], port in 1u16..,
    ) {
        let denied = denied.replace("allow", "deny");
        let denied = denied.split(" connections ").next().unwrap_or_default();
        let denied = denied.split(" rate ").next().unwrap_or_default();
        let [denied, allowed]: [Rule; 2] = [denied.parse().unwrap(), allowed.parse().unwrap()];
        let policy = Policy::new(vec![denied, allowed], |_| Ok(Some(7))).unwrap();
        let someone = client("10.0.0.1 + cert a.b|x + sasl y");
        let found: Vec<SocketAddr> = bits.iter().map(|bits| (bits.to_be_bytes(), port).into()).collect();
        let permitted = match policy.permitted(&someone, "x.y", &found) {
            Ok((permitted, _grant)) => permitted,
            Err(_) => Vec::new(),
        };
        for address in found {
            let decision = policy.decide(&someone, &Target { host: "x.y", address });
            prop_assert_eq!(decision.is_allowed(), permitted.contains(&address));
        }
    }
}
