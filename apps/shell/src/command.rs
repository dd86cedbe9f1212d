//! Commands out of lines: words at blanks, one command after the other at `;`. There is no quoting.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fos_messages::names::Path;
use fos_messages::processes::{Pid, SIGNAL_MAX};

/// The signal of a `kill` that names none.
const TERMINATE: u8 = 15;

/// What `help` says.
pub const HELP: &str = "\
run PROGRAM [ARGUMENT...] [&]   start a program of the image as a process, and wait for its end; with & go on at once
list                            the processes
kill PID [SIGNAL]               send a process a signal, by number; without one it ends
names [PATH]                    the names that naming knows, from one down
stats                           cores, fleets, memory, processes
help                            this
exit [STATUS]                   end the shell
Words are separated by blanks, commands by ;";

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Starts a program.
    Run {
        /// Its name and arguments.
        words: Vec<String>,
        /// Its end is not waited for.
        goes_on: bool,
    },
    /// Lists processes.
    List,
    /// Sends a signal.
    Kill(Pid, u8),
    /// Lists names.
    Names(Path),
    /// Tells of the system.
    Stats,
    /// Tells what can be said.
    Help,
    /// Ends the shell, with this status or that of the last command.
    Exit(Option<u8>),
}

/// Why words are no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// There is no such command.
    Unknown(String),
    /// The command is not said like this; and how it is.
    Usage(&'static str, String),
}

impl core::fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Mistake::Unknown(word) => {
                write!(formatter, "{word:?} is no command: say help; to start a program: run {word}")
            }
            Mistake::Usage(command, reason) => write!(formatter, "{command}: {reason}"),
        }
    }
}

/// The commands of a line, each by itself.
pub fn parse(line: &str) -> Vec<Result<Command, Mistake>> {
    line.split(';').filter_map(|part| command(&part.split_whitespace().collect::<Vec<_>>())).collect()
}

/// The command that words make; none for no words.
fn command(words: &[&str]) -> Option<Result<Command, Mistake>> {
    let (name, arguments) = words.split_first()?;
    Some(match *name {
        "run" => run(arguments),
        "list" => alone("list", arguments, Command::List),
        "kill" => kill(arguments),
        "names" => names(arguments),
        "stats" => alone("stats", arguments, Command::Stats),
        "help" => alone("help", arguments, Command::Help),
        "exit" => exit(arguments),
        other => Err(Mistake::Unknown(other.into())),
    })
}

fn alone(name: &'static str, arguments: &[&str], command: Command) -> Result<Command, Mistake> {
    match arguments {
        [] => Ok(command),
        [word, ..] => Err(Mistake::Usage(name, format!("{word:?} is too much"))),
    }
}

fn run(arguments: &[&str]) -> Result<Command, Mistake> {
    let (words, goes_on) = match arguments {
        [words @ .., "&"] => (words, true),
        words => (words, false),
    };
    if words.is_empty() {
        return Err(Mistake::Usage("run", "say which program".into()));
    }
    Ok(Command::Run { words: words.iter().map(|word| String::from(*word)).collect(), goes_on })
}

fn kill(arguments: &[&str]) -> Result<Command, Mistake> {
    let usage = |reason: String| Mistake::Usage("kill", reason);
    let (pid, signal) = match arguments {
        [pid] => (pid, TERMINATE),
        [pid, signal] => (pid, number(signal, SIGNAL_MAX).map_err(usage)?),
        _ => return Err(usage("say which process, and perhaps a signal's number".into())),
    };
    let pid = pid.parse().map_err(|_| usage(format!("{pid:?} is no number of a process")))?;
    Ok(Command::Kill(Pid(pid), signal))
}

fn names(arguments: &[&str]) -> Result<Command, Mistake> {
    let path = match arguments {
        [] => return Ok(Command::Names(Path::root())),
        [path] => path,
        _ => return Err(Mistake::Usage("names", "say one name".into())),
    };
    let path =
        Path::new(path).map_err(|error| Mistake::Usage("names", format!("{path:?} is no name: {error}")))?;
    Ok(Command::Names(path))
}

fn exit(arguments: &[&str]) -> Result<Command, Mistake> {
    match arguments {
        [] => Ok(Command::Exit(None)),
        [status] => {
            let status = number(status, u8::MAX).map_err(|reason| Mistake::Usage("exit", reason))?;
            Ok(Command::Exit(Some(status)))
        }
        _ => Err(Mistake::Usage("exit", "say one status".into())),
    }
}

fn number(word: &str, max: u8) -> Result<u8, String> {
    let number = word.parse().ok().filter(|number| *number <= max);
    number.ok_or_else(|| format!("{word:?} is no number from 0 to {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn one(line: &str) -> Result<Command, Mistake> {
        let commands = parse(line);
        assert_eq!(commands.len(), 1, "{line:?}");
        commands.into_iter().next().unwrap()
    }

    fn usage(line: &str) -> String {
        match one(line) {
            Err(Mistake::Usage(_, reason)) => reason,
            other => panic!("{line:?} gave {other:?}"),
        }
    }

    #[test]
    fn lines_are_commands() {
        let words = vec!["busybox".to_string(), "echo".to_string()];
        assert_eq!(one(" run  busybox\techo"), Ok(Command::Run { words: words.clone(), goes_on: false }));
        assert_eq!(one("run busybox echo &"), Ok(Command::Run { words, goes_on: true }));
        assert_eq!(one("list"), Ok(Command::List));
        assert_eq!(one("kill 65537"), Ok(Command::Kill(Pid(65_537), 15)));
        assert_eq!(one("kill 2 9"), Ok(Command::Kill(Pid(2), 9)));
        assert_eq!(one("names"), Ok(Command::Names(Path::root())));
        assert_eq!(one("names /pages"), Ok(Command::Names(Path::new("/pages").unwrap())));
        assert_eq!(one("exit 7"), Ok(Command::Exit(Some(7))));
        assert_eq!(parse(" ; list;;help ;"), [Ok(Command::List), Ok(Command::Help)]);
        assert_eq!(parse(" \t "), []);
    }

    #[test]
    fn what_is_no_command_is_told_as_it_was_said() {
        assert_eq!(one("ls -l"), Err(Mistake::Unknown("ls".into())));
        assert!(usage("kill").contains("which process"));
        assert!(usage("kill -1").contains("\"-1\""));
        assert!(usage("kill 4294967296").contains("no number"));
        assert!(usage("kill 1 65").contains("0 to 64"));
        assert!(usage("run &").contains("which program"));
        assert!(usage("names pages").contains("no name"));
        assert!(usage("exit 256").contains("0 to 255"));
        assert!(usage("list all").contains("too much"));
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in ".{0,200}") {
            for mistake in parse(&line).into_iter().filter_map(Result::err) {
                prop_assert!(!mistake.to_string().contains('\n'));
            }
        }
    }
}
