//! Suite `kernel`: the unit and property tests of guest crates that are libraries, on the host, where they are
//! quick (but for those of suites `messages`, `names`, `dpool`, `pages`, `placement`, `processes` and `watchdog`); and the instruction
//! counts of the kernel's paths against the table in docs/performance.md.

use crate::libtest;
use crate::runner::{Outcome, Runner, fail};
use crate::suites::{dpool, messages, names, pages, placement, processes, watchdog};
use fos_host::bench::{counts, kernel, targets};
use fos_host::guests::HOST_CRATES;
use fos_host::image;
use fos_host::talk::Talk;

/// Lines of the kernel, as docs/performance.md says.
const LINES_NOW: f64 = 8_600.0;

/// Runs the unit tests of all guest libraries.
pub fn run(runner: &mut Runner) {
    let elsewhere = |name: &str| {
        let lists = [
            HOST_CRATES,
            &messages::LIBRARIES,
            &names::LIBRARIES,
            &dpool::LIBRARIES,
            &pages::LIBRARIES,
            &placement::LIBRARIES,
            &processes::LIBRARIES,
            &watchdog::LIBRARIES,
        ];
        lists.iter().any(|list| list.contains(&name))
    };
    libtest::build_and_run(runner, || libtest::libraries(|name| !elsewhere(name)), "dev");
    runner.test("the kernel's text is within its limit", || within_limit("kernel_text_bytes"));
    runner.test("instruction counts are those of docs/performance.md", counts_match);
    runner.test("the kernel has not grown beyond what docs/performance.md says", lines_do_not_grow);
}

/// The kernel's lines. Their target is missed, and docs/performance.md says by how much and why: it must not get worse.
fn lines_do_not_grow() -> Outcome {
    let built = image::build("bench", &Talk::SILENT)?;
    let lines = kernel::size(&built)?.into_iter().find(|row| row.key == "kernel_lines").map(|row| row.value);
    match lines {
        Some(lines) if lines <= LINES_NOW => Ok(()),
        lines => fail(format!("the kernel has {lines:?} lines, and {LINES_NOW} are written down")),
    }
}

/// Whether a figure of the kernel's size is at most its target.
fn within_limit(key: &str) -> Outcome {
    let built = image::build("bench", &Talk::SILENT)?;
    match kernel::size(&built)?.into_iter().find(|row| row.key == key).map(|row| targets::apply(row, &[])) {
        Some(row) if row.target.is_some() && row.within_target() => Ok(()),
        Some(row) => fail(format!("{} is {} of at most {:?}", row.key, row.value, row.target)),
        None => fail(format!("{key} is not measured")),
    }
}

fn counts_match() -> Outcome {
    let built = image::build("bench", &Talk::SILENT)?;
    let differences = counts::differences(&counts::written(kernel::SUITE)?, &kernel::counts(&built)?);
    if differences.is_empty() {
        return Ok(());
    }
    let advice = "explain the change, then run: ./fos bench kernel --write";
    fail(format!("{}\n{advice}", differences.join("\n")))
}
