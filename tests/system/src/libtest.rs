//! The host's unit tests, run by cargo's test harness and counted from what it prints. Counting is strict: each test
//! line counts once, the lines must add up to the summary that libtest prints, and a program that ends without a
//! summary is a failure whatever its status.

use crate::runner::{Outcome, Runner, fail};
use fos_host::cargo;
use fos_host::children::collect;
use fos_host::failure::{Code, Failure, Result};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The longest one crate's tests may take.
const CRATE_WITHIN: Duration = Duration::from_secs(240);

/// One crate's tests, built.
#[derive(Debug)]
pub struct TestProgram {
    /// The crate.
    pub package: String,
    /// What to run.
    pub program: PathBuf,
    /// Its crate's folder, where cargo would run it.
    pub folder: PathBuf,
}

/// The workspace's crates of these names with a library whose tests are not turned off in its Cargo.toml.
pub fn libraries(wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let metadata = cargo::metadata(false)?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has_tests = |package: &serde_json::Value| {
        let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        targets.iter().any(|target| target["kind"][0] == "lib" && target["test"] == true)
    };
    let names =
        packages.iter().filter(|package| has_tests(package)).filter_map(|package| package["name"].as_str());
    let names: Vec<String> = names.filter(|name| wanted(name)).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Failure::new(Code::Failed, "the workspace has no such libraries"));
    }
    Ok(names)
}

/// Builds the unit tests of these crates' libraries; `profile` is cargo's, `dev` or `release`.
pub fn build(packages: &[String], profile: &str) -> Result<Vec<TestProgram>> {
    let mut command =
        cargo::cargo(&["test", "--no-run", "--lib", "--message-format=json", "--profile", profile]);
    packages.iter().for_each(|package| {
        command.args(["-p", package]);
    });
    let output = cargo::run(&mut command, "building the unit tests")?;
    let messages = output.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let programs: Vec<TestProgram> = messages.filter_map(|message| test_program(&message)).collect();
    let missing = packages.iter().find(|name| !programs.iter().any(|built| built.package == **name));
    match missing {
        Some(name) => Err(Failure::new(Code::Failed, format!("cargo built no unit tests of {name}"))),
        None => Ok(programs),
    }
}

fn test_program(message: &serde_json::Value) -> Option<TestProgram> {
    let program = PathBuf::from(message.get("executable")?.as_str()?);
    message.pointer("/profile/test")?.as_bool()?.then_some(())?;
    let manifest = PathBuf::from(message.get("manifest_path")?.as_str()?);
    // `path+file:///...#name@version`, or without the name when the folder has it.
    let id = message.get("package_id")?.as_str()?;
    let (place, version) = id.rsplit_once('#')?;
    let package = match version.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => place.rsplit('/').next()?.to_owned(),
    };
    Some(TestProgram { package, program, folder: manifest.parent()?.to_owned() })
}

/// Builds the unit tests of these crates' libraries, a test in itself, and runs them.
pub fn build_and_run(runner: &mut Runner, packages: impl FnOnce() -> Result<Vec<String>>, profile: &str) {
    let mut built = Ok(Vec::new());
    runner.test("unit tests build", || {
        built = packages().and_then(|packages| build(&packages, profile));
        built.as_ref().map(|_| ()).map_err(Clone::clone)
    });
    for tests in built.unwrap_or_default() {
        run(runner, &tests);
    }
}

/// Runs one crate's tests and counts each.
pub fn run(runner: &mut Runner, tests: &TestProgram) {
    let began = Instant::now();
    let said = collect(Command::new(&tests.program).current_dir(&tests.folder), CRATE_WITHIN);
    let took = began.elapsed();
    let said = match said {
        Ok(said) => said,
        Err(failure) => {
            runner.record(&tests.package, took, Some(failure.to_string()));
            return;
        }
    };
    let text = format!("{}\n{}", said.output, said.errors);
    match Counted::read(&said.output) {
        Ok(counted) if said.status.success() == counted.failed.is_empty() => {
            let share = took / u32::try_from(counted.passed.len().max(1)).unwrap_or(1);
            for name in &counted.passed {
                runner.record(&format!("{} {name}", tests.package), share, None);
            }
            for name in &counted.failed {
                runner.record(&format!("{} {name}", tests.package), share, Some(detail(&text, name)));
            }
            runner.ignore(counted.ignored);
        }
        Ok(_) => {
            let why = format!("its status ({}) contradicts its lines\n{text}", said.status);
            runner.record(&tests.package, took, Some(why));
        }
        Err(why) => runner.record(&tests.package, took, Some(format!("{why} ({})\n{text}", said.status))),
    }
}

/// Runs one test that is ignored otherwise, because it is long.
pub fn run_ignored(tests: &TestProgram, test: &str, within: Duration) -> Outcome {
    let mut command = Command::new(&tests.program);
    command.current_dir(&tests.folder).args(["--ignored", "--exact", test]);
    let said = collect(&mut command, within)?;
    match Counted::read(&said.output) {
        Ok(counted) if said.status.success() && counted.passed == [test] => Ok(()),
        _ => fail(format!("{test} did not pass ({}):\n{}\n{}", said.status, said.output, said.errors)),
    }
}

/// What one run of libtest said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    passed: Vec<String>,
    failed: Vec<String>,
    ignored: u64,
}

impl Counted {
    fn read(output: &str) -> std::result::Result<Counted, String> {
        let mut counted = Counted::default();
        let mut summary = None;
        for line in output.lines() {
            if let Some(rest) = line.strip_prefix("test result: ") {
                summary = Some(rest.to_owned());
            } else if let Some((name, outcome)) =
                line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
            {
                let name = name.trim_end_matches(" - should panic").to_owned();
                match outcome.split(' ').next().unwrap_or_default().trim_end_matches(',') {
                    "ok" => counted.passed.push(name),
                    "FAILED" => counted.failed.push(name),
                    "ignored" => counted.ignored += 1,
                    other => return Err(format!("test {name} ended as {other:?}")),
                }
            }
        }
        let summary = summary.ok_or("it ended without a summary")?;
        let told = [number(&summary, " passed"), number(&summary, " failed"), number(&summary, " ignored")];
        let lines = [counted.passed.len() as u64, counted.failed.len() as u64, counted.ignored];
        if told == lines.map(Some) {
            Ok(counted)
        } else {
            Err(format!("its lines ({lines:?}) do not add up to its summary: {summary}"))
        }
    }
}

/// The number before `word`.
fn number(summary: &str, word: &str) -> Option<u64> {
    let before = &summary[..summary.find(word)?];
    before.rsplit([' ', ';', '.']).next()?.parse().ok()
}

/// What libtest printed about a failed test.
fn detail(text: &str, name: &str) -> String {
    let head = format!("---- {name} stdout ----");
    let after = text.split_once(&head).map_or("", |(_, after)| after);
    let end = after.find("\n---- ").or_else(|| after.find("\nfailures:")).unwrap_or(after.len());
    let lines: Vec<&str> = after[..end].trim().lines().take(40).collect();
    if lines.is_empty() { "no output".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\nrunning 3 tests\ntest a::b ... ok\ntest c - should panic ... ok\ntest d ... ignored, why\n\n\
                        test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";

    #[test]
    fn a_run_is_counted() {
        let counted = Counted::read(GOOD).unwrap();
        assert_eq!((counted.passed.len(), counted.failed.len(), counted.ignored), (2, 0, 1));
        assert_eq!(counted.passed[1], "c");
    }

    #[test]
    fn a_lost_line_or_summary_is_noticed() {
        assert!(Counted::read(&GOOD.replace("test a::b ... ok\n", "")).is_err());
        assert!(Counted::read(GOOD.split("test result").next().unwrap()).is_err());
        assert!(Counted::read(&GOOD.replace("a::b ... ok", "a::b ... well")).is_err());
    }

    #[test]
    fn a_failed_test_comes_with_its_words() {
        let text =
            "failures:\n\n---- a::b stdout ----\nthread 'a::b' panicked\nleft: 1\n\n\nfailures:\n    a::b\n";
        assert_eq!(detail(text, "a::b"), "thread 'a::b' panicked\nleft: 1");
    }
}
