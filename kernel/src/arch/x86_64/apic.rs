//! The local interrupt controller: xAPIC by memory, x2APIC by MSR where CPUID has it (Intel SDM vol. 3,
//! chapter 10). Interrupts between cores, the timer, end of interrupt.

use super::{cpu, features, paging};
use core::sync::atomic::{AtomicU64, Ordering};

/// Vectors this kernel uses.
pub mod vector {
    /// First of the lines of the I/O interrupt controller.
    pub const LINES: u8 = 0x30;
    /// The timer.
    pub const TIMER: u8 = 0xe0;
    /// Another core posted something.
    pub const KICK: u8 = 0xe1;
    /// The controller's "never mind".
    pub const SPURIOUS: u8 = 0xff;
}

mod register {
    pub const ID: u32 = 0x20;
    pub const TASK_PRIORITY: u32 = 0x80;
    pub const END: u32 = 0xb0;
    pub const SPURIOUS: u32 = 0xf0;
    pub const COMMAND_LOW: u32 = 0x300;
    pub const COMMAND_HIGH: u32 = 0x310;
    pub const TIMER: u32 = 0x320;
    pub const LINE_0: u32 = 0x350;
    pub const LINE_1: u32 = 0x360;
    pub const TIMER_INITIAL: u32 = 0x380;
    pub const TIMER_CURRENT: u32 = 0x390;
    pub const TIMER_DIVIDE: u32 = 0x3e0;
}

const MASKED: u32 = 1 << 16;
const DEADLINE_MODE: u32 = 2 << 17;
const PENDING: u32 = 1 << 12;
const ENABLED_X2APIC: u64 = 1 << 10;
const ENABLED: u64 = 1 << 11;

/// Where the controller's registers are mapped.
static BASE: AtomicU64 = AtomicU64::new(0);

/// Physical address of the registers.
pub fn physical_base() -> u64 {
    // SAFETY: every CPU with an APIC has the register; the kernel needs one.
    unsafe { cpu::read_msr(cpu::msr::APIC_BASE) & 0x000f_ffff_ffff_f000 }
}

/// Whether one of these frames may hold registers of an interrupt controller: of the I/O ones, or the cores' own
/// (Intel 82093AA, 3.0; SDM vol. 3, 11.4.1). The kernel's alone: whoever reaches them interrupts any core as he likes.
pub fn may_be_registers(first: u64, count: u64) -> bool {
    [0xfec00, 0xfee00].iter().any(|window| first < window + 0x100 && *window < first + count)
}

/// Says where the registers are mapped, once.
pub fn set_mapping() {
    BASE.store(paging::DEVICES, Ordering::Release);
}

fn read(register: u32) -> u32 {
    if features::get().x2apic {
        // SAFETY: in x2APIC mode every register has an MSR.
        return unsafe { cpu::read_msr(cpu::msr::X2APIC + (register >> 4)) } as u32;
    }
    // SAFETY: the registers are mapped uncached at BASE, 16 bytes apart.
    unsafe { ((BASE.load(Ordering::Relaxed) + u64::from(register)) as *const u32).read_volatile() }
}

fn write(register: u32, value: u32) {
    if features::get().x2apic {
        // SAFETY: as in `read`; the kernel writes only values that the manual allows.
        unsafe { cpu::write_msr(cpu::msr::X2APIC + (register >> 4), u64::from(value)) };
        return;
    }
    // SAFETY: as in `read`.
    unsafe { ((BASE.load(Ordering::Relaxed) + u64::from(register)) as *mut u32).write_volatile(value) }
}

/// Switches this core's controller on, timer masked.
pub fn enable_on_this_core() {
    // SAFETY: enabling the controller that the kernel drives.
    unsafe {
        let base = cpu::read_msr(cpu::msr::APIC_BASE) | ENABLED;
        cpu::write_msr(cpu::msr::APIC_BASE, base);
        if features::get().x2apic {
            cpu::write_msr(cpu::msr::APIC_BASE, base | ENABLED_X2APIC);
        }
    }
    write(register::TASK_PRIORITY, 0);
    write(register::LINE_0, MASKED);
    write(register::LINE_1, MASKED);
    write(register::TIMER, MASKED | u32::from(vector::TIMER));
    write(register::TIMER_DIVIDE, 0b1011); // by 1
    write(register::SPURIOUS, 0x100 | u32::from(vector::SPURIOUS));
    if features::get().tsc_deadline && !features::get().x2apic {
        // The deadline's MSR write is ordered after this only by a fence (SDM vol. 3, 10.5.4.1).
        core::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// This core's number for its controller.
pub fn own_id() -> u32 {
    if features::get().x2apic { read(register::ID) } else { read(register::ID) >> 24 }
}

/// The interrupt was seen.
pub fn end_of_interrupt() {
    write(register::END, 0);
}

/// Sends a command to another controller.
fn command(hardware_id: u32, low: u32) {
    if features::get().x2apic {
        // x2APIC writes are not serialising: what was stored before must be visible first (SDM 10.12.3).
        core::sync::atomic::fence(Ordering::SeqCst);
        // SAFETY: the interrupt command register.
        unsafe {
            cpu::write_msr(
                cpu::msr::X2APIC + (register::COMMAND_LOW >> 4),
                u64::from(hardware_id) << 32 | u64::from(low),
            );
        }
        return;
    }
    // A command that is still on its way delays the next; the hardware bounds that.
    for _ in 0..100_000 {
        if read(register::COMMAND_LOW) & PENDING == 0 {
            break;
        }
        cpu::relax();
    }
    write(register::COMMAND_HIGH, hardware_id << 24);
    write(register::COMMAND_LOW, low);
}

/// Interrupts another core, so that it looks at its inbox.
pub fn interrupt(hardware_id: u32) {
    command(hardware_id, 0x4000 | u32::from(vector::KICK));
}

/// Sends a non-maskable interrupt: fences a core that does not answer.
pub fn interrupt_unconditionally(hardware_id: u32) {
    command(hardware_id, 0x4400);
}

/// Puts a core into its start state.
pub fn send_init(hardware_id: u32) {
    command(hardware_id, 0xc500);
}

/// Starts a core at a page below 1 MiB.
pub fn send_startup(hardware_id: u32, page: u8) {
    command(hardware_id, 0x4600 | u32::from(page));
}

/// Sets the timer to fire once after `count` of its ticks.
pub fn start_timer(count: u32) {
    write(register::TIMER, u32::from(vector::TIMER));
    write(register::TIMER_INITIAL, count);
}

/// Sets the timer to fire when the time stamp counter reaches `at`.
pub fn start_timer_at(at: u64) {
    write(register::TIMER, DEADLINE_MODE | u32::from(vector::TIMER));
    core::sync::atomic::fence(Ordering::SeqCst);
    // SAFETY: CPUID reports the deadline timer.
    unsafe { cpu::write_msr(cpu::msr::TSC_DEADLINE, at) };
}

/// Lets the timer count down without an interrupt, for calibration.
pub fn count_down() {
    write(register::TIMER, MASKED);
    write(register::TIMER_INITIAL, u32::MAX);
}

/// How far it has counted.
pub fn counted() -> u32 {
    u32::MAX - read(register::TIMER_CURRENT)
}
