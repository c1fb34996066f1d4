//! The rules of an access policy, one in each line, and what they decide.

#![no_main]

use std::net::SocketAddr;

use gate::policy::{Client, Identity, Policy, Rule};
use gate::stream::Peer;
use libfuzzer_sys::fuzz_target;

const HOSTS: [&str; 3] = ["db.example", "0x7f.1", "fe80::1%a.example"];

fuzz_target!(|text: &str| {
    let rules: Vec<Rule> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for rule in &rules {
        assert_eq!(rule.to_string().parse().as_ref(), Ok(rule));
    }
    let Ok(policy) = Policy::new(rules, |_| Ok(Some(7))) else {
        return;
    };
    let addresses = [
        SocketAddr::from(([10, 0, 0, 1], 44321)),
        SocketAddr::from(([0xfe80, 0, 0, 0, 0, 0, 0, 1], 44321)),
    ];
    let mut client = Client::new(Peer::Tcp(addresses[0]));
    client.certificate = Identity::Known(vec!["a.b.example".into()]);
    for host in HOSTS {
        let explanation = policy.explain(&client, host, &addresses);
        let permitted = policy.permitted(&client, host, &addresses);
        // Nothing is held, so that no limit stands against the first connection.
        assert!(explanation.is_allowed() || permitted.is_err());
    }
});
