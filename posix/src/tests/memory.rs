//! brk, mmap, munmap and mprotect over each other's borders, and against a slow obvious twin.

use super::fake::{DATA, FRAMES, HEAP, RESERVED, call, start};
use crate::system::{PAGE, Protection};
use proptest::prelude::*;
use std::collections::BTreeMap;
use syscalls::Sysno;

const ANYWHERE: u64 = 0x22;
const FIXED: u64 = 0x32;
const NO_REPLACE: u64 = 0x10_0022;

#[test]
fn the_heap_moves_both_ways_and_stays_in_its_bounds() {
    let (mut process, mut fake) = start();
    let mut brk = |end: u64| call(&mut process, &mut fake, Sysno::brk, &[end]) as u64;
    assert_eq!(brk(HEAP + 5), HEAP + 5);
    assert_eq!(brk(HEAP + 3 * PAGE), HEAP + 3 * PAGE);
    assert_eq!(brk(HEAP - 1), HEAP + 3 * PAGE, "below its start: unchanged");
    assert_eq!(brk(u64::MAX), HEAP + 3 * PAGE, "above its limit: unchanged");
    assert_eq!(brk(HEAP + 1000 * PAGE), HEAP + 3 * PAGE, "more than there are frames: unchanged");
    assert_eq!(brk(HEAP), HEAP);
    assert_eq!(fake.frames_left, FRAMES, "all came back");
}

#[test]
fn a_hole_in_a_mapping_is_a_hole() {
    let (mut process, mut fake) = start();
    let base = call(&mut process, &mut fake, Sysno::mmap, &[0, 5 * PAGE, 3, ANYWHERE, 0, 0]) as u64;
    assert_eq!(call(&mut process, &mut fake, Sysno::munmap, &[base + PAGE, PAGE]), 0);
    assert_eq!(call(&mut process, &mut fake, Sysno::munmap, &[base + PAGE, PAGE]), 0, "nothing there: fine");
    assert_eq!(call(&mut process, &mut fake, Sysno::mprotect, &[base, 3 * PAGE, 1]), -12);
    assert_eq!(call(&mut process, &mut fake, Sysno::mprotect, &[base + 2 * PAGE, PAGE, 1]), 0);
    assert_eq!(fake.protection(base).map(|page| page.write), Some(true));
    assert_eq!(fake.protection(base + PAGE), None);
    assert_eq!(fake.protection(base + 2 * PAGE).map(|page| page.write), Some(false));
    let again = call(&mut process, &mut fake, Sysno::mmap, &[base + PAGE, PAGE, 3, ANYWHERE, 0, 0]);
    assert_eq!(again as u64, base + PAGE, "a hint that is free is taken");
}

#[test]
fn what_is_reserved_cannot_be_touched() {
    let (mut process, mut fake) = start();
    let inside = RESERVED.start + PAGE;
    assert_eq!(call(&mut process, &mut fake, Sysno::mmap, &[inside, PAGE, 3, FIXED, 0, 0]), -12);
    assert_eq!(call(&mut process, &mut fake, Sysno::mmap, &[inside, PAGE, 3, NO_REPLACE, 0, 0]), -17);
    assert_eq!(call(&mut process, &mut fake, Sysno::munmap, &[inside, PAGE]), -22);
    assert_eq!(call(&mut process, &mut fake, Sysno::mprotect, &[inside, PAGE, 3]), -12);
    let elsewhere = call(&mut process, &mut fake, Sysno::mmap, &[inside, PAGE, 3, ANYWHERE, 0, 0]);
    assert!(elsewhere > 0 && elsewhere as u64 >= 0x7000_0000_0000);
}

#[test]
fn nothing_is_writable_and_executable_at_once() {
    let (mut process, mut fake) = start();
    assert_eq!(call(&mut process, &mut fake, Sysno::mmap, &[0, PAGE, 7, ANYWHERE, 0, 0]), -1);
    assert_eq!(call(&mut process, &mut fake, Sysno::mprotect, &[DATA, PAGE, 7]), -1);
    assert_eq!(call(&mut process, &mut fake, Sysno::mprotect, &[DATA, PAGE, 5]), 0);
}

#[test]
fn bad_ranges_are_refused() {
    let (mut process, mut fake) = start();
    let mut mmap = |arguments: &[u64]| call(&mut process, &mut fake, Sysno::mmap, arguments);
    assert_eq!(mmap(&[0, 0, 3, ANYWHERE, 0, 0]), -22, "no length");
    assert_eq!(mmap(&[0, u64::MAX, 3, ANYWHERE, 0, 0]), -12, "too long");
    assert_eq!(mmap(&[1, PAGE, 3, FIXED, 0, 0]), -22, "not aligned");
    assert_eq!(mmap(&[0, PAGE, 3, FIXED, 0, 0]), -12, "page zero");
    assert_eq!(mmap(&[1 << 47, PAGE, 3, FIXED, 0, 0]), -12, "not a user address");
    assert_eq!(mmap(&[u64::MAX - PAGE + 1, PAGE, 3, FIXED, 0, 0]), -12, "wraps");
    assert_eq!(mmap(&[0, PAGE, 8, ANYWHERE, 0, 0]), -22, "no such protection");
    assert_eq!(mmap(&[0, PAGE, 3, 0x2, 0, 0]), -19, "of a stream");
    assert_eq!(mmap(&[0, PAGE, 3, 0x2, 77, 0]), -9, "of no descriptor");
    assert_eq!(mmap(&[0, 4 * PAGE * FRAMES as u64, 3, ANYWHERE, 0, 0]), -12, "more than there is");
}

#[test]
fn a_reservation_takes_no_frames_until_it_is_opened() {
    let (mut process, mut fake) = start();
    let before = fake.frames_left;
    let length = 1024 * PAGE;
    let base = call(&mut process, &mut fake, Sysno::mmap, &[0, length, 0, ANYWHERE, 0, 0]) as u64;
    assert_eq!(fake.frames_left, before);
    assert_eq!(call(&mut process, &mut fake, Sysno::mprotect, &[base + PAGE, 2 * PAGE, 3]), 0);
    assert_eq!(fake.frames_left, before - 2);
    assert_eq!(call(&mut process, &mut fake, Sysno::mprotect, &[base + PAGE, PAGE, 0]), 0);
    assert_eq!(fake.protection(base + PAGE), Some(Protection::NONE), "its content stays");
    assert_eq!(call(&mut process, &mut fake, Sysno::munmap, &[base, length]), 0);
    assert_eq!(fake.frames_left, before);
}

/// One step on a small range of pages.
#[derive(Clone, Debug)]
enum Step {
    Map(u64, u64, u64),
    Unmap(u64, u64),
    Protect(u64, u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..24u64, 1..8u64);
    let protection = || prop_oneof![Just(0u64), Just(1), Just(3), Just(5)];
    prop_oneof![
        (range(), protection()).prop_map(|((start, count), bits)| Step::Map(start, count, bits)),
        range().prop_map(|(start, count)| Step::Unmap(start, count)),
        (range(), protection()).prop_map(|((start, count), bits)| Step::Protect(start, count, bits)),
    ]
}

const BASE: u64 = 0x10_0000;

proptest! {
    /// The same as a table with one entry per page would do.
    #[test]
    fn agrees_with_a_table_of_pages(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut process, mut fake) = start();
        let mut twin: BTreeMap<u64, u64> = BTreeMap::new();
        for step in steps {
            let at = |page: u64| BASE + page * PAGE;
            match step {
                Step::Map(start, count, bits) => {
                    let arguments = [at(start), count * PAGE, bits, FIXED, 0, 0];
                    prop_assert_eq!(call(&mut process, &mut fake, Sysno::mmap, &arguments), at(start) as i64);
                    twin.extend((start..start + count).map(|page| (page, bits)));
                }
                Step::Unmap(start, count) => {
                    prop_assert_eq!(call(&mut process, &mut fake, Sysno::munmap, &[at(start), count * PAGE]), 0);
                    twin.retain(|page, _| !(start..start + count).contains(page));
                }
                Step::Protect(start, count, bits) => {
                    let whole = (start..start + count).all(|page| twin.contains_key(&page));
                    let answer = call(&mut process, &mut fake, Sysno::mprotect, &[at(start), count * PAGE, bits]);
                    prop_assert_eq!(answer, if whole { 0 } else { -12 });
                    if whole {
                        twin.extend((start..start + count).map(|page| (page, bits)));
                    }
                }
            }
            for page in 0..32 {
                let area = process.memory.area(at(page));
                let bits = area.map(|area| {
                    let protection = area.protection;
                    u64::from(protection.read) | u64::from(protection.write) << 1 | u64::from(protection.execute) << 2
                });
                prop_assert_eq!(bits, twin.get(&page).copied());
                let backed = area.filter(|area| area.backed).map(|area| area.protection);
                prop_assert_eq!(fake.protection(at(page)), backed);
            }
        }
    }
}
