//! What the loader tells about memory: kept when it makes sense, passed over when not.

use super::machine::Firmware;
use crate::arch::machine::memory_map::{MemoryMap, RANGES_MAX, Range, read};
use proptest::prelude::*;

const INFO: u64 = 0x1_0000;
const MAP: u64 = 0x2_0000;
const MODULE: u64 = 0x3_0000;
const COMMAND_LINE: u64 = 0x4_0000;

/// The fields of a start info that tests change.
struct Told {
    magic: u32,
    version: u32,
    modules: u32,
    command_line: u64,
    entries: Vec<(u64, u64, u32)>,
    claimed_entries: Option<u32>,
    module: (u64, u64),
}

impl Told {
    fn new(entries: &[(u64, u64, u32)]) -> Told {
        Told {
            magic: 0x336e_c578,
            version: 1,
            modules: 0,
            command_line: 0,
            entries: entries.to_vec(),
            claimed_entries: None,
            module: (0, 0),
        }
    }

    fn read(&self, firmware: &mut Firmware) -> Option<MemoryMap> {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let longs = |longs: &[u64]| longs.iter().flat_map(|long| long.to_le_bytes()).collect::<Vec<u8>>();
        let count = self.claimed_entries.unwrap_or(self.entries.len() as u32);
        let mut info = words(&[self.magic, self.version, 0, self.modules]);
        info.extend(longs(&[MODULE, self.command_line, 0x1234, MAP]));
        info.extend(words(&[count, 0]));
        firmware.leave(INFO, &info);
        for (index, (address, size, kind)) in self.entries.iter().enumerate() {
            let mut entry = longs(&[*address, *size]);
            entry.extend(words(&[*kind, 0]));
            firmware.leave(MAP + 24 * index as u64, &entry);
        }
        firmware.leave(MODULE, &longs(&[self.module.0, self.module.1, 0, 0]));
        // SAFETY: a start info lies there, and all it points to is RAM of the machine.
        unsafe { read(INFO) }
    }
}

const PAGE: u64 = 4096;

#[test]
fn ram_is_kept_in_whole_pages() {
    let mut firmware = Firmware::none();
    let told = Told::new(&[(0, 0x9fc00, 1), (0x100_001, 3 * PAGE, 1), (0xf_0000, 0x1000, 2), (5, 4000, 1)]);
    let map = told.read(&mut firmware).unwrap();
    let expected = [Range { start: 0, end: 0x9f000 }, Range { start: 0x101_000, end: 0x103_000 }];
    assert_eq!(map.ram[..map.count], expected);
    assert_eq!(map.acpi_root, 0x1234);
    assert_eq!((map.archive, map.command_line_length), (Range::default(), 0));
}

#[test]
fn a_start_info_that_is_none_is_refused() {
    let mut firmware = Firmware::none();
    let ram = [(0, 16 * PAGE, 1)];
    assert!(Told { magic: 0, ..Told::new(&ram) }.read(&mut firmware).is_none());
    assert!(
        Told { version: 0, ..Told::new(&ram) }.read(&mut firmware).is_none(),
        "version 0 has no memory map"
    );
    assert!(Told { claimed_entries: Some(129), ..Told::new(&ram) }.read(&mut firmware).is_none());
    assert!(Told::new(&[]).read(&mut firmware).is_none(), "a machine without RAM");
    assert!(Told::new(&[(0, 16 * PAGE, 2)]).read(&mut firmware).is_none());
    assert!(Told::new(&ram).read(&mut firmware).is_some());
}

#[test]
fn archive_and_command_line_are_copied_out() {
    let mut firmware = Firmware::none();
    firmware.leave(COMMAND_LINE, b"image=hello panic=stop-all\0behind");
    let mut told = Told::new(&[(0, 16 * PAGE, 1)]);
    (told.modules, told.module, told.command_line) = (1, (0x5000, 0x123), COMMAND_LINE);
    let map = told.read(&mut firmware).unwrap();
    assert_eq!(map.archive, Range { start: 0x5000, end: 0x5123 });
    assert_eq!(&map.command_line[..map.command_line_length], b"image=hello panic=stop-all");
    firmware.leave(COMMAND_LINE, &[b'x'; 600]);
    let map = told.read(&mut firmware).unwrap();
    assert_eq!(map.command_line_length, map.command_line.len(), "a longer one is cut");
}

#[test]
fn sizes_that_wrap_stay_at_the_end() {
    let mut firmware = Firmware::none();
    let mut told = Told::new(&[(u64::MAX - 5, 100, 1), (PAGE, u64::MAX, 1)]);
    (told.modules, told.module) = (1, (u64::MAX - 5, 100));
    let map = told.read(&mut firmware).unwrap();
    assert_eq!(map.ram[..map.count], [Range { start: PAGE, end: !4095 }]);
    assert_eq!(map.archive, Range { start: u64::MAX - 5, end: u64::MAX });
}

proptest! {
    #![proptest_config(super::machine::cases(300))]

    #[test]
    fn whatever_is_told_the_ranges_are_pages_within_it(
        entries in prop::collection::vec(
            (prop_oneof![any::<u64>(), 0u64..1 << 33], prop_oneof![any::<u64>(), 0u64..1 << 20], 0u32..3),
            0..40,
        ),
    ) {
        let mut firmware = Firmware::none();
        let map = Told::new(&entries).read(&mut firmware);
        let whole = |(address, size, kind): &&(u64, u64, u32)| {
            let start = u128::from(*address).next_multiple_of(4096);
            let end = (u128::from(*address) + u128::from(*size)).min(u128::from(u64::MAX)) & !4095;
            *kind == 1 && start < end
        };
        let expected = entries.iter().filter(whole).count().min(RANGES_MAX);
        prop_assert_eq!(map.as_ref().map_or(0, |map| map.count), expected);
        for (range, told) in map.iter().flat_map(|map| &map.ram[..map.count]).zip(entries.iter().filter(whole)) {
            prop_assert!(range.start < range.end && range.start % PAGE == 0 && range.end % PAGE == 0);
            prop_assert!(range.start - told.0 < PAGE && range.end <= told.0.saturating_add(told.1));
        }
    }
}
