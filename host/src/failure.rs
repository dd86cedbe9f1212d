//! Failures that a user sees: what happened, to whom, what to do, and the exit code that scripts can rely on. Every
//! part of the host answers with a [`Failure`]; only `main.rs` turns one into text and a process exit.

use std::fmt::Display;

/// Exit codes of `fos`, beside 0 for success. `fos run -- COMMAND` exits with the command's status instead, or
/// [`NOT_STARTED`] when anything failed before the command ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The work itself failed: a build error, a failed test or check, a machine that died.
    Failed = 1,
    /// The command line is not valid.
    Usage = 2,
    /// A named image, suite or file does not exist.
    NotFound = 3,
    /// A deadline passed.
    TimedOut = 4,
    /// Something else holds what is needed: a port, a lock.
    Conflict = 5,
    /// The host lacks a program, package or right.
    HostLacks = 6,
    /// A bug of `fos` itself.
    Bug = 70,
    /// Ended by SIGINT, SIGTERM or SIGHUP (128 plus SIGINT, as shells count).
    Interrupted = 130,
}

/// Exit status of `fos run -- COMMAND` when the command never ran.
pub const NOT_STARTED: u8 = 125;

impl Code {
    /// Every code with one line for the help text.
    pub const ALL: [(Code, &'static str); 8] = [
        (Code::Failed, "the work failed: a build error, a failed test or check, a machine that died"),
        (Code::Usage, "the command line is not valid"),
        (Code::NotFound, "a named image, suite or file does not exist"),
        (Code::TimedOut, "a deadline passed"),
        (Code::Conflict, "something else holds what is needed"),
        (Code::HostLacks, "the host lacks something; the message names the command to run"),
        (Code::Bug, "a bug of fos itself"),
        (Code::Interrupted, "interrupted by a signal"),
    ];

    /// The name in `--json` output.
    pub fn name(self) -> &'static str {
        match self {
            Code::Failed => "failed",
            Code::Usage => "usage",
            Code::NotFound => "not-found",
            Code::TimedOut => "timed-out",
            Code::Conflict => "conflict",
            Code::HostLacks => "host-lacks",
            Code::Bug => "bug",
            Code::Interrupted => "interrupted",
        }
    }
}

/// Why a command could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which kind, and so which exit code.
    pub code: Code,
    /// What happened and to whom, in one sentence without a final full stop.
    pub message: String,
    /// What to do about it, when there is something to do.
    pub hint: Option<String>,
}

/// What every part of the host answers.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure of this kind.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), hint: None }
    }

    /// The same, with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// As one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": "fos.error/1",
            "error": {
                "code": self.code as u8,
                "name": self.code.name(),
                "message": self.message,
                "hint": self.hint,
            }
        })
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Turns any error into a [`Failure`] by saying what was being done.
pub trait Context<T> {
    /// A [`Code::Failed`] that says `doing: error`.
    fn doing(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn doing(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| Failure::new(Code::Failed, format!("{doing}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_distinct() {
        let codes: std::collections::BTreeSet<_> = Code::ALL.iter().map(|(code, _)| *code as u8).collect();
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|(code, _)| code.name()).collect();
        assert_eq!((codes.len(), names.len()), (Code::ALL.len(), Code::ALL.len()));
    }

    #[test]
    fn a_failure_reads_as_one_sentence() {
        let failure = Failure::new(Code::HostLacks, "QEMU is missing").hint("run: apt-get install qemu");
        assert_eq!(failure.to_string(), "QEMU is missing; run: apt-get install qemu");
        assert_eq!(failure.json()["error"]["code"], 6);
    }
}
