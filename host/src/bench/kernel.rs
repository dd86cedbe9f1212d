//! Suite `kernel`: the cost of the kernel's paths, its size, and how fast it boots.
//!
//! Counts: QEMU with one core under `-icount shift=0`, where the time stamp counter advances by one per instruction,
//! so that a path's cost is one integer, the same on every run. A trap, a locked operation and a flush of the TLB
//! count as one instruction each. Times: fos and Linux in turn, at least five pairs, on the same QEMU; the ratio is
//! the median of the pairs' ratios.

use super::document::{Document, Row, Versus, median};
use super::machines::{self, Pair};
use super::targets;
use crate::commands::run::boot_within;
use crate::failure::{Code, Context, Failure, Result};
use crate::image::{self, Built};
use crate::linux_guest::{self, Counted, Timed};
use crate::machine::{Accelerator, Machine, Model, Options, accelerator};
use crate::talk::Talk;
use crate::tidy::rust_files;
use crate::tidy::source::code_lines;
use fos_bench_linux::line::Measurement;
use object::{Object, ObjectSection};
use std::path::Path;

/// The suite's name.
pub const SUITE: &str = "kernel";
/// Boots whose median is `boot_seconds`.
const BOOTS: usize = 5;
/// Cores of the machine whose boot is timed.
const BOOT_CORES: u16 = 4;

/// Measures everything.
pub fn measure(with_linux: bool, talk: &Talk) -> Result<Document> {
    let built = image::build(machines::IMAGE, talk)?;
    let linux = if with_linux { Some(machines::linux(talk)?) } else { None };
    let stage = talk.stage("counted instructions of fos");
    let mut rows = counts(&built)?;
    stage.done();
    let mut beside = Vec::new();
    if let Some(linux) = &linux {
        let stage = talk.stage("counted instructions of Linux");
        beside = linux_guest::measure_instructions(linux, Counted::Operations)?.measurements;
        stage.done();
    }
    let pairs = machines::pairs(&built, linux.as_ref(), Timed::Unmapping, talk)?;
    let first: Vec<Measurement> = pairs.first().map(|pair| pair.fos.clone()).unwrap_or_default();
    rows.extend(first.iter().map(|first| paired(first, &pairs)));
    rows.push(boot_seconds(talk)?);
    rows.extend(size(&built)?);
    let rows = rows.into_iter().map(|row| targets::apply(row, &beside));
    Ok(Document { suite: SUITE, machine: machine(), rows: rows.collect() })
}

/// The exact counts alone.
pub fn counts(built: &Built) -> Result<Vec<Row>> {
    counted(built, &[])
}

/// What the measuring program counts with these arguments.
pub(super) fn counted(built: &Built, arguments: &[&str]) -> Result<Vec<Row>> {
    let mut options = Options::of(built, Accelerator::Tcg).cores(1);
    options.count_instructions = true;
    let rows: Vec<Row> = machines::fos(&options, arguments)?.iter().map(row).collect();
    if rows.is_empty() {
        return Err(Failure::new(Code::Failed, "the guest measured nothing"));
    }
    Ok(rows)
}

fn row(measured: &Measurement) -> Row {
    Row::new(&measured.key, measured.value as f64, &measured.unit, &measured.how)
}

/// One key over all pairs: medians of both sides, median of the ratios.
fn paired(first: &Measurement, pairs: &[Pair]) -> Row {
    let beside =
        targets::KERNEL.iter().find(|target| target.key == first.key).and_then(|target| target.beside);
    let ours: Vec<f64> = pairs.iter().filter_map(|pair| pair.of_fos(&first.key)).collect();
    let theirs: Vec<f64> = pairs.iter().filter_map(|pair| pair.of_linux(beside?)).collect();
    let ratios = pairs.iter().filter_map(|pair| pair.ratio(&first.key, beside?));
    let versus = median(theirs).zip(beside).map(|(value, what)| Versus { what: what.to_owned(), value });
    Row {
        value: median(ours).unwrap_or_default(),
        versus,
        paired_ratio: median(ratios.collect()),
        ..row(first)
    }
}

/// From QEMU's start to root's first message.
fn boot_seconds(talk: &Talk) -> Result<Row> {
    let built = image::build("hello", talk)?;
    let options =
        Options::of(&built, Accelerator::Tcg).model(Model::Microvm).cores(BOOT_CORES).append("run=control");
    let stage = talk.stage("timed boots");
    let boots = (0..BOOTS).map(|_| {
        let mut machine = Machine::start(&options, None)?;
        Ok(machine.wait_ready(boot_within(&options))?.after.as_secs_f64())
    });
    let seconds = median(boots.collect::<Result<Vec<f64>>>()?).unwrap_or_default();
    stage.done();
    let how = "from QEMU's start to root's first message, microvm, 4 cores, TCG, image hello, median of 5";
    Ok(Row::new("boot_seconds", seconds, "s", how))
}

/// Lines of code and bytes of text.
pub fn size(built: &Built) -> Result<[Row; 2]> {
    let files = rust_files()?;
    let code = files.iter().filter(|file| file.path.starts_with("kernel/src/") && !is_test(&file.path));
    let lines: usize = code.map(|file| code_lines(&file.text)).sum();
    let text = text_bytes(&built.kernel)?;
    Ok([
        Row::new("kernel_lines", lines as f64, "lines", "kernel/src, without tests, blank and comment lines"),
        Row::new(
            "kernel_text_bytes",
            text as f64,
            "bytes",
            "sections of the kernel's ELF that hold instructions",
        ),
    ])
}

/// Tests live in files or folders named `tests`.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn text_bytes(kernel: &Path) -> Result<u64> {
    let doing = format!("reading {}", kernel.display());
    let bytes = std::fs::read(kernel).doing(&doing)?;
    let file = object::File::parse(&*bytes).doing(&doing)?;
    let code = file.sections().filter(|section| section.kind() == object::SectionKind::Text);
    Ok(code.map(|section| section.size()).sum())
}

/// What it ran on, in one line.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let qemu = crate::packages::version(crate::packages::QEMU.program).unwrap_or_default();
    format!("{qemu}, TCG, microvm; host: {} with {cores} cores", accelerator::processor())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(key: &str, value: u64) -> Measurement {
        Measurement { key: key.into(), value, unit: "ns".into(), how: "clock".into() }
    }

    #[test]
    fn the_ratio_of_pairs_is_the_median_of_ratios() {
        let pair = |fos, linux| Pair {
            fos: vec![measured("unmap_1core_ns", fos)],
            linux: vec![measured("linux_munmap_1cpu_ns", linux)],
        };
        // The ratio of medians would be 200 / 400; the slow pair's own ratio does not count.
        let pairs = [pair(100, 400), pair(200, 250), pair(300, 600)];
        let row = paired(&measured("unmap_1core_ns", 0), &pairs);
        assert_eq!((row.value, row.paired_ratio), (200.0, Some(0.5)));
        assert_eq!(row.versus.unwrap().value, 400.0);
    }

    #[test]
    fn without_linux_nothing_stands_beside() {
        let pairs = [Pair { fos: vec![measured("unmap_1core_ns", 5)], linux: vec![] }];
        let row = paired(&measured("unmap_1core_ns", 0), &pairs);
        assert_eq!((row.value, row.versus, row.paired_ratio), (5.0, None, None));
    }

    #[test]
    fn tests_are_no_kernel_code() {
        assert!(is_test("kernel/src/tests/mailbox.rs") && is_test("kernel/src/mailbox/tests.rs"));
        assert!(!is_test("kernel/src/mailbox.rs"));
    }
}
