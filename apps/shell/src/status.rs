//! What a command came to, as shells number it.

/// It did what it should.
pub const DONE: u8 = 0;
/// It was refused, or what it asked did not answer.
pub const FAILED: u8 = 1;
/// It is not said as it has to be.
pub const USAGE: u8 = 2;
/// There is no such command, or no such program.
pub const UNKNOWN: u8 = 127;
