//! What this machine's CPUs can do, read once by the first core before any other runs.

use super::cpu;
use core::sync::atomic::{AtomicBool, Ordering};

/// The features that choose between two paths. Every core has the same ones (checked when it starts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Pages can be made non-executable.
    pub no_execute: bool,
    /// The kernel can't run user pages.
    pub smep: bool,
    /// The kernel can't touch user pages except between `stac` and `clac`.
    pub smap: bool,
    /// User code can't read descriptor-table addresses.
    pub umip: bool,
    /// XSAVE.
    pub xsave: bool,
    /// AVX state.
    pub avx: bool,
    /// `rdfsbase` and friends.
    pub fsgsbase: bool,
    /// `rdrand`.
    pub rdrand: bool,
    /// Interrupt controller by MSR.
    pub x2apic: bool,
    /// Timer by time stamp.
    pub tsc_deadline: bool,
    /// 1 GiB pages.
    pub huge_1g: bool,
    /// Global pages.
    pub global_pages: bool,
}

struct Cell(core::cell::UnsafeCell<Features>, AtomicBool);
// SAFETY: written once by `keep` on the first core before any other core runs, read-only afterwards.
unsafe impl Sync for Cell {}

static FEATURES: Cell = Cell(
    core::cell::UnsafeCell::new(Features {
        no_execute: false,
        smep: false,
        smap: false,
        umip: false,
        xsave: false,
        avx: false,
        fsgsbase: false,
        rdrand: false,
        x2apic: false,
        tsc_deadline: false,
        huge_1g: false,
        global_pages: false,
    }),
    AtomicBool::new(false),
);

/// The features of this machine.
#[inline(always)]
pub fn get() -> &'static Features {
    // SAFETY: `keep` wrote it before anything that calls this; nobody writes it again.
    unsafe { &*FEATURES.0.get() }
}

/// Reads CPUID.
pub fn read() -> Features {
    let leaf_1 = cpu::identify(1, 0);
    let highest = cpu::identify(0, 0)[0];
    let leaf_7 = if highest >= 7 { cpu::identify(7, 0) } else { [0; 4] };
    let extended = cpu::identify(0x8000_0001, 0);
    let bit = |word: u32, number: u32| word >> number & 1 == 1;
    let xsave = bit(leaf_1[2], 26);
    Features {
        no_execute: bit(extended[3], 20),
        smep: bit(leaf_7[1], 7),
        smap: bit(leaf_7[1], 20),
        umip: bit(leaf_7[2], 2),
        xsave,
        avx: xsave && bit(leaf_1[2], 28),
        fsgsbase: bit(leaf_7[1], 0),
        rdrand: bit(leaf_1[2], 30),
        x2apic: bit(leaf_1[2], 21),
        tsc_deadline: bit(leaf_1[2], 24),
        huge_1g: bit(extended[3], 26),
        global_pages: bit(leaf_1[3], 13),
    }
}

/// Reads the features of the first core and keeps them. Called once.
pub fn detect() {
    keep(read());
}

/// Keeps these features. Called once, before anything asks for them.
pub fn keep(features: Features) {
    assert!(!FEATURES.1.swap(true, Ordering::SeqCst));
    // SAFETY: only the first core runs, and the flag above says that this happens once.
    unsafe { *FEATURES.0.get() = features };
}

const CR0_WRITE_PROTECT: u64 = 1 << 16;
const CR0_MONITOR: u64 = 1 << 1;
const CR0_EMULATE: u64 = 1 << 2;
const CR0_TASK_SWITCHED: u64 = 1 << 3;
const CR0_NOT_WRITE_THROUGH: u64 = 1 << 29;
const CR0_CACHE_DISABLE: u64 = 1 << 30;
const CR0_NUMERIC_ERROR: u64 = 1 << 5;
const CR4_GLOBAL_PAGES: u64 = 1 << 7;
const CR4_FXSR: u64 = 1 << 9;
const CR4_XMM_EXCEPTIONS: u64 = 1 << 10;
const CR4_UMIP: u64 = 1 << 11;
const CR4_FSGSBASE: u64 = 1 << 16;
const CR4_XSAVE: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;
const CR4_MACHINE_CHECK: u64 = 1 << 6;
const EFER_SYSCALL: u64 = 1 << 0;
const EFER_LONG_MODE: u64 = 1 << 8;
const EFER_NO_EXECUTE: u64 = 1 << 11;

/// Switches this core's protections and extensions on.
pub fn enable_on_this_core() {
    let features = get();
    let when = |on: bool, bits: u64| if on { bits } else { 0 };
    // A core starts with its caches off (Intel SDM vol. 3, table 9-1).
    let cr0 =
        cpu::control_0() & !(CR0_EMULATE | CR0_TASK_SWITCHED | CR0_CACHE_DISABLE | CR0_NOT_WRITE_THROUGH);
    let cr4 = cpu::control_4()
        | CR4_FXSR
        | CR4_XMM_EXCEPTIONS
        | CR4_MACHINE_CHECK
        | when(features.global_pages, CR4_GLOBAL_PAGES)
        | when(features.umip, CR4_UMIP)
        | when(features.fsgsbase, CR4_FSGSBASE)
        | when(features.xsave, CR4_XSAVE)
        | when(features.smep, CR4_SMEP)
        | when(features.smap, CR4_SMAP);
    let efer = EFER_SYSCALL | EFER_LONG_MODE | when(features.no_execute, EFER_NO_EXECUTE);
    // SAFETY: each bit is one that CPUID reports (or that every x86-64 CPU has); paging stays as it is.
    unsafe {
        cpu::write_msr(cpu::msr::EFER, efer | cpu::read_msr(cpu::msr::EFER));
        cpu::set_control_0(cr0 | CR0_WRITE_PROTECT | CR0_MONITOR | CR0_NUMERIC_ERROR);
        cpu::set_control_4(cr4);
    }
    super::extended_state::enable_on_this_core();
}
