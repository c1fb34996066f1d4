//! Real programs of this machine, and some made for the purpose.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pmsocks_common::Environment;

use super::*;
use crate::find;

fn kind(path: &Path) -> Kind {
    Executable::look_at(path).unwrap().kind
}

fn file(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn compiled(folder: &Path, source: &str, options: &[&str]) -> PathBuf {
    let source = file(folder, "program.c", source);
    let program = folder.join("program");
    let compiler = Command::new("cc")
        .args(options)
        .arg("-o")
        .args([&program, &source])
        .status()
        .expect("cc is there (Debian package gcc)");
    assert!(compiler.success());
    program
}

const PLAIN: &str = "int main(void) { return 0; }";

const RAW: &str = "
int main(void) {
#ifdef __x86_64__
    long pid;
    __asm__ volatile(\"syscall\" : \"=a\"(pid) : \"a\"(39) : \"rcx\", \"r11\", \"memory\");
#else
    register long number __asm__(\"x8\") = 172;
    register long pid __asm__(\"x0\");
    __asm__ volatile(\"svc #0\" : \"=r\"(pid) : \"r\"(number) : \"memory\");
#endif
    return pid < 0;
}";

#[test]
fn a_program_of_the_system_is_dynamic() {
    for name in ["cat", "pminfo"] {
        let path = find::program(name.as_ref(), &Environment::own()).unwrap();
        assert_eq!(kind(&path), Kind::Dynamic, "{name}");
    }
}

#[test]
fn a_static_program_is_known() {
    let folder = tempfile::tempdir().unwrap();
    for options in [&["-static"][..], &["-static-pie"]] {
        let program = compiled(folder.path(), PLAIN, options);
        assert_eq!(kind(&program), Kind::NoLibrary(NoLibrary::Static));
    }
}

#[test]
fn a_program_that_makes_system_calls_by_itself_is_known() {
    let folder = tempfile::tempdir().unwrap();
    for options in [&["-O2"][..], &["-O0"], &["-O2", "-s"]] {
        let program = compiled(folder.path(), RAW, options);
        assert_eq!(kind(&program), Kind::RawCalls(RawCalls::Instructions));
        let program = compiled(folder.path(), PLAIN, options);
        assert_eq!(kind(&program), Kind::Dynamic);
    }
}

#[test]
fn a_program_with_another_loader_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let loader = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1";
    let program = compiled(folder.path(), PLAIN, &[loader]);
    let expected = NoLibrary::Loader("/lib/ld-musl-x86_64.so.1".to_owned());
    assert_eq!(kind(&program), Kind::NoLibrary(expected));
}

#[test]
fn programs_of_other_kinds_are_known_by_their_heads() {
    let folder = tempfile::tempdir().unwrap();
    let plain = fs::read(compiled(folder.path(), PLAIN, &[])).unwrap();
    let mut narrow = plain.clone();
    narrow[4] = 1;
    let narrow = file(folder.path(), "narrow", narrow);
    assert_eq!(kind(&narrow), Kind::NoLibrary(NoLibrary::Narrow));
    let mut foreign = plain.clone();
    foreign[18] = 0xf3;
    let foreign = file(folder.path(), "foreign", foreign);
    assert_eq!(kind(&foreign), Kind::NoLibrary(NoLibrary::Machine));
    let broken = file(folder.path(), "broken", &plain[..100]);
    assert_eq!(kind(&broken), Kind::RawCalls(RawCalls::Unknown));
    let odd = file(folder.path(), "odd", b"MZ\0\0");
    assert_eq!(kind(&odd), Kind::NoLibrary(NoLibrary::Format));
}

#[test]
fn what_is_broken_is_left_to_the_supervisor_at_worst() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read("/bin/true").unwrap();
    let headers = 64 + 56 * usize::from(whole[56]);
    for at in 0..headers {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        let program = file(folder.path(), "broken", &broken);
        // Whatever it is taken for.
        let _ = Executable::look_at(&program);
    }
    for length in (16..headers).chain([whole.len() / 2]) {
        let program = file(folder.path(), "short", &whole[..length]);
        let unknown = Kind::RawCalls(RawCalls::Unknown);
        assert_eq!(kind(&program), unknown, "{length} bytes");
    }
}

#[test]
fn a_script_is_as_its_interpreter_is() {
    let folder = tempfile::tempdir().unwrap();
    let static_shell = compiled(folder.path(), PLAIN, &["-static"]);
    let first = format!("#!{}\n", static_shell.display());
    let first = file(folder.path(), "first", first);
    let second = format!("#! {} -x\n", first.display());
    let second = file(folder.path(), "second", second);
    let looked = Executable::look_at(&second).unwrap();
    assert_eq!(looked.path, static_shell);
    assert_eq!(looked.kind, Kind::NoLibrary(NoLibrary::Static));
    let text = file(folder.path(), "text", "echo moon\n");
    assert_eq!(Executable::look_at(&text).unwrap().path, Path::new(SHELL));
}

#[test]
fn a_script_that_runs_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snake");
    let path = file(folder.path(), "snake", format!("#!{}\n", path.display()));
    let error = Executable::look_at(&path).unwrap_err();
    assert!(matches!(error, ExecutableError::TooDeep(_)));
}
