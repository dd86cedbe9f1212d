//! Per core: segment descriptors, task state with its stacks for exceptions that may come at any moment,
//! and the one interrupt table that all cores share.

use super::cpu;
use core::arch::asm;

/// Segment selectors. The order is what `syscall` and `sysret` demand (Intel SDM vol. 3, 5.8.8).
#[allow(missing_docs, reason = "each is named after what the manual calls it")]
pub mod selector {
    pub const KERNEL_CODE: u16 = 0x08;
    pub const KERNEL_DATA: u16 = 0x10;
    /// `sysret` adds 8 for SS and 16 for CS.
    pub const SYSRET_BASE: u16 = 0x18;
    /// The descriptor whose limit is the core's number has the place that `sysret` skips.
    pub const CORE_NUMBER: u16 = 0x18;
    pub const USER_DATA: u16 = 0x20 | 3;
    pub const USER_CODE: u16 = 0x28 | 3;
    pub const TASK: u16 = 0x30;
}

/// Stacks of a core: for calls and interrupts, and one each for exceptions that come between any two
/// instructions (NMI, double fault, machine check, debug).
pub const INTERRUPT_STACKS: usize = 4;

/// The task state segment (Intel SDM vol. 3, 8.7).
#[repr(C, packed(4))]
pub struct TaskState {
    reserved_0: u32,
    stacks: [u64; 3],
    reserved_1: u64,
    interrupt_stacks: [u64; 7],
    reserved_2: u64,
    reserved_3: u16,
    io_map: u16,
}
const _: () = assert!(size_of::<TaskState>() == 104);

/// A core's segment descriptors and task state; never moves once loaded.
#[repr(C, align(16))]
pub struct Descriptors {
    segments: [u64; 8],
    task: TaskState,
}

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

impl Descriptors {
    /// Fills this core's descriptors and loads them.
    ///
    /// # Safety
    /// `self` must stay where it is for ever; the stacks must be mapped and this core's own.
    pub unsafe fn load(&mut self, number: u16, stack: u64, interrupt_stacks: [u64; INTERRUPT_STACKS]) {
        let mut stacks = [0; 7];
        stacks[..INTERRUPT_STACKS].copy_from_slice(&interrupt_stacks);
        self.task = TaskState {
            reserved_0: 0,
            stacks: [stack, 0, 0],
            reserved_1: 0,
            interrupt_stacks: stacks,
            reserved_2: 0,
            reserved_3: 0,
            io_map: size_of::<TaskState>() as u16,
        };
        let task = &raw const self.task as u64;
        self.segments = [
            0,
            0x00af_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            // Never loaded; its limit tells machine code which core this is, whatever GS holds.
            0x0000_9100_0000_0000 | u64::from(number),
            0x00cf_f300_0000_ffff,
            0x00af_fb00_0000_ffff,
            0x0000_8900_0000_0067 | (task & 0xff_ffff) << 16 | (task >> 24 & 0xff) << 56,
            task >> 32,
        ];
        let pointer = TablePointer { limit: 63, base: self.segments.as_ptr() as u64 };
        // SAFETY: the descriptors above are the flat 64-bit ones, and live for ever.
        unsafe {
            asm!(
                "lgdt [{pointer}]",
                "push {code}",
                "lea {scratch}, [rip + 2f]",
                "push {scratch}",
                "retfq",
                "2:",
                "mov ds, {zero:e}",
                "mov es, {zero:e}",
                "mov ss, {data:e}",
                "ltr {task:x}",
                pointer = in(reg) &raw const pointer,
                code = const selector::KERNEL_CODE as i32,
                scratch = out(reg) _,
                zero = in(reg) 0,
                data = in(reg) u32::from(selector::KERNEL_DATA),
                task = in(reg) selector::TASK,
            );
        }
    }
}

/// One gate of the interrupt table (Intel SDM vol. 3, 6.14.1).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    low: u64,
    high: u64,
}

/// The interrupt table.
#[repr(C, align(16))]
pub struct InterruptTable([Gate; 256]);

/// The one exception that programs may raise by an instruction of its own (`int3`).
const BREAKPOINT: usize = 3;

/// Which interrupt stack a vector uses: 0 is "the one it interrupted, or the kernel's".
fn interrupt_stack(vector: usize) -> u64 {
    match vector {
        1 => 4,  // debug
        2 => 1,  // NMI
        8 => 2,  // double fault
        18 => 3, // machine check
        _ => 0,
    }
}

impl InterruptTable {
    /// An empty table.
    pub const fn new() -> InterruptTable {
        InterruptTable([Gate { low: 0, high: 0 }; 256])
    }

    /// Points every vector at its stub.
    pub fn fill(&mut self, stub: impl Fn(usize) -> u64) {
        for (vector, gate) in self.0.iter_mut().enumerate() {
            let address = stub(vector);
            gate.low = (address & 0xffff)
                | u64::from(selector::KERNEL_CODE) << 16
                | interrupt_stack(vector) << 32
                | if vector == BREAKPOINT { 0xee } else { 0x8e } << 40
                | (address >> 16 & 0xffff) << 48;
            gate.high = address >> 32;
        }
    }

    /// Loads it on this core.
    ///
    /// # Safety
    /// The table must be filled and stay where it is.
    pub unsafe fn load(&self) {
        let pointer = TablePointer { limit: 4095, base: self as *const Self as u64 };
        // SAFETY: the caller says that the table is filled and stays.
        unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack)) };
    }
}

impl Default for InterruptTable {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets up `syscall` on this core: entry point, segments, and that interrupts, traps, direction and
/// alignment checks are off on entry.
pub fn enable_system_calls(entry: u64) {
    let segments = u64::from(selector::KERNEL_CODE) << 32 | u64::from(selector::SYSRET_BASE | 3) << 48;
    // SAFETY: the registers exist on every x86-64 CPU; the entry is the kernel's own.
    unsafe {
        cpu::write_msr(cpu::msr::STAR, segments);
        cpu::write_msr(cpu::msr::LSTAR, entry);
        cpu::write_msr(cpu::msr::SFMASK, 0x0004_7700);
    }
}
