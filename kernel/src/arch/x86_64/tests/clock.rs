//! How fast the time stamp counter runs, as CPUIDs of machines tell it, or measured against PITs that count,
//! wrap, or are not there.

use super::{CALIBRATION_TICKS, PIT_HZ, measure, told_rate};
use std::cell::Cell;
use std::collections::HashMap;

/// A CPUID with these leaves, the others zero.
fn cpuid(leaves: &[(u32, [u32; 4])]) -> impl Fn(u32) -> [u32; 4] {
    let leaves: HashMap<u32, [u32; 4]> = leaves.iter().copied().collect();
    move |number| leaves.get(&number).copied().unwrap_or_default()
}

const VIRTUAL: (u32, [u32; 4]) = (1, [0, 0, 1 << 31, 0]);

#[test]
fn the_rate_that_cpuid_tells_is_believed() {
    let kvm = [VIRTUAL, (0x4000_0000, [0x4000_0010, 0, 0, 0]), (0x4000_0010, [2_500_000, 1_000_000, 0, 0])];
    assert_eq!(told_rate(cpuid(&kvm)), Some(2_500_000_000));
    let crystal = [(0, [0x16, 0, 0, 0]), (0x15, [2, 216, 24_000_000, 0]), (0x16, [2600, 0, 0, 0])];
    assert_eq!(told_rate(cpuid(&crystal)), Some(2_592_000_000));
    let no_crystal = [(0, [0x16, 0, 0, 0]), (0x15, [2, 216, 0, 0]), (0x16, [0xabcd_0a28, 0, 0, 0])];
    assert_eq!(told_rate(cpuid(&no_crystal)), Some(2_600_000_000));
}

#[test]
fn leaves_that_are_not_there_tell_nothing() {
    // QEMU's emulator; a bare CPU that answers beyond its last leaf; a crystal without a ratio.
    let emulated = [VIRTUAL, (0x4000_0000, [0x4000_0001, 0, 0, 0]), (0x4000_0010, [7, 7, 7, 7])];
    let beyond = [(0, [0xd, 0, 0, 0]), (0x15, [7; 4]), (0x16, [7; 4])];
    let bare = [(0x4000_0000, [u32::MAX; 4]), (0x4000_0010, [7; 4])];
    let no_ratio = [(0, [0x16, 0, 0, 0]), (0x15, [0, 0, 24_000_000, 0])];
    let nothing_but_ratio = [(0, [0x15, 0, 0, 0]), (0x15, [2, 216, 0, 0])];
    for leaves in [&emulated[..], &beyond, &bare, &no_ratio, &nothing_but_ratio] {
        assert_eq!(told_rate(cpuid(leaves)), None, "{leaves:?}");
    }
}

/// A PIT and a time stamp counter, 2000 of its ticks to one of the PIT's, on a machine that is paused at some
/// readings for so many ticks of the PIT.
struct Machine<'a> {
    pit: Cell<u64>,
    readings: Cell<usize>,
    pauses: &'a [(usize, u64)],
}

impl Machine<'_> {
    fn read(&self) -> u64 {
        self.readings.set(self.readings.get() + 1);
        let pause =
            self.pauses.iter().find(|(at, _)| *at == self.readings.get()).map_or(0, |(_, pause)| *pause);
        self.pit.set(self.pit.get() + 1 + pause);
        self.pit.get()
    }

    fn measure(&self) -> Option<u64> {
        let begin = Cell::new(0);
        let enough = |passed: u64, _: u64| passed >= CALIBRATION_TICKS;
        let restart = || begin.set(self.pit.get());
        let count = || 0xffffu64.checked_sub(self.read() - begin.get());
        let (passed, stamps) = measure(restart, count, 0xffff, || self.read() * 2000, enough)?;
        Some(stamps * PIT_HZ / passed)
    }
}

#[test]
fn a_machine_that_is_paused_while_it_measures_is_not_deceived() {
    // Readings come in threes: time stamp, PIT, time stamp. Pauses of 1, 5, 20 and 200 ms anywhere.
    for at in [1, 2, 3, 4, 2000, 2001, 2002, 5966, 5967, 5968, 5969, 5970] {
        for pause in [1193, 5966, 23_864, 238_636] {
            let pauses = [(at, pause), (at + 6001, pause)];
            let machine = Machine { pit: Cell::new(7), readings: Cell::new(0), pauses: &pauses };
            let rate = machine.measure().unwrap();
            assert!(rate.abs_diff(2000 * PIT_HZ) < 2000 * PIT_HZ / 20, "paused {pause} at {at}: {rate}");
        }
    }
}

#[test]
fn a_counter_that_does_not_count_or_is_at_its_end_is_none() {
    let stamps = Cell::new(0);
    let stamp = || stamps.replace(stamps.get() + 1);
    let enough = |passed: u64, _: u64| passed >= CALIBRATION_TICKS;
    assert_eq!(measure(|| (), || None, 0xffff, stamp, enough), None);
    assert!(stamps.get() < 100, "one that is not there is noticed soon");
    assert_eq!(measure(|| (), || Some(7), 0xffff, stamp, enough), None);
}
