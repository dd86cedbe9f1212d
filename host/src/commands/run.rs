//! `fos run`: boot an image and do what it does by default, or run one command in it and be that command: its input from our
//! stdin, its output on our stdout and stderr, its exit status ours. By default an image with a shell runs that.

use super::Session;
use crate::cli::{MachineArguments, RunArguments};
use crate::failure::{Code, Context, Failure, NOT_STARTED, Result};
use crate::image::{self, Built};
use crate::machine::{Accelerator, Ending, Machine, Options, Ready, Show, accelerator};
use crate::{data, packages, repository};
use fos_messages::control::STREAM_OUTPUT;
use serde_json::json;
use std::io::Write;
use std::time::Duration;

/// A signal that stands for "the machine died under it", as a shell would tell of SIGKILL.
const MACHINE_DIED: u8 = 128 + 9;

/// How long an image's default commands may take together, when `--timeout` says nothing else: half an hour.
const DEFAULT_WITHIN: Duration = Duration::from_secs(30 * 60);

/// Boots, runs, powers off.
pub fn run(arguments: &RunArguments, session: Session) -> Result<u8> {
    if !arguments.command.is_empty() {
        return run_command(arguments, &arguments.command, session);
    }
    match image::load(&arguments.machine.image)?.0.shell {
        Some(shell) => run_command(arguments, &shell, session),
        None => run_default(arguments, session),
    }
}

/// How long a boot may take before it has stalled: an emulated core needs time to start.
pub fn boot_within(options: &Options) -> Duration {
    Duration::from_secs(30) + Duration::from_millis(500) * u32::from(options.cores)
}

/// Builds what is missing and decides on the machine.
pub fn prepare(
    arguments: &MachineArguments,
    accelerate: impl FnOnce(&Built) -> Result<Accelerator>,
    session: Session,
) -> Result<Options> {
    packages::ensure(&[packages::QEMU], &session.talk)?;
    let built = image::build(&arguments.image, &session.talk)?;
    let mut options = Options::of(&built, accelerate(&built)?).model(arguments.machine);
    options.cores = arguments.cores.unwrap_or(options.cores);
    options.memory_bytes = arguments.memory.unwrap_or(options.memory_bytes);
    options.append.extend(arguments.append.iter().cloned());
    Ok(options)
}

/// A machine whose root is ready.
struct Booted {
    options: Options,
    machine: Machine,
    ready: Ready,
}

fn boot(arguments: &RunArguments, show: Show, words: &[&str], session: Session) -> Result<Booted> {
    let choose = |built: &Built| accelerator::choose(arguments.accel, built, &session.talk);
    let mut options = prepare(&arguments.machine, choose, session)?.append(arguments.panic.word());
    options.append.extend(words.iter().map(|word| (*word).to_owned()));
    let stage = session.talk.stage("booted");
    let mut machine = Machine::start(&options, show)?;
    let ready = machine.wait_ready(boot_within(&options))?;
    machine.open_door()?;
    stage.done();
    Ok(Booted { options, machine, ready })
}

/// The image's own commands, which root runs by itself: all that is to see is on the console.
fn run_default(arguments: &RunArguments, session: Session) -> Result<u8> {
    let shown = !session.json;
    let console: Show = shown.then(|| Box::new(show_on_stdout) as Box<dyn FnMut(&str) + Send>);
    let mut booted = boot(arguments, logged(console)?, &["run=default"], session)?;
    let within = arguments.timeout.map_or(DEFAULT_WITHIN, Duration::from_secs);
    let ending = booted.machine.wait_ending(within)?;
    if session.json {
        data::json(&json!({
            "schema": "fos.run/1",
            "image": booted.ready.image,
            "cores": booted.ready.cores,
            "boot_seconds": booted.ready.after.as_secs_f64(),
            "accelerator": booted.options.accelerator.name(),
            "console": booted.machine.console().lines(),
            "ending": ending.to_string(),
        }))?;
    }
    match ending {
        Ending::Orderly => Ok(0),
        other => Err(Failure::new(Code::Failed, format!("the machine did not power off in order: {other}"))),
    }
}

fn show_on_stdout(line: &str) {
    // A reader that has gone away is noticed where results are written.
    let _ = data::line(line);
}

/// One command, whose status is ours.
fn run_command(arguments: &RunArguments, command: &[String], session: Session) -> Result<u8> {
    let console: Show = arguments.verbose.then(|| {
        Box::new(|line: &str| drop(writeln!(std::io::stderr(), "{line}"))) as Box<dyn FnMut(&str) + Send>
    });
    let booted = logged(console).and_then(|show| boot(arguments, show, &["run=control"], session));
    let Booted { options, mut machine, ready } = match booted {
        Ok(booted) => booted,
        Err(failure) => return not_started(failure, arguments, session),
    };
    let mut kept = (Vec::new(), Vec::new());
    let within = arguments.timeout.map(Duration::from_secs);
    let outcome = machine.run_with(command, std::io::stdin(), within, |stream, bytes| {
        if session.json {
            if stream == STREAM_OUTPUT { &mut kept.0 } else { &mut kept.1 }.extend_from_slice(bytes);
            Ok(())
        } else if stream == STREAM_OUTPUT {
            data::bytes(bytes)
        } else {
            std::io::stderr().write_all(bytes).doing("writing to stderr")
        }
    });
    let status = match outcome {
        Ok(status) => u8::try_from(status).unwrap_or(u8::MAX),
        Err(failure) if failure.code == Code::NotFound => return not_started(failure, arguments, session),
        Err(failure) if failure.code == Code::Failed && !machine.runs() => {
            eprintln!("fos: {failure}");
            MACHINE_DIED
        }
        Err(failure) => return Err(failure),
    };
    if machine.runs() {
        machine.power_off()?;
    }
    if session.json {
        data::json(&json!({
            "schema": "fos.run/1",
            "image": ready.image,
            "cores": ready.cores,
            "boot_seconds": ready.after.as_secs_f64(),
            "accelerator": options.accelerator.name(),
            "command": command,
            "status": status,
            "stdout": String::from_utf8_lossy(&kept.0),
            "stderr": String::from_utf8_lossy(&kept.1),
        }))?;
    }
    Ok(status)
}

/// What ran before a command that was said is told apart from the command by its status; without one every status is ours.
fn not_started(failure: Failure, arguments: &RunArguments, session: Session) -> Result<u8> {
    if arguments.command.is_empty() {
        return Err(failure);
    }
    if session.json {
        data::json(&failure.json())?;
    }
    eprintln!("fos: {failure}");
    Ok(NOT_STARTED)
}

/// Adds `.fos/console.log` to who sees the console's lines.
fn logged(show: Show) -> Result<Show> {
    let path = repository::cache("")?.join("console.log");
    let mut log = std::fs::File::create(&path).doing(format_args!("writing {}", path.display()))?;
    let mut show = show;
    Ok(Some(Box::new(move |line: &str| {
        let _ = writeln!(log, "{line}");
        if let Some(show) = &mut show {
            show(line);
        }
    })))
}
