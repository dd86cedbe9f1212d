//! The Linux guest beside fos: Debian's cloud kernel under the same QEMU, running the same operations.
//!
//! ```text
//! kernel()   Debian's package -> .fos/linux/<package>_<version>/vmlinuz     downloaded, never installed
//! program()  bench/linux, linked statically  \
//!                                              initramfs() -> one file: /init
//! measure_instructions(), measure_times()      boot both under QEMU, read the numbers from the serial port
//! ```
//! Nothing here needs root. Every wait has a deadline, and what is started here is a [`crate::children::Child`]:
//! no QEMU outlives the call.

mod archive;
mod boot;
mod debian;

pub use archive::{initramfs, program};
pub use boot::{Counted, Guest, Machine, Mitigations, Report, Timed, measure_instructions, measure_times};
pub use debian::{Kernel, kernel};
pub use fos_bench_linux::line::Measurement;

use crate::children::{Said, collect};
use crate::failure::{Code, Failure, Result};
use std::process::Command;
use std::time::Duration;

/// Runs `command` to its success; `doing` says what for. On failure the message ends with the last it said.
fn succeed(doing: &str, command: &mut Command, within: Duration) -> Result<Said> {
    let said = collect(command, within)?;
    if said.status.success() {
        return Ok(said);
    }
    let words = last_lines(&format!("{}\n{}", said.output, said.errors));
    Err(Failure::new(Code::Failed, format!("{doing} failed ({}){words}", said.status)))
}

/// The last lines of what a program said, each on a line of its own: enough to see why it stopped.
fn last_lines(said: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() { "; it said nothing".to_owned() } else { format!(":\n  {}", last.join("\n  ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_quoted_with_its_purpose() {
        let mut command = Command::new("sh");
        let failure =
            succeed("a test", command.args(["-c", "echo why; exit 3"]), Duration::from_secs(20)).unwrap_err();
        assert_eq!(failure.code, Code::Failed);
        assert!(failure.message.starts_with("a test failed (exit status: 3)"), "{failure}");
        assert!(failure.message.ends_with("why"), "{failure}");
    }

    #[test]
    fn only_the_end_of_a_long_speech_is_kept() {
        let speech: String = (0..100).map(|line| format!("line {line}\r\n\r\n")).collect();
        let kept = last_lines(&speech);
        assert!(kept.contains("line 99") && kept.contains("line 88") && !kept.contains("line 87"), "{kept}");
    }
}
