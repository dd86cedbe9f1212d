//! Suite `pages`: the fleet's own tests, and the image `pages` in a machine under TCG: memory is used, refused, taken by a hog, and
//! comes home from a program and from a member that are ended.

use crate::fos::Fos;
use crate::libtest;
use crate::runner::{Outcome, Runner};
use crate::suites::sim;
use std::time::Duration;

/// The crate whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 1] = ["fos-pages"];
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(120);
/// What the test program says, in this order, with its own numbers between.
const SAYS: &[&[&str]] = &[
    &["the fleet has two members"],
    &["frames of four sizes were zeros, were written, and were zeros again"],
    &["a double free, forged frames and frames in use were refused"],
    &["memory grew by", "frames, and all but"],
    &["the heap grew to 16 MiB"],
    &["the process has as much memory as its quota allows"],
    &["a hog got", "the process has as much memory as its quota allows"],
    &["what it gave back could be had at once"],
    &["beside a hog: not enough memory is free in blocks of that size; told of it, and of its end"],
    &["of 4096 pages the touched ones were zero, twice, and only they were there"],
    &["a copy and its original are apart where one was written: 410 of 4096 pages"],
    &["a stack grew to at least 37 of its 64 pages"],
    &["memory of 16 KiB was overrun: address 0x", "is beyond it"],
    &["pages-test: read of 0x", "which is not there or not allowed", "ended by signal 11"],
    &["a stack of 256 KiB is used up: address 0x", "is beyond its end"],
    &["ended by signal 11"],
    &["pages-test: read of 0x", "which is not there or not allowed", "ended by signal 11"],
    &["who ran over an end was ended, and nobody else"],
    &["what an ended program held has come home"],
    &["a member was ended under load, and every request was met"],
    &["the members that live keep all"],
];

/// Runs the library's tests, and boots the image.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    if runner.long() {
        let from = runner.seed().to_string();
        runner.test(
            format!("1000 seeds from {from}: no frame is lost or with two, whatever goes wrong"),
            || sim::sweep(&["pages", "--seeds", "1000", "--from", &from], 1),
        );
        runner.test("any member and any client may end after any message", || {
            sim::sweep(&["pages", "--seeds", "1", "--messages", "800", "--kill-points"], 1)
        });
    }
    runner.test("on the machine: no frame is lost or given twice, whoever ends", on_the_machine);
}

fn on_the_machine() -> Outcome {
    let said = Fos::new(&["run", "--quiet", "--image", "pages", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    said.expect_lines(SAYS)
}
