//! Time as the machine counts it.

/// The time stamp counter: ticks since some moment before boot, alike on all cores of a machine, at the rate that
/// the start block names.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC reads a counter; the kernel leaves it open to programs (CR4.TSD is clear).
    unsafe { core::arch::x86_64::_rdtsc() }
}
