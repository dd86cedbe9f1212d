//! The numbers of the schemes, in elements unless a unit is named.

use core::time::Duration;

/// How often the background looks, as long as there is something to do.
pub const PERIOD: Duration = Duration::from_micros(200);

/// The numbers. All members of one pool must be given the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// Fewer are few: background pull asks for more.
    pub low: usize,
    /// More are a surplus: background push sends some away.
    pub high: usize,
    /// Elements that change hands at once at most, unless one remove asks for more.
    pub block: usize,
    /// Background push with estimation leaves alone who has fewer by no more than this; half of it is also the least change of
    /// the own stock that others are told.
    pub margin: usize,
    /// Members to whom background push with estimation sends elements, and members whom it tells its stock, in one period.
    pub fan: usize,
    /// Transfers to one member that it has not confirmed yet. What is in them is in doubt should it end.
    pub window: usize,
}

impl Thresholds {
    /// What was measured.
    pub const DEFAULT: Thresholds =
        Thresholds { low: 16, high: 64, block: 32, margin: 16, fan: 2, window: 8 };
}

/// Periods that background pull rests at most after it was given nothing, in powers of two.
pub const REST_DOUBLINGS_MAX: u32 = 6;
/// Elements in one part of a census, of which each member says which it has.
pub const CENSUS_PART: usize = 256;
/// Ended members that the eldest remembers to have looked after.
pub const FOUND_MAX: usize = 256;
