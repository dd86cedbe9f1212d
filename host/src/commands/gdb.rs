//! `fos gdb`: a machine stopped before its first instruction, and gdb on its kernel. TCG, so that breakpoints and
//! single steps work everywhere.

use super::Session;
use super::run::prepare;
use crate::cli::GdbArguments;
use crate::failure::{Code, Context, Failure, Result};
use crate::machine::qemu::Debugger;
use crate::machine::{Accelerator, Machine};
use crate::{data, packages};
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Starts the machine, then gdb, or waits until the machine ends.
pub fn run(arguments: &GdbArguments, session: Session) -> Result<u8> {
    let starts_debugger = !arguments.print && !session.json;
    if starts_debugger {
        packages::ensure(&[packages::GDB], &session.talk)?;
    }
    let port = port(arguments.port)?;
    let mut options = prepare(&arguments.machine, |_| Ok(Accelerator::Tcg), session)?.append("run=default");
    options.debugger = Some(Debugger { port });
    let kernel = options.kernel.clone();
    let console = Box::new(|line: &str| eprintln!("{line}"));
    let mut machine = Machine::start(&options, Some(console))?;
    if starts_debugger {
        return debug(&kernel, port);
    }
    let connect = format!("target remote 127.0.0.1:{port}");
    if session.json {
        let kernel = kernel.display().to_string();
        data::json(&json!({ "schema": "fos.gdb/1", "connect": connect, "kernel": kernel, "port": port }))?;
    } else {
        data::line(format_args!("gdb {} -ex '{connect}'", kernel.display()))?;
    }
    // Until the debugger lets it end, or Ctrl-C.
    machine.wait_ending(Duration::from_secs(365 * 24 * 3600)).map(|_| 0)
}

/// The loopback port asked for if it is free, or any free one; [`Code::Conflict`] otherwise.
pub fn port(wanted: Option<u16>) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted.unwrap_or(0))).map_err(|error| {
        let message = format!("port {} on 127.0.0.1 cannot be used: {error}", wanted.unwrap_or(0));
        Failure::new(Code::Conflict, message).hint("name another with --port")
    })?;
    Ok(listener.local_addr().doing("reading the debugger's port")?.port())
}

/// Runs gdb in the foreground; Ctrl-C belongs to it.
fn debug(kernel: &Path, port: u16) -> Result<u8> {
    let status = Command::new(packages::GDB.program)
        .arg("-q")
        .arg(kernel)
        .args(["-ex", "set pagination off", "-ex", &format!("target remote 127.0.0.1:{port}")])
        .status()
        .doing("starting gdb")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(Code::Failed as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_a_conflict() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let failure = port(Some(taken.local_addr().unwrap().port())).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert!(port(None).unwrap() > 0);
    }
}
