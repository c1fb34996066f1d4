//! Every kind of line in `pcp_socks.conf`, by what becomes of a connection.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use testbed::{Conduct, Firewall, Linkage, SocksStub, Stub, Who};

use crate::fixture::{Bed, Caller, MODES, Way, assert_told, lines};

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Direct,
    /// Through the server of `SOCKS_SERVER`.
    Usual,
    /// Through another server, at port 1081.
    Other,
    Denied,
}
use Fate::{Denied, Direct, Other, Usual};

/// A host that can be reached both ways.
const BOTH_WAYS: &str = Firewall::GATE;

struct Crossing {
    bed: Bed,
    caller: Caller,
    usual: SocksStub,
    other: SocksStub,
    direct: Vec<Stub>,
}

impl Crossing {
    fn new() -> Crossing {
        let bed = Bed::new();
        let (inside, gate) = (bed.wall.inside(), bed.wall.gate());
        let direct = [
            (gate, BOTH_WAYS, 7),
            (gate, BOTH_WAYS, 80),
            (gate, Firewall::GATE6, 7),
            (inside, Firewall::INSIDE, 7),
            (inside, "127.0.0.1", 7),
            (inside, "::1", 7),
        ];
        let direct = direct.map(|(host, address, port)| host.echo(address, port));
        Crossing {
            caller: Caller::new(Linkage::Dynamic),
            usual: bed.stub(Conduct::default()),
            other: bed.stub_at(Firewall::GATE, 1081, Conduct::default()),
            direct: direct.into_iter().map(Result::unwrap).collect(),
            bed,
        }
    }

    fn counts(&self) -> [usize; 3] {
        let direct = self.direct.iter().map(Stub::accepted).sum();
        [direct, self.usual.asked().len(), self.other.asked().len()]
    }

    fn fate(&self, way: Way, routes: &str, address: &str, port: &str) -> Fate {
        self.bed.routes(routes);
        let before = self.counts();
        let path = self.caller.path();
        let words = [path.to_str().unwrap(), "connect", address, port];
        let ended = self.bed.through(way, &words).run().unwrap();
        let grown = self
            .counts()
            .iter()
            .zip(before)
            .map(|(now, then)| now - then)
            .collect::<Vec<_>>();
        let connected =
            ended.stdout.starts_with("connected\n") && ended.stdout.ends_with("\necho\n");
        match (&grown[..], connected) {
            ([1, 0, 0], true) => Direct,
            ([0, 1, 0], true) => Usual,
            ([0, 0, 1], true) => Other,
            ([0, 0, 0], false) if ended.stdout == "EACCES\n" => Denied,
            _ => panic!("{grown:?} connections with {routes:?}: {ended}"),
        }
    }

    fn check(&self, table: &[(&str, &str, &str, Fate)]) {
        for way in MODES {
            for (routes, address, port, wanted) in table {
                let fate = self.fate(way, routes, address, port);
                assert_eq!(
                    fate, *wanted,
                    "{way:?}: {address} port {port} with {routes:?}"
                );
            }
        }
    }
}

#[test]
fn the_first_line_that_matches_decides() {
    Crossing::new().check(&[
        ("sockd 0.0.0.0 0.0.0.0", BOTH_WAYS, "7", Usual),
        ("direct 0.0.0.0 0.0.0.0", BOTH_WAYS, "7", Direct),
        ("deny 0.0.0.0 0.0.0.0", BOTH_WAYS, "7", Denied),
        (
            "direct 10.1.0.1 255.255.255.255\ndeny 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Direct,
        ),
        (
            "deny 10.1.0.1 255.255.255.255\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Denied,
        ),
        (
            "deny 10.1.0.9 255.255.255.255\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Usual,
        ),
        ("sockd 10.2.0.0 255.255.255.0", BOTH_WAYS, "7", Denied),
        ("", BOTH_WAYS, "7", Denied),
    ]);
}

#[test]
fn addresses_have_masks_or_lengths_in_both_families() {
    Crossing::new().check(&[
        (
            "direct 10.1.0.0 255.255.255.0\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Direct,
        ),
        (
            "direct 10.1.1.0 255.255.255.0\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Usual,
        ),
        (
            "direct 10.1.0.77 255.255.255.0\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Direct,
        ),
        (
            "direct 10.0.0.1 255.0.0.255\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Direct,
        ),
        (
            "direct 10.1.0.0/24\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Direct,
        ),
        (
            "direct 10.1.0.0/32\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Usual,
        ),
        (
            "direct fd01::/64\nsockd 0.0.0.0 0.0.0.0",
            Firewall::GATE6,
            "7",
            Direct,
        ),
        (
            "direct fd01::1/128\nsockd 0.0.0.0 0.0.0.0",
            Firewall::GATE6,
            "7",
            Direct,
        ),
        (
            "direct fd01:: ffff:ffff::\nsockd 0.0.0.0 0.0.0.0",
            Firewall::GATE6,
            "7",
            Direct,
        ),
        (
            "direct fd02::/64\nsockd 0.0.0.0 0.0.0.0",
            Firewall::GATE6,
            "7",
            Usual,
        ),
        ("direct ::/0\nsockd 0.0.0.0 0.0.0.0", BOTH_WAYS, "7", Usual),
        ("direct 0.0.0.0/0\nsockd ::/0", Firewall::GATE6, "7", Usual),
        (
            "direct 10.1.0.0/24\ndeny ::/0",
            "::ffff:10.1.0.1",
            "7",
            Direct,
        ),
        (
            "sockd 10.1.0.0/24\ndeny ::/0",
            "::ffff:10.1.0.1",
            "7",
            Usual,
        ),
    ]);
}

#[test]
fn ports_are_compared_by_number_and_by_name() {
    let mut table = Vec::new();
    for (compared, echo, http) in [
        ("eq 7", true, false),
        ("eq echo", true, false),
        ("neq 7", false, true),
        ("neq echo", false, true),
        ("lt 80", true, false),
        ("lt http", true, false),
        ("le 80", true, true),
        ("le 7", true, false),
        ("gt 7", false, true),
        ("gt 80", false, false),
        ("ge 7", true, true),
        ("ge http", false, true),
        ("EQ 7", true, false),
    ] {
        let routes = format!("direct 10.1.0.1 255.255.255.255 {compared}\nsockd 0.0.0.0 0.0.0.0\n");
        for (port, matches) in [("7", echo), ("80", http)] {
            table.push((routes.clone(), port, if matches { Direct } else { Usual }));
        }
    }
    let table: Vec<_> = table
        .iter()
        .map(|(routes, port, fate)| (routes.as_str(), BOTH_WAYS, *port, *fate))
        .collect();
    Crossing::new().check(&table);
}

#[test]
fn a_line_has_servers_of_its_own() {
    Crossing::new().check(&[
        (
            "sockd @=10.1.0.1:1081 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Other,
        ),
        (
            "sockd @=firewall:1081 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Other,
        ),
        (
            "sockd @=10.1.0.1:1,10.1.0.1:1081 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Other,
        ),
        (
            "sockd @=no.such.example,10.1.0.1:1081 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Other,
        ),
        ("sockd @=10.1.0.1 0.0.0.0 0.0.0.0", BOTH_WAYS, "7", Usual),
        (
            "sockd @=10.1.0.1:1081 10.1.0.1 255.255.255.255 eq 80\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "80",
            Other,
        ),
        (
            "sockd @=10.1.0.1:1081 *=nobody 0.0.0.0 0.0.0.0 lt 80 # here, too",
            BOTH_WAYS,
            "7",
            Other,
        ),
        (
            "sockd *=nobody @=10.1.0.1:1081 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Other,
        ),
    ]);
}

#[test]
fn a_server_has_a_version_of_its_own() {
    let crossing = Crossing::new();
    for (version, user) in [("4", "nobody"), ("4a", "nobody"), ("5", "")] {
        let routes = format!("sockd @=10.1.0.1:1081;version={version} 0.0.0.0 0.0.0.0");
        for way in MODES {
            assert_eq!(crossing.fate(way, &routes, BOTH_WAYS, "7"), Other);
            // 4a is 4 where there is no name.
            let wanted = format!("{} {user}@10.1.0.1:7", version.trim_end_matches('a'));
            assert_eq!(crossing.other.asked().last(), Some(&wanted));
        }
    }
}

#[test]
fn a_line_is_for_some_users() {
    let crossing = Crossing::new();
    let list = crossing
        .bed
        .write("users", "# those who may\nroot,\tnobody adm\n");
    let listed = format!(
        "direct *={} 0.0.0.0 0.0.0.0\nsockd 0.0.0.0 0.0.0.0",
        list.display()
    );
    for (routes, root, nobody) in [
        (
            "direct *=root 0.0.0.0 0.0.0.0\nsockd 0.0.0.0 0.0.0.0",
            Direct,
            Usual,
        ),
        (
            "direct *=adm,nobody 0.0.0.0 0.0.0.0\nsockd 0.0.0.0 0.0.0.0",
            Usual,
            Direct,
        ),
        (
            "direct *=65534 0.0.0.0 0.0.0.0\nsockd 0.0.0.0 0.0.0.0",
            Usual,
            Direct,
        ),
        (
            "deny *=root 0.0.0.0 0.0.0.0\nsockd 0.0.0.0 0.0.0.0",
            Denied,
            Usual,
        ),
        (&listed, Direct, Direct),
    ] {
        for mode in ["preload", "supervise"] {
            for (who, wanted) in [(Who::Root, root), (Who::Nobody, nobody)] {
                let fate = crossing.fate(Way { who, mode }, routes, BOTH_WAYS, "7");
                assert_eq!(fate, wanted, "{who:?} {mode} with {routes:?}");
            }
        }
    }
}

#[test]
fn this_host_is_known_by_all_its_addresses() {
    let lines = [
        "direct LOCALHOSTNAME 255.255.255.255\nsockd 0.0.0.0 0.0.0.0\n",
        "direct LOCALHOSTNAME # direct localhost\nsockd 0.0.0.0 0.0.0.0 # everywhere else\n",
    ];
    let mut table = Vec::new();
    for routes in lines {
        for own in ["127.0.0.1", "::1", Firewall::INSIDE] {
            table.push((routes, own, "7", Direct));
        }
        table.push((routes, BOTH_WAYS, "7", Usual));
    }
    Crossing::new().check(&table);
}

/// What is installed at first.
const SHIPPED: &str = include_str!("../../../../dist/pmsocks/pcp_socks.conf");

#[test]
fn the_file_that_is_shipped_leaves_this_host_alone() {
    Crossing::new().check(&[
        (SHIPPED, "127.0.0.1", "7", Direct),
        (SHIPPED, "::1", "7", Direct),
        (SHIPPED, Firewall::INSIDE, "7", Direct),
        (SHIPPED, BOTH_WAYS, "7", Usual),
        (SHIPPED, Firewall::GATE6, "7", Usual),
    ]);
}

#[test]
fn comments_and_blanks_are_passed_over() {
    let longest = format!("{:1$}", "sockd 0.0.0.0 0.0.0.0 #", 1024).replace("# ", "##");
    assert_eq!(longest.len(), 1024);
    Crossing::new().check(&[
        (
            "# direct 0.0.0.0 0.0.0.0\nsockd 0.0.0.0 0.0.0.0",
            BOTH_WAYS,
            "7",
            Usual,
        ),
        (
            "\n\n   \n\t\nsockd\t0.0.0.0\t \t0.0.0.0  \n\n",
            BOTH_WAYS,
            "7",
            Usual,
        ),
        (
            "sockd 0.0.0.0 0.0.0.0 # direct localhost\n",
            BOTH_WAYS,
            "7",
            Usual,
        ),
        ("SOCKD 0.0.0.0 0.0.0.0", BOTH_WAYS, "7", Usual),
        (&longest, BOTH_WAYS, "7", Usual),
    ]);
}

/// A command that writes all that is told to it, and is harmless whatever that is.
const COMMAND: &str = ": echo A=%A c=%c s=%s S=%S u=%u U=%U Z=%Z z=%z p=%p x=%% >> ";

/// A file that commands add lines to.
struct Told(PathBuf);

impl Told {
    fn new(bed: &Bed) -> Told {
        Told(bed.open_folder("told").join("file"))
    }

    fn lines(&self) -> Vec<String> {
        let told = fs::read_to_string(&self.0).unwrap_or_default();
        told.lines().map(str::to_owned).collect()
    }

    /// What the program shows, which is run until the file has one more line; nobody waits for
    /// commands otherwise, and the end of a test is theirs. A name may be unknown at once, too.
    fn run(&self, crossing: &Crossing, way: Way, host: &str, command: &str) -> Vec<String> {
        const SCRIPT: &str = r#"
            shown=$("$0" "$1" "$2" 7)
            echo "$shown"
            [ "$shown" = unknown ] && exit
            until [ "$(cat "$3" 2> /dev/null | wc -l)" -gt "$4" ]; do sleep 0.02; done"#;
        let program = crossing.caller.path();
        let words = ["sh", "-c", SCRIPT, program.to_str().unwrap(), command, host];
        let client = crossing.bed.through(way, &words).args([&self.0]);
        lines(&client.args([self.lines().len().to_string()]))
    }
}

#[test]
fn a_command_is_told_of_the_connection() {
    let crossing = Crossing::new();
    let told = Told::new(&crossing.bed);
    let file = told.0.display();
    crossing
        .bed
        .routes(format!("sockd 0.0.0.0 0.0.0.0 {COMMAND}{file}"));
    for (made, way) in MODES.into_iter().enumerate() {
        let shown = told.run(&crossing, way, BOTH_WAYS, "connect");
        assert_eq!(shown.last().unwrap(), "echo", "{way:?}: {shown:?}");
        let lines = told.lines();
        let wanted = "A=inside c=connect s=7 S=echo u=nobody U=nobody Z=10.1.0.1 z=10.1.0.1 p=";
        assert!(
            lines[made].starts_with(wanted) && lines[made].ends_with(" x=%"),
            "{lines:?}"
        );
        assert_eq!(lines.len(), made + 1, "{lines:?}");
    }
}

#[test]
fn a_command_runs_when_a_connection_is_denied_or_direct() {
    let crossing = Crossing::new();
    let told = Told::new(&crossing.bed);
    let file = told.0.display();
    for (action, wanted) in [("deny", "EACCES"), ("direct", "echo")] {
        crossing
            .bed
            .routes(format!("{action} 0.0.0.0 0.0.0.0 {COMMAND}{file}"));
        for way in MODES {
            let shown = told.run(&crossing, way, BOTH_WAYS, "connect");
            assert_eq!(shown.last().unwrap(), wanted, "{way:?}: {shown:?}");
        }
    }
    assert_eq!(told.lines().len(), 4);
}

#[test]
fn a_shell_is_given_nothing_that_it_could_run() {
    let crossing = Crossing::new();
    let told = Told::new(&crossing.bed);
    let (file, trap) = (told.0.display(), crossing.bed.path("told").join("trap"));
    for quote in ["", "'", "\""] {
        let command = format!("echo {quote}%Z %z %A{quote} >> {file}");
        crossing
            .bed
            .routes(format!("sockd 0.0.0.0 0.0.0.0 : {command}"));
        for name in [
            format!("$(touch${{IFS}}{})", trap.display()),
            format!("`touch {}`", trap.display()),
            format!("';touch {};'", trap.display()),
            format!("\";touch {};\"", trap.display()),
            format!("a\ntouch {}\n", trap.display()),
            "-n".to_owned(),
        ] {
            told.run(&crossing, MODES[0], &name, "name");
        }
    }
    assert!(!trap.exists(), "{:?}", told.lines());
    let harmless = |byte: char| byte.is_ascii_alphanumeric() || "._:- ".contains(byte);
    let all = told.lines().concat();
    assert!(!all.is_empty() && all.chars().all(harmless), "{all}");
}

#[test]
fn commands_of_a_file_that_others_can_write_are_off() {
    let crossing = Crossing::new();
    let folder = crossing.bed.open_folder("told");
    let file = folder.join("file");
    let routes = format!("sockd 0.0.0.0 0.0.0.0 : touch {}", file.display());
    for (mode, owner) in [(0o664, 0), (0o646, 0), (0o644, 1)] {
        let conf = crossing.bed.routes(&routes);
        fs::set_permissions(&conf, Permissions::from_mode(mode)).unwrap();
        chown(&conf, Some(owner), None).unwrap();
        for way in MODES {
            let client = crossing
                .caller
                .to(&crossing.bed, way, BOTH_WAYS, &["connect"]);
            let ended = client.env("SOCKS_DEBUG", "1").run().unwrap();
            assert!(ended.stdout.ends_with("echo\n"), "{ended}");
            assert_told(&ended, &[conf.to_str().unwrap(), "command"]);
        }
        assert!(!file.exists(), "mode {mode:o} of {owner}");
        fs::remove_file(conf).unwrap();
    }
}

#[test]
fn a_broken_line_is_named_with_its_field() {
    let bed = Bed::new();
    let long = format!("{:1$}", "sockd 0.0.0.0 0.0.0.0 # ", 1025);
    for (broken, field, word) in [
        ("forbid 0.0.0.0 0.0.0.0", "action", "forbid"),
        ("sockd", "dst_addr", "missing"),
        ("sockd 300.0.0.1 0.0.0.0", "dst_addr", "300.0.0.1"),
        ("sockd 10.0.0.0", "dst_mask", "10.0.0.0"),
        ("sockd 10.0.0.0 mask", "dst_mask", "mask"),
        ("sockd 10.0.0.0/33", "dst_addr", "33"),
        ("sockd fd01::/129", "dst_addr", "129"),
        ("sockd 0.0.0.0 0.0.0.0 is 7", "op", "is"),
        ("sockd 0.0.0.0 0.0.0.0 eq", "dst_port", "missing"),
        ("sockd 0.0.0.0 0.0.0.0 eq 65536", "dst_port", "65536"),
        ("sockd 0.0.0.0 0.0.0.0 eq nosuch", "dst_port", "nosuch"),
        ("sockd @=host:port 0.0.0.0 0.0.0.0", "serverlist", "port"),
        ("sockd @=host;version=6 0.0.0.0 0.0.0.0", "serverlist", "6"),
        ("sockd @=a,,b 0.0.0.0 0.0.0.0", "serverlist", "empty"),
        ("direct @=host 0.0.0.0 0.0.0.0", "serverlist", "sockd"),
        (
            "sockd *=/no/such/list 0.0.0.0 0.0.0.0",
            "userlist",
            "/no/such/list",
        ),
        ("sockd 0.0.0.0 0.0.0.0 :", "shell_cmd", "colon"),
        ("sockd 0.0.0.0 0.0.0.0 : echo %q", "shell_cmd", "%q"),
        (&long, "line", "1025"),
    ] {
        let conf = bed.routes(format!("# the second line is broken\n{broken}\n"));
        for way in MODES {
            let ended = bed.through(way, &["true"]).run().unwrap();
            assert_eq!(ended.status.code(), Some(1), "{broken:?}: {ended}");
            let place = format!("{}:2: {field}: ", conf.display());
            assert_told(&ended, &[&place, word]);
        }
    }
}
