//! Runs tests and keeps count: every test has a name, a time and an outcome, a panic in one is its failure, and
//! nothing that ran goes uncounted. Text goes to stdout as it happens, or one JSON document at the end.

use crate::load::Moment;
use crate::suites::{Budget, Suite};
use fos_host::cli::TestArguments;
use fos_host::data;
use fos_host::failure::{Code, Failure, Result};
use fos_host::talk::Talk;
use serde_json::json;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// What a test answers: `Err` says what went wrong.
pub type Outcome = std::result::Result<(), Failure>;

#[derive(Debug)]
struct Record {
    suite: &'static str,
    name: String,
    seconds: f64,
    failure: Option<String>,
}

/// Runs tests and keeps count.
#[derive(Debug)]
pub struct Runner {
    arguments: TestArguments,
    json: bool,
    talk: Talk,
    seed: u64,
    suite: &'static str,
    records: Vec<Record>,
    spent: Vec<(&'static Budget, Duration)>,
    ignored: u64,
}

thread_local! {
    /// Message and place of the last panic, put there by the hook below.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl Runner {
    /// A runner that has run nothing.
    pub fn new(arguments: TestArguments, json: bool, talk: Talk) -> Runner {
        std::panic::set_hook(Box::new(|panic| {
            let text = panic.to_string();
            PANIC.with(|last| *last.borrow_mut() = Some(text));
        }));
        let seed = arguments.seed.unwrap_or_else(fresh_seed);
        Runner { arguments, json, talk, seed, suite: "", records: Vec::new(), spent: Vec::new(), ignored: 0 }
    }

    /// Whether tests that do not fit the time budgets are to run.
    pub fn long(&self) -> bool {
        self.arguments.long
    }

    /// The seed of fuzzed tests.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What is said beside the results.
    pub fn talk(&self) -> Talk {
        self.talk
    }

    /// Runs a suite.
    pub fn suite(&mut self, suite: &'static Suite) {
        self.suite = suite.name;
        let (began, before) = (Moment::now(), self.records.len());
        (suite.run)(self);
        let ran = self.records.len() - before;
        if ran == 0 {
            self.record("the suite runs tests", Duration::ZERO, Some("it ran none".to_owned()));
        }
        let (took, quiet) = (began.at.elapsed(), began.quiet());
        let (name, took) = (suite.name, took.as_secs());
        self.talk.say(format_args!(
            "suite {name}: {ran} tests in {took} s, {} s of processor time",
            began.processor_time().as_secs()
        ));
        self.spend(suite.budget, quiet);
    }

    /// Counts what a suite took. Budgets hold for runs of everything: who runs one suite may have it build what others do.
    fn spend(&mut self, budget: &'static Budget, quiet: Duration) {
        let spent = quiet
            + self.spent.iter().filter(|(of, _)| *of == budget).map(|(_, took)| *took).sum::<Duration>();
        self.spent.push((budget, quiet));
        let Budget { suites, minutes_max } = budget;
        let over = (spent > Duration::from_secs(minutes_max * 60)).then(|| {
            format!("{suites} took {} s, without what other programs took of the cores", spent.as_secs())
        });
        if self.arguments.suites.is_empty() && !self.long() {
            self.record(&format!("{suites}: at most {minutes_max} minutes"), spent, over);
        }
    }

    /// Runs one test.
    pub fn test(&mut self, name: impl Into<String>, body: impl FnOnce() -> Outcome) {
        let name = name.into();
        let stage = self.talk.stage(format!("{}: {name}", self.suite));
        let began = Instant::now();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(body));
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(_) => {
                Some(PANIC.with(|last| last.borrow_mut().take()).unwrap_or_else(|| "panicked".to_owned()))
            }
        };
        drop(stage);
        self.record(&name, began.elapsed(), failure);
    }

    /// Counts a test that ran elsewhere.
    pub fn record(&mut self, name: &str, took: Duration, failure: Option<String>) {
        let suite = self.suite;
        let seconds = took.as_secs_f64();
        if !self.json {
            // A reader of stdout that went away must not stop the tests.
            let _ = data::line(match &failure {
                None => format!("ok     {suite}: {name} ({seconds:.1} s)"),
                Some(why) => format!("FAILED {suite}: {name} ({seconds:.1} s)\n{}", indent(why)),
            });
        }
        self.records.push(Record { suite, name: name.to_owned(), seconds, failure });
    }

    /// Counts tests that libtest was told to leave out.
    pub fn ignore(&mut self, count: u64) {
        self.ignored += count;
    }

    /// Prints the summary, and answers the exit status.
    pub fn finish(self) -> Result<u8> {
        let failed = self.records.iter().filter(|record| record.failure.is_some()).count();
        let passed = self.records.len() - failed;
        let summary = format!("{passed} passed, {failed} failed");
        if self.json {
            let tests: Vec<_> = self.records.iter().map(document).collect();
            data::json(&json!({
                "schema": "fos.test/1",
                "seed": self.seed,
                "tests": tests,
                "passed": passed,
                "failed": failed,
                "ignored": self.ignored,
            }))?;
            self.talk.say(&summary);
        } else {
            self.repeat_failures()?;
            if self.ignored > 0 {
                data::line(format_args!("{} ignored by their own crates", self.ignored))?;
            }
            data::line(&summary)?;
        }
        Ok(if failed == 0 { 0 } else { Code::Failed as u8 })
    }

    /// Long logs hide failures: they are named again above the summary.
    fn repeat_failures(&self) -> Result<()> {
        let failed = self.records.iter().filter(|record| record.failure.is_some());
        for record in failed {
            data::line(format_args!("FAILED {}: {}", record.suite, record.name))?;
        }
        Ok(())
    }
}

fn document(record: &Record) -> serde_json::Value {
    json!({
        "suite": record.suite,
        "name": record.name,
        "outcome": if record.failure.is_none() { "passed" } else { "failed" },
        "seconds": record.seconds,
        "message": record.failure,
    })
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("       {line}")).collect::<Vec<_>>().join("\n")
}

/// A seed that differs from run to run; printed, so that the run can be repeated.
fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| now.as_nanos() as u64 % 1_000_000_007)
}

/// Fails a test with a sentence.
pub fn fail(message: impl Into<String>) -> Outcome {
    Err(Failure::new(Code::Failed, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner() -> Runner {
        let arguments = TestArguments { suites: vec![], list: false, long: false, seed: Some(7) };
        Runner::new(arguments, true, Talk::SILENT)
    }

    #[test]
    fn failures_and_panics_are_counted_and_set_the_exit_status() {
        let mut runner = runner();
        runner.test("good", || Ok(()));
        assert_eq!(runner.records.iter().filter(|record| record.failure.is_some()).count(), 0);
        runner.test("bad", || fail("because"));
        runner.test("worse", || panic!("the reason"));
        let why: Vec<_> = runner.records.iter().filter_map(|record| record.failure.clone()).collect();
        assert_eq!(why[0], "because");
        assert!(why[1].contains("the reason"), "{why:?}");
        assert_eq!(runner.finish().unwrap(), 1);
    }

    static BUDGET: Budget = Budget { suites: "empty", minutes_max: 1 };

    const fn suite(budget: &'static Budget, run: fn(&mut Runner)) -> Suite {
        Suite { name: "empty", about: "", budget, processor_seconds: 1, run }
    }

    #[test]
    fn suites_that_are_over_their_budget_together_fail_a_run_of_everything() {
        let over = |mut runner: Runner| {
            runner.spend(&BUDGET, Duration::from_secs(40));
            let before = runner.records.iter().filter(|record| record.failure.is_some()).count();
            runner.spend(&BUDGET, Duration::from_secs(40));
            (before, runner.records.iter().filter(|record| record.failure.is_some()).count())
        };
        assert_eq!(over(runner()), (0, 1));
        let mut one = runner();
        one.arguments.suites.push("empty".to_owned());
        assert_eq!(over(one), (0, 0));
        let mut long = runner();
        long.arguments.long = true;
        assert_eq!(over(long), (0, 0));
    }

    #[test]
    fn a_suite_that_runs_nothing_fails() {
        static EMPTY: Suite = suite(&BUDGET, |_| {});
        let mut runner = runner();
        runner.suite(&EMPTY);
        assert_eq!(runner.finish().unwrap(), 1);
    }
}
