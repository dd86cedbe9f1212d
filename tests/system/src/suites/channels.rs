//! The part of suite `messages` about channels: their instruction counts, and under `--long` the bugs of tests/mutants.md,
//! each of which a test must notice.

use crate::mutants;
use crate::runner::{Outcome, Runner, fail};
use fos_host::bench::{counts, messages};
use fos_host::image;
use fos_host::talk::Talk;

/// Counts instructions, plants bugs.
pub fn run(runner: &mut Runner) {
    runner.test("instruction counts of channels are those of docs/performance.md", counts_match);
    runner.test("every mutant of tests/mutants.md still applies", || mutants::list().map(drop));
    if runner.long() {
        mutants::run(runner);
    }
}

fn counts_match() -> Outcome {
    let built = image::build("bench", &Talk::SILENT)?;
    let written = counts::written(messages::SUITE)?;
    let differences = counts::differences(&written, &messages::counts(&built)?);
    if differences.is_empty() {
        return Ok(());
    }
    let advice = "explain the change, then run: ./fos bench messages --write";
    fail(format!("{}\n{advice}", differences.join("\n")))
}
