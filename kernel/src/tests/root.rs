//! The boot archive and the root program's image: found and loaded when whole, and refused by one of the
//! panics that boot documents when not, without a byte written outside the frames that were free.

use super::{Free, find_root, load};
use crate::arch::machine::paging::frame_pointer;
use crate::space::Space;
use crate::tests::machine;
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One file of a cpio "newc" archive.
fn file(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut sizes = [0; 13];
    (sizes[6], sizes[11]) = (contents.len(), name.len() + 1);
    let fields: String = sizes.iter().map(|field| format!("{field:08x}")).collect();
    let mut bytes = format!("070701{fields}{name}\0").into_bytes();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes: Vec<u8> = files.iter().flat_map(|(name, contents)| file(name, contents)).collect();
    bytes.extend(file("TRAILER!!!", b""));
    bytes
}

/// What a call that may panic says: its value, or the panic's words.
fn answer<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|reason| {
        let text = reason.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| reason.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

fn found(archive: &[u8]) -> Result<&'static [u8], String> {
    let archive: &'static [u8] = archive.to_vec().leak();
    answer(|| find_root(archive))
}

#[test]
fn the_file_named_root_is_found_wherever_it_is() {
    for before in 0..4 {
        let others = [("roots", &b"no"[..]), ("roo", b"not this"), ("a/root", b"nor this")];
        let mut files = others[..before].to_vec();
        files.push(("root", b"this one"));
        files.push(("root", b"not the second"));
        assert_eq!(found(&archive(&files)), Ok(&b"this one"[..]));
    }
    assert_eq!(found(&archive(&[("root", b"")])), Ok(&b""[..]));
}

const NO_ROOT: &str = "no file \"root\" in the boot archive";

#[test]
fn an_archive_without_it_is_refused_in_words() {
    let whole = archive(&[("other", b"x"), ("root", b"contents")]);
    assert_eq!(found(&archive(&[("other", b"x")])), Err(NO_ROOT.to_string()));
    for length in 0..whole.len() - file("TRAILER!!!", b"").len() {
        assert_eq!(found(&whole[..length]), Err(NO_ROOT.to_string()), "cut after {length} bytes");
    }
}

/// A static program with one segment.
fn program(segment: [u64; 4], contents: &[u8]) -> Vec<u8> {
    let [offset, address, length, memory] = segment;
    let mut image = vec![0; 120];
    image[..6].copy_from_slice(b"\x7fELF\x02\x01");
    image[24..32].copy_from_slice(&0x40_0123u64.to_le_bytes());
    image[32..40].copy_from_slice(&64u64.to_le_bytes());
    image[54] = 56;
    image[56] = 1;
    image[64] = 1;
    image[68] = 2;
    for (at, value) in [(72, offset), (80, address), (96, length), (104, memory)] {
        image[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    image.extend_from_slice(contents);
    image
}

/// Frames that are free for the program, between two that are not.
struct Ground {
    space: &'static Space,
    first: u64,
    free: Free,
}

const FREE: u64 = 6;
const GUARD: u8 = 0xa5;

impl Ground {
    fn new() -> Ground {
        let first = machine::frames(FREE + 2);
        for guard in [first, first + FREE + 1] {
            // SAFETY: frames of this test's own.
            unsafe { frame_pointer(guard).write_bytes(GUARD, 4096) };
        }
        let mut free = Free::default();
        free.add(first + 1, first + 1 + FREE);
        Ground { space: machine::space(8), first, free }
    }
    fn load(&mut self, image: &[u8]) -> Result<u64, String> {
        answer(|| load(self.space, image, &mut self.free))
    }
    fn bytes(&self, frame: u64) -> &[u8] {
        // SAFETY: frames of this test's own.
        unsafe { std::slice::from_raw_parts(frame_pointer(frame), 4096) }
    }
    fn is_intact(&self) -> bool {
        [self.first, self.first + FREE + 1]
            .iter()
            .all(|guard| self.bytes(*guard).iter().all(|byte| *byte == GUARD))
    }
}

#[test]
fn a_segment_is_loaded_where_it_says_and_the_rest_is_zero() {
    let mut ground = Ground::new();
    let contents: Vec<u8> = (1..=200).collect();
    let entry = ground.load(&program([120, 0x40_0100, 200, 5000], &contents));
    assert_eq!(entry, Ok(0x40_0123));
    let frame = |page: u64| ground.space.at_page(page, |table, index, _| table.get(index)).unwrap();
    let first = frame(0x400);
    assert_eq!(&ground.bytes(first.frame())[0x100..0x100 + 200], &contents[..]);
    assert!(ground.bytes(first.frame())[0x100 + 200..].iter().all(|byte| *byte == 0));
    assert!(first.access().write && !first.access().execute);
    assert_eq!(frame(0x401).frame(), first.frame() + 1);
    assert!(ground.space.at_page(0x402, |_, _, _| ()).is_err() && ground.is_intact());
}

#[test]
fn segments_that_lie_are_refused_in_words() {
    let size = 120 + 300;
    for segment in [
        [120, 0x40_0000, 200, 100],
        [120, 0x40_0000, 301, 301],
        [size, 0x40_0000, 1, 1],
        [u64::MAX, 0x40_0000, 2, 2],
        [120, u64::MAX - 10, 5, 20],
        [120, 0x7fff_ffff_e000, 5, 0x1001],
        [120, 0, 5, 5],
        [120, 0xffff_8000_0000_0000, 5, 5],
    ] {
        let mut ground = Ground::new();
        let said = ground.load(&program(segment, &[7; 300]));
        assert!(said.as_ref().is_err_and(|text| text.ends_with("is malformed")), "{segment:x?}: {said:?}");
        assert!(ground.is_intact());
    }
    let said = Ground::new().load(&program([120, 0x40_0000, 5, 7 * 4096], &[7; 300]));
    assert_eq!(said, Err("not enough memory for the root program".to_string()));
}

/// The panics of a boot with a bad archive or program; any other is a bug.
fn is_documented(text: &str) -> bool {
    let words = [NO_ROOT, "no ELF-64 file", "not enough memory", "can't be mapped at", "is malformed"];
    words.iter().any(|words| text.contains(words))
}

proptest! {
    #![proptest_config(machine::cases(400))]

    #[test]
    fn hostile_archives_are_refused_in_words(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'f'), Just(b'0')]), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = archive(&[("other", b"abc"), ("root", b"contents"), ("last", b"x")]);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()) / 2);
        if let Err(text) = found(&bytes) {
            prop_assert_eq!(text, NO_ROOT);
        }
    }

    #[test]
    fn hostile_programs_are_refused_in_words(
        changes in prop::collection::vec((0usize..120, prop_oneof![any::<u8>(), Just(0xff), Just(0x7f), Just(0)]), 0..16),
        count in 0u8..4,
        length in 0usize..420,
    ) {
        let mut image = program([120, 0x40_0000, 200, 5000], &[9; 300]);
        image[56] = count;
        for (place, byte) in changes {
            image[place.max(if place < 6 { 24 } else { 6 })] = byte;
        }
        image.truncate(length.max(60));
        let mut ground = Ground::new();
        if let Err(text) = ground.load(&image) {
            prop_assert!(is_documented(&text), "{}", text);
        }
        prop_assert!(ground.is_intact(), "memory that was not free was written");
    }
}
