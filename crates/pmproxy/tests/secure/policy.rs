//! Rules of access about certificates.

use anyhow::Result;

use crate::house::{House, expect_refused, expect_served, plain_client, secure_client};

#[test]
fn the_name_in_a_certificate_decides_what_a_client_may_reach() -> Result<()> {
    let house = House::new()?;
    let (open, secret) = (house.pmcd()?.start()?, house.pmcd()?.start()?);
    let rules = format!(
        "[access]\nallow = from cert alice to localhost:{}\nallow = from any to localhost:{}\n",
        secret.port(),
        open.port()
    );
    let proxy = house.proxy()?.config(rules).start()?;
    let alice = house.client_conf_with("alice", &house.authority.issue(&["alice"])?)?;
    let bob = house.client_conf_with("bob", &house.authority.issue(&["bob"])?)?;
    let nobody = house.client_conf()?;
    for conf in [&alice, &bob, &nobody] {
        expect_served(secure_client(&proxy, "localhost", open.port(), conf))?;
    }
    let denied = "No permission to perform requested operation";
    let to_secret = |conf| secure_client(&proxy, "localhost", secret.port(), conf);
    expect_served(to_secret(&alice))?;
    expect_refused(to_secret(&bob), denied)?;
    expect_refused(to_secret(&nobody), denied)?;
    expect_refused(plain_client(&proxy, secret.port()), denied)?;
    proxy.await_log("no rule of the access policy is about it")
}
