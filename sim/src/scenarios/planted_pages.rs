//! Fleets `pages` with an error, each of which a run must find.

use super::Scenario;
use super::pages::{Dress, SCENARIO, begin_with};

/// The cleaner says that it has zeroed, and has not.
pub const FORGETS_TO_CLEAN: Scenario = Scenario {
    begin: |world, messages| {
        begin_with(world, messages, Dress { forgets_to_clean: true, ..Dress::default() })
    },
    ..SCENARIO
};

/// The custodian takes for home what its holder still has.
pub const FORGETS_HOLDERS: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Dress { forgets_holders: true, ..Dress::default() }),
    ..SCENARIO
};

/// What ended processes had stays theirs.
pub const HEARS_NO_ENDS: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Dress { hears_no_ends: true, ..Dress::default() }),
    ..SCENARIO
};

/// What ended members kept is lost.
pub const LOSES_THE_DEAD: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Dress { loses_the_dead: true, ..Dress::default() }),
    ..SCENARIO
};
