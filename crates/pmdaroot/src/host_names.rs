//! The host name as a process sees it, from inside its UTS namespace.

use std::io;
use std::path::PathBuf;
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The host name as the process sees it.
///
/// A thread that ends afterwards enters the namespace: whatever goes wrong, the others never do.
pub(crate) fn of_process(pid: u32) -> io::Result<Vec<u8>> {
    let path: PathBuf = format!("/proc/{pid}/ns/uts").into();
    let namespace = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let visitor = thread::Builder::new()
        .name("host-name".into())
        .stack_size(64 << 10)
        .spawn(move || {
            let kind = Some(LinkNameSpaceType::HostNameAndNISDomainName);
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)?;
            Ok(rustix::system::uname().nodename().to_bytes().to_vec())
        })?;
    let gone = |_| io::Error::other("the thread that looked into the namespace has failed");
    visitor.join().map_err(gone)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;
    use std::process::{Command, Stdio};

    fn own() -> Vec<u8> {
        rustix::system::uname().nodename().to_bytes().to_vec()
    }

    #[test]
    fn a_process_of_the_same_namespace_sees_the_same_name() {
        assert_eq!(of_process(std::process::id()).unwrap(), own());
    }

    #[test]
    fn a_process_of_another_namespace_sees_another_name_and_we_do_not() {
        let mut process = Command::new("unshare")
            .args(["--uts", "sh", "-c", "hostname inside; echo; read -r line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = io::BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let before = own();
        assert_eq!(of_process(process.id()).unwrap(), b"inside");
        assert_eq!(own(), before);
        drop(process.stdin.take());
        process.wait().unwrap();
    }

    #[test]
    fn no_process_has_no_name() {
        assert_eq!(of_process(0).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
