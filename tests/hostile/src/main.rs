//! `hostile`: a program that calls the kernel wrongly, and looks whether the kernel says so and nothing else happens.
//!
//! `hostile table [NAME]` runs named cases, each with the exact answer that is documented; with a NAME only those whose
//! name begins so. `hostile fuzz --calls N --seed S [--cores C]` makes at least N calls chosen by a seeded generator on
//! C cores, and counts how each ended. What it prints is read by `./fos test hostile`; it exits with 0 when all is well
//! and 1 otherwise.
#![no_std]
#![no_main]

extern crate alloc;

mod aims;
mod fixture;
mod fuzz;
mod ground;
mod helper;
mod kernel;
mod random;
mod stage;
mod table;
mod verdict;

use fos_abi::capability::Handle;
use fos_messages::start::handle_name;
use libfos::{Start, eprintln, println};

use crate::ground::{Grant, Ground};

libfos::entry!(main, heap = 256 << 10);

/// Exit status when a case failed.
const FAILED: u8 = 1;
/// Exit status when the command makes no sense.
const USAGE: u8 = 2;

fn main(start: &Start) -> u8 {
    let Some(grant) = grant(start) else {
        eprintln!("hostile: needs the capabilities \"frames\" and \"cores\": name them in the image");
        return USAGE;
    };
    let ground = match Ground::new(grant) {
        Ok(ground) => ground,
        Err(broken) => {
            eprintln!("hostile: {broken}");
            return FAILED;
        }
    };
    let arguments: alloc::vec::Vec<&str> = start.arguments.iter().skip(1).map(|text| text.as_str()).collect();
    match arguments.as_slice() {
        ["table"] => table(ground, ""),
        ["table", only] => table(ground, only),
        ["fuzz", rest @ ..] => match options(rest) {
            Some(options) => fuzz(ground, options),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> u8 {
    eprintln!("hostile: say `hostile table [NAME]` or `hostile fuzz --calls N --seed S [--cores C]`");
    USAGE
}

/// Reads `--calls N --seed S [--cores C]`, in any order.
fn options(arguments: &[&str]) -> Option<fuzz::Options> {
    let mut options = fuzz::Options { calls: 0, seed: 0, cores: 0 };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        let value = value.parse().ok()?;
        match *name {
            "--calls" => options.calls = value,
            "--seed" => options.seed = value,
            "--cores" => options.cores = value,
            _ => return None,
        }
    }
    (options.calls > 0).then_some(options)
}

fn fuzz(ground: Ground, options: fuzz::Options) -> u8 {
    println!("hostile: fuzz calls={} seed={} cores={}", options.calls, options.seed, options.cores);
    let result = fuzz::run(ground, options);
    let audit = if result.audit { "ok" } else { "FAILED" };
    println!(
        "hostile: summary cases=1 failed={} calls={} succeeded={} zero={} audit={audit} seed={}",
        result.failures, result.calls, result.succeeded, result.zero, options.seed
    );
    let enough = result.calls >= options.calls && result.succeeded * 10 >= result.calls * 3;
    if result.failures == 0 && result.zero == 0 && result.audit && enough { 0 } else { FAILED }
}

fn grant(start: &Start) -> Option<Grant> {
    let optional = |name| start.handle(name).unwrap_or(Handle::NONE);
    Some(Grant {
        frames: start.handle(handle_name::FRAMES)?,
        cores: start.handle(handle_name::CORES)?,
        core_count: u64::from(start.cores.max(1)),
        core: u64::from(start.core),
        ports: optional(handle_name::PORTS),
        interrupts: optional(handle_name::INTERRUPT),
        tsc_hz: start.tsc_hz,
    })
}

fn table(ground: Ground, only: &str) -> u8 {
    let tally = table::run(ground, only);
    println!(
        "hostile: summary cases={} failed={} calls=0 succeeded=0 zero=0 audit=ok seed=0",
        tally.cases, tally.failed
    );
    if tally.failed == 0 { 0 } else { FAILED }
}
