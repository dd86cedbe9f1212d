//! Suite `processes`: what it takes to start a program and hear of its end, beside Linux; and how late a process gets to run beside
//! a memory hog and a spawn storm.
//!
//! Counts on one CPU, on the same QEMU, whose time stamp counter advances by one per instruction: everything that either system runs
//! between the call and its return is in it, servers and kernel and the program that was started. Nothing waits meanwhile but for
//! instructions, so this is also the time, without the host's noise.

use super::document::{Document, Row};
use super::{machines, targets};
use crate::failure::{Code, Failure, Result};
use crate::image;
use crate::linux_guest::{self, Counted};
use crate::machine::{Accelerator, Options};
use crate::talk::Talk;
use fos_bench_linux::line::Measurement;

/// The suite's name.
pub const SUITE: &str = "processes";
/// The image and its program.
const IMAGE: &str = "processes";
const PROGRAM: &str = "processes-test";
/// The kernel's time slice, 4 ms, where an instruction takes a nanosecond.
const TIME_SLICE: f64 = 4_000_000.0;

/// Measures everything.
pub fn measure(with_linux: bool, talk: &Talk) -> Result<Document> {
    let built = image::build(IMAGE, talk)?;
    let linux = if with_linux { Some(machines::linux(talk)?) } else { None };
    let mut options = Options::of(&built, Accelerator::Tcg).cores(1);
    options.count_instructions = true;
    let stage = talk.stage("counted instructions of fos");
    let mut fos = machines::program(&options, PROGRAM, &[Counted::Spawns.mode()])?;
    fos.extend(machines::program(&options, PROGRAM, &["probe"])?);
    stage.done();
    let stage = talk.stage("counted instructions of Linux");
    let beside = linux.map(|linux| linux_guest::measure_instructions(&linux, Counted::Spawns)).transpose()?;
    stage.done();
    let beside = beside.map(|report| report.measurements).unwrap_or_default();
    let rows = rows(&fos, &beside)?.into_iter().map(|row| targets::apply(row, &[])).collect();
    Ok(Document {
        suite: SUITE,
        machine: "one CPU that counts instructions, under QEMU's TCG".to_owned(),
        rows,
    })
}

/// The ratios, then what they are of.
fn rows(fos: &[Measurement], linux: &[Measurement]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if !linux.is_empty() {
        let ratio = value(fos, "spawn")? / value(linux, "linux_spawn")?;
        let how = "spawn, exit and wait, over posix_spawn and waitpid of a static program, medians of 1,001";
        rows.push(Row::new("spawn_over_linux", ratio, "ratio", how));
    }
    let beyond = (value(fos, "probe_p99_loaded")? - TIME_SLICE).max(0.0);
    let how = "99th percentile of how late a process runs, beyond a time slice, beside a hog and a storm over alone";
    rows.push(Row::new("probe_p99_under_hog", beyond / value(fos, "probe_p99_alone")?, "ratio", how));
    let row = |one: &Measurement| Row::new(&one.key, one.value as f64, &one.unit, &one.how);
    rows.extend(fos.iter().chain(linux).map(row));
    Ok(rows)
}

fn value(measured: &[Measurement], key: &str) -> Result<f64> {
    let found = measured.iter().find(|one| one.key == key && one.value > 0).map(|one| one.value as f64);
    found.ok_or_else(|| Failure::new(Code::Failed, format!("a guest measured nothing for {key}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(key: &str, value: u64) -> Measurement {
        Measurement { key: key.into(), value, unit: "instructions".into(), how: "counted".into() }
    }

    fn fos() -> Vec<Measurement> {
        let values = [("spawn", 300), ("probe_p99_alone", 50), ("probe_p99_loaded", 4_000_075)];
        values.map(|(key, value)| measured(key, value)).to_vec()
    }

    fn of(rows: &[Row], key: &str) -> Option<f64> {
        rows.iter().find(|row| row.key == key).map(|row| row.value)
    }

    #[test]
    fn ratios_are_of_what_either_side_measured() {
        let rows = rows(&fos(), &[measured("linux_spawn", 600)]).unwrap();
        assert_eq!(of(&rows, "spawn_over_linux"), Some(0.5));
        assert_eq!(of(&rows, "probe_p99_under_hog"), Some(1.5));
        assert_eq!(of(&rows, "linux_spawn"), Some(600.0));
    }

    #[test]
    fn without_linux_there_is_no_ratio_to_it_and_what_is_missing_is_an_error() {
        assert_eq!(of(&rows(&fos(), &[]).unwrap(), "spawn_over_linux"), None);
        assert!(rows(&fos()[1..], &[measured("linux_spawn", 1)]).is_err());
    }
}
