//! Suite `names`: the replicated map with its models, explored to closure; the naming servers' unit tests; and both fleets of
//! the image `fleet` in a machine under TCG, where members end under load.

use crate::fos::Fos;
use crate::libtest;
use crate::runner::{Outcome, Runner};
use std::time::Duration;

/// The crates whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 2] = ["fos-naming", "fos-replicated-map"];
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(90);

/// Runs the libraries' tests, and boots a machine with fleets.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    runner.test(
        "fleets on the machine: one grows and shrinks, a member of each is ended under load, nothing is lost",
        fleets,
    );
}

/// What `fos run --image fleet` prints, in this order.
const FLEET_SAYS: &[&[&str]] = &[
    &["client on core 1", "started on core 2"],
    &["1000 calls one after the other, each answered"],
    &["32 calls at once", "each answered"],
    &["demo-server ended with status 137"],
    &["ended under a call", "PeerLost"],
    &["client on core 1", "started on core 3"],
    &["1000 calls one after the other, each answered"],
    &["naming has 3 members"],
    &["epoch 1: 1 members"],
    &["has made itself two"],
    &["the fleet grows by member"],
    &["under load the fleet has grown to four members"],
    &["a member of naming was ended under load on core 2"],
    &["which coordinated, was ended under load"],
    &["it was replaced: the fleet has four members again"],
    &["the fleet does without member"],
    &["the fleet has shrunk to two members"],
    &["notes acknowledged, none lost at any member; 0 calls came to nothing"],
    &["names acknowledged, none lost at 2 members of naming"],
];

fn fleets() -> Outcome {
    let said = Fos::new(&["run", "--image", "fleet", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    said.expect_lines(FLEET_SAYS)
}
