//! Single instructions of the CPU, each wrapped once. What they mean for the system is decided elsewhere.

use core::arch::asm;

/// Model-specific registers that the kernel uses (Intel SDM vol. 4).
#[allow(missing_docs, reason = "each is named after what the manual calls it")]
pub mod msr {
    pub const APIC_BASE: u32 = 0x1b;
    pub const TSC_DEADLINE: u32 = 0x6e0;
    pub const X2APIC: u32 = 0x800;
    pub const MCG_STATUS: u32 = 0x17a;
    pub const EFER: u32 = 0xc000_0080;
    pub const STAR: u32 = 0xc000_0081;
    pub const LSTAR: u32 = 0xc000_0082;
    pub const SFMASK: u32 = 0xc000_0084;
    pub const FS_BASE: u32 = 0xc000_0100;
    pub const GS_BASE: u32 = 0xc000_0101;
    pub const KERNEL_GS_BASE: u32 = 0xc000_0102;
}

/// Reads a model-specific register.
///
/// # Safety
/// The register must exist on this CPU.
pub unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller says that the register exists; reading it has no effect on memory.
    unsafe { asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register must exist, and the value must keep the kernel's own assumptions (stacks, entry points).
#[inline(always)]
pub unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller vouches for register and value.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack));
    }
}

/// The time stamp counter.
#[inline(always)]
pub fn time_stamp() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: rdtsc reads a counter and nothing else.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// CPUID with a leaf and subleaf: eax, ebx, ecx, edx.
pub fn identify(leaf: u32, subleaf: u32) -> [u32; 4] {
    let result = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [result.eax, result.ebx, result.ecx, result.edx]
}

/// Reads `cr2`, the address of the last page fault.
pub fn fault_address() -> u64 {
    let address: u64;
    // SAFETY: reading cr2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// Loads `cr3`, and with it forgets every cached translation that is not global.
///
/// # Safety
/// `root` must be the physical address of a top page table that maps the kernel as it is mapped now.
#[inline(always)]
pub unsafe fn set_page_table_root(root: u64) {
    // SAFETY: the caller says that the kernel stays mapped.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Forgets the cached translation of one page in the current space.
#[inline(always)]
pub fn forget_page(address: u64) {
    // SAFETY: invlpg only drops cached state; the next access walks the tables again.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Reads `cr0`.
pub fn control_0() -> u64 {
    let value: u64;
    // SAFETY: reading cr0 has no effect.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes `cr0`.
///
/// # Safety
/// Paging and protection must stay on.
pub unsafe fn set_control_0(value: u64) {
    // SAFETY: the caller keeps paging on.
    unsafe { asm!("mov cr0, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Reads `cr4`.
pub fn control_4() -> u64 {
    let value: u64;
    // SAFETY: reading cr4 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes `cr4`.
///
/// # Safety
/// Only features that CPUID reports may be switched on, and PAE must stay on.
pub unsafe fn set_control_4(value: u64) {
    // SAFETY: the caller checked CPUID.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Opens interrupts, sleeps until one came, closes them again. `sti` holds interrupts off for one more
/// instruction, so a wake-up between a caller's last check and `hlt` is not lost (Intel SDM vol. 2, STI).
pub fn sleep_until_interrupt() {
    // SAFETY: the interrupt handlers that may run keep the kernel's stack and registers, but for vector registers.
    unsafe { asm!("sti", "hlt", "cli", clobber_abi("C"), options(nostack)) };
}

/// Lets pending interrupts in for a moment.
pub fn interrupt_window() {
    // SAFETY: as above; the nop ends the shadow of sti.
    unsafe { asm!("sti", "nop", "cli", clobber_abi("C"), options(nostack)) };
}

/// Stops this CPU for good, without interrupts; NMIs still come and are ignored by a fenced core.
pub fn halt_forever() -> ! {
    loop {
        // SAFETY: nothing runs here again; that is the purpose.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Takes back what a program may have allowed by setting AC: the kernel touching its pages. (`syscall`
/// clears AC by itself, an interrupt does not.)
pub fn forbid_user_memory() {
    if super::features::get().smap {
        // SAFETY: CPUID reports SMAP; clearing AC only forbids.
        unsafe { asm!("clac", options(nomem, nostack)) };
    }
}

/// Tells the CPU that this is a spin loop.
pub fn relax() {
    core::hint::spin_loop();
}

/// A random number from the CPU, if it has a generator and the generator answered within ten tries
/// (Intel SDM vol. 1, 7.3.17).
pub fn hardware_random() -> Option<u64> {
    if !super::features::get().rdrand {
        return None;
    }
    for _ in 0..10 {
        let (value, good): (u64, u8);
        // SAFETY: CPUID reports rdrand.
        unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) good, options(nomem, nostack)) };
        if good != 0 {
            return Some(value);
        }
    }
    None
}

/// Reads the base of FS (with `rdfsbase` where the CPU has it).
#[inline(always)]
pub fn fs_base() -> u64 {
    if super::features::get().fsgsbase {
        let value: u64;
        // SAFETY: CPUID reports fsgsbase and CR4 enables it.
        unsafe { asm!("rdfsbase {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
        return value;
    }
    // SAFETY: every x86-64 CPU has this register.
    unsafe { read_msr(msr::FS_BASE) }
}

/// Sets the base of FS.
///
/// # Safety
/// The base must be canonical.
#[inline(always)]
pub unsafe fn set_fs_base(base: u64) {
    if super::features::get().fsgsbase {
        // SAFETY: CPUID reports fsgsbase, CR4 enables it, and the base is canonical.
        unsafe { asm!("wrfsbase {}", in(reg) base, options(nostack, preserves_flags)) };
        return;
    }
    // SAFETY: the register exists and the base is canonical.
    unsafe { write_msr(msr::FS_BASE, base) };
}

/// Whether an address has its 17 top bits alike (Intel SDM vol. 1, 3.3.7.1).
pub const fn is_canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}
