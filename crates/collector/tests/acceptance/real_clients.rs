//! Real clients of PCP against the collector.

use testbed::{Client, Pmcd, Scratch};

use crate::peer::{Collector, METRICS};

#[test]
fn pminfo_prints_every_metric_with_its_help_and_values() {
    let collector = Collector::start().unwrap();
    let mut args = vec!["-d", "-t", "-f"];
    args.extend(METRICS);
    let shown = collector.ask("pminfo", &args).unwrap();
    for metric in METRICS {
        assert!(
            shown.contains(&format!("\n{metric} [")),
            "{metric}: {shown}"
        );
    }
    assert!(!shown.contains("No value"), "{shown}");
    assert!(!shown.contains("Error"), "{shown}");
    assert!(shown.contains("value \"alpha\""), "{shown}");
}

#[test]
fn metrics_are_described_as_the_real_agents_describe_them() {
    let (collector, pmcd) = (Collector::start().unwrap(), Pmcd::start("alpha").unwrap());
    let mut args = vec!["-d", "-m"];
    args.extend(METRICS);
    let ours = collector.ask("pminfo", &args).unwrap();
    let host = format!("127.0.0.1:{}", pmcd.port());
    let real = Client::new("pminfo").args(["-h", &host]).args(&args).run();
    assert_eq!(ours, real.unwrap().succeeded().unwrap());
}

#[test]
fn the_whole_name_space_can_be_browsed() {
    let collector = Collector::start().unwrap();
    let all = collector.ask("pminfo", &[]).unwrap();
    for metric in METRICS {
        assert!(all.lines().any(|line| line == metric), "{metric}: {all}");
    }
    let below = collector.ask("pminfo", &["mem.util"]).unwrap();
    assert_eq!(below, "mem.util.used\nmem.util.free\n");
}

#[test]
fn an_unknown_metric_is_called_unknown() {
    let collector = Collector::start().unwrap();
    let client = collector.client("pminfo", &["no.such.metric"]).unwrap();
    let ended = client.run().unwrap();
    assert!(ended.stderr.contains("Unknown metric name"), "{ended}");
}

#[test]
fn labels_tell_the_host_the_agent_and_the_instance() {
    let collector = Collector::start().unwrap();
    let shown = collector
        .ask("pminfo", &["-l", "network.interface.in.bytes"])
        .unwrap();
    let lo = "\"device_type\":\"interface\",\"hostname\":\"alpha\",\
              \"indom_name\":\"per interface\",\"interface\":\"lo\"}";
    assert!(
        shown.contains(lo) && shown.contains("\"agent\":\"linux\""),
        "{shown}"
    );
}

#[test]
fn pmprobe_finds_the_values_of_each_instance() {
    let collector = Collector::start().unwrap();
    let shown = collector
        .ask("pmprobe", &["-I", "kernel.all.load"])
        .unwrap();
    assert_eq!(
        shown,
        "kernel.all.load 3 \"1 minute\" \"5 minute\" \"15 minute\"\n"
    );
    let shown = collector.ask("pmprobe", &["-v", "pmcd.hostname"]).unwrap();
    assert_eq!(shown, "pmcd.hostname 1 \"alpha\"\n");
}

#[test]
fn pmval_gets_only_the_instance_that_it_wants() {
    let collector = Collector::start().unwrap();
    let args = ["-s", "1", "-i", "5", "kernel.all.load"];
    let shown = collector.ask("pmval", &args).unwrap();
    let table: Vec<&str> = shown.lines().rev().take(2).collect();
    assert_eq!(table[1].trim(), "5", "{shown}");
    assert!(table[0].trim().parse::<f64>().is_ok(), "{shown}");
}

#[test]
fn pmrep_turns_counters_into_rates() {
    let collector = Collector::start().unwrap();
    let args = [
        "-s",
        "2",
        "-t",
        "0.2",
        "-o",
        "csv",
        "-i",
        "lo",
        "network.interface.in.bytes",
    ];
    let shown = collector.ask("pmrep", &args).unwrap();
    let last = shown.lines().last().unwrap_or_default();
    let rate = last.split(',').next_back().map(str::parse::<f64>);
    assert!(matches!(rate, Some(Ok(rate)) if rate >= 0.0), "{shown}");
}

#[test]
fn an_archive_that_pmlogger_wrote_can_be_read_back() {
    let collector = Collector::start().unwrap();
    let scratch = Scratch::new().unwrap();
    let config = "log mandatory on 100 msec { kernel.all.load disk.dev pmcd.hostname }\n";
    let config = scratch.write("pmlogger.conf", config).unwrap();
    let (config, log) = (config.display().to_string(), scratch.join("pmlogger.log"));
    let (log, archive) = (log.display().to_string(), scratch.join("archive"));
    let archive = archive.display().to_string();
    let args = ["-c", &config, "-l", &log, "-T", "1sec", &archive];
    collector.ask("pmlogger", &args).unwrap();
    let read = Client::new("pminfo").args(["-a", &archive, "-dfmtl", "kernel.all.load"]);
    let shown = read.run().unwrap().succeeded().unwrap();
    for part in [
        "PMID: 60.2.0",
        "Data Type: float",
        "\"15 minute\"] value",
        "\"hostname\":\"alpha\"",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}
