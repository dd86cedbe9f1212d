//! Time as the machine counts it, and whether a core has it to itself.

use core::arch::x86_64::__cpuid;

/// The time stamp counter: ticks since some moment before boot, alike on all cores of a machine, at the rate that
/// the start block names.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC reads a counter; the kernel leaves it open to programs (CR4.TSD is clear).
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Whether this is QEMU's emulator, which takes turns between cores: a core that waits busily takes time from the others.
pub fn is_emulated() -> bool {
    const HAS_HYPERVISOR: u32 = 1 << 31;
    let id = __cpuid(0x4000_0000);
    __cpuid(1).ecx & HAS_HYPERVISOR != 0
        && [id.ebx, id.ecx, id.edx].map(u32::to_le_bytes).as_flattened() == b"TCGTCGTCGTCG"
}
