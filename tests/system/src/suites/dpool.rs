//! Suite `dpool`: what distributed data structures have in common, the pool, the buddy allocator and the sharded map, each with its
//! models explored to closure, random towns and planted errors; each in a simulated fleet, whose members end, stall, come and
//! leave; and a search that shares its work in a pool, simulated and on the machine, where a member is ended.

use crate::fos::Fos;
use crate::libtest;
use crate::runner::{Outcome, Runner};
use crate::suites::sim;
use std::time::Duration;

/// What is swept in the simulator: in CI and when it may take long.
const SWEPT: [(&str, u64, u64); 5] = [
    ("dpool", 150, 5_000),
    ("buddy", 150, 5_000),
    ("sharded-map", 150, 5_000),
    ("search", 100, 2_000),
    ("handles", 150, 5_000),
];
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(180);
/// What the search says on the machine, in this order, with its own numbers between.
const SEARCH_SAYS: &[&[&str]] = &[
    &["the fleet has 3 members"],
    &["was ended while it searched"],
    &["the shortest trip through 11 cities has length", "as found alone"],
    &["the shortest trip through 10 cities has length", "as found alone"],
    &["the fleet has 3 members again"],
];

/// What the image `structures` says on the machine, in this order.
const STRUCTURES_SAYS: &[&[&str]] = &[
    &["the fleet has 3 members"],
    &["was ended under load"],
    &["keys of each map were written"],
    &["the strong map has all that it acknowledged"],
    &["calls for handles were answered as they must be"],
    &["all 32 handles are there, once"],
    &["the fleet has 3 members again"],
    &["3 members have the same in the eventual map"],
    &["the strong map has all that it acknowledged"],
];

/// The crates whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 8] = [
    "fos-buddy",
    "fos-carrier",
    "fos-container",
    "fos-dpool",
    "fos-handles",
    "fos-lending",
    "fos-search",
    "fos-sharded-map",
];

/// Runs the libraries' tests.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    for (scenario, few, many) in SWEPT {
        let (from, seeds) = (runner.seed(), if runner.long() { many } else { few });
        runner.test(format!("{scenario}: {seeds} seeds from {from} hold, whatever goes wrong"), || {
            sim::sweep(&[scenario, "--seeds", &seeds.to_string(), "--from", &from.to_string()], seeds / 4)
        });
    }
    runner.test("on the machine: a search is exact, and a member is ended in the middle", searched);
    runner.test("on the machine: handles and maps keep their word, and a member is ended under load", kept);
}

fn kept() -> Outcome {
    let said =
        Fos::new(&["run", "--quiet", "--image", "structures", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    said.expect_lines(STRUCTURES_SAYS)
}

fn searched() -> Outcome {
    let said = Fos::new(&["run", "--quiet", "--image", "search", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    said.expect_lines(SEARCH_SAYS)
}
