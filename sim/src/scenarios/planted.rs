//! Servers of `echo` with an error, each of which a run must find: a check that finds nothing checks nothing.

use super::Scenario;
use super::echo::{SCENARIO, Work, begin_with};

/// One number in 256 comes back as its neighbour.
pub const ECHOES_WRONGLY: Scenario = Scenario {
    begin: |world, messages| {
        let answer = |sent: u64| if sent % 256 == 5 { sent + 1 } else { sent };
        begin_with(world, messages, Work { answer, ..Work::honest() })
    },
    ..SCENARIO
};

/// One count in 64 is done twice.
pub const COUNTS_TWICE: Scenario = Scenario {
    begin: |world, messages| {
        let times = |sent: u64| if sent % 64 == 8 { 2 } else { 1 };
        begin_with(world, messages, Work { times, ..Work::honest() })
    },
    ..SCENARIO
};

/// One count in 64 is acknowledged and not done.
pub const LIES: Scenario = Scenario {
    begin: |world, messages| {
        let times = |sent: u64| u32::from(sent % 64 != 8);
        begin_with(world, messages, Work { times, ..Work::honest() })
    },
    ..SCENARIO
};

/// A client that asks anew for what was found poisonous, so that two more members end.
pub const ASKS_FOR_POISON_AGAIN: Scenario = Scenario {
    begin: |world, messages| super::poison::begin_with(world, messages, true),
    ..super::poison::SCENARIO
};
