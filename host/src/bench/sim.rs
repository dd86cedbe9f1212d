//! Suite `sim`: how fast the simulator itself is on this host.

use super::document::{Document, Row};
use super::targets;
use crate::failure::{Code, Failure, Result};
use crate::talk::Talk;
use fos_sim::{Costs, Setup, scenarios};
use std::time::Instant;

/// The suite's name.
pub const SUITE: &str = "sim";
/// The run that is timed.
const SCENARIO: &str = "echo";
const CORES: u32 = 1024;
const MESSAGES: u64 = 1_000_000;

/// Measures everything.
pub fn measure(_: bool, talk: &Talk) -> Result<Document> {
    let stage = talk.stage("timed the simulator");
    let seconds = seconds_of_a_large_run()?;
    stage.done();
    Ok(Document { suite: SUITE, machine: "this host".to_owned(), rows: vec![targets::apply(seconds, &[])] })
}

/// `sim_1024_cores_seconds`: 1,024 cores, a million messages.
pub fn seconds_of_a_large_run() -> Result<Row> {
    let failed = |why| Failure::new(Code::Failed, why);
    let scenario = scenarios::find(SCENARIO).ok_or_else(|| failed(format!("no scenario {SCENARIO}")))?;
    let costs = Costs::load("default").map_err(failed)?;
    let setup = Setup { cores: CORES, messages: MESSAGES, ..Setup::new(scenario, 1, costs) };
    let began = Instant::now();
    let report = setup.run(None);
    let seconds = began.elapsed().as_secs_f64();
    if let Some(why) = report.failure {
        return Err(failed(format!("{why}; repeat it with: {}", report.replay)));
    }
    if report.messages < MESSAGES {
        return Err(failed(format!("the run had {} messages instead of {MESSAGES}", report.messages)));
    }
    let how = format!("`{SCENARIO}`, {} messages, {} steps, by the clock", report.messages, report.steps);
    Ok(Row::new("sim_1024_cores_seconds", seconds, "s", &how))
}
