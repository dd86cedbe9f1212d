//! `fos names`: what the naming fleet of a machine that runs knows. The program `names` of its image lists it; this has that
//! program run by the `fos run` that started the machine, and passes on what it says and its exit status.

use super::Session;
use crate::cli::NamesArguments;
use crate::data;
use crate::failure::{Code, Context, Failure, Result};
use crate::machine::door;
use fos_messages::control::STREAM_OUTPUT;
use fos_messages::names::Path;
use std::io::Write;
use std::time::Duration;

/// The program, as images call it.
const PROGRAM: &str = "names";
/// How long it may take: the boot's tasks come first, and an emulated machine is slow.
const WITHIN: Duration = Duration::from_secs(60);
/// How long changes are followed, if nothing ends it before.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(365 * 24 * 3600);

/// Lists.
pub fn run(arguments: &NamesArguments, session: Session) -> Result<u8> {
    let path = Path::new(&arguments.path)
        .map_err(|error| Failure::new(Code::Usage, format!("{:?} is no name: {error}", arguments.path)))?;
    let machine = door::connect(arguments.process)?;
    let mut command = vec![PROGRAM.to_owned(), path.as_str().to_owned()];
    command.extend(session.json.then(|| "--json".to_owned()));
    command.extend(arguments.follow.then(|| "--follow".to_owned()));
    let within = if arguments.follow { FOLLOWS_WITHIN } else { WITHIN };
    let mut said = String::new();
    let status = door::run(machine, command, within, |stream, bytes| {
        if stream == STREAM_OUTPUT {
            data::bytes(bytes)
        } else {
            said.push_str(&String::from_utf8_lossy(bytes));
            std::io::stderr().write_all(bytes).doing("writing to stderr")
        }
    })?;
    if status != 0 && session.json {
        let code = if status == Code::NotFound as i32 { Code::NotFound } else { Code::Failed };
        data::json(&Failure::new(code, said.trim().to_owned()).json())?;
    }
    Ok(u8::try_from(status).unwrap_or(u8::MAX))
}
