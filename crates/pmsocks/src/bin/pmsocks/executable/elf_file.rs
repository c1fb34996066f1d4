//! What the headers of an ELF file tell: machine, loader, and where the machine code is.

use std::borrow::Cow;
use std::fs::File;
use std::io;

use elf::abi;
use elf::endian::AnyEndian;
use elf::file::{Class, ELF64_EHDR_TAILSIZE, FileHeader, parse_ident};
use elf::parse::ParseError;
use elf::section::{Elf64_Shdr, SectionHeader, SectionHeaderTable};
use elf::segment::{Elf64_Phdr, ProgramHeader, SegmentTable};
use elf::string_table::StringTable;
use rustix::buffer::spare_capacity;
use rustix::io::{pread, retry_on_intr};

use super::machine_code::{self, Code};
use super::{Kind, NoLibrary, RawCalls};

/// Machine and loader that the library is built for.
#[cfg(target_arch = "x86_64")]
const OURS: (u16, &str) = (abi::EM_X86_64, "ld-linux-x86-64.so.2");
#[cfg(target_arch = "aarch64")]
const OURS: (u16, &str) = (abi::EM_AARCH64, "ld-linux-aarch64.so.1");

/// Sections that only Go's linker makes.
const GO_SECTIONS: [&[u8]; 2] = [b".note.go.buildid", b".go.buildinfo"];

/// Most bytes of machine code that are looked through; the largest browsers have half of it.
const MAX_CODE: u64 = 512 << 20;

/// How much of it is read at a time, to begin with.
const PIECE: usize = 8 << 10;

/// An ELF file of 64 bits.
pub(super) struct ElfFile<'a> {
    /// Its first bytes, which most often have all that is about segments.
    pub(super) head: &'a [u8],
    pub(super) file: &'a File,
}

/// Where in the file there is machine code, and at which address it will be.
struct Part {
    offset: u64,
    address: u64,
    length: u64,
}

impl ElfFile<'_> {
    /// Judges it. What can't be made sense of is left to the supervisor, who needs no file.
    pub(super) fn kind(&self) -> Kind {
        let unknown = Kind::RawCalls(RawCalls::Unknown);
        let Ok(ident) = parse_ident::<AnyEndian>(self.head) else {
            return unknown;
        };
        if ident.1 == Class::ELF32 {
            return Kind::NoLibrary(NoLibrary::Narrow);
        }
        let tail = abi::EI_NIDENT..abi::EI_NIDENT + ELF64_EHDR_TAILSIZE;
        let header = self
            .head
            .get(tail)
            .map(|tail| FileHeader::parse_tail(ident, tail));
        let Some(Ok(header)) = header else {
            return unknown;
        };
        if header.e_machine != OURS.0 {
            return Kind::NoLibrary(NoLibrary::Machine);
        }
        self.judge(&header).unwrap_or(unknown)
    }

    fn judge(&self, header: &FileHeader<AnyEndian>) -> Result<Kind, ParseError> {
        let entry = (header.e_phentsize, size_of::<Elf64_Phdr>());
        let table = self.table(header.e_phoff, header.e_phnum, entry)?;
        let segments = SegmentTable::new(header.endianness, header.class, &table);
        let Some(interpreter) = find(&segments, abi::PT_INTERP) else {
            return Ok(Kind::NoLibrary(NoLibrary::Static));
        };
        let named = text(&self.read(interpreter.p_offset, interpreter.p_filesz)?);
        if named.rsplit('/').next() != Some(OURS.1) {
            return Ok(Kind::NoLibrary(NoLibrary::Loader(named)));
        }
        if !self.may_make_system_calls(&segments)? {
            return Ok(Kind::Dynamic);
        }
        let entry = (header.e_shentsize, size_of::<Elf64_Shdr>());
        let table = self.table(header.e_shoff, header.e_shnum, entry)?;
        let sections = SectionHeaderTable::new(header.endianness, header.class, &table);
        if self.is_go(&sections, header.e_shstrndx.into())? {
            return Ok(Kind::RawCalls(RawCalls::Go));
        }
        let starts = || self.function_starts(&segments).unwrap_or_default();
        for part in executable_parts(&sections, &segments) {
            let code = Code {
                bytes: &self.read(part.offset, part.length)?,
                address: part.address,
            };
            if code.makes_system_calls(starts) {
                return Ok(Kind::RawCalls(RawCalls::Instructions));
            }
        }
        Ok(Kind::Dynamic)
    }

    /// Whether the bytes of the instruction are anywhere among what is executed. Most programs have them
    /// nowhere, and then it need not be known where functions and sections are.
    fn may_make_system_calls(&self, segments: &SegmentTable<'_, AnyEndian>) -> io::Result<bool> {
        let mut bytes = Vec::with_capacity(PIECE);
        for part in executable_segments(segments) {
            let end = end(part.offset, part.length)?;
            let mut at = part.offset;
            while at < end {
                bytes.clear();
                let length = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
                self.read_into(&mut bytes, at, length)?;
                if machine_code::may_make_system_calls(&bytes) {
                    return Ok(true);
                }
                at += length as u64;
                // The instruction may lie across the end of a piece.
                if at < end {
                    at -= machine_code::LENGTH as u64 - 1;
                }
            }
        }
        Ok(false)
    }

    /// A table of entries that have this size, and should have that.
    fn table(
        &self,
        offset: u64,
        entries: u16,
        (size, usual): (u16, usize),
    ) -> Result<Cow<'_, [u8]>, ParseError> {
        if entries != 0 && usize::from(size) != usual {
            return Err(ParseError::BadEntsize((size.into(), usual as u64)));
        }
        Ok(self.read(offset, u64::from(entries) * u64::from(size))?)
    }

    fn is_go(
        &self,
        sections: &SectionHeaderTable<'_, AnyEndian>,
        names: usize,
    ) -> Result<bool, ParseError> {
        // The index stands for no names.
        if names == usize::from(abi::SHN_UNDEF) || sections.is_empty() {
            return Ok(false);
        }
        let names = sections.get(names)?;
        let names = self.read(names.sh_offset, names.sh_size)?;
        let names = StringTable::new(&names);
        let is_go = |section: SectionHeader| {
            let name = names.get_raw(section.sh_name as usize);
            name.is_ok_and(|name| GO_SECTIONS.contains(&name))
        };
        Ok(sections.iter().any(is_go))
    }

    /// The addresses at which functions start, in order.
    fn function_starts(&self, segments: &SegmentTable<'_, AnyEndian>) -> io::Result<Vec<u64>> {
        let Some(index) = find(segments, abi::PT_GNU_EH_FRAME) else {
            return Ok(Vec::new());
        };
        let bytes = self.read(index.p_offset, index.p_filesz)?;
        Ok(machine_code::function_starts(&bytes, index.p_vaddr))
    }

    /// A piece of the file.
    fn read(&self, offset: u64, length: u64) -> io::Result<Cow<'_, [u8]>> {
        let too_large = |_| io::ErrorKind::FileTooLarge;
        let end = usize::try_from(end(offset, length)?).map_err(too_large)?;
        let start = usize::try_from(offset).map_err(too_large)?;
        if let Some(known) = self.head.get(start..end) {
            return Ok(Cow::Borrowed(known));
        }
        let mut bytes = Vec::with_capacity(end - start);
        self.read_into(&mut bytes, offset, end - start)?;
        Ok(Cow::Owned(bytes))
    }

    /// Reads `length` bytes into `bytes`, which is empty and has room for them.
    fn read_into(&self, bytes: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<()> {
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            match retry_on_intr(|| pread(self.file, spare_capacity(bytes), at))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => bytes.truncate(length),
            }
        }
        Ok(())
    }
}

/// Where a piece of a file ends that is not too large.
fn end(offset: u64, length: u64) -> io::Result<u64> {
    let end = offset.checked_add(length).filter(|_| length <= MAX_CODE);
    end.ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

fn find(segments: &SegmentTable<'_, AnyEndian>, kind: u32) -> Option<ProgramHeader> {
    segments.iter().find(|segment| segment.p_type == kind)
}

/// What holds machine code: sections, or segments where the table of sections was stripped.
fn executable_parts(
    sections: &SectionHeaderTable<'_, AnyEndian>,
    segments: &SegmentTable<'_, AnyEndian>,
) -> Vec<Part> {
    let is_code = |section: &SectionHeader| {
        section.sh_flags & u64::from(abi::SHF_EXECINSTR) != 0
            && section.sh_type == abi::SHT_PROGBITS
    };
    let parts: Vec<_> = sections
        .iter()
        .filter(is_code)
        .map(|section| Part {
            offset: section.sh_offset,
            address: section.sh_addr,
            length: section.sh_size,
        })
        .collect();
    if !parts.is_empty() {
        return parts;
    }
    executable_segments(segments).collect()
}

fn executable_segments(segments: &SegmentTable<'_, AnyEndian>) -> impl Iterator<Item = Part> {
    let is_code = |segment: &ProgramHeader| {
        segment.p_type == abi::PT_LOAD && segment.p_flags & abi::PF_X != 0
    };
    segments.iter().filter(is_code).map(|segment| Part {
        offset: segment.p_offset,
        address: segment.p_vaddr,
        length: segment.p_filesz,
    })
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}
