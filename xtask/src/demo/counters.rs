//! The proxy's own counters, from the Prometheus text of its admin socket.

use super::quantity::{bytes, number};

/// What pmproxy has counted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Counters {
    sessions: f64,
    clients: f64,
    refused: f64,
    pdus: f64,
    to_pmcd: f64,
    to_client: f64,
}

impl Counters {
    /// Reads Prometheus text; what is not in it is 0. A client that left before its session began
    /// was not refused: the look at whether pmproxy is ready is one of those.
    pub(super) fn parse(text: &str) -> Counters {
        let all: Vec<(&str, f64)> = text.lines().filter_map(parse_line).collect();
        let sum = |name: &str, is_meant: fn(&str) -> bool| {
            all.iter()
                .filter_map(|(full, value)| Some((full.strip_prefix(name)?, value)))
                .filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'))
                .filter(|(labels, _)| is_meant(labels))
                .fold(0.0, |sum, (_, value)| sum + value)
        };
        Counters {
            sessions: sum("pmproxy_sessions", |_| true),
            clients: sum("pmproxy_clients_total", |_| true),
            refused: sum("pmproxy_refused_total", |labels| {
                !labels.contains("\"Left\"")
            }),
            pdus: sum("pmproxy_pdus_total", |labels| {
                labels.contains("\"to_pmcd\"")
            }),
            to_pmcd: sum("pmproxy_bytes_total", |labels| {
                labels.contains("\"to_pmcd\"")
            }),
            to_client: sum("pmproxy_bytes_total", |labels| {
                labels.contains("\"to_client\"")
            }),
        }
    }

    /// All of them in two lines.
    pub(super) fn lines(&self) -> [String; 2] {
        [
            format!(
                "pmproxy: sessions {}, clients so far {}, refused {}",
                number(self.sessions),
                number(self.clients),
                number(self.refused)
            ),
            format!(
                "pmproxy: {} PDUs to pmcd in {}, {} to clients",
                number(self.pdus),
                bytes(self.to_pmcd),
                bytes(self.to_client)
            ),
        ]
    }
}

/// The name with its labels, and the value.
fn parse_line(line: &str) -> Option<(&str, f64)> {
    let (name, value) = line.rsplit_once(' ')?;
    (!name.starts_with('#')).then_some((name, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP pmproxy_sessions Clients connected to a pmcd now
# TYPE pmproxy_sessions gauge
pmproxy_sessions 1
pmproxy_sessions_other 5
pmproxy_clients_total 7
pmproxy_refused_total{reason=\"Greeting\"} 2
pmproxy_refused_total{reason=\"Full\"} 3
pmproxy_refused_total{reason=\"Left\"} 1
pmproxy_bytes_total{direction=\"to_pmcd\"} 2048
pmproxy_bytes_total{direction=\"to_client\"} 100
pmproxy_pdus_total{direction=\"to_pmcd\",type=\"FETCH\"} 40
pmproxy_pdus_total{direction=\"to_pmcd\",type=\"CREDS\"} 2
pmproxy_pdus_total{direction=\"to_client\",type=\"RESULT\"} 7
# EOF
";

    #[test]
    fn counters_are_found_and_those_with_labels_are_summed() {
        let [clients, traffic] = Counters::parse(TEXT).lines();
        assert_eq!(clients, "pmproxy: sessions 1, clients so far 7, refused 5");
        assert_eq!(
            traffic,
            "pmproxy: 42 PDUs to pmcd in 2.0 KiB, 100 B to clients"
        );
    }

    #[test]
    fn what_is_not_there_is_zero() {
        let nothing = Counters::parse("pmproxy_clients_totals 5\n");
        assert_eq!(nothing, Counters::default());
        assert!(nothing.lines()[0].contains("refused 0"));
    }
}
