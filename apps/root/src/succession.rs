//! Programs that are started again when they have ended (`start = "kept"` in the image), and what root keeps for those that come next.
//!
//! The first end is made good at once, each one more after twice as long as the one before. Who ends eight times in half a
//! minute is not started any more: whatever ends it would end the next one too.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::start::{KEPT_BYTES_MAX, KEPT_MAX, NAME_MAX};

/// Ends in [`WITHIN`] after which it is given up.
pub const ENDS_MAX: u32 = 8;
/// How long an end counts after the one before.
pub const WITHIN: Duration = Duration::from_secs(30);
/// How long before the second successor within that time; the first one comes at once.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Why something is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// The program is not one that is started again.
    NoSuccessor,
    /// Its name, or itself, is longer than may be.
    TooLong,
    /// As many others are kept for the program as may be.
    TooMany,
}

impl NotKept {
    /// The reason, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            NotKept::NoSuccessor => "the image does not have it started again",
            NotKept::TooLong => "it is longer than 512 bytes, or its name than 64",
            NotKept::TooMany => "64 pieces are kept for it already",
        }
    }
}

/// What is to be done after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: it is not started again.
    Nothing,
    /// Another is started after so long.
    Another(Duration),
    /// It has ended too often.
    GivenUp,
}

/// One program's line.
#[derive(Debug)]
struct Line {
    program: String,
    kept: Vec<(String, Vec<u8>)>,
    /// Ends that count, and when the last one was, in nanoseconds.
    ends: u32,
    last_end: u64,
    /// When the next one is started, in nanoseconds.
    due: Option<u64>,
}

/// The programs that are started again.
#[derive(Debug, Default)]
pub struct Succession {
    lines: Vec<Line>,
}

impl Succession {
    /// This program is one of them.
    pub fn add(&mut self, program: &str) {
        if !self.has(program) {
            let (kept, ends, last_end, due) = Default::default();
            self.lines.push(Line { program: program.into(), kept, ends, last_end, due });
        }
    }

    /// Whether this program is one of them.
    pub fn has(&self, program: &str) -> bool {
        self.lines.iter().any(|line| line.program == program)
    }

    /// Keeps something for who comes after the program that runs now; nothing under a name: forgets what was kept under it.
    pub fn keep(&mut self, program: &str, name: String, bytes: Vec<u8>) -> Result<(), NotKept> {
        let line = self.lines.iter_mut().find(|line| line.program == program).ok_or(NotKept::NoSuccessor)?;
        if name.len() > NAME_MAX || bytes.len() > KEPT_BYTES_MAX {
            return Err(NotKept::TooLong);
        }
        let is_known = line.kept.iter().any(|(known, _)| *known == name);
        if !bytes.is_empty() && !is_known && line.kept.len() >= KEPT_MAX {
            return Err(NotKept::TooMany);
        }
        line.kept.retain(|(known, _)| *known != name);
        if !bytes.is_empty() {
            line.kept.push((name, bytes));
        }
        Ok(())
    }

    /// What is kept for who comes next.
    pub fn kept(&self, program: &str) -> &[(String, Vec<u8>)] {
        self.lines.iter().find(|line| line.program == program).map_or(&[], |line| &line.kept)
    }

    /// The program has ended, or did not start, at this time in nanoseconds.
    pub fn ended(&mut self, program: &str, now: u64) -> After {
        let Some(line) = self.lines.iter_mut().find(|line| line.program == program) else {
            return After::Nothing;
        };
        let counts = now.saturating_sub(line.last_end) < WITHIN.as_nanos() as u64;
        line.ends = if counts { line.ends + 1 } else { 1 };
        line.last_end = now;
        if line.ends >= ENDS_MAX {
            line.due = None;
            return After::GivenUp;
        }
        let pause = if line.ends == 1 { Duration::ZERO } else { AGAIN_AFTER * (1 << (line.ends - 2)) };
        line.due = Some(now + pause.as_nanos() as u64);
        After::Another(pause)
    }

    /// When the next of them is to be started, in nanoseconds.
    pub fn next_due(&self) -> Option<u64> {
        self.lines.iter().filter_map(|line| line.due).min()
    }

    /// One that is to be started by now; it is not told again.
    pub fn take_due(&mut self, now: u64) -> Option<String> {
        let line = self.lines.iter_mut().find(|line| line.due.is_some_and(|due| due <= now))?;
        line.due = None;
        Some(line.program.clone())
    }
}
