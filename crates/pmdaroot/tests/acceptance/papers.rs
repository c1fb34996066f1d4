//! What the papers say is what the program does.

use std::collections::BTreeSet;
use std::process::Command;

use crate::bed::OURS;

const ARCHITECTURE: &str = include_str!("../../../../ARCHITECTURE.md");
const MANUAL: &str = include_str!("../../../../dist/man/pmdaroot.1");

#[test]
fn the_crates_that_it_links_are_the_listed_ones() {
    let (_, list) = ARCHITECTURE.split_once("pmdaroot links these").unwrap();
    let (list, _) = list.split_once(".\n").unwrap();
    let listed: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();
    let mut tree = Command::new(env!("CARGO"));
    tree.args([
        "tree",
        "--offline",
        "--package",
        "pmdaroot",
        "--prefix=none",
    ])
    .args(["--edges=normal,no-proc-macro", "--format={lib}"])
    .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = tree.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let linked = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| Some(line.split_whitespace().next()?.to_owned());
    let linked: BTreeSet<String> = linked.lines().filter_map(name).collect();
    let listed: BTreeSet<String> = listed.iter().map(|name| name.replace('-', "_")).collect();
    assert_eq!(linked, listed);
}

#[test]
fn the_manual_page_has_all_options() {
    let help = Command::new(OURS).arg("-?").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let words = help.split([' ', ',', '=']);
    let options: BTreeSet<&str> = words.filter_map(|word| word.strip_prefix("--")).collect();
    assert_eq!(options.len(), 5, "{options:?}");
    for option in options {
        assert!(MANUAL.contains(&format!("Fl -{option}")), "{option}");
    }
}
