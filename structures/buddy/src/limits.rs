//! How much of everything.

/// Allocations that wait at one member. One more is told [`Answer::Busy`](crate::Answer::Busy).
pub const WAITING_MAX: usize = 256;
/// Transfers to one member that it has not confirmed, beyond which nothing is sent to it unasked.
pub const WINDOW: usize = 8;
/// Blocks in one transfer, ranges in one part of a member's claims, blocks in one message about lonely halves.
pub const PART: usize = 64;
/// Orders by which a member gives more than it was asked for, if it keeps as much: who needs one block needs more soon.
pub const EXTRA_ORDERS: u8 = 4;
/// Lonely halves that one member keeps in mind for all. Beyond that the lowest is forgotten, until it is named again.
pub const LONELY_MAX: usize = 4096;
/// Free blocks that a member looks at in one period to see whether they are lonely.
pub const SWEEP: usize = 256;
