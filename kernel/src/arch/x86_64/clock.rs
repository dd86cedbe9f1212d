//! Time: the time stamp counter, whose rate CPUID tells, or the PIT's second channel (Intel 8254), which runs
//! at 1,193,182 Hz; and the controller's timer, measured against it.

use super::{apic, cpu, features, ports};
use core::sync::atomic::{AtomicU64, Ordering};

const PIT_HZ: u64 = 1_193_182;
const PIT_CHANNEL_2: u16 = 0x42;
const PIT_COMMAND: u16 = 0x43;
const PIT_GATE: u16 = 0x61;
/// How long is measured, and the same in PIT ticks.
const CALIBRATION_MICROSECONDS: u64 = 5000;
const CALIBRATION_TICKS: u64 = CALIBRATION_MICROSECONDS * PIT_HZ / 1_000_000;
/// Readings in one measurement, far more than fit into that time; measurements; and which part of one may be
/// in doubt at the first.
const READS: u32 = 100_000;
const ATTEMPTS: u64 = 20;
const DOUBT_PARTS: u64 = 64;

static TSC_HZ: AtomicU64 = AtomicU64::new(1_000_000_000);
/// Timer ticks per time stamp tick, times 2^32.
static TIMER_RATIO: AtomicU64 = AtomicU64::new(1 << 32);
/// Longest that an idle core polls, in ticks; 0 on an emulated machine, where it would steal from others.
pub static POLL_LIMIT: AtomicU64 = AtomicU64::new(0);

/// Time stamp ticks per second.
pub fn tsc_hz() -> u64 {
    TSC_HZ.load(Ordering::Relaxed)
}

/// Microseconds as ticks.
pub fn ticks(microseconds: u64) -> u64 {
    (u128::from(microseconds) * u128::from(tsc_hz()) / 1_000_000) as u64
}

/// The count of the PIT's second channel, unless it has come to its end: status (its top bit) and count in
/// one read-back.
fn pit_count() -> Option<u64> {
    // SAFETY: latching and reading the PIT's second channel changes nothing else.
    let [status, low, high] = unsafe {
        ports::write(PIT_COMMAND, 1, 0xc8);
        [(); 3].map(|()| u64::from(ports::read(PIT_CHANNEL_2, 1)))
    };
    (status & 0x80 == 0).then_some(low | high << 8)
}

/// Has the PIT's second channel count down, once.
fn start_pit() {
    // SAFETY: the PIT's second channel drives the speaker, which stays off (bit 1); the gate goes on.
    unsafe {
        let gate = ports::read(PIT_GATE, 1);
        ports::write(PIT_GATE, 1, gate & !2 | 1);
        ports::write(PIT_COMMAND, 1, 0xb0);
        ports::write(PIT_CHANNEL_2, 1, 0xff);
        ports::write(PIT_CHANNEL_2, 1, 0xff);
    }
}

/// Some bits that depend on how two clocks run against each other.
pub fn noise() -> u64 {
    let start = cpu::time_stamp();
    let count = pit_count().unwrap_or(0);
    cpu::time_stamp().wrapping_sub(start) << 16 ^ count
}

/// Learns how fast time stamp counter and timer run: by what CPUID tells, else measured against the PIT.
/// `false`: there is neither.
pub fn calibrate() -> bool {
    let leaf = |number| cpu::identify(number, 0);
    let by_pit = || {
        let enough = |passed: u64, _: u64| passed >= CALIBRATION_TICKS;
        measure(start_pit, pit_count, 0xffff, cpu::time_stamp, enough)
    };
    let measured = || by_pit().map(|(passed, stamps)| stamps * PIT_HZ / passed);
    let Some(rate) = told_rate(leaf).or_else(measured) else { return false };
    TSC_HZ.store(rate, Ordering::Relaxed);
    let left = || Some(u64::from(!apic::counted()));
    let enough = |_: u64, stamps: u64| stamps >= ticks(CALIBRATION_MICROSECONDS);
    let (passed, stamps) =
        measure(apic::count_down, left, 0xffff_ffff, cpu::time_stamp, enough).unwrap_or((1, 1));
    TIMER_RATIO.store(((u128::from(passed) << 32) / u128::from(stamps)) as u64, Ordering::Relaxed);
    if !is_emulated() {
        POLL_LIMIT.store(ticks(50), Ordering::Relaxed);
    }
    true
}

/// How far a counter counts down, and the time stamp counter up meanwhile, until that is `enough`. On a
/// machine that may be paused at any instruction: each reading of the counter lies between two of the time
/// stamp, and where those are too far apart, or the counter came to its end, it is begun anew, with more
/// tolerance each time.
fn measure(
    restart: impl Fn(),
    count: impl Fn() -> Option<u64>,
    mask: u64,
    stamp: impl Fn() -> u64,
    enough: impl Fn(u64, u64) -> bool,
) -> Option<(u64, u64)> {
    let sample = || {
        let before = stamp();
        let count = count()?;
        Some((count, before, stamp() - before))
    };
    let once = |attempt| {
        restart();
        let (first_count, begin, first_doubt) = sample()?;
        for _ in 0..READS {
            let (count, now, doubt) = sample()?;
            let (passed, stamps) = (first_count.wrapping_sub(count) & mask, now - begin);
            if enough(passed, stamps) {
                let sure = (first_doubt + doubt) * DOUBT_PARTS <= stamps * attempt;
                return sure.then_some((passed, stamps.max(1)));
            }
        }
        None
    };
    (1..=ATTEMPTS).find_map(once)
}

/// What CPUID tells of the time stamp counter's rate: a hypervisor in kHz (leaf 0x40000010, as VMware, KVM
/// and Cloud Hypervisor have it), or the CPU as a crystal and a ratio (0x15; for want of the crystal the base
/// frequency in MHz, 0x16: Intel SDM vol. 3, 19.7.3).
fn told_rate(leaf: impl Fn(u32) -> [u32; 4]) -> Option<u64> {
    let told = |within: u32, number: u32| if leaf(within)[0] >= number { leaf(number) } else { [0; 4] };
    let is_virtual = leaf(1)[2] >> 31 == 1;
    let kilohertz = if is_virtual { told(0x4000_0000, 0x4000_0010)[0] } else { 0 };
    let [below, above, crystal, _] = told(0, 0x15).map(u64::from);
    let megahertz = told(0, 0x16)[0] & 0xffff;
    let rate = match (kilohertz, below) {
        (1.., _) => u64::from(kilohertz) * 1000,
        (0, 1..) if crystal != 0 => crystal * above / below,
        (0, 1..) => u64::from(megahertz) * 1_000_000,
        _ => 0,
    };
    (rate != 0).then_some(rate)
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

#[cfg(test)]
#[path = "tests/clock.rs"]
mod tests;
