//! Suite `sim`: the simulator as users and scripts meet it, and its crate's own tests, which hold two hundred seeds and
//! every kill point of a small run.

use crate::fos::{Fos, Said};
use crate::libtest;
use crate::runner::{Outcome, Runner, fail};
use fos_host::bench::{sim, targets};
use fos_host::failure::{Code, Context, Failure, Result};
use fos_host::repository;
use serde_json::Value;

/// The simulator's crate: its tests are this suite's.
pub const CRATE: &str = "fos-sim";

/// Scenarios whose runs take a few milliseconds, and some tens.
const QUICK: [&str; 3] = ["echo", "naming", "poison"];
const SLOWER: &str = "hostile";

/// A seed draws no fault at all one time in four: so many that all do is as good as impossible.
const SEEDS_WITH_FAULTS: u32 = 40;

/// Runs the simulator in every way.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(vec![CRATE.to_owned()]), "release");
    runner.test("two processes run a seed alike", two_processes_agree);
    runner.test("a replay prints its trace and compares it", replays);
    runner.test("a run that fails prints the command that repeats it, and that does", failures_repeat);
    runner.test("every figure is a document", figures);
    let from = runner.seed();
    for scenario in fos_sim::scenarios::SCENARIOS {
        let is_quick = QUICK.contains(&scenario.name);
        let seeds = match (is_quick, runner.long()) {
            (true, false) => 200,
            (true, true) => 10_000,
            (false, false) if scenario.name == SLOWER => 40,
            (false, false) => 2,
            (false, true) => 50,
        };
        runner.test(
            format!("{}: {seeds} seeds from {from} hold, whatever goes wrong", scenario.name),
            || {
                let faults_least = u64::from(seeds >= SEEDS_WITH_FAULTS);
                sweep(
                    &[scenario.name, "--seeds", &seeds.to_string(), "--from", &from.to_string()],
                    faults_least,
                )
            },
        );
    }
    let messages = if runner.long() { "2000" } else { "200" };
    runner.test(format!("a server may end after any of {messages} messages"), || {
        sweep(&["echo", "--seeds", "1", "--cores", "8", "--messages", messages, "--kill-points"], 1)
    });
    if runner.long() {
        runner.test("fleet: any process of it may end after any message", || {
            sweep(&["fleet", "--seeds", "1", "--messages", "200", "--kill-points"], 1)
        });
    }
    runner.test("1,024 cores and a million messages are within their time", within_time);
}

fn document(words: &[&str], schema: &str) -> Result<Value> {
    let said = Fos::new(words).run()?;
    said.expect_status(0)?;
    said.json(schema)
}

fn two_processes_agree() -> Outcome {
    let run = || document(&["sim", "run", "echo", "--seed", "11", "--faults", "--json"], "fos.sim/1");
    let (one, other) = (run()?, run()?);
    if one["trace"].is_string() && one == other { Ok(()) } else { fail(format!("{one}\n{other}")) }
}

fn replays() -> Outcome {
    let run = document(&["sim", "run", "echo", "--seed", "3", "--faults", "--json"], "fos.sim/1")?;
    let words = words(run["replay"].as_str().unwrap_or_default());
    let said = replay(&words)?;
    said.expect_status(0)?;
    let sends = said.output.lines().filter(|line| line.contains(" send ")).count() as u64;
    if Some(sends) != run["messages"].as_u64() {
        return fail(format!("{sends} messages in the trace: {run}"));
    }
    let other: Vec<String> =
        words.iter().map(|word| if word == "3" { "4".to_owned() } else { word.clone() }).collect();
    let said = replay(&other)?;
    said.expect_status(Code::Failed as i32)?;
    said.expect_error("instead of")
}

fn replay(words: &[String]) -> Result<Said> {
    Fos::new(&words.iter().map(String::as_str).collect::<Vec<_>>()).run()
}

/// The words of a printed command, without `./fos`; those with spaces are in double quotes.
fn words(command: &str) -> Vec<String> {
    let parts = command.trim_start_matches("./fos ").split('"').enumerate();
    let words = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// A cost file that lacks a handler makes any run fail.
fn failures_repeat() -> Outcome {
    let path = repository::root().join("sim/costs/default.toml");
    let costs = std::fs::read_to_string(&path).doing("reading the cost file")?;
    let kept: Vec<&str> = costs.lines().filter(|line| !line.starts_with("\"Counter.count\"")).collect();
    let short = tempfile::NamedTempFile::new().doing("making a cost file")?;
    std::fs::write(short.path(), kept.join("\n")).doing("writing a cost file")?;
    let short = short.path().display().to_string();
    let said = Fos::new(&["sim", "run", "echo", "--faults", "--seed", "5", "--costs", &short]).run()?;
    said.expect_status(Code::Failed as i32)?;
    let why = "the handler Counter.count has no measured cost";
    let command = said.output.lines().find_map(|line| line.trim().strip_prefix("repeat it with: "));
    let Some(command) = command.filter(|_| said.output.contains(why)) else {
        return fail(format!("no command, or not {why:?}: {}", said.output));
    };
    let again = replay(&words(command))?;
    again.expect_status(Code::Failed as i32)?;
    if again.output.contains(why) && !again.errors.contains("instead of") {
        return Ok(());
    }
    fail(format!("{command}: {}{}", again.output, again.errors))
}

fn figures() -> Outcome {
    for name in ["shared-state", "shootdown"] {
        let figure = document(&["sim", "figure", name, "--json"], "fos.sim-figure/1")?;
        let series = figure["series"].as_array().map(Vec::as_slice).unwrap_or_default();
        let whole = |series: &Value| series["points"].as_array().map(Vec::len) == Some(31);
        if series.len() < 4 || !series.iter().all(whole) {
            return fail(format!("{figure}"));
        }
    }
    Ok(())
}

/// Sweeps; fewer faults than `faults_least` mean that nothing was tried.
pub fn sweep(words: &[&str], faults_least: u64) -> Outcome {
    let words: Vec<&str> = ["sim", "sweep", "--json"].iter().chain(words).copied().collect();
    let said = Fos::new(&words).within(std::time::Duration::from_secs(3600)).run()?;
    let document = said.json("fos.sim-sweep/1")?;
    if let Some(failure) = document["failures"].get(0) {
        return fail(format!("{}; repeat it with: {}", failure["failure"], failure["replay"]));
    }
    said.expect_status(0)?;
    match (document["runs"].as_u64(), document["faults"].as_u64()) {
        (Some(1..), Some(faults)) if faults >= faults_least => Ok(()),
        _ => fail(format!("nothing was tried: {document}")),
    }
}

fn within_time() -> Outcome {
    let row = targets::apply(sim::seconds_of_a_large_run()?, &[]);
    match row.target {
        Some(_) if row.within_target() => Ok(()),
        _ => Err(Failure::new(Code::TimedOut, format!("{} s of {:?}", row.value, row.target))),
    }
}
