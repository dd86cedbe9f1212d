//! What `./fos bench processes` reads: how many instructions it takes to start a program and hear of its end, and how late a
//! process gets to run, alone and beside a memory hog and a spawn storm. It runs on one core, where the time stamp counter counts
//! instructions. Every number is a line `bench KEY VALUE UNIT HOW`, the last line is `end`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use libfos::clock::{Clock, sleep_until};
use libfos::measure::timestamp;
use libfos::memory::Memory;
use libfos::processes::{SpawnOrder, Target, signal};
use libfos::server::Server;
use libfos::{Start, println};

use crate::child::CHILD;
use crate::fleet::{Fleet, Ground};
use crate::show::{ended, expect, text};
use libfos::processes::Exit;

/// Spawns that are not counted, and those that are. Odd, so that the median is one of them.
const WARM_UP: u32 = 100;
const SPAWNS: u32 = 1001;
/// How often, and for how long, the probe sleeps.
const PROBES: usize = 1000;
const NAP: Duration = Duration::from_millis(1);
/// How long the load has to begin.
const BEGINS_WITHIN: Duration = Duration::from_millis(200);

/// Measures one or the other.
pub fn run(start: &Start, probes: bool) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| format!("{error}"))?;
    let ground = Ground::of(start, &server)?;
    let clock = Clock::new(start.tsc_hz);
    server.block_on(async move {
        let fleet = Fleet::start(ground).await?;
        if probes {
            late(&fleet, clock).await?
        } else {
            spawns(&fleet).await?
        }
        println!("end");
        Ok(())
    })
}

async fn spawns(fleet: &Fleet) -> Result<(), String> {
    let order = SpawnOrder { memory_frames: Some(256), ..SpawnOrder::of(CHILD, &["exit", "0"]) };
    let mut ticks = Vec::with_capacity(SPAWNS as usize);
    for number in 0..WARM_UP + SPAWNS {
        let began = timestamp();
        expect("a program that ends at once", ended(fleet, &order).await?, Exit::Status(0))?;
        if number >= WARM_UP {
            ticks.push(timestamp() - began);
        }
    }
    let median = permille(ticks, 500);
    println!(
        "bench spawn {median} instructions a program that ends at once, spawned and waited for; median of {SPAWNS}"
    );
    Ok(())
}

async fn late(fleet: &Fleet, clock: Clock) -> Result<(), String> {
    let how = format!("how late a process runs that sleeps 1 ms, 99th percentile of {PROBES}");
    println!("bench probe_p99_alone {} instructions {how}", lateness(clock));
    let mut load = Vec::new();
    for role in ["hog-on", "storm"] {
        load.push(text(fleet.processes.spawn(&SpawnOrder::of(CHILD, &[role])).await)?.pid);
    }
    fleet.runtime.sleep(BEGINS_WITHIN).await;
    println!(
        "bench probe_p99_loaded {} instructions {how}, beside a memory hog and a spawn storm",
        lateness(clock)
    );
    for pid in load {
        text(fleet.processes.kill(Target::Process(pid), signal::KILL).await)?;
    }
    Ok(())
}

/// How late the thread runs after a sleep, in ticks.
fn lateness(clock: Clock) -> u64 {
    let late = (0..PROBES).map(|_| {
        let deadline = timestamp() + clock.ticks(NAP);
        sleep_until(clock.after(NAP));
        timestamp().saturating_sub(deadline)
    });
    permille(late.collect(), 990)
}

fn permille(mut values: Vec<u64>, permille: usize) -> u64 {
    values.sort_unstable();
    values.get(values.len() * permille / 1000).copied().unwrap_or(0)
}
