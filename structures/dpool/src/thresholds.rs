//! The numbers of the schemes, in elements unless a unit is named, and what chose them.
//!
//! Measured with the simulator's `dpool-*-64` (sim/src/scenarios/dpool/rates.rs): 16 members with 256 elements each at first, 64
//! clients with four calls each, two in seven of what is given back comes to four of the members; costs `default`, seed 1, 150,000
//! messages, period 200 us unless said otherwise. A stall is a remove that waited for another member; messages are those between
//! members, and moves those of elements, for each element taken. What the pool hands out in a second differed little (2.23 to 2.50
//! million): its members' time goes to their clients.
//!
//! | scheme | number | stalls, % | messages | moves | what follows |
//! |---|---|--:|--:|--:|---|
//! | on demand | | 60 | 1.42 | 0.43 | |
//! | bulk | block 8, 16, 32, 64, 128 | 24, 19, 13, 12, 12 | 0.43, 0.34, 0.21, 0.21, 0.21 | 0.45 to 0.56 | block 32 |
//! | pull | low 4, 16, 32, 64 | 4.6, 4.5, 5.5, 3.8 | 0.07, 0.09, 0.13, 0.10 | 0.34 to 0.38 | low 16: more is not better by what it costs |
//! | pull | low 16 at 50, 200, 1000 us | 2.0, 4.5, 3.4 | 0.09, 0.09, 0.05 | 0.40, 0.38, 0.34 | |
//! | push | high 64, 128, 192, 256 | 5.5, 7.1, 3.8, 4.9 | 0.11, 0.14, 0.08, 0.09 | 0.54, 0.49, 0.40, 0.41 | high 192, a little less than each has on average: a pool of other sizes needs another |
//! | push | high 64 at 50, 200, 1000 us | 0, 5.5, 17 | 0.23, 0.11, 0.30 | 3.3, 0.5, 0.6 | quick enough not to stall, it moves everything three times |
//! | estimate | margin 4, 16, 32, 64 | 0, 0, 0, 0 | 0.063, 0.045, 0.034, 0.023 | 0.54, 0.49, 0.45, 0.34 | margin 32: so a member lacks no more than a block beside the others |
//! | estimate | margin 16 at 50, 200, 1000, 5000 us | 0, 0, 1.1, 8.9 | 0.058, 0.045, 0.040, 0.138 | 0.49, 0.49, 0.36, 0.43 | 200 us |
//! | estimate | margin 16 at 1000 us, fan 1, 2, 4 | 1.4, 1.1, 0.3 | 0.034, 0.040, 0.052 | 0.34, 0.36, 0.48 | fan 2 |
//!
//! Calls were laid out over members less evenly then than now, and clients slept after 20 us (docs/performance.md). What follows for the
//! numbers is by stalls, messages and moves, which are of the same order now: 16, 3, 12 and 0.9 % stalls for bulk, pull, push and
//! estimate as they stand here.
//!
//! `window` is not about speed: it bounds what is in doubt when a member ends.

use core::time::Duration;

/// The numbers. All members of one pool must be given the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// Fewer are few: background pull asks for more.
    pub low: usize,
    /// More are a surplus: background push sends some away.
    pub high: usize,
    /// Elements that change hands at once at most, unless one remove asks for more; then as many as a message takes
    /// ([`part_of`]), and the next with the next message.
    pub block: usize,
    /// Background push with estimation leaves alone who has fewer by no more than this; half of it is also the least change of
    /// the own stock that others are told.
    pub margin: usize,
    /// Members to whom background push with estimation sends elements, and members whom it tells its stock, in one period.
    pub fan: usize,
    /// Transfers to one member that it has not confirmed yet. What is in them is in doubt should it end.
    pub window: usize,
    /// How often the background looks, as long as there is something to do.
    pub period: Duration,
}

impl Thresholds {
    /// What was measured: see above.
    pub const DEFAULT: Thresholds = Thresholds {
        low: 16,
        high: 192,
        block: 32,
        margin: 32,
        fan: 2,
        window: 8,
        period: Duration::from_micros(200),
    };
}

/// Periods that background pull rests at most after it was given nothing, in powers of two.
pub const REST_DOUBLINGS_MAX: u32 = 6;
/// Bytes of elements in one message. With all that may be on its way to one member when it ends
/// ([`Thresholds::window`]) it stays far below what a message of the carrier may have.
pub const PART_BYTES: usize = 8 * 1024;
/// Elements in one part of a census at most, of which each member says which it has.
pub const CENSUS_PART: usize = 256;
/// Parts of a census that one member has been sent and has not answered.
pub const CENSUS_OPEN: u32 = 4;
/// Removes that wait at one member. One more is told [`Answer::Busy`](crate::Answer::Busy).
pub const WAITING_MAX: usize = 256;
/// Ended members that the eldest remembers to have looked after.
pub const FOUND_MAX: usize = 256;

/// Elements in one message at most: [`PART_BYTES`], of elements that are written in twice their size or less.
pub const fn part_of<T>() -> usize {
    let size = size_of::<T>();
    let elements = PART_BYTES / (2 * if size == 0 { 1 } else { size });
    if elements == 0 { 1 } else { elements }
}
