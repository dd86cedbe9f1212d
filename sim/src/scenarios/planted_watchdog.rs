//! Watchdogs with an error, each of which a run must find.

use super::Scenario;
use super::watchdog::{Dress, Fencing, SCENARIO, begin_with};
use std::time::Duration;

/// Root says that it has ended somebody, and has not.
pub const PRETENDS: Scenario = Scenario {
    begin: |world, messages| {
        begin_with(
            world,
            messages,
            Dress { fencing: Fencing::Pretended, whole_within: SOON, ..Dress::HONEST },
        )
    },
    ..SCENARIO
};

/// Members of the watchdog do not look after each other.
pub const LOOKS_ONLY_AT_OTHERS: Scenario = Scenario {
    begin: |world, messages| {
        begin_with(world, messages, Dress { dog_beats: false, whole_within: SOON, ..Dress::HONEST })
    },
    ..SCENARIO
};

/// Members go on in a place that they may not have any more.
pub const HOLDS_ON: Scenario = Scenario {
    begin: |world, messages| {
        begin_with(world, messages, Dress { looks_every: Duration::from_millis(50), ..Dress::HONEST })
    },
    ..SCENARIO
};

/// Silence is taken for silence before the next beat can have come, and an answer has no time.
pub const HASTY: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Dress { silent_after_ms: 1, ..Dress::HONEST }),
    ..SCENARIO
};

/// The same as it should be, whatever a core is slowed by.
pub const VERY_SLOW: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Dress { may_wrong: true, ..Dress::HONEST }),
    ..SCENARIO
};

/// As it should be, with the bound on one fault's repair.
pub const BOUNDED: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Dress { whole_within: SOON, ..Dress::HONEST }),
    ..SCENARIO
};

/// The bound on the repair of one fault, in nanoseconds: less than a fifth of what a stopped core is buried after.
pub const SOON: u64 = 1_900_000_000;
