//! Which ELF files can be loaded, and what their segments are. Static, fixed-address x86-64 programs only
//! (System V ABI, "ELF-64 Object File Format"); whatever could make a page writable and executable, reach outside
//! of user addresses, lie where the stack or the start block has to be, or mean two things at once is refused with the
//! reason. The file may be anybody's: nothing in it is believed before it has been compared with the file's length.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use elf::ElfBytes;
use elf::abi::{ELFCLASS64, ELFDATA2LSB, ELFMAGIC, EM_X86_64, ET_EXEC, PF_W, PF_X, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;
use fos_abi::limits::{PAGE_SIZE, USER_END, USER_START};
use fos_abi::space::MapFlags;
use fos_messages::start::{Guest, GuestSegment};

use crate::layout::{BLOCK_ADDRESS, BLOCK_PAGES, STACK_PAGES, STACK_TOP};

const PAGE: u64 = PAGE_SIZE as u64;
/// Segments of one program.
pub const SEGMENTS_MAX: usize = 32;
/// Pages of one program's image: 256 MiB.
pub const PAGES_MAX: u64 = 65536;
/// Bytes of an ELF-64 program header.
const HEADER_SIZE: u64 = 56;
/// Pages that every program has beside its file's, by number: the start block, and the first stack with a page below it
/// that stays empty, so that a stack that overflows runs into nothing.
pub const RESERVED: [Range<u64>; 2] = [
    BLOCK_ADDRESS / PAGE..BLOCK_ADDRESS / PAGE + BLOCK_PAGES,
    STACK_TOP / PAGE - STACK_PAGES - 1..STACK_TOP / PAGE,
];

/// A part of the file that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its pages, by number.
    pub pages: Range<u64>,
    /// How they are mapped.
    pub flags: MapFlags,
    /// Where its bytes begin, in bytes from the start of the first page.
    pub offset: usize,
    /// Its bytes in the file; the rest is zero.
    pub file: Range<usize>,
}

impl Segment {
    /// Whether each process has its own. What nobody can write, all processes of a program have in common.
    pub fn is_writable(&self) -> bool {
        self.flags.contains(MapFlags::WRITE)
    }
}

/// A program that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// Sorted by address; no two share a page.
    pub segments: Vec<Segment>,
    /// Entry point and program headers in memory.
    pub guest: Guest,
}

/// Why a file cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Not an ELF file, or one cut off.
    NotElf,
    /// For another machine, or not a 64-bit little-endian program.
    OtherMachine,
    /// Not linked to fixed addresses: position-independent, a library, an object file.
    NotFixed,
    /// Needs a dynamic linker.
    Dynamic,
    /// A segment's file bytes are not in the file, or are more than its memory.
    OutsideFile,
    /// A segment is outside of user addresses.
    OutsideUser,
    /// A segment is writable and executable.
    WritableCode,
    /// Two segments share a page.
    Overlap,
    /// A segment is where the stack or the start block has to be.
    Reserved,
    /// More segments or pages than one program may have.
    TooLarge,
    /// The entry point is at no byte that the file has for an executable segment.
    NoEntry,
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            LoadError::NotElf => "it is no ELF file, or cut off",
            LoadError::OtherMachine => "it is not a 64-bit x86 program",
            LoadError::NotFixed => "it is not linked to fixed addresses (link it with -static -no-pie)",
            LoadError::Dynamic => "it needs a dynamic linker (link it with -static)",
            LoadError::OutsideFile => "a segment's bytes are not in the file",
            LoadError::OutsideUser => "a segment is outside of user addresses",
            LoadError::WritableCode => "a segment is both writable and executable",
            LoadError::Overlap => "two segments share a page",
            LoadError::Reserved => "a segment is where the stack or the start block has to be",
            LoadError::TooLarge => "it has more than 32 segments or 256 MiB",
            LoadError::NoEntry => "its entry point is in no executable segment",
        })
    }
}

impl core::error::Error for LoadError {}

/// Reads and checks a file.
pub fn parse(file: &[u8]) -> Result<Executable, LoadError> {
    if file.starts_with(&ELFMAGIC) && file.get(4..6) != Some(&[ELFCLASS64, ELFDATA2LSB]) {
        return Err(LoadError::OtherMachine);
    }
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|_| LoadError::NotElf)?;
    let header = elf.ehdr;
    if header.e_machine != EM_X86_64 {
        return Err(LoadError::OtherMachine);
    }
    if header.e_type != ET_EXEC {
        return Err(LoadError::NotFixed);
    }
    let table = elf.segments().ok_or(LoadError::NotElf)?;
    if table.iter().any(|segment| segment.p_type == PT_INTERP) {
        return Err(LoadError::Dynamic);
    }
    let loaded = table.iter().filter(|segment| segment.p_type == PT_LOAD && !is_empty(segment));
    let mut segments = Vec::new();
    for program_header in loaded {
        if segments.len() == SEGMENTS_MAX {
            return Err(LoadError::TooLarge);
        }
        segments.push(segment(&program_header, file.len())?);
    }
    segments.sort_by_key(|segment| segment.pages.start);
    check_together(&segments, header.e_entry)?;
    let guest = Guest {
        entry: header.e_entry,
        headers: address_of_headers(&segments, header.e_phoff),
        header_size: HEADER_SIZE,
        header_count: u64::from(header.e_phnum),
        segments: segments.iter().map(guest_segment).collect(),
    };
    Ok(Executable { segments, guest })
}

/// Whether a header is about no bytes at all, of memory or of the file.
fn is_empty(header: &ProgramHeader) -> bool {
    header.p_memsz == 0 && header.p_filesz == 0
}

fn segment(header: &ProgramHeader, file_length: usize) -> Result<Segment, LoadError> {
    let file_end = header.p_offset.checked_add(header.p_filesz).ok_or(LoadError::OutsideFile)?;
    if file_end > file_length as u64 || header.p_filesz > header.p_memsz {
        return Err(LoadError::OutsideFile);
    }
    let end = header.p_vaddr.checked_add(header.p_memsz).ok_or(LoadError::OutsideUser)?;
    if header.p_vaddr < USER_START || end > USER_END {
        return Err(LoadError::OutsideUser);
    }
    Ok(Segment {
        pages: header.p_vaddr / PAGE..end.div_ceil(PAGE),
        flags: flags(header.p_flags)?,
        offset: (header.p_vaddr % PAGE) as usize,
        file: header.p_offset as usize..file_end as usize,
    })
}

/// The segment as a personality is told of it.
fn guest_segment(segment: &Segment) -> GuestSegment {
    GuestSegment {
        start: segment.pages.start * PAGE,
        end: segment.pages.end * PAGE,
        write: segment.flags.contains(MapFlags::WRITE),
        execute: segment.flags.contains(MapFlags::EXECUTE),
    }
}

fn flags(bits: u32) -> Result<MapFlags, LoadError> {
    match (bits & PF_W != 0, bits & PF_X != 0) {
        (true, true) => Err(LoadError::WritableCode),
        (true, false) => Ok(MapFlags::WRITE),
        (false, true) => Ok(MapFlags::EXECUTE),
        // Readable in any case: x86-64 has no page that is mapped and cannot be read.
        (false, false) => Ok(MapFlags::READ),
    }
}

/// What segments must be together: few, apart, away from what every program has, and around the entry point.
fn check_together(segments: &[Segment], entry: u64) -> Result<(), LoadError> {
    if segments.windows(2).any(|pair| pair[0].pages.end > pair[1].pages.start) {
        return Err(LoadError::Overlap);
    }
    let meet = |one: &Range<u64>, other: &Range<u64>| one.start < other.end && other.start < one.end;
    if segments.iter().any(|segment| RESERVED.iter().any(|reserved| meet(&segment.pages, reserved))) {
        return Err(LoadError::Reserved);
    }
    let pages = |segment: &Segment| segment.pages.end - segment.pages.start;
    if segments.iter().map(pages).sum::<u64>() > PAGES_MAX {
        return Err(LoadError::TooLarge);
    }
    let starts = |segment: &Segment| {
        let first = segment.pages.start * PAGE + segment.offset as u64;
        let bytes = first..first + segment.file.len() as u64;
        segment.flags.contains(MapFlags::EXECUTE) && bytes.contains(&entry)
    };
    if segments.iter().any(starts) { Ok(()) } else { Err(LoadError::NoEntry) }
}

/// Where the program headers are in memory; 0 if no segment holds them.
fn address_of_headers(segments: &[Segment], file_offset: u64) -> u64 {
    let holds = |segment: &&Segment| segment.file.contains(&(file_offset as usize));
    segments.iter().find(holds).map_or(0, |segment| {
        segment.pages.start * PAGE + segment.offset as u64 + (file_offset - segment.file.start as u64)
    })
}

/// Whether two executables can be loaded into one space.
pub fn are_apart(one: &Executable, other: &Executable) -> bool {
    let apart = |a: &Segment, b: &Segment| a.pages.end <= b.pages.start || b.pages.end <= a.pages.start;
    one.segments.iter().all(|a| other.segments.iter().all(|b| apart(a, b)))
}
