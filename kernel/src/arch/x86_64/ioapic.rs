//! The I/O interrupt controller: which line goes to which core, and masking (Intel 82093AA).

use super::{apic::vector, paging};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Lines of this kernel's table: enough for one controller.
pub const LINES: usize = 64;

static BASE: AtomicU64 = AtomicU64::new(0);
static FIRST_LINE: AtomicU32 = AtomicU32::new(0);
/// Lines that ACPI says are level-triggered or active low, one bit each; ISA lines are edge, high.
static LEVEL: AtomicU64 = AtomicU64::new(0);
static LOW: AtomicU64 = AtomicU64::new(0);

/// Says where it is mapped and which line is its first.
pub fn set_mapping(index: u64, first_line: u32) {
    BASE.store(paging::DEVICES + 4096 * (index + 1), Ordering::Release);
    FIRST_LINE.store(first_line, Ordering::Relaxed);
}

/// An exception of the ACPI tables.
pub fn set_trigger(line: u32, level: bool, low: bool) {
    if line < 64 {
        if level {
            LEVEL.fetch_or(1 << line, Ordering::Relaxed);
        }
        if low {
            LOW.fetch_or(1 << line, Ordering::Relaxed);
        }
    }
}

fn write(register: u32, value: u32) {
    let base = BASE.load(Ordering::Relaxed);
    if base == 0 {
        return;
    }
    // SAFETY: the controller is mapped uncached; index and data registers are written by one core at a
    // time: binding, masking and unmasking happen on the core that a line goes to, and lines of two cores
    // are kept apart by `lock`.
    unsafe {
        (base as *mut u32).write_volatile(register);
        ((base + 0x10) as *mut u32).write_volatile(value);
    }
}

static BUSY: AtomicU32 = AtomicU32::new(0);

/// The controller has one index register for all cores. Held for two stores with interrupts off; a core
/// that dies in between gives it up after a bounded wait of the next.
fn lock(work: impl FnOnce()) {
    for _ in 0..100_000 {
        if BUSY.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            break;
        }
        super::cpu::relax();
    }
    work();
    BUSY.store(0, Ordering::Release);
}

fn entry(line: u32, masked: bool) -> u32 {
    let bit = |word: &AtomicU64| word.load(Ordering::Relaxed) >> line & 1 == 1;
    let level = if bit(&LEVEL) { 1 << 15 } else { 0 };
    let low = if bit(&LOW) { 1 << 13 } else { 0 };
    let mask = if masked { 1 << 16 } else { 0 };
    (u32::from(vector::LINES) + line) | level | low | mask
}

/// Whether a line stays up until its device is served: it must be masked until then.
pub fn is_level(line: u32) -> bool {
    LEVEL.load(Ordering::Relaxed) >> line & 1 == 1
}

/// Sends a line to a core, masked or not.
pub fn route(line: u32, hardware_id: u32, masked: bool) {
    let index = line - FIRST_LINE.load(Ordering::Relaxed);
    lock(|| {
        write(0x10 + 2 * index + 1, hardware_id << 24);
        write(0x10 + 2 * index, entry(line, masked));
    });
}

/// Masks every line, at boot.
pub fn mask_all() {
    for line in 0..24 {
        lock(|| write(0x10 + 2 * line, 1 << 16 | (u32::from(vector::LINES) + line)));
    }
}
