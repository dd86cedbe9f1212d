//! The program behind `./fos test`.

use clap::Parser;
use fos_host::cli::TestArguments;
use fos_host::failure::{Code, Failure, Result};
use fos_host::talk::Talk;
use fos_host::{children, data};
use fos_tests::runner::Runner;
use fos_tests::suites::{self, SUITES, Suite};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "fos-tests", bin_name = "./fos test")]
struct CommandLine {
    #[command(flatten)]
    arguments: TestArguments,
    #[arg(long)]
    json: bool,
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let line = CommandLine::parse();
    match run(&line) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            if line.json {
                let _ = data::json(&failure.json());
            }
            eprintln!("fos: {failure}");
            ExitCode::from(failure.code as u8)
        }
    }
}

fn run(line: &CommandLine) -> Result<u8> {
    if line.arguments.list {
        return suites::list(line.json).map(|()| 0);
    }
    let chosen = choose(&line.arguments.suites)?;
    children::end_with_signals()?;
    let talk = Talk::new(line.quiet);
    let mut runner = Runner::new(line.arguments.clone(), line.json, talk);
    for suite in chosen {
        runner.suite(suite);
    }
    runner.finish()
}

fn choose(names: &[String]) -> Result<Vec<&'static Suite>> {
    let known = || SUITES.iter().map(|suite| suite.name).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        SUITES.iter().find(|suite| suite.name == name).ok_or_else(|| {
            Failure::new(Code::NotFound, format!("no suite is named {name:?}"))
                .hint(format!("the suites are: {}", known()))
        })
    };
    if names.is_empty() { Ok(SUITES.iter().collect()) } else { names.iter().map(find).collect() }
}
