//! Tells whether a thread's call comes from libpcp. It sets a socket not to block, connects it, and then
//! waits for 5 seconds whatever PMCD_CONNECT_TIMEOUT says. So it can as well wait in connect(2), for as
//! long as that variable allows, as it does with the library that is loaded into programs.

use std::fs;
use std::ops::Range;

use super::tracee::Tracee;

/// How many words of the stack are looked at. The C library's part of it is a few words.
const WORDS: usize = 32;

/// Whether libpcp called the function that made the call which the thread waits in.
pub(super) fn has_called(tracee: Tracee) -> bool {
    let code = fs::read_to_string(format!("/proc/{}/maps", tracee.thread)).unwrap_or_default();
    let code: Vec<Range<u64>> = code.lines().filter_map(code_of_libpcp).collect();
    !code.is_empty()
        && stack(tracee)
            .iter()
            .any(|word| code.iter().any(|range| range.contains(word)))
}

/// The top of a thread's stack, where the addresses are that its functions return to.
fn stack(tracee: Tracee) -> Vec<u64> {
    let mut bytes = [0; 8 * WORDS];
    let state = fs::read_to_string(format!("/proc/{}/syscall", tracee.thread));
    let top = state.ok().and_then(|state| stack_pointer(&state));
    if top.is_none_or(|top| tracee.read(top, &mut bytes).is_err()) {
        return Vec::new();
    }
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u64::from_ne_bytes(*word)).collect()
}

/// The last but one of what /proc/PID/syscall has (proc(5)).
fn stack_pointer(state: &str) -> Option<u64> {
    let word = state.split_ascii_whitespace().rev().nth(1)?;
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// The addresses in a line of /proc/PID/maps, if libpcp's instructions are there.
fn code_of_libpcp(line: &str) -> Option<Range<u64>> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let (_, name) = words.nth(3)?.rsplit_once('/')?;
    if !rights.contains('x') || !name.starts_with("libpcp.so") {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_instructions_are_found() {
        let line = |rights, path| {
            let text = format!("7f00001000-7f00002000 {rights} 00024000 fe:00 1234   {path}");
            code_of_libpcp(&text)
        };
        let there = Some(0x7f_0000_1000..0x7f_0000_2000);
        assert_eq!(line("r-xp", "/usr/lib/libpcp.so.3"), there);
        assert_eq!(line("r--p", "/usr/lib/libpcp.so.3"), None);
        assert_eq!(line("r-xp", "/usr/lib/libpcp_web.so.1"), None);
        assert_eq!(line("r-xp", ""), None);
    }

    #[test]
    fn the_stack_of_a_waiting_thread_is_found() {
        let waiting = "42 0x3 0x7ffd0 0x10 0x0 0x0 0x0 0x7ffc8 0x7f001234\n";
        assert_eq!(stack_pointer(waiting), Some(0x7ffc8));
        assert_eq!(stack_pointer("running\n"), None);
    }
}
