//! `shell [-c COMMANDS]`: reads commands from its input, a line at a time, or does those of its arguments, and ends with the status
//! of the last. It is a process of the fleet `processes`, as what it starts; whose output is its own. `help` says what it knows.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod doing;
mod stats;

use alloc::string::{String, ToString};
use core::time::Duration;

use fos_shell::command::parse;
use fos_shell::lines::{LINE_BYTES_MAX, Line, Lines};
use fos_shell::status::{DONE, FAILED, USAGE};
use libfos::console::Stream;
use libfos::input::Input;
use libfos::member::{Begun, serve};
use libfos::{Start, console, eprintln};

use crate::doing::{Next, Shell};

libfos::entry!(main);

/// How often is looked whether input has come.
const LOOK_EVERY: Duration = Duration::from_millis(10);

fn main(start: &Start) -> u8 {
    let status = alloc::rc::Rc::new(core::cell::Cell::new(FAILED));
    let (own, last) = (start.clone(), status.clone());
    let ended = serve(start, async move |begun| {
        last.set(live(begun, &own).await?);
        Ok(())
    });
    if let Err(reason) = ended {
        eprintln!("shell: {reason}");
    }
    status.get()
}

/// Does what it is told, and answers with the status of the last command.
async fn live(mut begun: Begun, start: &Start) -> Result<u8, String> {
    let words: alloc::vec::Vec<&str> = start.arguments.iter().skip(1).map(String::as_str).collect();
    let given = match words.as_slice() {
        [] => None,
        ["-c", commands] => Some(commands.to_string()),
        _ => {
            eprintln!("shell: say shell, or shell -c COMMANDS");
            return Ok(USAGE);
        }
    };
    let input = Input::of_program(&mut begun.memory, start).map_err(|error| error.to_string())?;
    let shell = Shell::begin(begun, start).await?;
    match given {
        Some(commands) => Ok(match line(&shell, Line::Text(commands), DONE).await {
            Next::GoOn(status) | Next::End(status) => status,
        }),
        None => interactive(&shell, input).await,
    }
}

async fn interactive(shell: &Shell, mut input: Input) -> Result<u8, String> {
    let (mut lines, mut status, mut has_ended) = (Lines::default(), DONE, false);
    loop {
        shell.tell_ends().await;
        if !has_ended {
            prompt();
        }
        let next = loop {
            if let Some(line) = lines.take() {
                break line;
            }
            if has_ended {
                return Ok(status);
            }
            match input.take().map_err(|error| error.to_string())? {
                Some(bytes) => {
                    has_ended = bytes.is_empty();
                    lines.push(&bytes);
                }
                None => shell.runtime.sleep(LOOK_EVERY).await,
            }
        };
        match line(shell, next, status).await {
            Next::GoOn(next) => status = next,
            Next::End(status) => return Ok(status),
        }
    }
}

/// To the error stream, so that what commands print is alone on the output.
fn prompt() {
    console::print(Stream::Error, format_args!("fos> "));
}

/// Does the commands of a line.
async fn line(shell: &Shell, line: Line, mut status: u8) -> Next {
    let text = match line {
        Line::Text(text) => text,
        Line::TooLong => return mistake("the line is too long", LINE_BYTES_MAX),
        Line::Control(byte) => return mistake("the line has a control byte", byte),
        Line::NotText => return mistake("the line is no text", "it is not UTF-8"),
    };
    for command in parse(&text) {
        match shell.command(command, status).await {
            Next::GoOn(next) => status = next,
            end => return end,
        }
    }
    Next::GoOn(status)
}

fn mistake(what: &str, which: impl core::fmt::Display) -> Next {
    eprintln!("shell: {what}: {which}");
    Next::GoOn(USAGE)
}
