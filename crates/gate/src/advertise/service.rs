//! What is advertised: a name, a kind of service and a port.

/// The longest instance name, in bytes: one label of DNS (RFC 6763, section 4.1.1).
const LONGEST_NAME: usize = 63;

/// One TCP service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What people see, such as `PCP pmproxy on HOST`. More than 63 bytes are cut off.
    pub name: String,
    /// What clients look for, such as `_pmproxy._tcp`.
    pub kind: &'static str,
    /// The port that it listens on.
    pub port: u16,
    /// Keys and values for its TXT record.
    pub txt: Vec<(String, String)>,
}

impl Service {
    /// The strings of its TXT record.
    pub(super) fn txt_strings(&self) -> Vec<Vec<u8>> {
        self.txt
            .iter()
            .map(|(key, value)| format!("{key}={value}").into_bytes())
            .collect()
    }
}

/// The services with names that fit into DNS, each name of a kind once.
pub(super) fn told_apart(services: impl IntoIterator<Item = Service>) -> Vec<Service> {
    let mut apart: Vec<Service> = Vec::new();
    for mut service in services {
        let wanted = std::mem::take(&mut service.name);
        service.name = shortened(&wanted, "");
        let mut number = 2;
        while apart
            .iter()
            .any(|other| other.kind == service.kind && other.name == service.name)
        {
            // What Avahi does to a name that is taken.
            service.name = shortened(&wanted, &format!(" #{number}"));
            number += 1;
        }
        apart.push(service);
    }
    apart
}

/// As much of the name as fits, with all of the suffix.
fn shortened(name: &str, suffix: &str) -> String {
    let end = name.floor_char_boundary(LONGEST_NAME.saturating_sub(suffix.len()));
    format!("{}{suffix}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(services: &[(&str, &'static str)]) -> Vec<String> {
        let services = services.iter().map(|&(name, kind)| Service {
            name: name.into(),
            kind,
            port: 1,
            txt: Vec::new(),
        });
        told_apart(services).into_iter().map(|s| s.name).collect()
    }

    #[test]
    fn services_of_the_same_name_and_kind_are_numbered() {
        let same = ("PCP pmproxy on alpha", "_pmproxy._tcp");
        let other = ("PCP pmproxy on alpha", "_other._tcp");
        assert_eq!(
            names(&[same, other, same, same]),
            [
                "PCP pmproxy on alpha",
                "PCP pmproxy on alpha",
                "PCP pmproxy on alpha #2",
                "PCP pmproxy on alpha #3"
            ]
        );
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_number() {
        let long = "ä".repeat(40);
        let names = names(&[(&long, "_x._tcp"), (&long, "_x._tcp")]);
        assert_eq!(names[0], "ä".repeat(31));
        assert_eq!(names[1], format!("{} #2", "ä".repeat(30)));
    }
}
