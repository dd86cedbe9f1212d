//! Going from one stack to another: what a function must keep is pushed, the stack pointer changes, and what the other
//! side had pushed comes back.
//!
//! ```text
//!  saved stack pointer -> MXCSR, x87 control word   8 bytes
//!                         r15 r14 r13 r12 rbx rbp   48
//!                         where to go on            8
//! ```

use core::arch::naked_asm;

/// Words that a stack which is not running holds.
const SAVED_WORDS: usize = 8;
/// MXCSR and x87 control word as the C ABI has them when a program begins: all exceptions masked, round to nearest.
const INITIAL_CONTROLS: u64 = 0x1f80 | 0x037f << 32;

/// Leaves the running stack, whose pointer is stored at `save`, for the one with the stack pointer `go_to`. Returns when
/// somebody goes to the stored pointer.
///
/// # Safety
/// `go_to` must come from [`prepare`] or have been stored by a `switch` that has not returned yet, on a stack that is still
/// there, and nobody else may go to it. `save` must be writable.
#[unsafe(naked)]
pub unsafe extern "C" fn switch(save: *mut u64, go_to: u64) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "ldmxcsr [rsp]",
        "fldcw [rsp + 4]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Makes the first [`switch`] to a stack call `entry(argument)` there; answers with the stack pointer to go to.
///
/// # Safety
/// The memory below `top` must be a stack that is not used, mapped and writable for some hundred bytes at least, and `top` a
/// multiple of 16. `entry` must never return.
pub unsafe fn prepare(top: u64, entry: unsafe extern "C" fn(u64) -> !, argument: u64) -> u64 {
    let saved = [
        INITIAL_CONTROLS,
        0,
        0,
        argument,                  // r13
        entry as *const () as u64, // r12
        0,
        0, // rbp: backtraces end here
        begin as *const () as u64,
    ];
    let pointer = (top - 8 * SAVED_WORDS as u64) as *mut [u64; SAVED_WORDS];
    // SAFETY: the caller's promise: unused, writable, aligned.
    unsafe { pointer.write(saved) };
    pointer as u64
}

/// Entered by `switch`'s `ret` with the stack pointer at the aligned top.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!("mov rdi, r13", "call r12", "ud2")
}

/// Has SSE round down, or to nearest again: for tests of what a switch keeps.
#[cfg(test)]
pub fn round_down(down: bool) {
    let control: u32 = if down { 0x3f80 } else { 0x1f80 };
    // SAFETY: loads a valid MXCSR, all exceptions masked; tests set it back.
    unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &control, options(nostack)) };
}
