//! Extended (FPU, SSE, AVX) state: saved in full when a thread is interrupted, reset to its initial image
//! when a core goes from one space to another after a native call, so that nothing leaks between spaces.
//!
//! Native calls declare the vector registers lost, so a thread that blocks in one keeps only MXCSR and the
//! x87 control word. The kernel's own code may use the low vector registers; the way back to user mode
//! clears or restores them all.

use super::{cpu, features};
use core::arch::asm;
use core::cell::Cell;

/// Bytes of a thread's save area: one frame.
pub const AREA_SIZE: usize = 4096;

const X87: u64 = 1;
const SSE: u64 = 2;
const AVX: u64 = 4;

/// The initial image: everything in its reset state; MXCSR 0x1f80, x87 control word 0x37f.
#[repr(C, align(64))]
pub struct Initial([u8; 1024]);

/// The image that [`reset`] loads.
pub static INITIAL: Initial = {
    let mut image = [0u8; 1024];
    image[0] = 0x7f;
    image[1] = 0x03;
    image[24] = 0x80;
    image[25] = 0x1f;
    Initial(image)
};

/// Switches the save-able components on.
pub fn enable_on_this_core() {
    let features = features::get();
    if !features.xsave {
        return;
    }
    let components = X87 | SSE | if features.avx { AVX } else { 0 };
    // SAFETY: CPUID reports xsave (and avx), and CR4.OSXSAVE was just set.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") components as u32, in("edx") 0, options(nostack));
    }
    assert!(cpu::identify(0xd, 0)[1] as usize <= AREA_SIZE);
}

/// Loads everything of a thread.
///
/// # Safety
/// `area` must have been filled on the way into a trap, or by [`initialise`].
pub unsafe fn restore(area: *const u8) {
    // SAFETY: the image is one the CPU itself wrote, or the initial one, so it can't fault.
    unsafe {
        if features::get().xsave {
            asm!("xrstor64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack, preserves_flags));
        } else {
            asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags));
        }
    }
}

/// Puts the initial image into a new thread's area.
///
/// # Safety
/// `area` must be a thread's own, of [`AREA_SIZE`] bytes, 64-byte aligned.
pub unsafe fn initialise(area: *mut u8) {
    // SAFETY: the area is longer than the image, and nobody else uses it yet.
    unsafe {
        core::ptr::write_bytes(area, 0, AREA_SIZE);
        core::ptr::copy_nonoverlapping(INITIAL.0.as_ptr(), area, 1024);
    }
}

/// Resets the CPU's extended state.
#[inline(always)]
pub fn reset() {
    // SAFETY: INITIAL is a valid image: a legacy region and a zero header (no component present).
    unsafe { restore(INITIAL.0.as_ptr()) };
}

/// Keeps MXCSR (low half) and the x87 control word (high half).
#[inline(always)]
pub fn save_control_words(words: &Cell<u64>) {
    // SAFETY: both instructions store into the cell.
    unsafe {
        asm!("stmxcsr [{0}]", "fnstcw [{0} + 4]", in(reg) words.as_ptr(), options(nostack, preserves_flags));
    }
}

/// Loads what [`save_control_words`] kept.
#[inline(always)]
pub fn load_control_words(words: &Cell<u64>) {
    // SAFETY: the values were kept by `save_control_words` (or are the initial ones): no reserved bit is set.
    unsafe {
        // A pending x87 exception would be raised by `fldcw`; its flags are not promised over a call.
        asm!("fnclex", "ldmxcsr [{0}]", "fldcw [{0} + 4]", in(reg) words.as_ptr(), options(nostack, preserves_flags));
    }
}

/// What a new thread starts with.
pub const INITIAL_CONTROL_WORDS: u64 = 0x37f << 32 | 0x1f80;
