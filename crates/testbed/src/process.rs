//! One process of a test, which ends with the test, however the test ends.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::eventually::{PATIENCE, eventually, eventually_some};
use crate::packages::{self, NeededFor};

/// A command that sees nothing of the settings of PCP, SOCKS and libvirt in the environment of whoever
/// runs the tests.
pub fn clean_command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if is_setting_of_peers(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
    command.env("LC_ALL", "C");
    command
}

fn is_setting_of_peers(name: &str) -> bool {
    [
        "PCP_",
        "PMCD_",
        "PMDA_",
        "PMLOGGER_",
        "PMPROXY_",
        "SOCKS_",
        "LIBVIRT_",
        "VIRSH_",
        "VIRTPROXYD_",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

/// A running process and its children.
///
/// They die when this is dropped and when the test process dies, even of SIGKILL. A program that
/// makes itself a daemon (a session of its own) is out of reach.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Group,
}

impl Process {
    /// Starts `command`, which messages call `name`.
    ///
    /// # Errors
    /// When it cannot be run; if a Debian package is missing, the error names it.
    pub fn spawn(name: impl Into<String>, mut command: Command) -> Result<Process> {
        let name = name.into();
        let group = Group::new()?;
        let child = command
            .process_group(group.id())
            .spawn()
            .with_context(|| cannot_run(&name, &command))?;
        Ok(Process { name, child, group })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its pipes, if it was started with some.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its status if it has ended.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("cannot ask for the state of {}", self.name))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it still runs after the time given.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("{} (pid {}) to end", self.name, self.pid());
        eventually_some(within, what, || self.ended().transpose())?
    }

    /// Sends a signal to the process alone.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!(
                "cannot send {signal} to {}: it has ended, {status}",
                self.name
            );
        }
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Stops it in its tracks: its connections stay open and nothing is read from them.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        let what = format!("{} to pause", self.name);
        eventually(PATIENCE, what, || self.state() == Some('T'))
    }

    /// Lets it go on after [`Process::pause`].
    ///
    /// # Errors
    /// When it has ended already.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it has ended before, or does not end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(PATIENCE)
    }

    /// Ends it and its children at once (SIGKILL).
    pub fn kill(&mut self) {
        self.group.kill();
        // At worst it had ended before. It is killed by itself as well, lest the wait never ends
        // where somebody has killed the leader of the group.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// When it has ended, or belongs to somebody else.
    pub fn descriptors(&self) -> Result<usize> {
        let folder = format!("/proc/{}/fd", self.pid());
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("cannot count the descriptors of {}", self.name))?;
        Ok(entries.count())
    }

    /// Waits until it has `count` descriptors open, or fewer.
    ///
    /// # Errors
    /// When it keeps more; the error says how many.
    pub fn await_descriptors(&self, count: usize) -> Result<()> {
        let waited = eventually(PATIENCE, "", || {
            self.descriptors().is_ok_and(|open| open <= count)
        });
        if waited.is_err() {
            let open = self.descriptors()?;
            bail!(
                "{} has {open} descriptors open and should be back at {count}",
                self.name
            );
        }
        Ok(())
    }

    /// Its resident memory in kB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn rss_kb(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))
            .with_context(|| format!("cannot read the memory of {}", self.name))?;
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmRSS:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse()
                    .ok()
            })
            .with_context(|| format!("{} has no memory any more", self.name))
    }

    /// The processor time that it has used so far, in clock ticks (of a hundredth of a second).
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_ticks(&self) -> Result<u64> {
        let ticks = |at: usize| self.stat()?.split(' ').nth(at)?.parse::<u64>().ok();
        // User and system time: fields 14 and 15 of proc(5), where the state is field 3.
        ticks(11)
            .zip(ticks(12))
            .map(|(user, system)| user + system)
            .with_context(|| format!("cannot read the processor time of {}", self.name))
    }

    /// The letter that the kernel has for its state (`T` is stopped).
    fn state(&self) -> Option<char> {
        self.stat()?.chars().next()
    }

    /// What the kernel tells of it in one line, from its state on.
    fn stat(&self) -> Option<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        Some(stat.rsplit_once(") ")?.1.to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn cannot_run(name: &str, command: &Command) -> String {
    let program = command.get_program().display();
    let missing: Vec<&str> = packages::missing(NeededFor::Tests)
        .iter()
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        format!("cannot run {name} ({program})")
    } else {
        format!(
            "cannot run {name} ({program}); missing Debian packages: {}",
            missing.join(" ")
        )
    }
}

/// A process group whose leader is a shell at the other end of a pipe: when the pipe closes, because
/// this process closed it or died, the shell kills the group and itself.
#[derive(Debug)]
struct Group {
    leader: Child,
}

impl Group {
    fn new() -> Result<Group> {
        let leader = Command::new("/bin/sh")
            .args(["-c", "read -r line; kill -KILL 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot run /bin/sh as the leader of a process group")?;
        Ok(Group { leader })
    }

    fn id(&self) -> i32 {
        self.leader.id().cast_signed()
    }

    fn kill(&mut self) {
        drop(self.leader.stdin.take());
        // The leader always ends; at worst it had ended before.
        let _ = self.leader.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn sleeper() -> Process {
        let mut command = clean_command("/bin/sh");
        command
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped());
        Process::spawn("sleeper", command).unwrap()
    }

    fn grandchild(process: &mut Process) -> String {
        use std::io::BufRead;
        let stdout = process.child().stdout.take().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(stdout)
            .read_line(&mut line)
            .unwrap();
        line.trim().to_owned()
    }

    /// Ended, though perhaps not yet collected by its parent.
    fn is_dead(pid: &str) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, s)| s.starts_with('Z'))
        })
    }

    #[test]
    fn grandchildren_die_with_it() {
        let mut process = sleeper();
        let grandchild = grandchild(&mut process);
        assert!(!is_dead(&grandchild));
        drop(process);
        eventually(PATIENCE, "the grandchild to die", || is_dead(&grandchild)).unwrap();
    }

    #[test]
    fn the_group_dies_when_the_pipe_of_its_leader_closes() {
        let mut process = sleeper();
        let grandchild = grandchild(&mut process);
        // What the kernel does when the test process is killed.
        drop(process.group.leader.stdin.take());
        let status = process.wait(PATIENCE).unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
        eventually(PATIENCE, "the grandchild to die", || is_dead(&grandchild)).unwrap();
    }

    #[test]
    fn it_ends_even_when_the_leader_of_its_group_was_killed() {
        let mut command = clean_command("sleep");
        command.arg("1000");
        let mut process = Process::spawn("sleeper", command).unwrap();
        process.group.leader.kill().unwrap();
        process.kill();
        assert!(process.ended().unwrap().is_some());
    }

    #[test]
    fn a_paused_process_goes_on_when_it_is_resumed() {
        let mut process = sleeper();
        process.pause().unwrap();
        process.resume().unwrap();
        eventually(PATIENCE, "it to run", || process.state() == Some('S')).unwrap();
        let status = process.terminate().unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
    }

    #[test]
    fn an_ended_process_takes_no_signal() {
        let mut process = Process::spawn("true", clean_command("true")).unwrap();
        process.wait(PATIENCE).unwrap();
        let error = process.terminate().unwrap_err().to_string();
        assert!(
            error.contains("cannot send SIGTERM to true: it has ended"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Process::spawn("ghost", clean_command("/no/such/program")).unwrap_err();
        assert!(
            format!("{error:#}").contains("cannot run ghost (/no/such/program)"),
            "{error:#}"
        );
    }

    #[test]
    fn descriptors_and_memory_are_counted() {
        let process = sleeper();
        assert!(process.descriptors().unwrap() >= 3);
        process.await_descriptors(100).unwrap();
        assert!(process.rss_kb().unwrap() > 0);
    }

    #[test]
    fn processor_time_is_counted() {
        let mut command = clean_command("/bin/sh");
        command.args(["-c", "while :; do :; done"]);
        let busy = Process::spawn("busy", command).unwrap();
        eventually(PATIENCE, "ten ticks", || busy.cpu_ticks().unwrap() >= 10).unwrap();
    }

    #[test]
    fn settings_of_peers_are_told_from_others() {
        assert!(is_setting_of_peers("PMPROXY_HOST") && is_setting_of_peers("PCP_CONF"));
        assert!(!is_setting_of_peers("PATH"));
    }
}
