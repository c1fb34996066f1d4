//! The filter before the program's system calls: a list of calls for each machine whose programs the
//! kernel runs, made into the kernel's little language for filters (BPF; seccomp(2)).

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};
use rustix::io::Errno;

/// Sends data with the first packet of a connection, so that there is no connect(2).
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// `connect` as the first argument of `socketcall` (linux/net.h).
#[cfg(target_arch = "x86_64")]
pub(super) const SYS_CONNECT: u32 = 3;

/// What becomes of a call; all that are not named are allowed.
#[derive(Clone, Copy)]
enum Verdict {
    /// The supervisor is asked.
    Ask,
    /// The supervisor is asked if this argument has this value.
    #[cfg(target_arch = "x86_64")]
    AskIf {
        argument: u32,
        is: u32,
    },
    Refuse(Errno),
    /// Refused if this argument has this bit.
    RefuseIf {
        argument: u32,
        bit: u32,
        errno: Errno,
    },
}

/// A system call of a machine.
#[derive(Clone, Copy)]
struct Call(u32, Verdict);

/// A machine, as `AUDIT_ARCH_*` in linux/audit.h names it, and its calls.
struct Machine {
    name: u32,
    calls: Vec<Call>,
}

const fn fast_open(argument: u32) -> Verdict {
    Verdict::RefuseIf {
        argument,
        bit: MSG_FASTOPEN,
        errno: Errno::OPNOTSUPP,
    }
}

/// Connections could be made through its rings without a system call for each.
const NO_RINGS: Verdict = Verdict::Refuse(Errno::NOSYS);

/// `io_uring_setup` has one number on all machines.
const IO_URING_SETUP: u32 = 425;

#[cfg(target_arch = "x86_64")]
mod numbers {
    pub(crate) const NATIVE: u32 = 0xc000_003e;
    pub(crate) const CONNECT: u32 = 42;
    pub(crate) const SENDTO: u32 = 44;
    pub(crate) const SENDMSG: u32 = 46;
    pub(crate) const GETSOCKNAME: u32 = 51;
    pub(crate) const GETPEERNAME: u32 = 52;
    pub(crate) const SETSOCKOPT: u32 = 54;
    pub(crate) const GETSOCKOPT: u32 = 55;
    pub(crate) const SENDMMSG: u32 = 307;

    pub(crate) const NARROW: u32 = 0x4000_0003;
    pub(crate) const NARROW_CONNECT: u32 = 362;
    pub(crate) const NARROW_SOCKETCALL: u32 = 102;
    pub(crate) const NARROW_SENDMMSG: u32 = 345;
    pub(crate) const NARROW_GETPEERNAME: u32 = 368;
    pub(crate) const NARROW_SENDTO: u32 = 369;
    pub(crate) const NARROW_SENDMSG: u32 = 370;

    /// The x32 variant of the machine has this bit in all numbers, and a few numbers of its own.
    pub(crate) const X32: u32 = 0x4000_0000;
    pub(crate) const X32_SENDMSG: u32 = 518;
    pub(crate) const X32_SENDMMSG: u32 = 538;
}

#[cfg(target_arch = "aarch64")]
mod numbers {
    pub(crate) const NATIVE: u32 = 0xc000_00b7;
    pub(crate) const CONNECT: u32 = 203;
    pub(crate) const GETSOCKNAME: u32 = 204;
    pub(crate) const GETPEERNAME: u32 = 205;
    pub(crate) const SETSOCKOPT: u32 = 208;
    pub(crate) const GETSOCKOPT: u32 = 209;
    pub(crate) const SENDTO: u32 = 206;
    pub(crate) const SENDMSG: u32 = 211;
    pub(crate) const SENDMMSG: u32 = 269;

    pub(crate) const NARROW: u32 = 0x4000_0028;
    pub(crate) const NARROW_CONNECT: u32 = 283;
    pub(crate) const NARROW_GETPEERNAME: u32 = 287;
    pub(crate) const NARROW_SENDTO: u32 = 290;
    pub(crate) const NARROW_SENDMSG: u32 = 296;
    pub(crate) const NARROW_SENDMMSG: u32 = 374;
}

pub(super) use numbers::*;

fn machines() -> [Machine; 2] {
    let native = vec![
        Call(CONNECT, Verdict::Ask),
        Call(GETSOCKNAME, Verdict::Ask),
        Call(GETPEERNAME, Verdict::Ask),
        Call(SETSOCKOPT, Verdict::Ask),
        Call(GETSOCKOPT, Verdict::Ask),
        Call(SENDTO, fast_open(3)),
        Call(SENDMSG, fast_open(2)),
        Call(SENDMMSG, fast_open(3)),
        Call(IO_URING_SETUP, NO_RINGS),
    ];
    let narrow = vec![
        Call(NARROW_CONNECT, Verdict::Ask),
        Call(NARROW_GETPEERNAME, Verdict::Ask),
        Call(NARROW_SENDTO, fast_open(3)),
        Call(NARROW_SENDMSG, fast_open(2)),
        Call(NARROW_SENDMMSG, fast_open(3)),
        Call(IO_URING_SETUP, NO_RINGS),
    ];
    #[cfg(target_arch = "x86_64")]
    let (native, narrow) = with_variants(native, narrow);
    [
        Machine {
            name: NATIVE,
            calls: native,
        },
        Machine {
            name: NARROW,
            calls: narrow,
        },
    ]
}

/// Adds the calls of x32, whose programs hardly exist and go without, and the one call that older
/// 32-bit programs have for all that sockets do.
#[cfg(target_arch = "x86_64")]
fn with_variants(mut native: Vec<Call>, mut narrow: Vec<Call>) -> (Vec<Call>, Vec<Call>) {
    let refused = Verdict::Refuse(Errno::NOSYS);
    native.extend([
        Call(X32 | CONNECT, refused),
        Call(X32 | SENDTO, fast_open(3)),
        Call(X32 | X32_SENDMSG, fast_open(2)),
        Call(X32 | X32_SENDMMSG, fast_open(3)),
        Call(X32 | IO_URING_SETUP, NO_RINGS),
    ]);
    let is_connect = Verdict::AskIf {
        argument: 0,
        is: SYS_CONNECT,
    };
    narrow.push(Call(NARROW_SOCKETCALL, is_connect));
    (native, narrow)
}

/// The filter.
pub(super) fn program() -> Vec<sock_filter> {
    let mut program = vec![load(OFFSET_OF_MACHINE)];
    for machine in machines() {
        let mut block = vec![load(OFFSET_OF_NUMBER)];
        for call in machine.calls {
            let verdict = judge(call.1);
            block.push(unless(BPF_JEQ, call.0, verdict.len()));
            block.extend(verdict);
        }
        block.push(answer(libc::SECCOMP_RET_ALLOW));
        program.push(unless(BPF_JEQ, machine.name, block.len()));
        program.extend(block);
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

fn judge(verdict: Verdict) -> Vec<sock_filter> {
    let ask = answer(libc::SECCOMP_RET_USER_NOTIF);
    let conditional = |argument, test, value, then| {
        vec![
            load(offset_of_argument(argument)),
            unless(test, value, 1),
            then,
            answer(libc::SECCOMP_RET_ALLOW),
        ]
    };
    match verdict {
        Verdict::Ask => vec![ask],
        #[cfg(target_arch = "x86_64")]
        Verdict::AskIf { argument, is } => conditional(argument, BPF_JEQ, is, ask),
        Verdict::Refuse(errno) => vec![refuse(errno)],
        Verdict::RefuseIf {
            argument,
            bit,
            errno,
        } => conditional(argument, BPF_JSET, bit, refuse(errno)),
    }
}

/// Offsets in `struct seccomp_data`: number, machine, instruction's address, six arguments.
const OFFSET_OF_NUMBER: u32 = 0;
const OFFSET_OF_MACHINE: u32 = 4;

/// The lower half of an argument, which comes first on these machines.
const fn offset_of_argument(argument: u32) -> u32 {
    16 + 8 * argument
}

const fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, offset)
}

const fn answer(value: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, value)
}

const fn refuse(errno: Errno) -> sock_filter {
    answer(libc::SECCOMP_RET_ERRNO | errno.raw_os_error().cast_unsigned())
}

/// Goes on with the next instruction if the test holds, and skips some if not.
fn unless(test: u32, value: u32, skipped: usize) -> sock_filter {
    // The tests below see that no list is longer than a jump.
    let skipped = u8::try_from(skipped).unwrap_or(u8::MAX);
    instruction(BPF_JMP | test | BPF_K, skipped, value)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "all codes of BPF fit into a byte; it is libc's type that is larger"
)]
const fn instruction(code: u32, otherwise: u8, value: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: otherwise,
        k: value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel does.
    fn verdict(machine: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend_from_slice(&number.to_le_bytes());
        data.extend_from_slice(&machine.to_le_bytes());
        data.extend_from_slice(&[0; 8]);
        for argument in arguments {
            data.extend_from_slice(&argument.to_le_bytes());
        }
        let program = program();
        let (mut at, mut loaded) = (0, 0);
        loop {
            let sock_filter { code, jf, k, .. } = program[at];
            at += 1;
            let code = u32::from(code);
            if code == BPF_RET | BPF_K {
                return k;
            } else if code == BPF_LD | BPF_W | BPF_ABS {
                let bytes = &data[k as usize..k as usize + 4];
                loaded = u32::from_le_bytes(bytes.try_into().unwrap());
            } else {
                let holds = if code == BPF_JMP | BPF_JEQ | BPF_K {
                    loaded == k
                } else {
                    loaded & k != 0
                };
                at += if holds { 0 } else { usize::from(jf) };
            }
        }
    }

    const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    fn refusal(errno: Errno) -> u32 {
        refuse(errno).k
    }

    #[test]
    fn connections_are_asked_about_and_reading_is_not() {
        for number in [CONNECT, GETSOCKNAME, GETPEERNAME, GETSOCKOPT] {
            assert_eq!(verdict(NATIVE, number, [0; 6]), ASK);
        }
        for number in [NARROW_CONNECT, NARROW_GETPEERNAME] {
            assert_eq!(verdict(NARROW, number, [0; 6]), ASK);
        }
        for machine in [NATIVE, NARROW, 0x1234] {
            for number in [0, 1, 3, 60, 500, 0xffff_ffff] {
                assert_eq!(verdict(machine, number, [u64::MAX; 6]), ALLOW);
            }
        }
        assert_eq!(verdict(0x1234, CONNECT, [0; 6]), ALLOW);
    }

    #[test]
    fn connections_that_nobody_would_see_are_refused() {
        for machine in [NATIVE, NARROW] {
            assert_eq!(
                verdict(machine, IO_URING_SETUP, [0; 6]),
                refusal(Errno::NOSYS)
            );
        }
        let calls = [
            (NATIVE, SENDTO, 3),
            (NATIVE, SENDMSG, 2),
            (NATIVE, SENDMMSG, 3),
            (NARROW, NARROW_SENDTO, 3),
            (NARROW, NARROW_SENDMSG, 2),
            (NARROW, NARROW_SENDMMSG, 3),
        ];
        for (machine, number, argument) in calls {
            let mut arguments = [0; 6];
            arguments[argument] = 0x4000;
            assert_eq!(verdict(machine, number, arguments), ALLOW);
            arguments[argument] |= u64::from(MSG_FASTOPEN);
            let refused = refusal(Errno::OPNOTSUPP);
            assert_eq!(verdict(machine, number, arguments), refused);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn variants_of_the_machine_are_known() {
        let refused = refusal(Errno::NOSYS);
        assert_eq!(verdict(NATIVE, X32 | CONNECT, [0; 6]), refused);
        assert_eq!(verdict(NATIVE, X32 | IO_URING_SETUP, [0; 6]), refused);
        assert_eq!(verdict(NATIVE, X32 | 1, [0; 6]), ALLOW);
        let call = |which| verdict(NARROW, NARROW_SOCKETCALL, [which, 0, 0, 0, 0, 0]);
        assert_eq!((call(3), call(1)), (ASK, ALLOW));
    }

    #[test]
    fn no_jump_is_longer_than_its_field() {
        assert!(program().iter().all(|instruction| instruction.jf < u8::MAX));
        assert!(program().len() < 4096);
    }
}
