//! Which signal stands for what the CPU found, so that a status says the same as a shell on Linux would.

/// The page fault's vector (Intel SDM vol. 3, table 6-1).
pub const PAGE_FAULT: u64 = 14;
/// SIGKILL.
pub const KILLED: u8 = 9;
const SIGNAL_BASE: u8 = 128;

/// The signal that Linux would send for an exception of this vector (arch/x86/kernel/traps.c).
pub fn of_vector(vector: u64) -> u8 {
    match vector {
        0 | 16 | 19 => 8, // divide, x87, SIMD: SIGFPE
        1 | 3 => 5,       // debug, breakpoint: SIGTRAP
        6 => 4,           // invalid opcode: SIGILL
        17 | 18 => 7,     // alignment, machine check: SIGBUS
        _ => 11,          // page and protection faults: SIGSEGV
    }
}

/// The exit status that stands for a signal.
pub fn status(signal: u8) -> u8 {
    SIGNAL_BASE + signal
}
