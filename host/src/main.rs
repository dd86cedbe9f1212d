//! The `fos` command: parses the command line, runs one subcommand, and turns its failure into one sentence and an
//! exit code. `./fos` at the root of the tree builds and starts this.

use clap::Parser;
use fos_host::cli::Cli;
use fos_host::failure::{Code, Failure};
use fos_host::talk::Talk;
use fos_host::{children, commands, data};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (json, talk) = (cli.json, Talk::new(cli.quiet));
    let outcome = std::panic::catch_unwind(move || {
        children::end_with_signals()?;
        commands::run(cli, talk)
    });
    match outcome {
        Ok(Ok(status)) => ExitCode::from(status),
        Ok(Err(failure)) => report(&failure, json),
        Err(_) => report(&Failure::new(Code::Bug, "this is a bug of fos itself, see above"), json),
    }
}

fn report(failure: &Failure, json: bool) -> ExitCode {
    if json {
        // The failure is reported on stderr too; a closed stdout changes nothing.
        let _ = data::json(&failure.json());
    }
    eprintln!("fos: {failure}");
    ExitCode::from(failure.code as u8)
}
