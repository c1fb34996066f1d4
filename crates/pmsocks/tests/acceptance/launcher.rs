//! `pmsocks path [args ...]`: nothing of the program's but its connections is touched.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;
use testbed::{Client, Conduct, Danted, Firewall, Linkage, PATIENCE, Who, eventually};

use crate::fixture::{Bed, Caller, MODES, PATH, WAYS, Way, assert_told, lines};

/// A shell that runs `script` with `pmsocks` and its options as `$P`.
fn shell(bed: &Bed, way: Way, script: &str) -> Client {
    let program = format!("{} --mode {}", bed.path("pmsocks").display(), way.mode);
    let client = bed
        .wall
        .inside()
        .client_as(way.who, "sh")
        .args(["-c", script]);
    client
        .env("PATH", PATH)
        .env("PCP_SOCKS_CONF", bed.path("pcp_socks.conf"))
        .env("P", program)
}

#[test]
fn without_a_program_it_shows_how_it_is_used() {
    let bed = Bed::new();
    for who in Who::BOTH {
        let ended = bed.pmsocks(who, &[]).run().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert!(ended.stderr.contains("Usage: pmsocks"), "{ended}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn without_a_configuration_nothing_is_run() {
    let bed = Bed::new();
    for way in WAYS {
        let client = bed.through(way, &["echo", "run"]);
        for path in ["/no/such/file", "/etc/pcp_socks.conf", "/"] {
            let ended = client.clone().env("PCP_SOCKS_CONF", path).run().unwrap();
            assert_eq!(ended.status.code(), Some(1), "{ended}");
            assert_eq!(ended.stdout, "", "{ended}");
            assert_told(&ended, &[path]);
        }
        let ended = client.env("PCP_SOCKS_CONF", "").run().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert_told(&ended, &["/etc/pcp_socks.conf"]);
    }
}

#[test]
fn the_usual_configuration_is_in_etc() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let _pmcd = bed.pmcd();
    let inside = bed.wall.inside();
    inside
        .write("/etc/pcp_socks.conf", "sockd 0.0.0.0 0.0.0.0\n")
        .unwrap();
    for way in MODES {
        let words = ["pminfo", "-h", Firewall::OUTSIDE, "-f", "pmcd.hostname"];
        let client = bed.through(way, &words).env("PCP_SOCKS_CONF", "");
        let shown = client.run().unwrap().succeeded().unwrap();
        assert!(shown.contains("\"alpha\""), "{shown}");
    }
    assert_eq!(danted.connections(), MODES.len());
}

#[test]
fn a_variable_that_makes_no_sense_is_named() {
    let bed = Bed::new();
    for (name, value) in [
        ("SOCKS_PORT", "http"),
        ("SOCKS_PORT", "0"),
        ("SOCKS_VERSION", "6"),
        ("SOCKS_SERVER", "a b"),
        ("PMCD_CONNECT_TIMEOUT", "soon"),
        ("SOCKS_PASSWORD", "alone"),
    ] {
        for way in MODES {
            let ended = bed
                .through(way, &["echo", "run"])
                .env(name, value)
                .run()
                .unwrap();
            assert_eq!(ended.status.code(), Some(1), "{ended}");
            assert_eq!(ended.stdout, "", "{ended}");
            assert_told(&ended, &[name]);
        }
    }
}

#[test]
fn the_programs_end_is_its_own() {
    let bed = Bed::new();
    for way in WAYS {
        for code in [0, 1, 42, 255] {
            let script = format!("exit {code}");
            let ended = bed.through(way, &["sh", "-c", &script]).run().unwrap();
            assert_eq!(ended.status.code(), Some(code), "{way:?}: {ended}");
        }
        for signal in [
            Signal::SIGTERM,
            Signal::SIGKILL,
            Signal::SIGABRT,
            Signal::SIGINT,
        ] {
            let script = format!("kill -{} $$", signal as i32);
            let ended = bed.through(way, &["sh", "-c", &script]).run().unwrap();
            assert_eq!(
                ended.status.signal(),
                Some(signal as i32),
                "{way:?}: {ended}"
            );
        }
    }
}

#[test]
fn signals_get_to_the_program() {
    let bed = Bed::new();
    for way in WAYS {
        for (signal, name) in [
            (Signal::SIGTERM, "TERM"),
            (Signal::SIGINT, "INT"),
            (Signal::SIGHUP, "HUP"),
            (Signal::SIGQUIT, "QUIT"),
            (Signal::SIGUSR1, "USR1"),
            (Signal::SIGUSR2, "USR2"),
            (Signal::SIGALRM, "ALRM"),
        ] {
            let script = format!(
                "trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.02; done"
            );
            let mut running = bed.through(way, &["sh", "-c", &script]).start().unwrap();
            eventually(PATIENCE, "the program", || running.stdout() == "ready\n").unwrap();
            running.process().signal(signal).unwrap();
            let ended = running.finish().unwrap();
            assert_eq!(
                ended.stdout,
                format!("ready\ngot {name}\n"),
                "{way:?}: {ended}"
            );
            assert_eq!(ended.status.code(), Some(7), "{way:?}: {ended}");
        }
    }
}

#[test]
fn a_program_that_has_no_handler_ends_of_the_signal() {
    let bed = Bed::new();
    for way in WAYS {
        let client = bed.through(way, &["sh", "-c", "echo ready; exec sleep 1000"]);
        let running = client.start().unwrap();
        eventually(PATIENCE, "the program", || running.stdout() == "ready\n").unwrap();
        let ended = running.terminate().unwrap();
        assert_eq!(
            ended.status.signal(),
            Some(Signal::SIGTERM as i32),
            "{way:?}: {ended}"
        );
    }
}

#[test]
fn a_program_does_not_outlive_pmsocks() {
    let bed = Bed::new();
    for way in WAYS {
        let client = bed.through(way, &["sh", "-c", "echo $$; exec sleep 1000"]);
        let mut running = client.start().unwrap();
        eventually(PATIENCE, "the program", || running.stdout().ends_with('\n')).unwrap();
        let pid = running.stdout();
        running.process().signal(Signal::SIGKILL).unwrap();
        let folder = format!("/proc/{}/exe", pid.trim());
        let gone = || fs::read_link(&folder).is_err();
        eventually(PATIENCE, "the program to end", gone)
            .unwrap_or_else(|error| panic!("{way:?}: {error}"));
    }
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let bed = Bed::new();
    let words = [
        "",
        " ",
        "a b",
        "--mode",
        "--",
        "-V",
        "\"'$HOME`",
        "line\nbreak",
        "*",
        "ü",
    ];
    for way in WAYS {
        let client = bed.through(way, &["printf", "<%s>"]).args(words);
        let wanted: String = words.iter().map(|word| format!("<{word}>")).collect();
        assert_eq!(
            client.run().unwrap().succeeded().unwrap(),
            wanted,
            "{way:?}"
        );
        // The program's own name, too.
        let shown = lines(&bed.through(way, &["sh", "-c", "echo $0; cat /proc/self/comm"]));
        assert_eq!(shown, ["sh", "cat"], "{way:?}");
        let mut odd = shell(
            &bed,
            way,
            "$P printf %s \"$(printf '\\377\\376')\" | od -An -tx1",
        );
        odd = odd.within(PATIENCE);
        assert_eq!(lines(&odd), [" ff fe"], "{way:?}");
    }
}

#[test]
fn the_environment_is_the_programs_own() {
    let bed = Bed::new();
    for way in WAYS {
        let client = |words: &[&str]| {
            let client = bed
                .wall
                .inside()
                .client_as(way.who, words[0])
                .args(&words[1..]);
            let client = client.env("PCP_SOCKS_CONF", bed.path("pcp_socks.conf"));
            client
                .env("SOCKS_SERVER", Firewall::GATE)
                .env("ODD", "a=b c")
        };
        let sorted = |words: &[&str]| {
            let mut shown = lines(&client(words));
            shown.retain(|line| !line.starts_with("LD_PRELOAD="));
            shown.sort();
            shown
        };
        let program = bed.path("pmsocks");
        let program = program.to_str().unwrap();
        // bash has functions of its own for its environment, in the place of the C library's.
        for words in [&["/usr/bin/env"][..], &["bash", "-c", "env; busybox env"]] {
            let before = [program, "--mode", way.mode];
            let through = sorted(&[&before[..], words].concat());
            assert_eq!(through, sorted(words), "{way:?}");
        }
    }
}

#[test]
fn a_configuration_that_goes_away_ends_no_program_that_is_started_then() {
    let bed = Bed::new();
    for shell in ["sh", "bash"] {
        let script = "PCP_SOCKS_CONF=/no/such/file env echo run";
        let client = bed.through(MODES[0], &[shell, "-c", script]);
        assert_eq!(lines(&client), ["run"], "{shell}");
    }
}

#[test]
fn a_program_that_cannot_be_read_is_not_run_without_a_configuration() {
    let bed = Bed::new();
    let program = Caller::new(Linkage::Static);
    fs::set_permissions(program.path(), Permissions::from_mode(0o711)).unwrap();
    let path = program.path();
    let words = ["--mode", "preload", path.to_str().unwrap()];
    let client = bed.pmsocks(Who::Nobody, &words);
    let ended = client.env("PCP_SOCKS_CONF", "/no/such/file").run().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert_told(&ended, &["/no/such/file"]);
}

/// The kernel tells an interpreter the path of the script.
#[test]
fn nothing_is_loaded_from_the_folder_of_a_script_that_pmsocks_interprets() {
    let bed = Bed::new();
    let folder = bed.open_folder("scripts");
    let pmsocks = bed.path("pmsocks");
    let script = bed.write(
        "scripts/greet",
        format!("#!{} /bin/sh\necho hello\n", pmsocks.display()),
    );
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(folder.join("../lib/gatehouse")).unwrap();
    for place in ["", "../lib/gatehouse/"] {
        bed.write(&format!("scripts/{place}libpmsocks_preload.so"), "");
    }
    let client = bed.wall.inside().client(&script);
    let client = client.env("PCP_SOCKS_CONF", bed.path("pcp_socks.conf"));
    let ended = client.env("SOCKS_SERVER", Firewall::GATE).run().unwrap();
    // The loader would complain of an empty library.
    assert_eq!((&*ended.stdout, &*ended.stderr), ("hello\n", ""), "{ended}");
}

/// What a process has from its parent beside arguments and environment.
const INHERITED: &str = "pwd; umask; ulimit -a; ls /proc/self/fd | wc -l; nice
grep -E '^(SigBlk|SigIgn|Groups|Uid|Gid|CapEff|CapBnd|Umask)' /proc/self/status
cat /proc/self/oom_score_adj /proc/self/comm
";

#[test]
fn all_else_that_is_inherited_arrives() {
    let bed = Bed::new();
    let script = bed.write("inherited.sh", INHERITED);
    for way in WAYS {
        let setting = "cd /usr; umask 027; ulimit -n 321; trap '' USR1; exec 5< /dev/null; ";
        let direct = shell(&bed, way, &format!("{setting} sh {}", script.display()));
        let through = shell(&bed, way, &format!("{setting} $P sh {}", script.display()));
        assert_eq!(lines(&through), lines(&direct), "{way:?}");
        let streams = shell(
            &bed,
            way,
            "$P sh -c 'echo out; echo err >&2; cat' < /etc/hostname",
        );
        let ended = streams.run().unwrap();
        let host_name = fs::read_to_string("/etc/hostname").unwrap();
        assert_eq!(
            ended.stdout,
            format!("out\n{host_name}"),
            "{way:?}: {ended}"
        );
        assert_eq!(ended.stderr, "err\n", "{way:?}: {ended}");
        let closed = "$P sh -c '[ -e /proc/$$/fd/0 ] && echo open || echo closed' <&-";
        assert_eq!(lines(&shell(&bed, way, closed)), ["closed"], "{way:?}");
        let inherited = shell(&bed, way, "$P sh -c 'cat <&9' 9< /etc/hostname");
        assert_eq!(inherited.run().unwrap().stdout, host_name, "{way:?}");
        let pipe = shell(&bed, way, "$P yes | head -1");
        assert_eq!(pipe.run().unwrap().stdout, "y\n", "{way:?}");
    }
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let bed = Bed::new();
    let text = bed.write("text", "no program\n");
    let text = text.to_str().unwrap();
    for way in MODES {
        for (program, code) in [
            ("no-such-program", 127),
            ("/no/such/program", 127),
            (text, 126),
        ] {
            let ended = bed.through(way, &[program]).run().unwrap();
            assert_eq!(ended.status.code(), Some(code), "{way:?}: {ended}");
            assert_told(&ended, &[program]);
        }
    }
}

#[test]
fn a_setuid_program_is_refused() {
    let bed = Bed::new();
    let program = bed.path("setuid");
    fs::copy("/bin/echo", &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o4755)).unwrap();
    let name = program.to_str().unwrap();
    for mode in ["auto", "preload", "supervise"] {
        let ended = bed
            .pmsocks(Who::Nobody, &["--mode", mode, name, "run"])
            .run()
            .unwrap();
        assert_eq!(ended.status.code(), Some(1), "{mode}: {ended}");
        assert_eq!(ended.stdout, "", "{mode}: {ended}");
        assert_told(&ended, &[name, "setuid"]);
    }
    // To its owner it gives nothing.
    let ended = bed.pmsocks(Who::Root, &[name, "run"]).run().unwrap();
    assert_eq!(ended.succeeded().unwrap(), "run\n");
}

#[test]
fn the_way_is_chosen_by_what_the_program_is() {
    let bed = Bed::new();
    let programs = [Linkage::Dynamic, Linkage::Static, Linkage::Raw].map(Caller::new);
    let [dynamic, fixed, raw] = programs.each_ref().map(Caller::path);
    let script = |name: &str, interpreter: &str| {
        let path = bed.write(name, format!("#!{interpreter}\necho run\n"));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    };
    for (program, way) in [
        (dynamic, "preloading"),
        (fixed, "supervising"),
        (raw, "supervising"),
        (script("plain.sh", "/bin/sh"), "preloading"),
        (script("static.sh", "/bin/busybox sh"), "supervising"),
        (script("env.sh", "/usr/bin/env sh"), "preloading"),
        ("pminfo".into(), "preloading"),
    ] {
        for who in Who::BOTH {
            let client = bed.pmsocks(who, &[program.to_str().unwrap()]);
            let ended = client.env("SOCKS_DEBUG", "1").run().unwrap();
            assert_told(&ended, &[way]);
        }
    }
}

#[test]
fn a_mode_that_cannot_be_is_refused() {
    let bed = Bed::new();
    let fixed = Caller::new(Linkage::Static).path();
    let ended = bed
        .pmsocks(Who::Nobody, &["--mode", "magic", "true"])
        .run()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert_told(&ended, &["magic"]);
    let fixed_program = Caller::new(Linkage::Static);
    let name = fixed_program.path();
    let words = ["--mode", "preload", name.to_str().unwrap()];
    let ended = bed.pmsocks(Who::Nobody, &words).run().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert_told(&ended, &[name.to_str().unwrap(), "preload"]);
    drop(fixed);
}

#[test]
fn children_are_followed() {
    let bed = Bed::new();
    let stub = bed.stub(Conduct::default());
    let dynamic = Caller::new(Linkage::Dynamic);
    let fixed = Caller::new(Linkage::Static);
    let mut wanted = 0;
    for (way, caller) in [
        (WAYS[0], &dynamic),
        (WAYS[1], &dynamic),
        (WAYS[2], &dynamic),
        (WAYS[3], &dynamic),
        (WAYS[2], &fixed),
        (WAYS[3], &fixed),
    ] {
        let script = format!(
            "for turn in 1 2 3; do sh -c '{} connect 10.2.0.2 7 & wait $!'; done",
            caller.path().display()
        );
        let shown = lines(&bed.through(way, &["sh", "-c", &script]));
        assert_eq!(
            shown.iter().filter(|line| *line == "echo").count(),
            3,
            "{way:?} {shown:?}"
        );
        wanted += 3;
    }
    assert_eq!(stub.asked().len(), wanted);
}

#[test]
fn a_small_stack_is_enough_to_run_a_program() {
    let bed = Bed::new();
    let stub = bed.stub(Conduct::default());
    let dynamic = Caller::new(Linkage::Dynamic);
    let fixed = Caller::new(Linkage::Static);
    for way in WAYS {
        for program in ["true", fixed.path().to_str().unwrap()] {
            let shown = lines(&dynamic.echo(&bed, way, &["spawn", program]));
            assert_eq!(shown.last().unwrap(), "2 good", "{way:?} {shown:?}");
        }
    }
    assert_eq!(stub.asked().len(), 2 * WAYS.len());
}

#[test]
fn a_program_may_run_pmsocks_itself() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let _pmcd = bed.pmcd();
    let pmsocks = bed.path("pmsocks").display().to_string();
    let pminfo = ["pminfo", "-h", Firewall::OUTSIDE, "-f", "pmcd.hostname"];
    let mut runs = 0;
    for way in WAYS {
        for inner in ["auto", "preload", "supervise"] {
            let words = [&[pmsocks.as_str(), "--mode", inner], &pminfo[..]].concat();
            let script = words.join(" ");
            for outer in [words, vec!["sh", "-c", &script]] {
                let ended = bed.through(way, &outer).run().unwrap();
                assert!(ended.stdout.contains("\"alpha\""), "{ended}");
                runs += 1;
            }
        }
    }
    assert_eq!(danted.connections(), runs, "{}", danted.log());
}

#[test]
fn a_supervised_program_cannot_check() {
    let bed = Bed::new();
    let pmsocks = bed.path("pmsocks").display().to_string();
    for who in Who::BOTH {
        let words = [
            "--mode",
            "supervise",
            &pmsocks,
            "--check",
            Firewall::OUTSIDE,
        ];
        let ended = bed.pmsocks(who, &words).run().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert_told(&ended, &["--check: this process is supervised"]);
    }
}

#[test]
fn a_configuration_beside_the_user_is_found_from_everywhere() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    let caller = Caller::new(Linkage::Dynamic);
    let (file, called) = (bed.path("pcp_socks.conf"), caller.path());
    let folder = file.parent().unwrap().display();
    let child = format!("cd / && exec {} connect 10.2.0.2 7", called.display());
    let script = format!("cd {folder} && exec $P sh -c '{child}'");
    for way in WAYS {
        let client = shell(&bed, way, &script)
            .env("PCP_SOCKS_CONF", "pcp_socks.conf")
            .env("SOCKS_SERVER", Firewall::GATE);
        assert_eq!(lines(&client).last().unwrap(), "echo", "{way:?}");
    }
}

#[test]
fn the_banner_comes_on_standard_output() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    let caller = Caller::new(Linkage::Dynamic);
    for way in MODES {
        // Who supervises does not have the program wait until the line is written.
        let client = caller
            .echo(&bed, way, &["connect"])
            .env("SOCKS_BANNER", "1");
        let (banner, own): (Vec<_>, Vec<_>) = lines(&client)
            .into_iter()
            .partition(|line| line.starts_with("pmsocks "));
        assert_eq!(banner.len(), 1, "{way:?}: {banner:?}");
        assert!(
            banner[0].contains(env!("CARGO_PKG_VERSION")),
            "{way:?}: {banner:?}"
        );
        assert_eq!(own, ["connected", "peer: the target", "echo"], "{way:?}");
    }
}
