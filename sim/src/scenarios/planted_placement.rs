//! The scenario `placement` with something else in it: a fleet that stays where it is, to compare with, and one that hides from the
//! arbiter.

use super::placement::{Dress, begin_with};
use super::{Scenario, placement};
use fos_runtime::Placement;

/// Workers stay where they were started.
pub(crate) const STAYS: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Dress { placement: Placement::Stay, hides: false }),
    ..placement::SCENARIO
};

/// Workers use cores that nobody granted, and do not say so.
pub(crate) const HIDES: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Dress { placement: Placement::Stay, hides: true }),
    ..placement::SCENARIO
};
