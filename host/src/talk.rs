//! What `fos` says about its work, always on stderr: a spinner per stage on a terminal, otherwise one line per finished stage,
//! and now and then where a long one is. Results are data and go to stdout, which nothing here touches.

use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Without a terminal a long stage says so often where it is.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How much to say, and how.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    quiet: bool,
    terminal: bool,
    color: bool,
}

impl Talk {
    /// Decides from the flags, the terminal and `NO_COLOR` (<https://no-color.org>).
    pub fn new(quiet: bool) -> Talk {
        let terminal = std::io::stderr().is_terminal();
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Talk { quiet, terminal, color }
    }

    /// Says nothing but failures.
    pub const SILENT: Talk = Talk { quiet: true, terminal: false, color: false };

    /// Whether nothing but failures is said.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether colour codes may be written to stderr.
    pub fn color(&self) -> bool {
        self.color
    }

    /// One line.
    pub fn say(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "fos: {text}");
        }
    }

    /// Begins a stage of work; it ends with [`Stage::done`], or silently when dropped because something failed.
    pub fn stage(&self, doing: impl Into<String>) -> Stage {
        let doing = doing.into();
        let spinner = (self.terminal && !self.quiet).then(|| spinner(&doing, self.color));
        let began = Instant::now();
        Stage { talk: *self, spinner, doing, began, said: Cell::new(began) }
    }
}

fn spinner(doing: &str, color: bool) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let template = if color { "{spinner:.cyan} {msg} {elapsed:.dim}" } else { "{spinner} {msg} {elapsed}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(doing.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A stage of work under way.
#[derive(Debug)]
pub struct Stage {
    talk: Talk,
    spinner: Option<ProgressBar>,
    doing: String,
    began: Instant,
    /// When it last said where it is.
    said: Cell<Instant>,
}

impl Stage {
    /// Shows what the stage is at; without a terminal only now and then.
    pub fn at(&self, what: impl Display) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("{}: {what}", self.doing));
        } else if self.said.get().elapsed() >= SAY_AGAIN_AFTER {
            self.said.set(Instant::now());
            self.talk.say(format_args!("{}: {what}", self.doing));
        }
    }

    /// Ends the stage with one line that tells its time. Stages that took no noticeable time say nothing: a second
    /// build of an unchanged tree is quiet.
    pub fn done(mut self) {
        let took = self.began.elapsed();
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        if took >= Duration::from_millis(1500) {
            self.talk.say(format_args!("{} ({:.1} s)", self.doing, took.as_secs_f64()));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}
