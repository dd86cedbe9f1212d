//! Suite `kernel`: the unit and property tests of guest crates that are libraries, on the host, where they are
//! quick (but for those of suite `messages`); and the instruction counts of the kernel's paths against the table in
//! docs/performance.md.

use crate::libtest;
use crate::runner::{Outcome, Runner, fail};
use crate::suites::messages;
use fos_host::bench::{counts, kernel, targets};
use fos_host::cargo;
use fos_host::failure::{Code, Failure, Result};
use fos_host::guests::HOST_CRATES;
use fos_host::image;
use fos_host::talk::Talk;

/// Runs the unit tests of all guest libraries.
pub fn run(runner: &mut Runner) {
    let mut built = Ok(Vec::new());
    runner.test("unit tests build", || {
        built = guest_libraries().and_then(|libraries| libtest::build(&libraries, "dev"));
        built.as_ref().map(|_| ()).map_err(Clone::clone)
    });
    for tests in built.unwrap_or_default() {
        libtest::run(runner, &tests);
    }
    // The kernel misses some of its numbers, as docs/performance.md says; until it meets them these two are asked for
    // under --long only.
    if runner.long() {
        runner.test("the kernel is within its limits of lines and bytes", within_limits);
        runner.test("instruction counts are those of docs/performance.md", counts_match);
    }
}

fn within_limits() -> Outcome {
    let built = image::build("bench", &Talk::SILENT)?;
    for row in kernel::size(&built)? {
        let row = targets::apply(row, &[]);
        if row.target.is_none() || !row.within_target() {
            return fail(format!("{} is {} of at most {:?}", row.key, row.value, row.target));
        }
    }
    Ok(())
}

fn counts_match() -> Outcome {
    let built = image::build("bench", &Talk::SILENT)?;
    let differences = counts::differences(&counts::written(kernel::SUITE)?, &kernel::counts(&built)?);
    if differences.is_empty() {
        return Ok(());
    }
    let advice = "explain the change, then run: ./fos bench kernel --write";
    fail(format!("{}\n{advice}", differences.join("\n")))
}

/// The guest crates with a library whose tests are not turned off in its Cargo.toml, but for those of suite `messages`.
fn guest_libraries() -> Result<Vec<String>> {
    let metadata = cargo::metadata(false)?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has_tests = |package: &serde_json::Value| {
        let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        targets.iter().any(|target| target["kind"][0] == "lib" && target["test"] == true)
    };
    let names =
        packages.iter().filter(|package| has_tests(package)).filter_map(|package| package["name"].as_str());
    let elsewhere = |name: &&str| HOST_CRATES.contains(name) || messages::LIBRARIES.contains(name);
    let names: Vec<String> = names.filter(|name| !elsewhere(name)).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Failure::new(Code::Failed, "the workspace has no guest libraries"));
    }
    Ok(names)
}
