//! SASL, with users of the test.

use anyhow::Result;
use testbed::{
    Client, Libvirtd, SaslUsers, VirtStub, Virtproxyd, uri_tcp, uri_unix, virsh, virt_admin,
};
use virt_proto::identity::name;
use virt_proto::{Payload, Procedure, SetIdentity, TypedParam, TypedValue};

const PROGRAM: &str = env!("CARGO_BIN_EXE_virtproxyd");

/// What virtproxyd is told about SASL on all its sockets.
const CONFIG: &str =
    "auth_unix_rw = \"sasl\"\nauth_unix_ro = \"sasl\"\nlisten_tcp = 1\nauth_tcp = \"sasl\"\n";

const LIST: &[&str] = &["list", "--name"];

struct Bed {
    users: SaslUsers,
    proxy: Virtproxyd,
    _libvirtd: Libvirtd,
}

impl Bed {
    fn start(config: &str) -> Result<Bed> {
        Bed::with("SCRAM-SHA-256 DIGEST-MD5", config)
    }

    fn with(mechanisms: &str, config: &str) -> Result<Bed> {
        let users = SaslUsers::new(&[("fred", "secret")], mechanisms)?;
        let libvirtd = Libvirtd::start()?;
        let proxy = Virtproxyd::builder(PROGRAM)
            .config(CONFIG)
            .config(config)
            .env("SASL_CONF_PATH", users.folder())
            .start()?;
        libvirtd.link_as(&proxy.daemons(), "test")?;
        Ok(Bed {
            users,
            proxy,
            _libvirtd: libvirtd,
        })
    }

    fn on_unix(&self, password: &str) -> Result<Client> {
        let authfile = self.users.authfile("localhost", "fred", password)?;
        let uri = uri_unix("test:///default", &self.proxy.socket());
        Ok(virsh(&format!("{uri}&authfile={}", authfile.display())).args(LIST))
    }

    fn on_tcp(&self, password: &str, command: &[&str]) -> Result<Client> {
        let authfile = self.users.authfile("127.0.0.1", "fred", password)?;
        let uri = uri_tcp("test:///default", self.proxy.tcp_port());
        Ok(virsh(&format!("{uri}?authfile={}", authfile.display())).args(command))
    }
}

#[test]
fn a_user_with_the_right_password_is_served_on_a_unix_socket() {
    let bed = Bed::start("").unwrap();
    let names = bed.on_unix("secret").unwrap().run().unwrap();
    assert_eq!(names.succeeded().unwrap().trim(), "test");
    bed.proxy.await_log("SASL name \"fred\"").unwrap();
}

#[test]
fn a_user_with_a_wrong_password_is_refused_and_the_log_says_why() {
    let bed = Bed::start("").unwrap();
    for client in [
        bed.on_unix("guess").unwrap(),
        bed.on_tcp("guess", LIST).unwrap(),
    ] {
        let finished = client.run().unwrap();
        assert!(!finished.status.success());
        let said = &finished.stderr;
        assert!(said.contains("authentication failed"), "{said}");
    }
    bed.proxy.await_log("could not authenticate").unwrap();
    assert!(!bed.proxy.log().contains("guess"));
}

#[test]
fn a_user_who_is_not_on_the_list_is_refused() {
    let bed = Bed::start("sasl_allowed_username_list = [ \"mary*\" ]").unwrap();
    let finished = bed.on_unix("secret").unwrap().run().unwrap();
    assert!(
        finished.stderr.contains("authentication failed"),
        "{finished}"
    );
    bed.proxy.await_log("sasl_allowed_username_list").unwrap();
}

#[test]
fn a_user_on_tcp_is_served_inside_the_security_layer() {
    let bed = Bed::start("").unwrap();
    let names = bed.on_tcp("secret", LIST).unwrap().run().unwrap();
    assert_eq!(names.succeeded().unwrap().trim(), "test");
    bed.proxy.await_log("SASL name \"fred\"").unwrap();
}

#[test]
fn much_comes_through_the_security_layer_both_ways() {
    let bed = Bed::start("").unwrap();
    let much = "0123456789".repeat(50_000);
    let xml = format!(
        "<domain type='test'><name>big</name><memory>1024</memory><os><type>hvm</type></os>\
         <description>{much}</description></domain>"
    );
    let file = bed.users.folder().join("big.xml");
    std::fs::write(&file, xml).unwrap();
    let commands = format!("define {}; dumpxml big", file.display());
    let client = bed.on_tcp("secret", &[&commands]).unwrap();
    let shown = client.run().unwrap().succeeded().unwrap();
    assert!(shown.contains(&much), "{} bytes", shown.len());
}

#[test]
fn a_mechanism_without_a_layer_is_too_weak_for_tcp_and_good_on_a_unix_socket() {
    let bed = Bed::with("SCRAM-SHA-256", "").unwrap();
    let refused = bed.on_tcp("secret", LIST).unwrap().run().unwrap();
    assert!(!refused.status.success(), "{refused}");
    let names = bed.on_unix("secret").unwrap().run().unwrap();
    assert_eq!(names.succeeded().unwrap().trim(), "test");
}

#[test]
fn rules_know_a_user_by_the_name_that_sasl_has_proved() {
    let rules = "uri_access = [ \"allow from sasl fred to network:///system\", \
                 \"allow from sasl joe\" ]";
    let bed = Bed::start(rules).unwrap();
    let refused = bed.on_tcp("secret", LIST).unwrap().run().unwrap();
    assert!(refused.stderr.contains("access denied"), "{refused}");
    let rules = "uri_access = [ \"allow from sasl fred to test:///default\" ]";
    let bed = Bed::start(rules).unwrap();
    let names = bed.on_tcp("secret", LIST).unwrap().run().unwrap();
    assert_eq!(names.succeeded().unwrap().trim(), "test");
}

#[test]
fn the_name_is_told_to_administrators_and_to_the_daemon() {
    let bed = Bed::start("").unwrap();
    let daemon = VirtStub::start(&bed.proxy.daemons().join("virtoddd-sock"), VirtStub::obey);
    let daemon = daemon.unwrap();
    let authfile = bed.users.authfile("127.0.0.1", "fred", "secret").unwrap();
    let uri = uri_tcp("odd:///x", bed.proxy.tcp_port());
    let uri = format!("{uri}?authfile={}", authfile.display());
    let _client = virsh(&uri)
        .args(["event", "--all", "--loop"])
        .start()
        .unwrap();
    let told = loop {
        let call = daemon.next_call().unwrap();
        if call.header.procedure == Procedure::CONNECT_SET_IDENTITY {
            break SetIdentity::decode(&call.payload).unwrap().params;
        }
    };
    let fred = TypedParam::new(name::SASL_USER_NAME, TypedValue::String("fred".into()));
    assert_eq!(told, [fred]);
    let admin = virt_admin("virtproxyd", &bed.proxy.admin_socket());
    let info = admin
        .args(["client-info", "virtproxyd", "2"])
        .run()
        .unwrap();
    let info = info.succeeded().unwrap();
    assert!(info.contains("sasl_user_name : fred\n"), "{info}");
}
