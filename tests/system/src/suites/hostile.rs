//! Suite `hostile`: bad peers of servers and of naming (`peers.rs`); and bad input to the kernel, by the program `hostile` in
//! the guest: every call by table, then millions of calls at random from a seed over four cores. It prints one line per case and per outcome; this reads them, and
//! believes no summary that its own lines contradict.

use crate::runner::{Outcome, Runner, fail};
use fos_host::commands::run::boot_within;
use fos_host::failure::{Code, Failure, Result};
use fos_host::image::{self, Built};
use fos_host::machine::{Accelerator, Machine, Options};
use fos_host::talk::Talk;
use report::Report;
use std::time::{Duration, Instant};

mod peers;
mod report;

/// Calls of the fuzzer, over all cores: enough for every documented outcome to come.
const CALLS: u64 = 5_000_000;
/// The same under `--long`.
const CALLS_LONG: u64 = 20_000_000;
/// Of a hundred fuzzed calls, at least this many must succeed: a fuzzer that is only refused tests little.
const SUCCEEDED_PERCENT_MIN: u64 = 30;
/// The program, and its name in the image.
const PROGRAM: &str = "hostile";
/// Cores it runs over.
const CORES: u16 = 4;

/// Runs the table and the fuzzer.
pub fn run(runner: &mut Runner) {
    peers::run(runner);
    let mut built = None;
    runner.test("the image hostile builds", || {
        built = Some(image::build("hostile", &Talk::SILENT)?);
        Ok(())
    });
    let Some(built) = built else { return };
    table(runner, &built);
    let seed = runner.seed();
    let calls = if runner.long() { CALLS_LONG } else { CALLS };
    let within = Duration::from_secs(if runner.long() { 1800 } else { 400 });
    runner.talk().say(format_args!("hostile fuzz: seed {seed} (repeat with --seed {seed})"));
    runner.test(format!("{calls} calls at random, seed {seed}"), || {
        let words = [
            "fuzz".to_owned(),
            "--calls".to_owned(),
            calls.to_string(),
            "--seed".to_owned(),
            seed.to_string(),
        ];
        let report = speak(&built, &words, within)?;
        check_fuzz(&report, calls, seed)
    });
}

/// Each case of the table is a test.
fn table(runner: &mut Runner, built: &Built) {
    let began = Instant::now();
    let report = match speak(built, &["table".to_owned()], Duration::from_secs(120)) {
        Ok(report) => report,
        Err(failure) => return runner.record("the table runs", began.elapsed(), Some(failure.to_string())),
    };
    report.record(runner, began.elapsed());
    runner.test("the table leaves nothing behind", || report.check_audit());
}

fn check_fuzz(report: &Report, calls: u64, seed: u64) -> Outcome {
    if !report.findings.is_empty() {
        return fail(report.findings.join("\n"));
    }
    report.check_audit()?;
    let counted: u64 = report.counts.values().sum();
    let succeeded: u64 = report.successes();
    let told = [report.number("calls"), report.number("succeeded"), report.number("seed")];
    if told != [Some(counted), Some(succeeded), Some(seed)] {
        return fail(format!("counted {counted} calls, {succeeded} successes, but {:?}", report.summary));
    }
    if counted < calls {
        return fail(format!("only {counted} of {calls} calls were made"));
    }
    if succeeded * 100 < counted * SUCCEEDED_PERCENT_MIN {
        return fail(format!("only {succeeded} of {counted} calls succeeded"));
    }
    if report.number("failed") != Some(0) {
        return fail(format!("failures without a finding: {:?}", report.summary));
    }
    check_outcomes(report)
}

/// Each documented outcome of each call has come at least once.
fn check_outcomes(report: &Report) -> Outcome {
    let zeros: Vec<&String> =
        report.counts.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name).collect();
    if !zeros.is_empty() || report.number("zero") != Some(0) {
        return fail(format!("documented outcomes that never came: {zeros:?}, {:?}", report.summary));
    }
    Ok(())
}

/// Runs `hostile` with these words in a machine of its own.
fn speak(built: &Built, words: &[String], within: Duration) -> Result<Report> {
    let options = Options::of(built, Accelerator::Tcg).append("run=control").cores(CORES);
    let mut machine = Machine::start(&options, None)?;
    machine.wait_ready(boot_within(&options))?;
    let mut command = vec![PROGRAM.to_owned()];
    command.extend(words.iter().cloned());
    let mut output = Vec::new();
    let status = machine.run(&command, Some(within), |_, bytes| {
        output.extend_from_slice(bytes);
        Ok(())
    })?;
    let text = String::from_utf8_lossy(&output).into_owned();
    let report = Report::read(PROGRAM, &text)?;
    let failed = report.cases.iter().any(|(_, reason)| reason.is_some()) || !report.findings.is_empty();
    if status != 0 && !failed {
        let tail: Vec<&str> = text.lines().rev().take(8).collect();
        let message =
            format!("hostile exited with {status}; its last lines, last first:\n{}", tail.join("\n"));
        return Err(Failure::new(Code::Failed, message));
    }
    machine.power_off()?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUZZ: &str = "hostile: count send success 70\nhostile: count send Full 30\n\
                        hostile: summary cases=0 failed=0 calls=100 succeeded=70 zero=0 audit=ok seed=7\n";

    fn checked(text: &str) -> Outcome {
        Report::read(PROGRAM, text).and_then(|report| check_fuzz(&report, 100, 7))
    }

    #[test]
    fn a_good_report_passes() {
        checked(FUZZ).unwrap();
    }

    #[test]
    fn a_report_that_does_not_add_up_fails() {
        for (from, to) in [
            ("send success 70", "send success 71"),
            ("Full 30", "Full 0"),
            ("succeeded=70", "succeeded=80"),
            ("audit=ok", "audit=FAILED"),
            ("seed=7", "seed=8"),
            ("zero=0", "zero=1"),
            ("failed=0", "failed=1"),
            ("hostile: count send Full", "hostile: finding send Full"),
            ("hostile: summary", "hostile: sum"),
            ("send Full 30", "send Full x"),
        ] {
            assert!(FUZZ.contains(from));
            assert!(checked(&FUZZ.replace(from, to)).is_err(), "{to} was accepted");
        }
    }

    #[test]
    fn too_few_successes_fail() {
        let text =
            FUZZ.replace("success 70", "success 20").replace("Full 30", "Full 80").replace("ed=70", "ed=20");
        assert!(checked(&text).unwrap_err().message.contains("only 20 of 100"));
    }

    #[test]
    fn cases_carry_their_reason() {
        let text = "hostile: case a ok\nhostile: case b FAILED it wrote 3 bytes\nhostile: summary cases=2 failed=1\n";
        let report = Report::read(PROGRAM, text).unwrap();
        assert_eq!(report.cases[0], ("a".to_owned(), None));
        assert_eq!(report.cases[1], ("b".to_owned(), Some("it wrote 3 bytes".to_owned())));
    }
}
