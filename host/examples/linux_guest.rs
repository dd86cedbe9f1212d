//! Measures Linux by hand: `cargo run -p fos-host --example linux_guest -- q35|microvm [mitigations=off]`.
//!
//! Prints the guest's lines as bench/linux writes them: the counts twice, to see that they are equal, then the
//! times. Run it from the root of the workspace; it writes to `.fos/` and `target/`.

use fos_bench_linux::line::Line;
use fos_host::failure::Result;
use fos_host::linux_guest::{self, Guest, Machine, Mitigations, Report, Timed};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let machine = match arguments.first().map(String::as_str) {
        Some("q35") => Machine::Q35,
        Some("microvm") => Machine::Microvm,
        _ => {
            eprintln!("usage: linux_guest q35|microvm [mitigations=off]");
            return ExitCode::from(2);
        }
    };
    let off = arguments.iter().any(|argument| argument == "mitigations=off");
    let mitigations = if off { Mitigations::Off } else { Mitigations::Default };
    match measure(machine, mitigations) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code as u8)
        }
    }
}

fn measure(machine: Machine, mitigations: Mitigations) -> Result<()> {
    let cache = Path::new(".fos");
    let kernel = linux_guest::kernel(cache)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = linux_guest::program(Path::new("."), Path::new(&target))?;
    let initramfs = cache.join("linux/bench.cpio");
    linux_guest::initramfs(&program, &initramfs)?;
    let guest = Guest { kernel, initramfs, machine, mitigations };
    let counts = linux_guest::measure_instructions(&guest, linux_guest::Counted::Operations)?;
    print(&counts);
    let again = linux_guest::measure_instructions(&guest, linux_guest::Counted::Operations)?;
    for (first, second) in counts.measurements.iter().zip(&again.measurements).filter(|(a, b)| a != b) {
        println!("not equal in a second run: {} {} {}", first.key, first.value, second.value);
    }
    print(&linux_guest::measure_times(&guest, Timed::Unmapping)?);
    print(&linux_guest::measure_times(&guest, Timed::RoundTrips)?);
    Ok(())
}

fn print(report: &Report) {
    report.measurements.iter().for_each(|measurement| println!("{}", Line::Bench(measurement.clone())));
    report.notes.iter().for_each(|note| println!("{}", Line::Note(note.clone())));
}
