//! Suite `watchdog`: its unit tests; the scenario in the simulator, with faults and kill points; and the image `watchdog` in a
//! machine under TCG, where members hang and end under load.

use crate::fos::Fos;
use crate::libtest;
use crate::runner::{Outcome, Runner};
use crate::suites::sim;
use std::time::Duration;

/// The crates whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 1] = ["fos-watchdog"];
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(120);

/// Runs the library's tests, the simulator, and a machine.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    let seeds = if runner.long() { "1000" } else { "20" };
    let from = runner.seed().to_string();
    runner
        .test(format!("{seeds} seeds from {from}: both fleets are whole again, whatever goes wrong"), || {
            sim::sweep(&["watchdog", "--seeds", seeds, "--from", &from], 1)
        });
    if runner.long() {
        runner.test("any member may end after any message", || {
            sim::sweep(&["watchdog", "--seeds", "1", "--messages", "1500", "--kill-points"], 1)
        });
    }
    runner.test("on the machine: members of both fleets hang and end under load, and are replaced", watched);
}

/// What the image says, in this order.
const SAYS: &[&[&str]] = &[
    &["the watchdog has 3 members"],
    &["under load the fleet has grown to four members"],
    &["hangs: it uses its core and does nothing"],
    &["of /demo on core", "is silent"],
    &["of /demo has been stopped and ended"],
    &["it was replaced: the fleet has four members again"],
    &["of the watchdog, which coordinated, was ended"],
    &["which coordinated, hangs"],
    &["notes acknowledged, none lost at any member"],
];

fn watched() -> Outcome {
    let said = Fos::new(&["run", "--image", "watchdog", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    said.expect_lines(SAYS)
}
