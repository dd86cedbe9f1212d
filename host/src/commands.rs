//! One file per subcommand; each answers the exit status of `fos`.

use crate::cli::{Cli, Command};
use crate::failure::Result;
use crate::talk::Talk;

pub mod bench;
pub mod build;
pub mod check;
pub mod doctor;
pub mod gdb;
pub mod names;
pub mod run;
pub mod sim;
pub mod test;

/// What a subcommand knows beside its own arguments.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// One JSON document on stdout.
    pub json: bool,
    /// What is said on stderr.
    pub talk: Talk,
}

/// Runs the subcommand.
pub fn run(cli: Cli, talk: Talk) -> Result<u8> {
    let session = Session { json: cli.json, talk };
    match cli.command {
        Command::Build(arguments) => build::run(&arguments, session),
        Command::Run(arguments) => run::run(&arguments, session),
        Command::Test(arguments) => test::run(&arguments, session),
        Command::Bench(arguments) => bench::run(&arguments, session),
        Command::Sim { command } => sim::run(&command, session),
        Command::Check(arguments) => check::run(&arguments, session),
        Command::Gdb(arguments) => gdb::run(&arguments, session),
        Command::Names(arguments) => names::run(&arguments, session),
        Command::Doctor => doctor::run(session),
    }
}
