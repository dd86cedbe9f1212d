//! Suite `watchdog`: its unit tests; the scenario in the simulator, with faults and kill points, and those of the other fleets
//! whose members end; and the image `watchdog` in a machine under TCG: members hang and end under load, every server of every fleet is
//! ended under load, and a core stops under load, by a panic of its kernel and without a word.

use crate::fos::Fos;
use crate::libtest;
use crate::runner::{Outcome, Runner};
use crate::suites::sim;
use std::time::Duration;

/// The crates whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 1] = ["fos-watchdog"];
/// The scenarios in which members of a fleet end under load: what each acknowledged is looked at in each run.
/// `replaced` is naming with its starter, which ends too; `placement` has members of `knowledge` and its arbiter end.
const FLEETS: [&str; 7] = ["naming", "replaced", "fleet", "pages", "processes", "placement", "watchdog"];
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(300);
/// The core that stops, when that is, and how long a core may be silent before its kernel is given up, in milliseconds. Naming,
/// the fleets and their load have begun by then also where the host is busy.
const STOPS: u16 = 3;
const SPRING: &str = "spring=30000";
const SILENCE: &str = "silence=3000";

/// Runs the library's tests, the simulator, and a machine.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    let seeds = if runner.long() { "1000" } else { "100" };
    let from = runner.seed().to_string();
    for fleet in FLEETS {
        runner.test(
            format!("{fleet}: {seeds} seeds from {from}: whatever ends, nothing acknowledged is lost"),
            || sim::sweep(&[fleet, "--seeds", seeds, "--from", &from], 1),
        );
    }
    if runner.long() {
        runner.test("any member may end after any message", || {
            sim::sweep(&["watchdog", "--seeds", "1", "--messages", "1500", "--kill-points"], 1)
        });
    }
    runner.test("on the machine: members of both fleets hang and end under load, and are replaced", || {
        says(&[], &[], WATCHED)
    });
    runner.test("on the machine: every server of every fleet is ended under load, and replaced", || {
        says(&[], &["demo-fencer", "repaired"], REPAIRED)
    });
    for how in ["panic", "hang"] {
        runner.test(
            format!("on the machine: what ran on a core that stops by a {how} is replaced under load"),
            || {
                let plant = format!("plant={how}:{STOPS}");
                let words = ["--append", &plant, "--append", SPRING, "--append", SILENCE];
                says(&words, &["demo-fencer", "stopped", &STOPS.to_string()], STOPPED)
            },
        );
    }
}

/// What it says, in this order, when members hang.
const WATCHED: &[&[&str]] = &[
    &["the watchdog has 3 members"],
    &["root fences nobody for who has not the capability"],
    &["under load the fleet has grown to four members"],
    &["hangs: it uses its core and does nothing"],
    &["of /demo on core", "is silent"],
    &["of /demo has been stopped and ended"],
    &["it was replaced: the fleet has four members again"],
    &["of the watchdog, which coordinated, was ended"],
    &["which coordinated, hangs"],
    &["notes acknowledged, none lost at any member"],
];

/// When every server is ended.
const REPAIRED: &[&[&str]] = &[
    &["under load the fleet has grown to four members"],
    &["of /naming was ended under load and replaced"],
    &["of /watchdog was ended under load and replaced"],
    &["of /pages was ended under load and replaced"],
    &["of /demo was ended under load and replaced"],
    &["servers of 4 fleets were ended under load and replaced"],
    &["notes acknowledged, none lost at any member"],
    &["rounds of frames, none lost and none mixed up"],
    &["names acknowledged, none lost at 3 members of naming"],
    &["the watchdog looks after every member of 4 fleets"],
];

/// When a core stops.
const STOPPED: &[&[&str]] = &[
    &["servers run on core 3, and wait for its end"],
    &["core 3 has stopped under load, and all its servers were replaced"],
    &["notes acknowledged, none lost at any member"],
    &["rounds of frames, none lost and none mixed up"],
    &["names acknowledged, none lost at 3 members of naming"],
    &["the watchdog looks after every member of 4 fleets"],
];

fn says(words: &[&str], command: &[&str], lines: &[&[&str]]) -> Outcome {
    let mut all = vec!["run", "--image", "watchdog", "--accel", "tcg"];
    all.extend(words);
    if !command.is_empty() {
        all.push("--");
        all.extend(command);
    }
    let said = Fos::new(&all).within(WITHIN).run()?;
    said.expect_status(0)?;
    said.expect_lines(lines)
}
