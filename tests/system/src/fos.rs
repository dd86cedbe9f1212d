//! The `fos` command as a user runs it: words in, status, stdout and stderr out, with a deadline.

use crate::runner::{Outcome, fail};
use fos_host::children::Child;
use fos_host::commands::test::FOS_VARIABLE;
use fos_host::failure::{Code, Context, Failure, Result};
use fos_host::repository;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A command to be run.
#[derive(Debug)]
pub struct Fos {
    command: Command,
    input: Vec<u8>,
    within: Duration,
}

/// What it said.
#[derive(Debug)]
pub struct Said {
    /// The words it was run with.
    pub words: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Fos {
    /// `fos` with these words.
    pub fn new(words: &[&str]) -> Fos {
        let built = || repository::target().join("release/fos");
        let program = std::env::var_os(FOS_VARIABLE).map_or_else(built, PathBuf::from);
        let mut command = Command::new(program);
        command.args(words).current_dir(repository::root());
        Fos { command, input: Vec::new(), within: Duration::from_secs(120) }
    }

    /// The same with another deadline.
    pub fn within(mut self, within: Duration) -> Fos {
        self.within = within;
        self
    }

    /// The same with an input.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Fos {
        self.input = input.into();
        self
    }

    /// The same with an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Fos {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Result<Said> {
        let words: Vec<_> = self.command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let said = fos_host::children::collect_with(&mut self.command, self.input, self.within)?;
        Ok(Said { words: words.join(" "), status: said.status, output: said.output, errors: said.errors })
    }

    /// Starts it.
    pub fn start(mut self) -> Result<Running> {
        let command = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Child::start(command, &[])?;
        let output = child.process().stdout.take();
        let errors = child.process().stderr.take();
        Ok(Running { child, lines: output.map(lines), errors: errors.map(lines) })
    }
}

/// A `fos` that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Option<Receiver<String>>,
    errors: Option<Receiver<String>>,
}

impl Running {
    /// Its process number.
    pub fn id(&mut self) -> u32 {
        self.child.process().id()
    }

    /// The next line on its standard output.
    pub fn read_line(&mut self, within: Duration) -> Result<String> {
        let line = self.lines.as_ref().and_then(|lines| lines.recv_timeout(within).ok());
        let errors = self.errors.as_ref().map(|errors| errors.try_iter().collect::<String>());
        line.ok_or_else(|| {
            let said = errors.unwrap_or_default();
            Failure::new(Code::TimedOut, format!("fos printed no line on stdout, and on stderr: {said:?}"))
        })
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let ended = self.child.wait_until(Instant::now() + within);
        ended.ok_or_else(|| Failure::new(Code::TimedOut, "fos did not end"))
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = String::new();
        while let Ok(1..) = reader.read_line(&mut line) {
            let _ = sender.send(std::mem::take(&mut line));
        }
        let _ = reader.read_to_string(&mut line);
    });
    receiver
}

impl Said {
    /// Fails unless the exit status is this.
    pub fn expect_status(&self, status: i32) -> Outcome {
        if self.status.code() == Some(status) {
            return Ok(());
        }
        fail(format!(
            "fos {}: {} instead of {status}\n{}{}",
            self.words, self.status, self.output, self.errors
        ))
    }

    /// Fails unless stdout is exactly this.
    pub fn expect_output(&self, output: &str) -> Outcome {
        if self.output == output {
            return Ok(());
        }
        fail(format!(
            "fos {}: stdout is {:?} instead of {output:?}\n{}",
            self.words, self.output, self.errors
        ))
    }

    /// Fails unless stdout has lines, in this order and others between them, each with all of its words.
    pub fn expect_lines(&self, expected: &[&[&str]]) -> Outcome {
        let mut lines = self.output.lines();
        for words in expected {
            if !lines.any(|line| words.iter().all(|word| line.contains(word))) {
                let output = &self.output;
                return fail(format!("fos {}: no line in its place holds {words:?}:\n{output}", self.words));
            }
        }
        Ok(())
    }

    /// Fails unless stderr holds this.
    pub fn expect_error(&self, part: &str) -> Outcome {
        if self.errors.contains(part) {
            return Ok(());
        }
        fail(format!("fos {}: stderr does not hold {part:?}: {:?}", self.words, self.errors))
    }

    /// The one JSON document on stdout, of this schema.
    pub fn json(&self, schema: &str) -> Result<serde_json::Value> {
        let document: serde_json::Value = serde_json::from_str(&self.output)
            .doing(format_args!("fos {}: reading {:?}", self.words, self.output))?;
        if document["schema"] == schema {
            return Ok(document);
        }
        Err(Failure::new(Code::Failed, format!("fos {}: the schema is not {schema}: {document}", self.words)))
    }
}
