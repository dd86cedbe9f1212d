//! Suite `placement`: the fleet `knowledge` and its arbiter: their own tests, and the image `placement` in a machine under TCG. The
//! fleet that goes where its messages come from is the simulator's to show: scenario `placement`.

use crate::fos::Fos;
use crate::libtest;
use crate::runner::{Outcome, Runner};
use std::time::Duration;

/// The crate whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 1] = ["fos-knowledge"];
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(120);
/// What the test program says, in this order, with its own numbers between.
const SAYS: &[&[&str]] = &[
    &["the fleet has two members"],
    &["4 cores in", "packages are known"],
    &["a message goes by", "ns, measured"],
    &["the best of 3 cores for a friend of core 1 was told"],
    &["one owner has 4 cores, each alone"],
    &["it yielded core", "to another, which has it alone"],
    &["forged facts, another's core and a bad name were refused"],
    &["the next one knows all grants, and a new member all cores"],
];

/// Runs the library's tests, and boots the image.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    runner.test("on the machine: cores are known and granted, and the arbiter may end", on_the_machine);
}

fn on_the_machine() -> Outcome {
    let said =
        Fos::new(&["run", "--quiet", "--image", "placement", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    said.expect_lines(SAYS)
}
