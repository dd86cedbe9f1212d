//! What the programs of this suite print: one line per case and per outcome, and a summary that must agree with them.

use crate::runner::{Outcome, Runner, fail};
use fos_host::failure::{Code, Failure, Result};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a program said.
#[derive(Debug, Default)]
pub struct Report {
    /// Case and, when it failed, why.
    pub cases: Vec<(String, Option<String>)>,
    /// What the fuzzer found wrong, a sentence each.
    pub findings: Vec<String>,
    /// `CALL OUTCOME` and how often.
    pub counts: BTreeMap<String, u64>,
    /// The summary's `NAME=VALUE` words.
    pub summary: BTreeMap<String, String>,
}

impl Report {
    /// Reads the lines that begin with the program's name.
    pub fn read(program: &str, text: &str) -> Result<Report> {
        let mut report = Report::default();
        let own = |line: &'_ str| {
            line.trim_end().strip_prefix(program).and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned)
        };
        for line in text.lines().filter_map(own) {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["case", name, "ok"] => report.cases.push(((*name).to_owned(), None)),
                ["case", name, "FAILED", reason @ ..] => {
                    report.cases.push(((*name).to_owned(), Some(reason.join(" "))));
                }
                ["count", call, outcome, count] => report.count(call, outcome, count)?,
                ["finding", words @ ..] => report.findings.push(words.join(" ")),
                ["summary", words @ ..] => {
                    let pairs = words.iter().filter_map(|word| word.split_once('='));
                    report.summary = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                }
                _ => {}
            }
        }
        if report.summary.is_empty() {
            let last = text.lines().next_back().unwrap_or("nothing");
            let message = format!("{program} ended without a summary; it last said: {last}");
            return Err(Failure::new(Code::Failed, message));
        }
        Ok(report)
    }

    fn count(&mut self, call: &str, outcome: &str, count: &str) -> Result<()> {
        let number = count
            .parse()
            .map_err(|_| Failure::new(Code::Failed, format!("{call} {outcome} was counted as {count:?}")))?;
        self.counts.insert(format!("{call} {outcome}"), number);
        Ok(())
    }

    /// A number of the summary.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.summary.get(name)?.parse().ok()
    }

    /// Counts each case as a test, with its share of the time, and sees that the summary agrees.
    pub fn record(&self, runner: &mut Runner, took: Duration) {
        let share = took / u32::try_from(self.cases.len().max(1)).unwrap_or(1);
        for (name, reason) in &self.cases {
            runner.record(name, share, reason.clone());
        }
        runner.test("the table's summary matches its lines", || {
            let failed = self.cases.iter().filter(|(_, reason)| reason.is_some()).count() as u64;
            let told = (self.number("cases"), self.number("failed"));
            if told != (Some(self.cases.len() as u64), Some(failed)) || self.cases.is_empty() {
                return fail(format!(
                    "{} cases and {failed} failures, but {:?}",
                    self.cases.len(),
                    self.summary
                ));
            }
            Ok(())
        });
    }

    /// Outcomes named `success`.
    pub fn successes(&self) -> u64 {
        self.counts.iter().filter(|(name, _)| name.ends_with(" success")).map(|(_, count)| count).sum()
    }

    /// Fails unless nothing was left behind.
    pub fn check_audit(&self) -> Outcome {
        match self.summary.get("audit").map(String::as_str) {
            Some("ok") => Ok(()),
            other => fail(format!("the audit of frames and capabilities says {other:?}")),
        }
    }
}
