//! How a machine ends: what is written to the exit port, and so what QEMU's exit status becomes.

/// The I/O port of QEMU's `isa-debug-exit` device. A value `v` written there ends QEMU with `(v << 1) | 1`.
pub const EXIT_PORT: u16 = 0xf4;

/// An orderly end, asked for by the root program.
pub const ORDERLY: u8 = 0x10;
/// A kernel stopped the whole machine (`panic=stop-all`).
pub const STOPPED_BY_PANIC: u8 = 0x11;
/// The root program died.
pub const ROOT_DIED: u8 = 0x12;
/// The machine can't be used: no memory map, no boot archive, or a CPU without what the kernel needs.
pub const UNUSABLE_MACHINE: u8 = 0x13;
