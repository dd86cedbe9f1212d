//! The first instructions of a program: end the chain of frame pointers, then call its Rust start function with the
//! two values that the kernel or root put into RDI and RSI.

/// Emits `_start`, which calls the `extern "C" fn(u64, u64) -> !` named. Used by `entry!` and `root_entry!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __start_at {
    ($begin:path) => {
        core::arch::global_asm!(
            ".section .text.start, \"ax\", @progbits",
            ".globl _start",
            ".type _start, @function",
            "_start:",
            "xor ebp, ebp", // where backtraces end
            "call {begin}", // RSP was 16-byte aligned: the callee finds it as after any call
            "ud2",
            ".size _start, . - _start",
            ".text",
            begin = sym $begin,
        );
    };
}
