//! Time: the time stamp counter, and the controller's timer, both calibrated once against the PIT's second
//! channel (Intel 8254), which runs at 1,193,182 Hz on every PC.

use super::{apic, cpu, features, ports};
use core::sync::atomic::{AtomicU64, Ordering};

const PIT_HZ: u64 = 1_193_182;
const PIT_CHANNEL_2: u16 = 0x42;
const PIT_COMMAND: u16 = 0x43;
const PIT_GATE: u16 = 0x61;
/// Longest that calibration may take, in PIT ticks: 5 ms.
const CALIBRATION_TICKS: u64 = 5966;

static TSC_HZ: AtomicU64 = AtomicU64::new(1_000_000_000);
/// Timer ticks per time stamp tick, times 2^32.
static TIMER_RATIO: AtomicU64 = AtomicU64::new(1 << 32);
static POLL_LIMIT: AtomicU64 = AtomicU64::new(0);

/// Time stamp ticks per second.
pub fn tsc_hz() -> u64 {
    TSC_HZ.load(Ordering::Relaxed)
}

/// Microseconds as ticks.
pub fn ticks(microseconds: u64) -> u64 {
    (u128::from(microseconds) * u128::from(tsc_hz()) / 1_000_000) as u64
}

/// Longest that an idle core polls, in ticks; 0 on an emulated machine, where it would steal from others.
pub fn poll_limit() -> u64 {
    POLL_LIMIT.load(Ordering::Relaxed)
}

fn pit_count() -> u64 {
    // SAFETY: latching and reading the PIT's second channel changes nothing else.
    unsafe {
        ports::write(PIT_COMMAND, 1, 0x80);
        u64::from(ports::read(PIT_CHANNEL_2, 1)) | u64::from(ports::read(PIT_CHANNEL_2, 1)) << 8
    }
}

/// Some bits that depend on how two clocks run against each other.
pub fn noise() -> u64 {
    let start = cpu::time_stamp();
    let count = pit_count();
    cpu::time_stamp().wrapping_sub(start) << 16 ^ count
}

/// Measures time stamp counter and timer against the PIT.
pub fn calibrate() {
    // SAFETY: the PIT's second channel drives the speaker, which stays off (bit 1); the gate goes on.
    unsafe {
        let gate = ports::read(PIT_GATE, 1);
        ports::write(PIT_GATE, 1, gate & !2 | 1);
        ports::write(PIT_COMMAND, 1, 0xb0);
        ports::write(PIT_CHANNEL_2, 1, 0xff);
        ports::write(PIT_CHANNEL_2, 1, 0xff);
    }
    apic::count_down();
    let (first_count, first_stamp, first_timer) = (pit_count(), cpu::time_stamp(), apic::counted());
    let mut passed = 0;
    let mut stamp = first_stamp;
    let mut timer = first_timer;
    for _ in 0..10_000_000 {
        passed = first_count.wrapping_sub(pit_count()) & 0xffff;
        (stamp, timer) = (cpu::time_stamp(), apic::counted());
        if passed >= CALIBRATION_TICKS {
            break;
        }
    }
    let stamps = (stamp - first_stamp).max(1);
    if passed >= CALIBRATION_TICKS {
        TSC_HZ.store(stamps * PIT_HZ / passed, Ordering::Relaxed);
    }
    let timers = u64::from(timer.wrapping_sub(first_timer)).max(1);
    TIMER_RATIO.store(((u128::from(timers) << 32) / u128::from(stamps)) as u64, Ordering::Relaxed);
    if !is_emulated() {
        POLL_LIMIT.store(ticks(50), Ordering::Relaxed);
    }
}

/// Whether this is QEMU's emulator, which takes turns between CPUs: polling there steals time.
fn is_emulated() -> bool {
    let [_, ebx, ecx, edx] = cpu::identify(0x4000_0000, 0);
    cpu::identify(1, 0)[2] >> 31 == 1 && [ebx, ecx, edx] == [0x5447_4354, 0x4354_4743, 0x4743_5447]
}

/// Has the timer fire once, `ticks` time stamp ticks from now.
pub fn start_timer(ticks: u64) {
    if features::get().tsc_deadline {
        apic::start_timer_at(cpu::time_stamp() + ticks);
        return;
    }
    let count = (u128::from(ticks) * u128::from(TIMER_RATIO.load(Ordering::Relaxed))) >> 32;
    apic::start_timer(count.clamp(1, u128::from(u32::MAX)) as u32);
}

/// Waits, at boot.
pub fn wait(microseconds: u64) {
    let end = cpu::time_stamp() + ticks(microseconds);
    while cpu::time_stamp() < end {
        cpu::relax();
    }
}
