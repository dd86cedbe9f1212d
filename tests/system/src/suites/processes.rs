//! Suite `processes`: the fleet's own tests; its scenario in the simulator, with faults; and the image `processes` in a machine
//! under TCG, where processes end in every way, are too many, come and go, and a member ends meanwhile.

use crate::fos::Fos;
use crate::libtest;
use crate::runner::{Outcome, Runner};
use crate::suites::sim;
use std::time::Duration;

/// The crate whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 1] = ["fos-processes"];
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(240);
/// The same, where 100,000 processes come and go.
const LONG_WITHIN: Duration = Duration::from_secs(3 * 3600);
/// What the test program says, in this order, with its own numbers between.
const SAYS: &[&[&str]] = &[
    &["the fleet has two members"],
    &["children found their arguments, environment, keys and memory, and no more"],
    &["every end was told once and as it was"],
    &["orphans were init's, and left nothing behind"],
    &["a process stood still, went on and ended; a group of 2 was ended together"],
    &["what can't be was refused, with its reason"],
    &["a storm of", "was refused", "and left nothing behind"],
    &["threads of one process used every core, others went on, and one signal ended them"],
    &["processes came and went, and left nothing behind"],
    &["a member was ended under load, and nothing that was acknowledged was lost"],
    &["all members were ended at once, and what ran was found again"],
];

/// Runs the library's tests, the simulator, and a machine.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    let seeds = if runner.long() { "1000" } else { "20" };
    let from = runner.seed().to_string();
    runner.test(
        format!("{seeds} seeds from {from}: no end is left out or told twice, whatever goes wrong"),
        || sim::sweep(&["processes", "--seeds", seeds, "--from", &from], 1),
    );
    if runner.long() {
        runner.test("on the machine: 100,000 processes leave nothing behind", || {
            let show = ["--", "processes-test", "show", "100000"];
            on_the_machine(&show, LONG_WITHIN)
        });
    } else {
        runner.test("on the machine: every end is told once, and nothing is left behind", || {
            on_the_machine(&[], WITHIN)
        });
    }
}

fn on_the_machine(command: &[&str], within: Duration) -> Outcome {
    let machine = ["run", "--quiet", "--image", "processes", "--accel", "tcg"];
    let said = Fos::new(&[&machine, command].concat()).within(within).run()?;
    said.expect_status(0)?;
    said.expect_lines(SAYS)
}
