//! How a thread of our own making enters Rust: registers for its start, and the few instructions before and
//! after its function.

use core::arch::naked_asm;
use fos_abi::calls::{Call, NATIVE};
use fos_abi::thread::Registers;

/// Registers of a thread that calls `entry(argument)` on the stack below `stack_top` and exits with what it
/// answers.
pub fn start_registers(entry: extern "C" fn(u64) -> u64, argument: u64, stack_top: u64) -> Registers {
    Registers {
        rip: thread_start as *const () as u64,
        rsp: stack_top & !15,
        rdi: argument,
        rsi: entry as *const () as u64,
        ..Registers::default()
    }
}

/// Aligned for the C ABI, with a zero frame pointer so that backtraces end here.
#[unsafe(naked)]
unsafe extern "C" fn thread_start() -> ! {
    naked_asm!(
        "xor ebp, ebp",
        "call rsi",
        "mov rdi, rax",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        exit = const NATIVE | Call::thread_exit as u32,
    )
}
