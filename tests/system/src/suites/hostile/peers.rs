//! Bad peers on the machine, by the program `peers` (`tests/peers`): each deed by a process of its own, then many at random from
//! a seed, beside honest clients that must notice nothing; and a fleet whose members end by what they are asked.

use super::report::Report;
use crate::fos::Fos;
use crate::runner::{Outcome, Runner, fail};
use fos_host::failure::Result;
use std::time::{Duration, Instant};

const PROGRAM: &str = "peers";
/// What becomes of each deed, for people.
const TABLE: &str = include_str!("../../../../../docs/bad-input.md");
/// Deeds at random, and the same under `--long`.
const DEEDS: u64 = 100;
const DEEDS_LONG: u64 = 5_000;
/// What a member says on the console that is told of a poisonous request. The table has false ones, which are said alike.
const POISON: &[&str] = &["poison: operation 1 of interface 0x7f21", "was under way when two members ended"];

/// Runs the table, the deeds at random, and the fleet.
pub fn run(runner: &mut Runner) {
    table(runner);
    let (seed, deeds) = (runner.seed(), if runner.long() { DEEDS_LONG } else { DEEDS });
    let within = Duration::from_secs(if runner.long() { 1800 } else { 120 });
    runner.test(format!("{deeds} bad deeds at random, seed {seed}"), || fuzz(seed, deeds, within));
    runner.test("a request that nobody survives ends two members, and its callers are told at once", poison);
}

fn speak(words: &[&str], within: Duration) -> Result<(Report, String)> {
    let words = [&["run", "--image", PROGRAM, "--accel", "tcg"], words].concat();
    let said = Fos::new(&words).within(within).run()?;
    Ok((Report::read(PROGRAM, &said.output)?, said.output))
}

fn table(runner: &mut Runner) {
    let began = Instant::now();
    match speak(&[], Duration::from_secs(240)) {
        Ok((report, output)) => {
            report.record(runner, began.elapsed());
            runner.test("docs/bad-input.md has each bad deed", || {
                match report.cases.iter().find(|(name, _)| !TABLE.contains(&format!("`{name}`"))) {
                    None => Ok(()),
                    Some((name, _)) => fail(format!("docs/bad-input.md says nothing of {name}")),
                }
            });
            runner.test("who is told of a poisonous request says so on the console", || {
                match output.lines().any(|line| POISON.iter().all(|words| line.contains(words))) {
                    true => Ok(()),
                    false => fail(format!("no line holds {POISON:?}:\n{output}")),
                }
            });
        }
        Err(failure) => {
            runner.record("the table of bad deeds runs", began.elapsed(), Some(failure.to_string()));
        }
    }
}

fn fuzz(seed: u64, deeds: u64, within: Duration) -> Outcome {
    let (seed, wanted) = (seed.to_string(), deeds.to_string());
    let (report, output) = speak(&["--", PROGRAM, "fuzz", &seed, &wanted], within)?;
    let done = report.counts.get("deeds done").copied();
    if report.findings.is_empty() && report.number("failed") == Some(0) && done == Some(deeds) {
        return Ok(());
    }
    fail(format!("repeat it with: ./fos run --image {PROGRAM} -- {PROGRAM} fuzz {seed} {wanted}\n{output}"))
}

fn poison() -> Outcome {
    let (report, output) = speak(&["--", PROGRAM, "poison"], Duration::from_secs(120))?;
    let is_well = report.cases.iter().all(|(_, reason)| reason.is_none());
    match (report.cases.len(), is_well, report.number("failed")) {
        (3, true, Some(0)) => Ok(()),
        _ => fail(output),
    }
}
