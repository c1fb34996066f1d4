//! What is found out about the daemon's own certificates.

use super::*;

/// What is wrong with a server's certificate, if not all is right.
fn of_server(template: &str) -> String {
    let pki = Pki::new();
    pki.issue("server", &format!("cn = x\n{template}"));
    wrong(&pki)
}

fn of_authority(template: &str) -> String {
    let pki = Pki::new();
    pki.authority("ca", &format!("cn = y\n{template}"));
    pki.issue("server", &format!("cn = x\n{SERVER_KIND}"));
    wrong(&pki)
}

fn wrong(pki: &Pki) -> String {
    let checked = pki.settings();
    match Certificates::load(&checked, &pki.places()) {
        Ok(loaded) => loaded.warnings().join("\n"),
        Err(_) => {
            let unchecked = config::Tls {
                sanity_check: false,
                ..checked.clone()
            };
            pki.load(&unchecked);
            format!("refused:\n{}", pki.problems(&checked))
        }
    }
}

const SERVER_KIND: &str = "tls_www_server\nsigning_key\nexpiration_days = 100\n";

#[test]
fn sound_certificates_are_used_without_a_word() {
    assert_eq!(of_server(SERVER_KIND), "");
    assert_eq!(of_server("expiration_days = 100\n"), "");
    assert_eq!(of_authority(AUTHORITY), "");
}

#[test]
fn a_server_certificate_out_of_its_time_is_refused() {
    let future =
        "activation_date = \"2037-01-01 00:00:00\"\nexpiration_date = \"2038-01-01 00:00:00\"\n";
    let past = of_server(PAST);
    let begin = "refused:\ncert_file: server.pem: the certificate CN=x expired on 2021-01-01";
    assert!(past.starts_with(begin), "{past}");
    let future = of_server(future);
    let begin = "refused:\ncert_file: server.pem: the certificate CN=x is not valid before 2037-01-01 \
                 00:00 UTC (is the clock right?)\n";
    assert!(future.starts_with(begin), "{future}");
}

#[test]
fn a_server_certificate_of_an_authority_or_for_something_else_is_refused() {
    let all = of_server(&format!("ca\n{SERVER_KIND}"));
    let begin = "refused:\ncert_file: server.pem: the certificate CN=x is an authority's (basic \
                 constraints), not a server's\n";
    assert!(all.starts_with(begin), "{all}");
    let pki = Pki::new();
    pki.rsa_key("server");
    pki.issue("server", "cn = x\nencryption_key\nexpiration_days = 100\n");
    assert_eq!(
        wrong(&pki),
        "refused:\ncert_file: server.pem: the certificate CN=x must not make digital signatures \
         (key usage)\n"
    );
}

#[test]
fn a_server_certificate_for_clients_is_only_worth_a_warning_unless_it_insists() {
    let warned = of_server("tls_www_client\nsigning_key\nexpiration_days = 100\n");
    assert_eq!(
        warned.replace(warned.split("server.pem").next().unwrap(), ""),
        "server.pem: the certificate CN=x is not meant for servers of TLS (extended key usage)"
    );
    // The sequence of the one purpose id-kp-clientAuth.
    let critical = "add_critical_extension = \"2.5.29.37 0x300a06082b06010505070302\"\n";
    let refused = of_server(&format!("{critical}signing_key\nexpiration_days = 100\n"));
    assert_eq!(
        refused,
        "refused:\ncert_file: server.pem: the certificate CN=x is not meant for servers of TLS \
         (extended key usage)\n"
    );
}

#[test]
fn an_rsa_certificate_has_to_encipher_keys_too_and_one_of_elliptic_curves_does_not() {
    let pki = Pki::new();
    pki.rsa_key("server");
    pki.issue("server", &format!("cn = x\n{SERVER_KIND}"));
    assert_eq!(
        wrong(&pki),
        "refused:\ncert_file: server.pem: the certificate CN=x must not encipher keys (key usage)\n"
    );
}

#[test]
fn an_authority_has_to_be_one() {
    let none = of_authority("expiration_days = 100\n");
    let begin = "refused:\nca_file: ca.pem: the certificate CN=y ";
    assert!(none.starts_with(begin), "{none}");
    assert!(none.contains("authority's (basic constraints)"), "{none}");
    let past = of_authority(&format!("ca\ncert_signing_key\n{PAST}"));
    assert!(
        past.contains("ca_file: ca.pem: the certificate CN=y expired on 2021-01-01"),
        "{past}"
    );
    let other = of_authority("ca\ncrl_signing_key\nexpiration_days = 100\n");
    assert!(
        other.contains("CN=y must not sign certificates (key usage)"),
        "{other}"
    );
}

#[test]
fn a_server_certificate_has_to_be_of_the_authority_itself_or_through_its_chain() {
    let pki = Pki::new();
    pki.authority("other", &format!("cn = \"CA\"\n{AUTHORITY}"));
    pki.issue_by("other", "server", &format!("cn = x\n{SERVER_KIND}"));
    let told = wrong(&pki);
    let begin = "refused:\ncert_file: server.pem: the configured authorities do not vouch for it: ";
    assert!(told.starts_with(begin), "{told}");
    assert!(told.ends_with(" (ca_file: ca.pem)\n"), "{told}");

    pki.issue("middle", &format!("cn = \"Middle\"\n{AUTHORITY}"));
    pki.issue_by("middle", "server", &format!("cn = x\n{SERVER_KIND}"));
    assert!(wrong(&pki).starts_with(begin));
    let chain = pki.text("server.pem") + &pki.text("middle.pem");
    pki.write("server.pem", &chain);
    assert_eq!(wrong(&pki), "");
}
