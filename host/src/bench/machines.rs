//! The machines that measure: fos with the image `bench`, and Debian's Linux on the same QEMU beside it.

use crate::commands::run::boot_within;
use crate::failure::{Code, Context, Failure, Result};
use crate::image::Built;
use crate::linux_guest::{self, Guest, Machine as LinuxMachine, Mitigations, Timed};
use crate::machine::{Accelerator, Machine, Options};
use crate::repository;
use crate::talk::Talk;
use fos_bench_linux::line::{self, Line, Measurement};
use std::time::Duration;

/// The image and its program.
pub const IMAGE: &str = "bench";
const PROGRAM: &str = "bench-kernel";
/// Counting takes seconds on an idle host.
const MEASURE_WITHIN: Duration = Duration::from_secs(240);
/// Pairs of fos and Linux whose median ratio counts.
const PAIRS: usize = 5;
/// Cores of both machines when they are timed: as many as the hosts that this is run on have.
const CORES: u16 = 2;

/// What fos and Linux measured, one after the other. Nothing of Linux where it was left out.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// What fos did.
    pub fos: Vec<Measurement>,
    /// What Linux did.
    pub linux: Vec<Measurement>,
}

impl Pair {
    /// A key's value on one side.
    fn value(side: &[Measurement], key: &str) -> Option<f64> {
        side.iter().find(|measured| measured.key == key).map(|measured| measured.value as f64)
    }

    /// What fos measured for this key.
    pub fn of_fos(&self, key: &str) -> Option<f64> {
        Pair::value(&self.fos, key)
    }

    /// What Linux measured for this key.
    pub fn of_linux(&self, key: &str) -> Option<f64> {
        Pair::value(&self.linux, key)
    }

    /// A key of fos over one of Linux.
    pub fn ratio(&self, fos: &str, linux: &str) -> Option<f64> {
        Some(self.of_fos(fos)? / self.of_linux(linux)?)
    }
}

/// Both systems in turn on two cores, as times.
pub fn pairs(built: &Built, linux: Option<&Guest>, timed: Timed, talk: &Talk) -> Result<Vec<Pair>> {
    let stage = talk.stage("timed fos and Linux in turn");
    let options = Options::of(built, Accelerator::Tcg).cores(CORES);
    let mut pairs = Vec::new();
    for pair in 1..=PAIRS {
        stage.at(format_args!("pair {pair} of {PAIRS}"));
        let fos = fos(&options, &[timed.mode()])?;
        let linux = linux.map(|linux| linux_guest::measure_times(linux, timed)).transpose()?;
        pairs.push(Pair { fos, linux: linux.map(|report| report.measurements).unwrap_or_default() });
    }
    stage.done();
    Ok(pairs)
}

/// Boots a machine, runs the program that measures the kernel, and reads its lines.
pub fn fos(options: &Options, arguments: &[&str]) -> Result<Vec<Measurement>> {
    program(options, PROGRAM, arguments)
}

/// The same with another program of the image.
pub fn program(options: &Options, program: &str, arguments: &[&str]) -> Result<Vec<Measurement>> {
    let options = options.clone().append("run=control");
    let mut machine = Machine::start(&options, None)?;
    machine.wait_ready(boot_within(&options))?;
    let mut output = Vec::new();
    let command: Vec<String> = [program].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    let status = machine.run(&command, Some(MEASURE_WITHIN), |_, bytes| {
        output.extend_from_slice(bytes);
        Ok(())
    });
    let text = String::from_utf8_lossy(&output);
    let status = status.map_err(|mut failure| {
        let last = text.lines().next_back().unwrap_or("nothing");
        failure.message = format!("{}\n{program} last said: {last}", failure.message);
        failure
    })?;
    if status != 0 {
        return Err(Failure::new(
            Code::Failed,
            format!("{program} exited with {status}:\n{}", text.trim_end()),
        ));
    }
    machine.power_off()?;
    let lines = text.lines().map(|text| line::parse(text).doing("reading the guest's numbers"));
    let lines = lines.collect::<Result<Vec<_>>>()?;
    let lines: Vec<Line> = lines.into_iter().flatten().collect();
    if !lines.contains(&Line::End) {
        return Err(Failure::new(
            Code::Failed,
            format!("{program} did not measure everything:\n{}", text.trim_end()),
        ));
    }
    Ok(lines.into_iter().filter_map(measurement).collect())
}

fn measurement(line: Line) -> Option<Measurement> {
    match line {
        Line::Bench(measured) => Some(measured),
        Line::Note(_) | Line::End => None,
    }
}

/// Debian's Linux with our program, ready to boot.
pub fn linux(talk: &Talk) -> Result<Guest> {
    let cache = repository::cache("")?;
    let stage = talk.stage("prepared Debian's Linux");
    let kernel = linux_guest::kernel(&cache)?;
    let program = linux_guest::program(&repository::root(), &repository::target())?;
    let initramfs = cache.join("linux/bench.cpio");
    linux_guest::initramfs(&program, &initramfs)?;
    stage.done();
    Ok(Guest { kernel, initramfs, machine: LinuxMachine::Microvm, mitigations: Mitigations::Default })
}
