//! Firmware tables: cores and interrupt controllers are found in them when they are whole, and nothing
//! that firmware can write there makes the kernel read past them or start without its own core.

use super::machine::{Firmware, cases};
use crate::arch::machine::acpi::{Found, read};
use fos_abi::limits::CORES_MAX;
use proptest::prelude::*;

const POINTER: u64 = 0xe_1230;
const DIRECTORY: u64 = 0x10_0000;
const MADT: u64 = 0x20_0000;
const MP_POINTER: u64 = 0xf_5430;
const MP_TABLE: u64 = 0x9_0000;

/// Makes all bytes sum to zero by changing one.
fn balance(table: &mut [u8], at: usize) {
    table[at] = 0;
    table[at] = table.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
}

/// A table with its header: signature, length, checksum.
fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut table = vec![0; 36];
    table[..4].copy_from_slice(signature);
    table.extend_from_slice(body);
    let length = table.len() as u32;
    table[4..8].copy_from_slice(&length.to_le_bytes());
    balance(&mut table, 9);
    table
}

/// MADT entries: a core, a core by its long number, an I/O controller, an exception for a line.
fn core(id: u8, flags: u32) -> Vec<u8> {
    [&[0, 8, 0, id][..], &flags.to_le_bytes()].concat()
}
fn long_core(id: u32, flags: u32) -> Vec<u8> {
    [&[9, 16, 0, 0][..], &id.to_le_bytes(), &flags.to_le_bytes(), &[0; 4]].concat()
}
fn controller(address: u32, first_line: u32) -> Vec<u8> {
    [&[1, 12, 0, 0][..], &address.to_le_bytes(), &first_line.to_le_bytes()].concat()
}
fn exception(line: u32, flags: u16) -> Vec<u8> {
    [&[2, 10, 0, 0][..], &line.to_le_bytes(), &flags.to_le_bytes()].concat()
}

fn madt(entries: &[Vec<u8>]) -> Vec<u8> {
    table(b"APIC", &[vec![0; 8], entries.concat()].concat())
}

/// Leaves root pointer and directory, of 32-bit or (from revision 2) 64-bit addresses.
fn leave_directory(firmware: &mut Firmware, revision: u8, tables: &[u64]) {
    let wide = revision >= 2;
    let entries: Vec<u8> = tables
        .iter()
        .flat_map(|address| address.to_le_bytes()[..if wide { 8 } else { 4 }].to_vec())
        .collect();
    firmware.leave(DIRECTORY, &table(if wide { b"XSDT" } else { b"RSDT" }, &entries));
    let mut pointer = vec![0; 36];
    pointer[..8].copy_from_slice(b"RSD PTR ");
    pointer[15] = revision;
    let (at, width) = if wide { (24, 8) } else { (16, 4) };
    pointer[at..at + width].copy_from_slice(&DIRECTORY.to_le_bytes()[..width]);
    firmware.leave(POINTER, &pointer);
}

fn leave_madt(firmware: &mut Firmware, table: &[u8]) {
    firmware.leave(MADT, table);
    leave_directory(firmware, 2, &[MADT]);
}

fn cores(found: &Found) -> Vec<u32> {
    found.cores[..found.count].to_vec()
}

#[test]
fn cores_and_controllers_are_found_by_both_kinds_of_directory() {
    let entries = [core(0, 1), controller(0xfec0_0000, 24), core(2, 1), long_core(7, 1), exception(9, 0xf)];
    for revision in [0, 2] {
        let mut firmware = Firmware::none();
        firmware.leave(MADT, &madt(&entries));
        firmware.leave(MADT + 0x1_0000, &table(b"FACP", &[0; 80]));
        leave_directory(&mut firmware, revision, &[MADT + 0x1_0000, 0, MADT]);
        for pointer in [0, POINTER] {
            let found = read(pointer, 2);
            assert_eq!(cores(&found), [0, 2, 7], "revision {revision}, pointer {pointer:#x}");
            assert_eq!((found.io_controller, found.io_first_line), (0xfec0_0000, 24));
        }
    }
}

#[test]
fn cores_that_cannot_be_started_are_left_out() {
    let mut firmware = Firmware::none();
    let entries = [core(0, 1), core(1, 0), core(2, 2), core(255, 1), long_core(300, 1), long_core(254, 1)];
    leave_madt(&mut firmware, &madt(&entries));
    assert_eq!(cores(&read(0, 0)), [0, 254], "one that only may be plugged in is not there");
}

#[test]
fn without_tables_there_is_the_core_that_looks() {
    let _firmware = Firmware::none();
    assert_eq!(cores(&read(0, 3)), [3]);
    assert_eq!(cores(&read(POINTER, 3)), [3]);
    for nowhere in [1, 0xffff_fff0, 1 << 32, u64::MAX] {
        assert_eq!(cores(&read(nowhere, 3)), [3], "root pointer {nowhere:#x}");
    }
}

#[test]
fn tables_that_forget_the_core_that_looks_are_not_believed() {
    let mut firmware = Firmware::none();
    leave_madt(&mut firmware, &madt(&[core(0, 1), core(1, 1)]));
    assert_eq!(cores(&read(0, 9)), [9]);
}

#[test]
fn a_table_whose_sum_is_wrong_is_none() {
    let mut firmware = Firmware::none();
    let whole = madt(&[core(0, 1), core(1, 1)]);
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 1;
        leave_madt(&mut firmware, &broken);
        let found = cores(&read(0, 0));
        // A length that grew by one takes in a zero byte behind the table: 4 bits are the sum's blind spot.
        assert!(found == [0] || at == 4, "byte {at}: {found:?}");
    }
}

#[test]
fn more_cores_than_a_kernel_drives_are_cut_off() {
    let mut firmware = Firmware::none();
    let entries: Vec<Vec<u8>> = (0..300).map(|id| long_core(id % 255, 1)).collect();
    leave_madt(&mut firmware, &madt(&entries));
    assert_eq!(read(0, 0).count, CORES_MAX);
}

#[test]
fn a_truncated_table_gives_the_fallback() {
    let whole = madt(&[core(0, 1), controller(0xfec0_0000, 0), core(1, 1), exception(9, 0xf)]);
    for length in 36..whole.len() {
        let mut firmware = Firmware::none();
        let mut cut = whole[..length].to_vec();
        cut[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        balance(&mut cut, 9);
        leave_madt(&mut firmware, &cut);
        // Behind the second core, with nothing of the exception but perhaps a byte that can't be an entry.
        let expected: &[u32] = if [44 + 28, 44 + 29].contains(&length) { &[0, 1] } else { &[0] };
        assert_eq!(cores(&read(0, 0)), expected, "cut after {length} bytes");
    }
}

/// An MP table: cores, one controller.
fn mp_table(ids: &[u8]) -> Vec<u8> {
    let mut table = vec![0; 44];
    table[..4].copy_from_slice(b"PCMP");
    for id in ids {
        let mut entry = [0; 20];
        (entry[1], entry[3]) = (*id, 1);
        table.extend_from_slice(&entry);
    }
    table.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    table.extend_from_slice(&[2, 0, 0, 1, 0, 0, 0xc0, 0xfe]);
    let length = table.len() as u16;
    table[4..6].copy_from_slice(&length.to_le_bytes());
    table
}

fn leave_mp_table(firmware: &mut Firmware, table: &[u8]) {
    let mut pointer = vec![0; 16];
    pointer[..4].copy_from_slice(b"_MP_");
    pointer[4..8].copy_from_slice(&(MP_TABLE as u32).to_le_bytes());
    firmware.leave(MP_POINTER, &pointer);
    firmware.leave(MP_TABLE, table);
}

#[test]
fn the_older_table_stands_in() {
    let mut firmware = Firmware::none();
    leave_mp_table(&mut firmware, &mp_table(&[0, 1, 4]));
    let found = read(0, 1);
    assert_eq!((cores(&found), found.io_controller), (vec![0, 1, 4], 0xfec0_0000));
    leave_madt(&mut firmware, &madt(&[core(0, 1), core(1, 1)]));
    assert_eq!(cores(&read(0, 1)), [0, 1], "the newer one comes first");
    leave_madt(&mut firmware, &madt(&[]));
    assert_eq!(cores(&read(0, 1)), [0, 1, 4], "unless it names nobody");
}

/// Bytes that are changed: where, and to what.
fn changes(most: usize) -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(2), Just(44)];
    prop::collection::vec((any::<prop::sample::Index>(), byte), 0..most)
}

fn change(bytes: &mut [u8], changes: &[(prop::sample::Index, u8)], from: usize) {
    for (place, byte) in changes {
        let place = from + place.index(bytes.len() - from);
        bytes[place] = *byte;
    }
}

proptest! {
    #![proptest_config(cases(400))]

    /// Tables with right sums and wrong contents: whatever they say, this core is found, and none twice
    /// as many as there may be.
    #[test]
    fn hostile_tables_leave_this_core(
        newer in changes(20),
        older in changes(20),
        pointer in changes(4),
        length in prop_oneof![Just(None), any::<u32>().prop_map(Some), (0u32..400).prop_map(Some)],
        own in 0u32..255,
        given in prop_oneof![Just(0), Just(POINTER), any::<u64>(), 0u64..1 << 32],
    ) {
        let mut firmware = Firmware::none();
        let mut table = madt(&[core(0, 1), controller(0xfec0_0000, 0), core(1, 1), exception(9, 0xf), long_core(2, 1)]);
        change(&mut table, &newer, 36);
        if let Some(length) = length {
            table[4..8].copy_from_slice(&length.to_le_bytes());
        }
        balance(&mut table, 9);
        leave_madt(&mut firmware, &table);
        let mut mp = mp_table(&[0, 1]);
        change(&mut mp, &older, 4);
        leave_mp_table(&mut firmware, &mp);
        let mut root = vec![0; 36];
        root[..8].copy_from_slice(b"RSD PTR ");
        root[15] = 2;
        root[24..32].copy_from_slice(&DIRECTORY.to_le_bytes());
        change(&mut root, &pointer, 8);
        firmware.leave(POINTER, &root);
        let found = read(given, own);
        prop_assert!((1..=CORES_MAX).contains(&found.count));
        prop_assert!(cores(&found).contains(&own));
        prop_assert!(cores(&found).iter().all(|id| *id < 255));
    }
}
