//! Booting Linux under QEMU with one of the benchmark's two modes, and reading its numbers.
//!
//! What makes the counts exact and the same on every run: icount with one CPU, a seeded random device
//! (Linux shuffles its free lists by it), a clock that starts at a fixed date and follows the instructions, and
//! no device but the serial port. What is left as users run it: the scheduler's defaults, the timer tick, huge
//! pages, randomised addresses, and the processor mitigations that Linux picks for this CPU.

use super::debian::Kernel;
use super::last_lines;
use crate::children::{Said, collect};
use crate::failure::{Code, Context, Failure, Result};
use fos_bench_linux::line::{self, Line, Measurement};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Memory of the guest: above 512 MiB, below which Linux turns huge pages off.
const MEMORY: &str = "1G";

/// Counting takes 15 s on an idle core.
const COUNT_LIMIT: Duration = Duration::from_secs(180);

/// Under `shift=0` an instruction takes a nanosecond.
const COUNTED_CLOCK_KHZ: u64 = 1_000_000;

/// Timing takes 2 s, but on a host with more to run than cores each hand-over between two CPUs waits: 64 s were seen with six
/// times as many.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// Boots with two CPUs before we give up: Linux's early timer checks compare clocks that a busy host lets drift
/// apart, and the guest then panics or hangs. A number comes only from a boot that got to its end.
const TIME_ATTEMPTS: usize = 3;

/// QEMU's model of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// A PC with PCI Express.
    Q35,
    /// A minimal machine for short-lived guests.
    Microvm,
}

impl Machine {
    fn name(self) -> &'static str {
        match self {
            Machine::Q35 => "q35",
            Machine::Microvm => "microvm",
        }
    }
}

/// Linux's work-arounds for processor weaknesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mitigations {
    /// What Linux picks by itself for the CPU that it sees; what users run. The report's notes name them.
    Default,
    /// `mitigations=off`. Under a name of its own, since these are not the numbers that users get.
    Off,
}

/// What to boot.
#[derive(Clone, Debug)]
pub struct Guest {
    /// From [`super::kernel`].
    pub kernel: Kernel,
    /// From [`super::initramfs`].
    pub initramfs: PathBuf,
    /// The machine that QEMU plays.
    pub machine: Machine,
    /// Which mitigations Linux uses.
    pub mitigations: Mitigations,
}

/// What a guest measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The numbers, in the order in which they were measured.
    pub measurements: Vec<Measurement>,
    /// Kernel version and command line, mitigations, and whatever else belongs beside the numbers.
    pub notes: Vec<String>,
}

/// Boots with one CPU under icount; every value is an exact count of guest instructions (about 15 s).
///
/// # Errors
/// Host lacks something (6) without QEMU, timed out (4) if the guest hung, failed (1) if it ended early; the last two
/// with the console's last lines.
pub fn measure_instructions(guest: &Guest, counted: Counted) -> Result<Report> {
    let processor =
        ["-accel", "tcg,thread=single", "-cpu", "max,-erms", "-smp", "1", "-icount", "shift=0,sleep=off"];
    measure(guest, counted.mode(), COUNTED_CLOCK_KHZ, &processor, COUNT_LIMIT)
}

/// What is counted on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Single operations.
    Operations,
    /// Starting a program, and waiting for its end.
    Spawns,
    /// A page that is touched and given back, everything counted that ran meanwhile.
    Faults,
}

impl Counted {
    /// The argument that asks the measuring program for it, here and on fos.
    pub fn mode(self) -> &'static str {
        match self {
            Counted::Operations => "instructions",
            Counted::Spawns => "spawns",
            Counted::Faults => "fault-instructions",
        }
    }
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// Unmapping a page that one CPU or two have used.
    Unmapping,
    /// getppid, and round trips of two processes on two CPUs.
    RoundTrips,
    /// Pages touched and given back, by a process on each of so many CPUs.
    Faults(u16),
}

impl Timed {
    /// The argument that asks the measuring program for it, here and on fos.
    pub fn mode(self) -> &'static str {
        match self {
            Timed::Unmapping => "times",
            Timed::RoundTrips => "round-trips",
            Timed::Faults(_) => "faults",
        }
    }

    /// CPUs of the machine.
    pub fn cpus(self) -> u16 {
        match self {
            Timed::Unmapping | Timed::RoundTrips => 2,
            Timed::Faults(cpus) => cpus,
        }
    }
}

/// Boots with one or two CPUs, each on a host thread of its own; every value is a median time in ns (about 2 s, up to three
/// tries of three minutes on a busy host).
///
/// Times depend on the host and on what else it does: compare within one run of pairs only.
///
/// # Errors
/// Those of [`measure_instructions`].
pub fn measure_times(guest: &Guest, timed: Timed) -> Result<Report> {
    let (mode, clock_khz) = (timed.mode(), host_clock_khz());
    let cpus = timed.cpus().to_string();
    let processor = ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", &cpus];
    let mut last = measure(guest, mode, clock_khz, &processor, TIME_LIMIT);
    for _ in 1..TIME_ATTEMPTS {
        match last {
            Err(failure) if failure.code != Code::HostLacks => {
                last = measure(guest, mode, clock_khz, &processor, TIME_LIMIT);
            }
            _ => break,
        }
    }
    last
}

fn measure(guest: &Guest, mode: &str, clock_khz: u64, processor: &[&str], limit: Duration) -> Result<Report> {
    let what = format!("Linux on {} measuring {mode}", guest.machine.name());
    let console = tempfile::NamedTempFile::new().doing("making a file for Linux's console")?;
    let ended = collect(&mut qemu(guest, mode, clock_khz, processor, console.path()), limit);
    let bytes = std::fs::read(console.path()).doing("reading Linux's console")?;
    read_report(&what, ended, &String::from_utf8_lossy(&bytes))
}

/// QEMU's command line. The console is a file, so that it is there also when QEMU had to be killed.
fn qemu(guest: &Guest, mode: &str, clock_khz: u64, processor: &[&str], console: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", guest.machine.name(), "-m", MEMORY]).args(processor);
    command.args(["-seed", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm"]);
    command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
    command.arg("-serial").arg(format!("file:{}", console.display()));
    command.arg("-kernel").arg(&guest.kernel.vmlinuz).arg("-initrd").arg(&guest.initramfs);
    command.arg("-append").arg(kernel_arguments(guest.mitigations, mode, clock_khz));
    command
}

/// A reboot ends QEMU (`-no-reboot`); `reboot=t` does it on microvm too, which has no keyboard controller.
/// The speed of the time stamp counter is told, because on a busy host Linux can't find it out by itself, and
/// microvm has no other clock to fall back on.
fn kernel_arguments(mitigations: Mitigations, mode: &str, clock_khz: u64) -> String {
    let mitigations = match mitigations {
        Mitigations::Default => "",
        Mitigations::Off => " mitigations=off",
    };
    format!("console=ttyS0 quiet reboot=t panic=-1 tsc_early_khz={clock_khz}{mitigations} -- {mode}")
}

/// The speed of this host's time stamp counter, which QEMU shows to a guest that does not count instructions.
fn host_clock_khz() -> u64 {
    // SAFETY: every x86-64 processor has rdtsc, and Linux lets programs use it.
    let ticks = || unsafe { std::arch::x86_64::_rdtsc() };
    let (begin, first) = (Instant::now(), ticks());
    std::thread::sleep(Duration::from_millis(100));
    let (last, elapsed) = (ticks(), begin.elapsed());
    (last - first) * 1000 / elapsed.as_micros() as u64
}

/// The numbers on the console; there are none unless QEMU ended well and the `end` line is there.
fn read_report(what: &str, ended: Result<Said>, console: &str) -> Result<Report> {
    let quoting = |failure: Failure| match failure.code {
        Code::HostLacks => failure,
        _ => Failure { message: format!("{what}: {}{}", failure.message, last_lines(console)), ..failure },
    };
    let ended = ended.map_err(quoting)?;
    let failed = |reason: String| quoting(Failure::new(Code::Failed, reason));
    if !ended.status.success() {
        return Err(failed(format!("QEMU ended with {}: {}", ended.status, ended.errors.trim())));
    }
    let mut report = Report { measurements: Vec::new(), notes: Vec::new() };
    for text in console.lines() {
        match line::parse(text).map_err(|malformed| failed(malformed.to_string()))? {
            Some(Line::Bench(measurement)) => report.measurements.push(measurement),
            Some(Line::Note(note)) => report.notes.push(note),
            Some(Line::End) => return Ok(report),
            None => (),
        }
    }
    Err(failed("the guest ended before it had measured everything".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(code: i32) -> Result<Said> {
        let status = ExitStatus::from_raw(code << 8);
        Ok(Said { status, output: String::new(), errors: "QEMU's complaint".to_owned() })
    }

    const NUMBER: &str = "bench linux_getppid 323 instructions a call\r\n";

    #[test]
    fn numbers_and_notes_are_read_among_the_kernels_words() {
        let console = format!("[ 0.1] PCI: hm\r\n{NUMBER}note l1tf: no\r\nend\r\n[ 9.1] reboot: now\r\n");
        let report = read_report("a test", ended(0), &console).unwrap();
        assert_eq!((report.measurements[0].value, report.measurements[0].how.as_str()), (323, "a call"));
        assert_eq!(report.notes, ["l1tf: no"]);
    }

    #[test]
    fn a_guest_that_stops_early_has_no_numbers() {
        let console = format!("{NUMBER}Kernel panic - not syncing\r\n");
        let failure = read_report("a test", ended(0), &console).unwrap_err();
        assert_eq!(failure.code, Code::Failed);
        assert!(failure.message.contains("Kernel panic"), "{failure}");
    }

    #[test]
    fn a_qemu_that_fails_has_no_numbers_and_is_quoted() {
        let failure = read_report("a test", ended(1), &format!("{NUMBER}end\r\n")).unwrap_err();
        assert!(failure.message.contains("QEMU's complaint"), "{failure}");
    }

    #[test]
    fn a_number_that_breaks_the_format_is_an_error() {
        let failure = read_report("a test", ended(0), "bench linux_getppid many\r\nend\r\n").unwrap_err();
        assert!(failure.message.contains("no integer as VALUE"), "{failure}");
    }

    #[test]
    fn a_hang_keeps_its_code_and_quotes_the_console() {
        let hang = Err(Failure::new(Code::TimedOut, "qemu-system-x86_64 did not end within 90 s"));
        let failure = read_report("a test", hang, "Booting\r\nstuck here\r\n").unwrap_err();
        assert_eq!(failure.code, Code::TimedOut);
        assert!(failure.message.contains("a test") && failure.message.contains("stuck here"), "{failure}");
    }

    #[test]
    fn mitigations_are_only_turned_off_by_name() {
        assert!(!kernel_arguments(Mitigations::Default, "times", 1).contains("mitigations"));
        assert!(kernel_arguments(Mitigations::Off, "times", 1).contains(" mitigations=off -- times"));
    }
}
