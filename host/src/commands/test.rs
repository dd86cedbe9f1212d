//! `fos test`: builds the program in tests/system, which holds the tests, and becomes it. The tests are a program of
//! their own because they use this library and this command from outside, as users do.

use super::Session;
use crate::cargo;
use crate::cli::TestArguments;
use crate::failure::{Context, Failure, Result};
use crate::repository;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The tests' crate and program.
const TESTS: &str = "fos-tests";
/// Tells the tests which `fos` to run.
pub const FOS_VARIABLE: &str = "FOS_BINARY";

/// Does not come back when it succeeds: the process goes on as the tests.
pub fn run(arguments: &TestArguments, session: Session) -> Result<u8> {
    let stage = session.talk.stage("built the tests");
    let mut build = cargo::cargo(&["build", "--release", "-p", TESTS, "--bin", TESTS]);
    cargo::run(&mut build, "building the tests")?;
    stage.done();
    let program = repository::target().join("release").join(TESTS);
    let mut tests = Command::new(&program);
    tests.args(arguments.words());
    tests.args(session.json.then_some("--json"));
    tests.args(session.talk.quiet().then_some("--quiet"));
    tests.env(FOS_VARIABLE, std::env::current_exe().doing("finding this program")?);
    let error = tests.exec();
    Err(Failure::new(crate::failure::Code::Failed, format!("starting {}: {error}", program.display())))
}
