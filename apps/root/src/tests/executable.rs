//! Files that can be loaded, and every reason why one can't.

use crate::executable::{Executable, LoadError, PAGES_MAX, RESERVED, SEGMENTS_MAX, parse};
use crate::layout::{BLOCK_ADDRESS, Layout, STACK_PAGES, STACK_TOP, pages};
use fos_abi::limits::{USER_END, USER_START};
use fos_abi::space::MapFlags;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

/// A program header.
#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    in_file: u64,
    in_memory: u64,
}

const TEXT: Header = Header {
    kind: 1,
    flags: READ | EXECUTE,
    offset: 0,
    address: 0x40_0000,
    in_file: 0x200,
    in_memory: 0x200,
};
const DATA: Header = Header {
    kind: 1,
    flags: READ | WRITE,
    offset: 0x123,
    address: 0x40_2123,
    in_file: 0x10,
    in_memory: 0x3000,
};

/// An ELF file of 4096 bytes with these headers (Elf64_Ehdr and Elf64_Phdr).
fn file(entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut bytes = vec![];
    bytes.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    bytes.extend([2u16, 62].iter().flat_map(|field| field.to_le_bytes()));
    bytes.extend(1u32.to_le_bytes());
    bytes.extend([entry, 64, 0].iter().flat_map(|field| field.to_le_bytes()));
    bytes.extend(0u32.to_le_bytes());
    bytes.extend([64, 56, headers.len() as u16, 64, 0, 0].iter().flat_map(|field: &u16| field.to_le_bytes()));
    for header in headers {
        bytes.extend([header.kind, header.flags].iter().flat_map(|field| field.to_le_bytes()));
        let words = [header.offset, header.address, header.address, header.in_file, header.in_memory, 4096];
        bytes.extend(words.iter().flat_map(|field| field.to_le_bytes()));
    }
    bytes.resize(4096, 0xcc);
    bytes
}

fn load(headers: &[Header]) -> Result<Executable, LoadError> {
    parse(&file(TEXT.address + 0x100, headers))
}

#[test]
fn a_plain_program_is_loaded() {
    let executable = load(&[DATA, TEXT]).unwrap();
    let [text, data] = &executable.segments[..] else { panic!("two segments") };
    assert_eq!((text.pages.clone(), text.flags, text.offset), (0x400..0x401, MapFlags::EXECUTE, 0));
    assert_eq!((data.pages.clone(), data.flags, data.offset), (0x402..0x406, MapFlags::WRITE, 0x123));
    assert_eq!(data.file, 0x123..0x133);
    assert_eq!(executable.guest.entry, 0x40_0100);
    assert_eq!((executable.guest.headers, executable.guest.header_count), (0x40_0040, 2));
    let told: Vec<_> =
        executable.guest.segments.iter().map(|segment| (segment.start, segment.write)).collect();
    assert_eq!(told, [(0x40_0000, false), (0x40_2000, true)]);
    assert_eq!(pages(&executable, |_| true), 5);
    assert_eq!(pages(&executable, |segment| segment.is_writable()), 4);
}

#[test]
fn every_bad_segment_has_its_reason() {
    let text = |change: &dyn Fn(&mut Header)| {
        let mut header = TEXT;
        change(&mut header);
        load(&[header]).unwrap_err()
    };
    assert_eq!(text(&|header| header.flags |= WRITE), LoadError::WritableCode);
    assert_eq!(text(&|header| header.in_file = 0x201), LoadError::OutsideFile);
    assert_eq!(text(&|header| header.offset = 4000), LoadError::OutsideFile);
    assert_eq!(text(&|header| header.offset = u64::MAX), LoadError::OutsideFile);
    assert_eq!(text(&|header| header.address = USER_START - 1), LoadError::OutsideUser);
    assert_eq!(text(&|header| header.address = USER_END - 0x1ff), LoadError::OutsideUser);
    assert_eq!(text(&|header| header.address = u64::MAX - 8), LoadError::OutsideUser);
    assert_eq!(text(&|header| header.in_memory = u64::MAX), LoadError::OutsideUser);
    assert_eq!(text(&|header| header.in_memory = (PAGES_MAX + 1) * 4096), LoadError::TooLarge);
    assert_eq!(text(&|header| header.flags = READ), LoadError::NoEntry);
    assert_eq!(text(&|header| header.address += 0x10_0000), LoadError::NoEntry);
    assert_eq!(text(&|header| header.kind = 3), LoadError::Dynamic);
    assert_eq!(text(&|header| header.kind = 0), LoadError::NoEntry, "nothing to load");
}

#[test]
fn no_segment_is_where_the_stack_or_the_start_block_has_to_be() {
    let at = |address, in_memory| {
        let data = Header { address, in_memory, in_file: 0, ..DATA };
        load(&[TEXT, data]).err()
    };
    let bottom = STACK_TOP - STACK_PAGES * 4096;
    assert_eq!(at(BLOCK_ADDRESS, 1), Some(LoadError::Reserved));
    assert_eq!(at(BLOCK_ADDRESS - 1, 2), Some(LoadError::Reserved), "its last byte");
    assert_eq!(at(bottom - 8192, 16384), Some(LoadError::Reserved));
    assert_eq!(at(bottom - 1, 1), Some(LoadError::Reserved), "the page below the stack stays empty");
    assert_eq!(at(STACK_TOP - 1, 1), Some(LoadError::Reserved));
    assert_eq!(at(bottom - 8192, 4096), None);
    assert_eq!(at(STACK_TOP, 4096), None);
}

#[test]
fn a_program_begins_at_a_byte_of_its_file() {
    let begins = |entry| parse(&file(entry, &[TEXT])).is_ok();
    assert!(begins(TEXT.address) && begins(TEXT.address + TEXT.in_file - 1));
    assert!(!begins(TEXT.address + TEXT.in_file), "the zeros after it, on the same page");
    assert!(!begins(TEXT.address - 1) && !begins(u64::MAX));
}

#[test]
fn bytes_of_a_file_without_memory_for_them_are_refused() {
    let nothing = Header { in_memory: 0, in_file: 0, ..DATA };
    assert!(load(&[TEXT, nothing]).is_ok());
    assert_eq!(load(&[TEXT, Header { in_file: 1, ..nothing }]), Err(LoadError::OutsideFile));
}

/// Cut at any length, a file is one that can be loaded, with all its bytes there, or none.
#[test]
fn a_file_that_was_cut_off_is_refused() {
    let whole = file(TEXT.address, &[TEXT, DATA]);
    let needed = (TEXT.in_file.max(DATA.offset + DATA.in_file)) as usize;
    for length in 0..whole.len() {
        assert_eq!(parse(&whole[..length]).is_ok(), length >= needed, "{length}");
    }
}

#[test]
fn segments_that_share_a_page_are_refused() {
    assert_eq!(load(&[TEXT, Header { address: 0x40_0fff, ..DATA }]), Err(LoadError::Overlap));
    assert_eq!(load(&[TEXT, TEXT]), Err(LoadError::Overlap));
    assert!(load(&[TEXT, Header { address: 0x40_1000, ..DATA }]).is_ok());
}

#[test]
fn more_segments_than_allowed_are_refused() {
    let many = |count: u64| -> Vec<Header> {
        let data = |index| Header { address: 0x50_0000 + index * 0x10_0000, ..DATA };
        [TEXT].into_iter().chain((1..count).map(data)).collect()
    };
    assert!(load(&many(SEGMENTS_MAX as u64)).is_ok());
    assert_eq!(load(&many(SEGMENTS_MAX as u64 + 1)), Err(LoadError::TooLarge));
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let good = file(TEXT.address, &[TEXT]);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        parse(&bytes).unwrap_err()
    };
    assert_eq!(with(0, b'#'), LoadError::NotElf);
    assert_eq!(with(16, 3), LoadError::NotFixed, "ET_DYN");
    assert_eq!(with(18, 183), LoadError::OtherMachine, "AArch64");
    assert_eq!(with(4, 1), LoadError::OtherMachine, "32 bits");
    assert_eq!(with(5, 2), LoadError::OtherMachine, "big endian");
    assert_eq!(parse(&good[..100]), Err(LoadError::NotElf));
    assert_eq!(parse(b""), Err(LoadError::NotElf));
}

/// Numbers at the borders that matter, and any others.
fn border() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        (0..8192u64),
        (0..64u64).prop_map(|page| 0x40_0000 + page * 2048),
        (0..4096u64).prop_map(|less| USER_END - less),
        (0..80u64).prop_map(|page| STACK_TOP - page * 2048),
        (0..80u64).prop_map(|page| BLOCK_ADDRESS + page * 2048),
        (0..4096u64).prop_map(|less| u64::MAX - less),
        any::<u64>(),
    ]
}

fn any_header() -> impl Strategy<Value = Header> {
    let kind = prop_oneof![8 => Just(1u32), 1 => 0..8u32];
    (kind, 0..8u32, border(), border(), border(), border()).prop_map(
        |(kind, flags, offset, address, in_file, in_memory)| Header {
            kind,
            flags,
            offset,
            address,
            in_file,
            in_memory,
        },
    )
}

proptest! {
    /// Whatever is accepted can be copied and mapped without a further check.
    #[test]
    fn what_is_accepted_is_safe(entry in border(), mut headers in proptest::collection::vec(any_header(), 0..4)) {
        headers.push(TEXT);
        let bytes = file(entry, &headers);
        if let Ok(executable) = parse(&bytes) {
            let mut last = 0;
            for segment in &executable.segments {
                prop_assert!(segment.pages.start >= last && segment.pages.start < segment.pages.end);
                prop_assert!(segment.pages.start * 4096 >= USER_START && (segment.pages.end - 1) * 4096 < USER_END);
                prop_assert!(segment.file.end <= bytes.len());
                let room = (segment.pages.end - segment.pages.start) as usize * 4096;
                prop_assert!(segment.offset + segment.file.len() <= room);
                prop_assert!(!segment.flags.contains(MapFlags::WRITE.with(MapFlags::EXECUTE)));
                let apart = |pages: &core::ops::Range<u64>| {
                    segment.pages.end <= pages.start || pages.end <= segment.pages.start
                };
                prop_assert!(RESERVED.iter().all(apart));
                last = segment.pages.end;
            }
            prop_assert!(pages(&executable, |_| true) <= PAGES_MAX && executable.segments.len() <= SEGMENTS_MAX);
            let begins_there = |segment: &crate::executable::Segment| {
                let first = segment.pages.start * 4096 + segment.offset as u64;
                let bytes = first..first + segment.file.len() as u64;
                segment.flags.contains(MapFlags::EXECUTE) && bytes.contains(&entry)
            };
            prop_assert!(executable.segments.iter().any(begins_there));
            let layout = Layout::new(&[&executable], 256, 3);
            let writable = pages(&executable, |segment| segment.is_writable());
            prop_assert_eq!(layout.image.end - layout.image.start, writable);
            prop_assert_eq!(layout.granted.end - layout.granted.start, 3);
        }
    }

    /// Any few bytes of a good file are changed: what is still accepted lies apart, in the file and in user addresses.
    #[test]
    fn a_file_with_changed_bytes_is_refused_or_safe(
        changes in proptest::collection::vec((0..240usize, any::<u8>()), 1..6),
    ) {
        let mut bytes = file(TEXT.address, &[TEXT, DATA]);
        changes.iter().for_each(|(at, value)| bytes[*at] = *value);
        if let Ok(executable) = parse(&bytes) {
            for pair in executable.segments.windows(2) {
                prop_assert!(pair[0].pages.end <= pair[1].pages.start);
            }
            for segment in &executable.segments {
                prop_assert!(segment.pages.start * 4096 >= USER_START && segment.pages.end * 4096 <= USER_END);
                prop_assert!(segment.file.end <= bytes.len());
            }
        }
    }

    #[test]
    fn noise_is_read_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..300), at in 0..64usize) {
        let mut bytes = file(TEXT.address, &[TEXT]);
        let end = (at + noise.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&noise[..end - at]);
        let _ = parse(&bytes);
        let _ = parse(&noise);
    }
}
