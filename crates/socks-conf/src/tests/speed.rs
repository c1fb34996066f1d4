//! How long a decision takes: `cargo test -p socks-conf --release -- --ignored --nocapture`. It is
//! shown, not judged.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use super::{line, routes, to};
use crate::{Asked, Routes};

/// As many lines as issue 6 asks for.
const LINES: u32 = 1000;
const ROUNDS: u32 = 2000;

/// `line` is given the number of the line.
fn file(line: impl Fn(u32) -> String) -> Routes {
    let mut text = String::new();
    for number in 1..LINES {
        let _ = writeln!(text, "{}", line(number));
    }
    routes(&(text + "sockd 0.0.0.0 0.0.0.0\n"))
}

fn measure(what: &str, routes: &Routes, asked: &Asked<'_>) {
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        black_box(routes.decide(black_box(asked)));
    }
    println!("{what}: {:?} for each decision", begin.elapsed() / ROUNDS);
}

#[test]
#[ignore = "a measurement, which only means something in a release build"]
fn a_decision_over_a_thousand_lines() {
    let addresses = file(|n| format!("direct 10.{}.{}.0 255.255.255.0", n / 256, n % 256));
    assert_eq!(line(&addresses, "192.0.2.1"), Some(1000));
    measure("addresses", &addresses, &to("192.0.2.1"));

    let v6 = file(|n| format!("direct 2001:db8:{n:x}::/48 eq 44321"));
    measure("IPv6 addresses and ports", &v6, &to("2001:db9::1"));

    let users = file(|n| format!("direct *=a{n},b{n},{n} 0.0.0.0 0.0.0.0"));
    measure("users", &users, &to("192.0.2.1"));

    let names = file(|n| format!("direct .site{n}.example.com"));
    let name = Some("pmcd.site.example.com");
    measure(
        "domains",
        &names,
        &Asked {
            name,
            ..to("192.0.2.1")
        },
    );

    let local = file(|n| format!("direct LOCALHOSTNAME 255.255.255.255 eq {n}"));
    measure("this host", &local, &to("127.0.0.1"));
}
