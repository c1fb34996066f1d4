//! Looks for the instruction that makes a system call. On machines whose instructions differ in length
//! the bytes of it may also be part of others, so code is decoded from the start of the function on.

/// A piece of machine code.
pub(super) struct Code<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it will be, relative to the program.
    pub(super) address: u64,
}

/// How many bytes the instruction has.
#[cfg(target_arch = "x86_64")]
pub(super) const LENGTH: usize = 2;
#[cfg(target_arch = "aarch64")]
pub(super) const LENGTH: usize = SVC.len();

/// Whether its bytes are among these, be it inside of another instruction or across two.
#[cfg(target_arch = "x86_64")]
pub(super) fn may_make_system_calls(bytes: &[u8]) -> bool {
    candidates(bytes).next().is_some()
}

#[cfg(target_arch = "aarch64")]
pub(super) fn may_make_system_calls(bytes: &[u8]) -> bool {
    bytes.windows(LENGTH).any(|window| window == SVC)
}

#[cfg(target_arch = "x86_64")]
impl Code<'_> {
    /// Whether one of the instructions is `syscall`. `starts` are the addresses where functions start,
    /// in order; some or all may be missing.
    pub(super) fn makes_system_calls(&self, starts: impl FnOnce() -> Vec<u64>) -> bool {
        use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};

        let mut candidates = candidates(self.bytes).peekable();
        // Most programs have none, and a decoder has large tables to make first.
        if candidates.peek().is_none() {
            return false;
        }
        let starts = starts();
        let mut decoder = Decoder::with_ip(64, self.bytes, self.address, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        for found in candidates {
            let start = self.function_around(found, &starts);
            // Going on from the candidate before is as good as from the function's start, and a piece
            // without known functions is decoded once instead of once for each candidate.
            if start > decoder.position() {
                // It can't fail: the start is inside the code.
                let _ = decoder.set_position(start);
            }
            while decoder.position() < found {
                decoder.decode_out(&mut instruction);
            }
            if decoder.position() == found {
                decoder.decode_out(&mut instruction);
                if instruction.mnemonic() == Mnemonic::Syscall {
                    return true;
                }
            }
        }
        false
    }

    /// Where decoding has to begin to come to `position`.
    fn function_around(&self, position: usize, starts: &[u64]) -> usize {
        let address = self.address + position as u64;
        let before = starts.partition_point(|start| *start <= address);
        let start = before
            .checked_sub(1)
            .map_or(self.address, |last| starts[last]);
        usize::try_from(start.saturating_sub(self.address)).unwrap_or(0)
    }
}

/// Where the bytes of a `syscall` are. Blocks are looked through without a branch, so that the compiler
/// does it with the vectors that every machine has: a library that first asks which others there are
/// takes longer for that than for the code of most programs.
#[cfg(target_arch = "x86_64")]
fn candidates(bytes: &[u8]) -> impl Iterator<Item = usize> {
    const BLOCK: usize = 256;
    let is_syscall = |pair: &[u8]| pair[0] == 0x0f && pair[1] == 0x05;
    (0..bytes.len()).step_by(BLOCK).flat_map(move |from| {
        // The first byte of the next block ends a pair that begins in this one.
        let block = &bytes[from..bytes.len().min(from + BLOCK + 1)];
        let pairs = block.iter().zip(&block[1..]);
        let has_one = pairs.fold(false, |found, (first, second)| {
            found | ((*first == 0x0f) & (*second == 0x05))
        });
        let block = if has_one { block } else { &[] };
        let found = block.windows(2).enumerate();
        found
            .filter(move |(_, pair)| is_syscall(pair))
            .map(move |(at, _)| from + at)
    })
}

/// `svc #0`.
#[cfg(target_arch = "aarch64")]
const SVC: [u8; 4] = 0xd400_0001_u32.to_le_bytes();

#[cfg(target_arch = "aarch64")]
impl Code<'_> {
    /// Whether one of the instructions is `svc #0`. All are four bytes long, so it is not needed to know
    /// where functions start.
    pub(super) fn makes_system_calls(&self, _starts: impl FnOnce() -> Vec<u64>) -> bool {
        self.bytes.chunks_exact(4).any(|word| word == SVC)
    }
}

/// The starts of functions out of `.eh_frame_hdr`, the index by which exceptions find their way. It
/// survives stripping. Only the one format that linkers write is read; an empty list is the answer to
/// every other. Format: Linux Standard Base, "The .eh_frame_hdr section".
pub(super) fn function_starts(index: &[u8], address: u64) -> Vec<u64> {
    /// Version 1; a signed 32-bit pointer relative to itself; an unsigned 32-bit count; a table of
    /// signed 32-bit values relative to the index.
    const USUAL: [u8; 4] = [1, 0x1b, 0x03, 0x3b];
    const HEAD: usize = 12;
    const ENTRY: usize = 8;
    if !index.starts_with(&USUAL) || index.len() < HEAD {
        return Vec::new();
    }
    let entries = index[HEAD..].chunks_exact(ENTRY);
    let mut starts: Vec<u64> = entries
        .map(|entry| {
            let relative = i32::from_ne_bytes([entry[0], entry[1], entry[2], entry[3]]);
            address.wrapping_add_signed(relative.into())
        })
        .collect();
    starts.sort_unstable();
    starts
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn makes_system_calls(bytes: &[u8], starts: &[u64]) -> bool {
        let code = Code {
            bytes,
            address: 0x1000,
        };
        code.makes_system_calls(|| starts.to_vec())
    }

    #[test]
    fn the_instruction_is_found() {
        // mov eax, 42; syscall; ret
        assert!(makes_system_calls(
            &[0xb8, 42, 0, 0, 0, 0x0f, 0x05, 0xc3],
            &[]
        ));
        assert!(!makes_system_calls(&[0xb8, 42, 0, 0, 0, 0xc3], &[]));
        assert!(!makes_system_calls(&[], &[]));
    }

    #[test]
    fn all_candidates_are_found_at_the_edges_of_blocks_too() {
        for length in [0, 1, 2, 255, 256, 257, 258, 512, 600] {
            for at in 0..length {
                let mut bytes = vec![0x0f; length];
                bytes[at] = 0x05;
                let expected: Vec<_> = at.checked_sub(1).into_iter().collect();
                let found: Vec<_> = candidates(&bytes).collect();
                assert_eq!(found, expected, "{at} of {length}");
            }
        }
    }

    #[test]
    fn the_same_bytes_inside_another_instruction_do_not_count() {
        // mov eax, 0x050f; ret
        assert!(!makes_system_calls(&[0xb8, 0x0f, 0x05, 0, 0, 0xc3], &[]));
        // Twice, and then the real one.
        let bytes = [0xb8, 0x0f, 0x05, 0, 0, 0xb8, 0x0f, 0x05, 0, 0, 0x0f, 0x05];
        assert!(makes_system_calls(&bytes, &[]));
    }

    #[test]
    fn data_before_a_function_does_not_hide_its_instructions() {
        // The first byte would swallow the instruction, were it decoded as code.
        let bytes = [0xb8, 0x0f, 0x05, 0xc3, 0, 0];
        assert!(!makes_system_calls(&bytes, &[]));
        assert!(makes_system_calls(&bytes, &[0x1001]));
    }

    #[test]
    fn the_index_of_functions_is_read() {
        let mut index = vec![1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0, 2, 0, 0, 0];
        for relative in [16_i32, -16] {
            index.extend_from_slice(&relative.to_ne_bytes());
            index.extend_from_slice(&[0; 4]);
        }
        assert_eq!(function_starts(&index, 0x2000), [0x1ff0, 0x2010]);
        assert_eq!(function_starts(&index[..8], 0x2000), [0; 0]);
        assert_eq!(function_starts(b"\x01\xff\x03\x3b________", 0x2000), [0; 0]);
    }
}
