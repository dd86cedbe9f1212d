//! Ends of every kind, and children whose parent has ended.

use alloc::format;
use alloc::string::String;

use fos_messages::rpc::CallError;
use libfos::println;
use libfos::processes::{Exit, Pid, ProcessError, SpawnOrder, Target, Whom, signal};

use crate::child::CHILD;
use crate::fleet::{Fleet, LOOK_EVERY, PATIENCE};
use crate::show::{PARENT, ended, expect, text};

/// The status of a program that panicked.
const PANICKED: u8 = 101;
/// The signal of a page fault.
const SEGMENT: u8 = 11;

/// Each end is told as it was, in their order.
pub async fn told(fleet: &Fleet) -> Result<(), String> {
    let ways = [
        ("exit", Exit::Status(0)),
        ("exit", Exit::Status(255)),
        ("panic", Exit::Status(PANICKED)),
        ("overflow", Exit::Status(128 + SEGMENT)),
    ];
    for (role, exit) in ways {
        let number = if exit == Exit::Status(255) { "255" } else { "0" };
        expect(role, ended(fleet, &SpawnOrder::of(CHILD, &[role, number])).await?, exit)?;
    }
    let processes = &fleet.processes;
    let slow = text(processes.spawn(&SpawnOrder::of(CHILD, &["sleep"])).await)?;
    let fast = text(processes.spawn(&SpawnOrder::of(CHILD, &["exit", "1"])).await)?;
    let first = text(processes.wait(Whom::Any).await)?;
    text(processes.kill(Target::Process(slow.pid), signal::KILL).await)?;
    let second = text(processes.wait(Whom::Any).await)?;
    let told = [(first.0, first.1.exit), (second.0, second.1.exit)];
    if told != [(fast.pid, Exit::Status(1)), (slow.pid, Exit::Status(128 + signal::KILL))] {
        return Err(format!("the ends of {} and {} were told as {told:?}", fast.pid, slow.pid));
    }
    println!("processes-test: every end was told once and as it was");
    Ok(())
}

/// Children of who has ended are init's: one that has ended is gone, one that has not may still be ended.
pub async fn orphans(fleet: &Fleet) -> Result<(), String> {
    let processes = &fleet.processes;
    expect("a parent", ended(fleet, &SpawnOrder::of(CHILD, &["parent"])).await?, PARENT)?;
    let deadline = fleet.runtime.port().now().after(PATIENCE);
    loop {
        let all = text(processes.list().await)?;
        let mut orphans = all.iter().filter(|one| one.parent == Pid::INIT && one.program == CHILD);
        match (orphans.next(), orphans.next()) {
            (Some(orphan), None) => match processes.kill(Target::Process(orphan.pid), signal::KILL).await {
                // It may have ended by itself since it was listed.
                Ok(_) | Err(CallError::Refused(ProcessError::NoSuchProcess)) => {}
                Err(error) => return Err(format!("an orphan is not signalled: {error}")),
            },
            (None, None) => break,
            _ => {}
        }
        if fleet.runtime.port().now() > deadline {
            return Err(format!("orphans do not go: {all:?}"));
        }
        fleet.runtime.sleep(LOOK_EVERY).await;
    }
    println!("processes-test: orphans were init's, and left nothing behind");
    Ok(())
}
