//! What the headers of an ELF file tell: machine, loader, and where the machine code is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use elf::ElfStream;
use elf::abi;
use elf::endian::AnyEndian;
use elf::parse::ParseError;
use elf::segment::ProgramHeader;

use super::machine_code::{self, Code};
use super::{Kind, NoLibrary, RawCalls};

/// Machine and loader that the library is built for.
#[cfg(target_arch = "x86_64")]
const OURS: (u16, &str) = (abi::EM_X86_64, "ld-linux-x86-64.so.2");
#[cfg(target_arch = "aarch64")]
const OURS: (u16, &str) = (abi::EM_AARCH64, "ld-linux-aarch64.so.1");

/// Where an ELF file says which machine it is for, after its identification.
const MACHINE: usize = abi::EI_NIDENT + 2;

/// Sections that only Go's linker makes.
const GO_SECTIONS: [&str; 2] = [".note.go.buildid", ".go.buildinfo"];

/// Most bytes of machine code that are looked through; the largest browsers have half of it.
const MAX_CODE: u64 = 512 << 20;

/// Judges an ELF file by its first bytes, and then by the rest. What can't be made sense of is left to
/// the supervisor, who needs no file.
pub(super) fn kind(head: &[u8], file: File) -> Kind {
    let field = |at: usize| head.get(at).copied().unwrap_or_default();
    if field(abi::EI_CLASS) == abi::ELFCLASS32 {
        return Kind::NoLibrary(NoLibrary::Narrow);
    }
    let machine = [field(MACHINE), field(MACHINE + 1)];
    let machine = match field(abi::EI_DATA) {
        abi::ELFDATA2MSB => u16::from_be_bytes(machine),
        _ => u16::from_le_bytes(machine),
    };
    if machine != OURS.0 {
        return Kind::NoLibrary(NoLibrary::Machine);
    }
    let judged = file
        .try_clone()
        .map_err(ParseError::from)
        .and_then(|reader| judge(file, reader));
    judged.unwrap_or(Kind::RawCalls(RawCalls::Unknown))
}

fn judge(file: File, mut reader: File) -> Result<Kind, ParseError> {
    let mut elf = ElfStream::<AnyEndian, _>::open_stream(file)?;
    let segments = elf.segments().clone();
    let Some(interpreter) = find(&segments, abi::PT_INTERP) else {
        return Ok(Kind::NoLibrary(NoLibrary::Static));
    };
    let named = text(&read_at(
        &mut reader,
        interpreter.p_offset,
        interpreter.p_filesz,
    )?);
    if named.rsplit('/').next() != Some(OURS.1) {
        return Ok(Kind::NoLibrary(NoLibrary::Loader(named)));
    }
    for section in GO_SECTIONS {
        if elf.section_header_by_name(section)?.is_some() {
            return Ok(Kind::RawCalls(RawCalls::Go));
        }
    }
    let starts = match find(&segments, abi::PT_GNU_EH_FRAME) {
        Some(index) => {
            let bytes = read_at(&mut reader, index.p_offset, index.p_filesz)?;
            machine_code::function_starts(&bytes, index.p_vaddr)
        }
        None => Vec::new(),
    };
    for (offset, address, length) in executable_parts(&mut elf)? {
        let bytes = read_at(&mut reader, offset, length)?;
        let code = Code {
            bytes: &bytes,
            address,
            starts: &starts,
        };
        if code.makes_system_calls() {
            return Ok(Kind::RawCalls(RawCalls::Instructions));
        }
    }
    Ok(Kind::Dynamic)
}

fn find(segments: &[ProgramHeader], kind: u32) -> Option<&ProgramHeader> {
    segments.iter().find(|segment| segment.p_type == kind)
}

/// Offset, address and length of what holds machine code: sections, or segments where the table of
/// sections was stripped.
fn executable_parts(
    elf: &mut ElfStream<AnyEndian, File>,
) -> Result<Vec<(u64, u64, u64)>, ParseError> {
    let sections = elf.section_headers().iter().filter(|section| {
        section.sh_flags & u64::from(abi::SHF_EXECINSTR) != 0
            && section.sh_type == abi::SHT_PROGBITS
    });
    let parts: Vec<_> = sections
        .map(|section| (section.sh_offset, section.sh_addr, section.sh_size))
        .collect();
    if !parts.is_empty() {
        return Ok(parts);
    }
    let segments = elf
        .segments()
        .iter()
        .filter(|segment| segment.p_type == abi::PT_LOAD && segment.p_flags & abi::PF_X != 0);
    Ok(segments
        .map(|segment| (segment.p_offset, segment.p_vaddr, segment.p_filesz))
        .collect())
}

fn read_at(file: &mut File, offset: u64, length: u64) -> Result<Vec<u8>, io::Error> {
    if length > MAX_CODE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    file.seek(SeekFrom::Start(offset))?;
    // One more than there is, so that the end is found without another place for it.
    let room = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = Vec::with_capacity(room + 1);
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}
