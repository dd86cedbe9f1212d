//! What each trap means, from user mode and from the kernel.

use super::apic::{self, vector};
use super::entry::{self, KernelFrame};
use super::{cpu, user_memory};
use crate::cores::{self, Core};
use crate::thread::{Resume, Thread};
use crate::{failure, faults, interrupts};
use core::arch::asm;

/// Exceptions with a meaning of their own (Intel SDM vol. 3, table 6-1).
#[allow(missing_docs, reason = "each is named after what the manual calls it")]
pub mod exception {
    pub const DEBUG: u64 = 1;
    pub const NON_MASKABLE: u64 = 2;
    pub const DOUBLE_FAULT: u64 = 8;
    pub const PAGE_FAULT: u64 = 14;
    pub const MACHINE_CHECK: u64 = 18;
}

/// Return addresses, found by frame pointers, printed from the innermost out.
pub struct Backtrace {
    /// Where it happened; 0: the first return address says it.
    pub instruction: u64,
    /// The frame pointer there.
    pub frame: u64,
}

impl core::fmt::Display for Backtrace {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        let mut separator = "";
        if self.instruction != 0 {
            write!(formatter, "{:#x}", self.instruction)?;
            separator = " ";
        }
        let mut frame = self.frame;
        for _ in 0..16 {
            if !frame.is_multiple_of(8) || !super::paging::is_kernel_stack(frame) {
                break;
            }
            // SAFETY: the address lies in the kernel's stacks, which are mapped but for guard pages; those
            // hold no frame that a frame pointer can name.
            let [next, back] = unsafe { (frame as *const [u64; 2]).read() };
            if back < super::paging::IMAGE_BASE {
                break;
            }
            write!(formatter, "{separator}{back:#x}")?;
            separator = " ";
            if next <= frame {
                break;
            }
            frame = next;
        }
        Ok(())
    }
}

/// The frame pointer of whoever calls this.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: reading a register.
    unsafe { asm!("mov {}, rbp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// This core's `Core`.
#[inline(always)]
pub fn core_pointer() -> *const Core {
    let pointer: *const Core;
    // SAFETY: in the kernel, GS is based at this core's `Core`, whose first word is its own address for ever.
    unsafe { asm!("mov {}, gs:[0]", out(reg) pointer, options(nostack, preserves_flags, pure, nomem)) };
    pointer
}

/// A trap from user mode; all of the thread's state is saved.
pub extern "C" fn from_user(number: u64, code: u64) -> ! {
    cpu::forbid_user_memory();
    let here = cores::this();
    let thread = Thread::current();
    let address = cpu::fault_address();
    thread.resume.set(Resume::All);
    match number {
        exception::NON_MASKABLE => failure::asked_to_stop(here),
        exception::MACHINE_CHECK => machine_check(here, true),
        0..32 => faults::user_fault(here, thread, number, code, address),
        _ => interrupt(here, number as u8),
    }
    // SAFETY: GS is the kernel's, and nothing on this stack is needed.
    unsafe { entry::leave() }
}

/// A trap from the kernel: an interrupt of an idle core, a fault of the copy routine, or a failure.
pub extern "C" fn from_kernel(frame: &mut KernelFrame) {
    let here = cores::this();
    match frame.vector {
        32.. => interrupt(here, frame.vector as u8),
        exception::NON_MASKABLE => failure::asked_to_stop(here),
        exception::MACHINE_CHECK => machine_check(here, false),
        exception::PAGE_FAULT if user_memory::fault_table(frame.rip).is_some() => {
            if let Some(continuation) = user_memory::fault_table(frame.rip) {
                frame.rip = continuation;
            }
        }
        _ => {
            let address = cpu::fault_address();
            failure::fail(
                here,
                format_args!(
                    "trap {} (code {:#x}, address {address:#x}) in the kernel at {:#x}",
                    frame.vector, frame.code, frame.rip
                ),
                frame.rbp,
                frame.rip,
            )
        }
    }
}

/// An interrupt: this core's timer, another core, or a device.
fn interrupt(here: &'static Core, number: u8) {
    here.wake();
    match number {
        vector::TIMER => {
            apic::end_of_interrupt();
            here.scheduler.timer_fired(here);
            failure::look_for_hung_cores(here);
        }
        vector::KICK => {
            apic::end_of_interrupt();
            cores::count(&here.counters.kicks);
            here.kicked.store(true, core::sync::atomic::Ordering::Relaxed);
        }
        vector::SPURIOUS => {}
        _ => {
            if number >= vector::LINES && usize::from(number - vector::LINES) < super::ioapic::LINES {
                interrupts::came(here, u32::from(number - vector::LINES));
            }
            apic::end_of_interrupt();
        }
    }
}

/// A machine check: if the CPU says that the interrupted program can't have been harmed beyond itself
/// (restart is possible), poisoned memory becomes that program's fault; else the core is fenced.
fn machine_check(here: &'static Core, from_user: bool) {
    const RESTARTABLE: u64 = 1;
    // SAFETY: a CPU that raises machine checks has the register.
    let status = unsafe { cpu::read_msr(cpu::msr::MCG_STATUS) };
    if from_user && status & RESTARTABLE != 0 {
        // SAFETY: as above; clearing the in-progress bit lets the next one in (SDM vol. 3, 15.10).
        unsafe { cpu::write_msr(cpu::msr::MCG_STATUS, 0) };
        faults::user_fault(here, Thread::current(), exception::MACHINE_CHECK, 0, 0);
        return;
    }
    failure::fail(here, format_args!("machine check (status {status:#x})"), 0, 0)
}
