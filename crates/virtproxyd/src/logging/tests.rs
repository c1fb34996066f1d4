use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A folder for logs and the sockets of services, and what a daemon finds around it.
struct Scene {
    folder: TempDir,
    around: Surroundings,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let around = Surroundings {
            verbose: false,
            daemon: false,
            terminal: true,
            file: folder.path().join("logs/virtproxyd.log"),
            environment: Environment::default(),
            destinations: Destinations {
                journal: folder.path().join("journal"),
                syslog: folder.path().join("syslog"),
            },
        };
        Scene { folder, around }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().into()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn service(&self, name: &str) -> UnixDatagram {
        let socket = UnixDatagram::bind(self.folder.path().join(name)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket
    }

    fn open(&self, config: &config::Logging) -> Result<Logging, LoggingError> {
        Logging::open(config, self.around.clone())
    }

    fn error(&self, config: &config::Logging) -> String {
        self.open(config).unwrap_err().to_string()
    }
}

fn config(level: u32, filters: &str, outputs: &str) -> config::Logging {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    config::Logging {
        level: Some(level).filter(|level| *level > 0),
        filters: given(filters),
        outputs: given(outputs),
    }
}

/// Lets `action` log there.
fn with(logging: &Logging, action: impl FnOnce()) {
    tracing::subscriber::with_default(logging.subscriber(), action);
}

fn received(socket: &UnixDatagram) -> String {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn a_line_has_the_form_of_libvirts() {
    let scene = Scene::new();
    let outputs = format!("1:file:{}", scene.path("log"));
    let logging = scene.open(&config(2, "", &outputs)).unwrap();
    with(&logging, || tracing::info!(client = 7, "hello"));
    let line = scene.read("log");
    let (time, rest) = line.split_at(28);
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00 00:00:00.000+0000");
    let pid = std::process::id();
    assert_eq!(rest, format!(": {pid}: info : hello client=7\n"));
}

#[test]
fn each_output_gets_what_is_important_enough_for_it() {
    let scene = Scene::new();
    let outputs = format!(
        "1:file:{} 4:file:{}",
        scene.path("all"),
        scene.path("errors")
    );
    let logging = scene.open(&config(2, "", &outputs)).unwrap();
    with(&logging, || {
        tracing::trace!("finest");
        tracing::debug!("debug");
        tracing::info!("info");
        tracing::warn!("warning");
        tracing::error!("error");
    });
    assert_eq!(scene.read("all").lines().count(), 3);
    assert_eq!(scene.read("errors").lines().count(), 1);
    assert!(scene.read("errors").ends_with(": error : error\n"));
}

#[test]
fn the_first_filter_that_matches_a_category_sets_its_priority() {
    let scene = Scene::new();
    let outputs = format!("1:file:{}", scene.path("log"));
    let filters = "1:session 4:virtproxyd.r?lay 3:gate";
    let logging = scene.open(&config(2, filters, &outputs)).unwrap();
    with(&logging, || {
        tracing::debug!(target: "virtproxyd::session::opening", "kept 1");
        tracing::debug!(target: "virtproxyd::who", "left out");
        tracing::info!(target: "virtproxyd::who", "kept 2");
        tracing::warn!(target: "virtproxyd::relay", "left out");
        tracing::error!(target: "virtproxyd::relay", "kept 3");
        tracing::info!(target: "gate::relay", "left out");
        tracing::debug!(target: "gate::session", "kept 4");
    });
    let log = scene.read("log");
    let kept: Vec<_> = log
        .lines()
        .filter_map(|line| line.split_once(" : "))
        .collect();
    let kept: Vec<_> = kept.into_iter().map(|(_, message)| message).collect();
    assert_eq!(kept, ["kept 1", "kept 2", "kept 3", "kept 4"]);
}

#[test]
fn filters_are_read_and_shown_as_written() {
    let filters = Filters::parse("  3:remote 4:event\t1:+stack 2:a.*b ").unwrap();
    assert_eq!(filters.describe(), "3:remote 4:event 1:stack 2:a.*b");
    assert_eq!(Filters::parse("").unwrap().describe(), "");
    for wrong in ["remote", "1", "1:", "1:+", "1:a:b"] {
        let error = Filters::parse(wrong).unwrap_err();
        assert_eq!(error, FilterError::Form(wrong.into()));
    }
    for wrong in ["0:a", "5:a", "x:a", "-1:a", ":a"] {
        let error = Filters::parse(wrong).unwrap_err();
        assert_eq!(error, FilterError::Priority(wrong.into()));
    }
    assert_eq!(
        Filters::parse(&"1:a ".repeat(101)).unwrap_err(),
        FilterError::TooMany
    );
}

#[test]
fn outputs_are_read_and_shown_as_written() {
    let scene = Scene::new();
    let file = scene.path("log");
    let open = |text: &str| Outputs::open(text, &scene.around.destinations);
    let text = format!("1:stderr 2:syslog:virt-1 3:journald 4:file:{file}");
    assert_eq!(open(&text).unwrap().describe(), text);
    let twice = "1:stderr 3:journald 4:stderr 2:syslog:a 2:syslog:b";
    let once = "3:journald 4:stderr 2:syslog:a 2:syslog:b";
    assert_eq!(open(twice).unwrap().describe(), once);
    for (wrong, what) in [
        ("stderr", "expected PRIORITY:stderr"),
        ("1:stderr:x", "expected PRIORITY:stderr"),
        ("1:journald:x", "expected PRIORITY:stderr"),
        ("1:console", "expected PRIORITY:stderr"),
        ("1:syslog", "expected PRIORITY:stderr"),
        ("1:syslog:", "the name for syslog"),
        ("1:syslog:a:b", "the name for syslog"),
        ("1:file", "expected PRIORITY:stderr"),
        ("1:file:log", "needs an absolute path"),
        ("1:file:/a:b", "expected PRIORITY:stderr"),
        ("0:stderr", "the priority is 1"),
        ("5:stderr", "the priority is 1"),
    ] {
        let error = Outputs::check(wrong).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn syslog_gets_the_name_and_the_severity() {
    let scene = Scene::new();
    let syslog = scene.service("syslog");
    let logging = scene.open(&config(1, "", "1:syslog:proxy")).unwrap();
    with(&logging, || {
        tracing::warn!("careful");
        tracing::debug!("detail");
    });
    let first = received(&syslog);
    let pid = std::process::id();
    assert!(first.starts_with("<28>"), "{first}");
    assert!(
        first.ends_with(&format!(" proxy[{pid}]: careful")),
        "{first}"
    );
    assert!(received(&syslog).starts_with("<31>"));
}

#[test]
fn the_journal_gets_fields() {
    let scene = Scene::new();
    let journal = scene.service("journal");
    let logging = scene.open(&config(2, "", "1:journald")).unwrap();
    with(
        &logging,
        || tracing::error!(target: "virtproxyd::session", "broken\nPRIORITY=7"),
    );
    let expected = "MESSAGE=broken\\nPRIORITY=7\nPRIORITY=3\nSYSLOG_FACILITY=3\n\
                    SYSLOG_IDENTIFIER=virtproxyd\nLIBVIRT_SOURCE=virtproxyd.session\n";
    assert_eq!(received(&journal), expected);
}

#[test]
fn a_service_that_comes_back_is_found_again() {
    let scene = Scene::new();
    let logging = scene.open(&config(2, "", "1:journald")).unwrap();
    with(&logging, || {
        tracing::info!("nobody there");
        let journal = scene.service("journal");
        tracing::info!("first");
        assert!(received(&journal).starts_with("MESSAGE=first\n"));
        drop(journal);
        std::fs::remove_file(scene.path("journal")).unwrap();
        let journal = scene.service("journal");
        tracing::info!("second");
        assert!(received(&journal).starts_with("MESSAGE=second\n"));
    });
}

#[test]
fn a_service_that_does_not_read_holds_nothing_up() {
    let scene = Scene::new();
    let _journal = scene.service("journal");
    let outputs = format!("1:journald 1:file:{}", scene.path("log"));
    let logging = scene.open(&config(2, "", &outputs)).unwrap();
    let long = "x".repeat(10_000);
    with(&logging, || {
        (0..1_000).for_each(|_| tracing::info!("{long}"));
    });
    assert_eq!(scene.read("log").lines().count(), 1_000);
}

#[test]
fn a_standard_error_that_nobody_reads_holds_nothing_up() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    for _ in 0..1_000 {
        sink::write_when_ready(&writer, &[b'x'; 5_000]);
    }
    drop(writer);
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert!(all.len() >= 10_000, "{}", all.len());
}

#[test]
fn a_full_disk_is_no_trouble() {
    let scene = Scene::new();
    let outputs = format!("1:file:/dev/full 1:file:{}", scene.path("log"));
    let logging = scene.open(&config(2, "", &outputs)).unwrap();
    with(&logging, || tracing::info!("hello"));
    assert_eq!(scene.read("log").lines().count(), 1);
}

#[test]
fn control_characters_and_endless_messages_do_not_get_through() {
    let scene = Scene::new();
    let outputs = format!("1:file:{}", scene.path("log"));
    let logging = scene.open(&config(2, "", &outputs)).unwrap();
    with(&logging, || {
        tracing::info!("a\r\nb\u{1b}[31m\u{9b}");
        tracing::info!("{}", "ü".repeat(100_000));
    });
    let log = scene.read("log");
    let lines: Vec<&str> = log.lines().collect();
    assert!(
        lines[0].ends_with(" : a\\r\\nb\\x1b[31m\\u{9b}"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].ends_with("ü...") && lines[1].len() < 17_000,
        "{}",
        lines[1].len()
    );
}

#[test]
fn outputs_are_exchanged_while_messages_come() {
    let scene = Scene::new();
    let logging = scene.open(&config(2, "", "1:journald")).unwrap();
    let outputs = format!("3:file:{}", scene.path("log"));
    with(&logging, || {
        let message = |text: &str| tracing::info!("{text}");
        message("to the journal");
        logging.set_outputs(&outputs).unwrap();
        message("too low");
        logging.set_outputs(&outputs.replace("3:", "1:")).unwrap();
        message("kept");
        let error = logging
            .set_outputs("1:file:/no/such/folder/log")
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot open the log /no/such"),
            "{error}"
        );
        message("kept too");
    });
    assert_eq!(logging.outputs(), outputs.replace("3:", "1:"));
    assert_eq!(scene.read("log").lines().count(), 2);
    logging.set_outputs("").unwrap();
    assert_eq!(logging.outputs(), "2:stderr");
    assert!(logging.uses_stderr());
}

#[test]
fn filters_are_exchanged_while_messages_come() {
    let scene = Scene::new();
    let outputs = format!("1:file:{}", scene.path("log"));
    let logging = scene.open(&config(0, "", &outputs)).unwrap();
    assert_eq!(logging.level(), Priority::Warning);
    with(&logging, || {
        let message = || tracing::debug!("detail");
        message();
        logging.set_filters("1:logging").unwrap();
        message();
        assert!(logging.set_filters("1:logging 7:x").is_err());
        message();
        logging.set_filters("").unwrap();
        message();
    });
    assert_eq!(scene.read("log").lines().count(), 2);
    assert_eq!(logging.filters(), "");
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let scene = Scene::new();
    let outputs = format!("1:file:{}", scene.path("log"));
    let logging = scene.open(&config(2, "", &outputs)).unwrap();
    with(&logging, || {
        tracing::info!("first");
        std::fs::rename(scene.path("log"), scene.path("moved")).unwrap();
        tracing::info!("second");
        logging.reopen().unwrap();
        tracing::info!("third");
        std::fs::remove_file(scene.path("log")).unwrap();
        symlink(scene.path("precious"), scene.path("log")).unwrap();
        let error = logging.reopen().unwrap_err();
        assert!(error.starts_with("cannot open the log "), "{error}");
        tracing::info!("fourth");
    });
    assert_eq!(scene.read("moved").lines().count(), 2);
    assert!(!scene.folder.path().join("precious").exists());
}

#[test]
fn the_environment_wins_over_the_configuration_and_the_command_line_over_both() {
    let mut scene = Scene::new();
    let file = config(4, "4:file", "4:journald");
    scene.around.environment = Environment {
        debug: Some("warning".into()),
        filters: Some("1:env".into()),
        outputs: Some("1:syslog:env".into()),
    };
    let logging = scene.open(&file).unwrap();
    let found = (logging.level(), logging.filters(), logging.outputs());
    assert_eq!(
        found,
        (Priority::Warning, "1:env".into(), "1:syslog:env".into())
    );
    scene.around.verbose = true;
    assert_eq!(scene.open(&file).unwrap().level(), Priority::Info);
    scene.around.environment.debug = Some("1".into());
    assert_eq!(scene.open(&file).unwrap().level(), Priority::Debug);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let mut scene = Scene::new();
    assert!(
        scene
            .error(&config(1, "x", ""))
            .starts_with("log_filters: filter \"x\"")
    );
    assert!(
        scene
            .error(&config(1, "", "x"))
            .starts_with("log_outputs: output \"x\"")
    );
    scene.around.environment.outputs = Some("y".into());
    assert!(
        scene
            .error(&config(1, "", ""))
            .starts_with("LIBVIRT_LOG_OUTPUTS: output")
    );
    scene.around.environment.filters = Some("y".into());
    assert!(
        scene
            .error(&config(1, "", ""))
            .starts_with("LIBVIRT_LOG_FILTERS: filter")
    );
    scene.around.environment.debug = Some("loud".into());
    let expected = "LIBVIRT_DEBUG=\"loud\": expected 1 (debug), 2 (info), 3 (warning) or 4 (error)";
    assert_eq!(scene.error(&config(1, "", "")), expected);
}

#[test]
fn without_a_setting_messages_go_where_libvirts_go() {
    let mut scene = Scene::new();
    let chosen = |scene: &Scene, level| scene.open(&config(level, "", "")).unwrap().outputs();
    assert_eq!(chosen(&scene, 0), "3:stderr");
    scene.around.daemon = true;
    let file = scene.path("logs/virtproxyd.log");
    assert_eq!(chosen(&scene, 2), format!("2:file:{file}"));
    let _journal = scene.service("journal");
    assert_eq!(chosen(&scene, 1), "2:journald");
    scene.around.daemon = false;
    assert_eq!(chosen(&scene, 1), "1:stderr");
    scene.around.terminal = false;
    assert_eq!(chosen(&scene, 3), "3:journald");
}

#[test]
fn a_new_configuration_counts_only_where_it_is_new() {
    let scene = Scene::new();
    let first = config(3, "", "1:journald");
    let logging = scene.open(&first).unwrap();
    logging.set_filters("1:session").unwrap();
    logging.adopt(logging.prepare(&first).unwrap());
    assert_eq!(logging.filters(), "1:session");
    assert!(logging.prepare(&config(1, "x", "")).is_err());
    assert_eq!(
        (logging.level(), logging.outputs()),
        (Priority::Warning, "1:journald".into())
    );
    let prepared = logging.prepare(&config(2, "4:who", "")).unwrap();
    assert_eq!(logging.level(), Priority::Warning);
    logging.adopt(prepared);
    let found = (logging.level(), logging.filters(), logging.outputs());
    assert_eq!(found, (Priority::Info, "4:who".into(), "2:stderr".into()));
}

proptest! {
    #[test]
    fn no_list_makes_it_panic(text in "[0-9a-z:/+* ]{0,40}") {
        let _ = Outputs::check(&text);
        if let Ok(filters) = Filters::parse(&text) {
            let again = Filters::parse(&filters.describe()).unwrap();
            prop_assert_eq!(again.describe(), filters.describe());
        }
    }
}
