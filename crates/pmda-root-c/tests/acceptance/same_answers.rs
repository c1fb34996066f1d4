//! One program, linked with Debian's library and with ours, prints the same.

use anyhow::Result;
use testbed::{DEBIAN_PMDAROOT, PmdaRoot, ROOT_CALLS, RootLibrary, RootProgram, UtsBox};

const ALPHA: &str = "a1a1000000000000000000000000000000000000000000000000000000000001";
const BETA: &str = "b2b2000000000000000000000000000000000000000000000000000000000002";

fn printed(library: RootLibrary, root: &PmdaRoot, inside: u32) -> Result<String> {
    let names = ["alpha", "beta", BETA, &ALPHA[..8], "nosuch"];
    RootProgram::make(ROOT_CALLS, library)?
        .client()?
        .args([root.socket()])
        .args([inside.to_string()])
        .args(names)
        .run()?
        .succeeded()
}

#[test]
fn programs_print_the_same_with_both_libraries() {
    let inside = UtsBox::start("inside").unwrap();
    let root = PmdaRoot::start(DEBIAN_PMDAROOT).unwrap();
    root.docker_container(ALPHA, "alpha", inside.pid()).unwrap();
    root.docker_container(BETA, "beta", inside.pid()).unwrap();
    let with_debians = printed(RootLibrary::Debian, &root, inside.pid()).unwrap();
    assert!(
        with_debians.contains("host name: 6 \"inside\""),
        "{with_debians}"
    );
    assert!(
        with_debians.contains("Container not found"),
        "{with_debians}"
    );
    for library in [RootLibrary::Ours, RootLibrary::OursAtRunTime] {
        let with_ours = printed(library, &root, inside.pid()).unwrap();
        assert_eq!(with_ours, with_debians, "{library:?}");
    }
}
