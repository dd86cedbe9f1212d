//! `kill(process, signal)`: to itself alone; nobody else can be seen.

use crate::errno::Errno;
use crate::process::Process;
use crate::signals::Effect;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::kill, support: Support::Partial, note: "only to itself; the default action is taken, handlers do not run", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [target, signal, ..] = arguments;
    match target as i32 {
        0 | -1 => send_to_self(process, system, signal),
        target if target.unsigned_abs() == process.id => send_to_self(process, system, signal),
        _ => Err(Errno::ESRCH),
    }
}

/// Sends the process a signal: it is ignored, kept back or deadly.
pub fn send_to_self(process: &mut Process, system: &mut dyn System, signal: u64) -> Answer {
    if signal as u32 == 0 {
        return Ok(0);
    }
    match process.signals.effect(signal)? {
        Effect::None => {}
        Effect::Ends(status) => process.exit = Some(status),
        Effect::Handler(status) => {
            process.note(system, "a signal's handler is not run: its default action is taken");
            process.exit = Some(status);
        }
    }
    Ok(0)
}
