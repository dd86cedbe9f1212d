//! Many processes: more than may be, thousands one after another, and under the end of a member.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_messages::names::Path;
use fos_messages::processes::NAME;
use fos_messages::rpc::CallError;
use fos_messages::tickets::Counts;
use libfos::println;
use libfos::processes::{Description, Exit, Grouping, Pid, ProcessError, SpawnOrder, Target, Whom, signal};

use crate::child::{BOMB, CHILD};
use crate::fleet::{Fleet, LOOK_EVERY, PATIENCE};
use crate::show::{ended, expect, text};

/// Processes under whose coming and going a member is ended, and how many at a time.
const ROUNDS: u32 = 40;
const AT_ONCE: u32 = 4;
/// Frames of a process that makes threads without end, and how many it makes at least: two frames each, and a slot of its table.
const BOMB_FRAMES: u32 = 1024;
const BOMB_THREADS: u64 = 300;
/// How often one that comes and goes has a name.
const NAMED_ONE_IN: u32 = 16;
/// So many looks in a row without a new member: there is none that could start one.
const QUIET_LOOKS: u32 = 200;

fn order(status: &str) -> SpawnOrder {
    SpawnOrder { memory_frames: Some(256), ..SpawnOrder::of(CHILD, &["exit", status]) }
}

/// Spawns until it may no more. Then others may, when these have ended.
pub async fn storm(fleet: &Fleet) -> Result<(), String> {
    let processes = &fleet.processes;
    let before = fleet.counts().await?;
    let sleeper = SpawnOrder { memory_frames: Some(256), ..SpawnOrder::of(CHILD, &["sleep"]) };
    let leader = text(processes.spawn(&SpawnOrder { group: Grouping::Own, ..sleeper.clone() }).await)?.pid;
    let mut spawned = 1;
    let why = loop {
        match processes.spawn(&SpawnOrder { group: Grouping::Of(leader), ..sleeper.clone() }).await {
            Ok(_) => spawned += 1,
            Err(CallError::Refused(why @ (ProcessError::TooMany | ProcessError::NoMemory))) => break why,
            Err(error) => return Err(format!("a storm came to {error}")),
        }
    };
    let killed = text(processes.kill(Target::Group(leader), signal::KILL).await)?;
    for _ in 0..spawned {
        let (_, ended) = text(processes.wait(Whom::Group(leader)).await)?;
        expect("one of a storm", ended.exit, Exit::Status(128 + signal::KILL))?;
    }
    if killed != spawned {
        return Err(format!("{killed} of {spawned} processes were signalled"));
    }
    expect("the first after a storm", ended(fleet, &order("0")).await?, Exit::Status(0))?;
    nothing_left(fleet, &before).await?;
    println!("processes-test: a storm of {spawned} was refused ({why}), and left nothing behind");
    Ok(())
}

/// Processes that make threads without end: one that may have no more is told so, and one whose threads are on every core, where
/// they use what they get, has others go on beside it, and ends at once by one signal.
pub async fn thread_bomb(fleet: &Fleet) -> Result<(), String> {
    let before = fleet.counts().await?;
    let bomb = |role| SpawnOrder { memory_frames: Some(BOMB_FRAMES), ..SpawnOrder::of(BOMB, &[role]) };
    expect("a process that made threads", ended(fleet, &bomb("threads")).await?, Exit::Status(0))?;
    let goes_on = text(fleet.processes.spawn(&bomb("threads-on")).await)?.pid;
    let deadline = fleet.runtime.port().now().after(PATIENCE);
    let made = loop {
        let made = fleet.counts().await?.threads.saturating_sub(before.threads);
        if made >= BOMB_THREADS {
            break made;
        }
        if fleet.runtime.port().now() > deadline {
            return Err(format!("a process has made {made} threads of {BOMB_THREADS}"));
        }
        fleet.runtime.sleep(LOOK_EVERY).await;
    };
    for _ in 0..AT_ONCE {
        expect("a process beside many threads", ended(fleet, &order("0")).await?, Exit::Status(0))?;
    }
    text(fleet.processes.kill(Target::Process(goes_on), signal::KILL).await)?;
    text(fleet.processes.wait(Whom::Child(goes_on)).await)?;
    nothing_left(fleet, &before).await?;
    println!(
        "processes-test: {made} threads of one process used every core, others went on, and one signal ended them"
    );
    Ok(())
}

/// Thousands come and go, and leave names behind: afterwards root and the kernel have what they had.
pub async fn come_and_go(fleet: &Fleet, many: u32) -> Result<(), String> {
    let before = fleet.counts().await?;
    for number in 0..many {
        let status = number % 100;
        let exit = ended(fleet, &order(&format!("{status}"))).await?;
        expect("one of many", exit, Exit::Status(status as u8))?;
        if number % NAMED_ONE_IN == 0 {
            expect(
                "one with a name",
                ended(fleet, &SpawnOrder::of(CHILD, &["named"])).await?,
                Exit::Status(0),
            )?;
        }
    }
    nothing_left(fleet, &before).await?;
    let figures = fleet.processes.statistics().await.map_err(|error| format!("no statistics: {error}"))?;
    println!(
        "processes-test: {many} processes came and went, and left nothing behind; {} were spawned, {} refused",
        figures.spawned, figures.refused
    );
    Ok(())
}

/// Waits until there is as much of everything as before.
async fn nothing_left(fleet: &Fleet, before: &Counts) -> Result<(), String> {
    let deadline = fleet.runtime.port().now().after(PATIENCE);
    loop {
        let now = fleet.counts().await?;
        if now == *before {
            return Ok(());
        }
        if fleet.runtime.port().now() > deadline {
            return Err(format!("something was left behind: {before:?} before, {now:?} now"));
        }
        fleet.runtime.sleep(LOOK_EVERY).await;
    }
}

/// A member is ended under load: what was acknowledged is there, every end is told once.
pub async fn member_ended(fleet: &Fleet) -> Result<(), String> {
    let processes = &fleet.processes;
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            fleet.root.stop(fleet.first.number).await.map_err(|error| format!("{error}"))?;
        }
        let mut children = Vec::new();
        for number in 0..AT_ONCE {
            children.push((text(processes.spawn(&order(&format!("{number}"))).await)?.pid, number as u8));
        }
        while !children.is_empty() {
            let (pid, ended) = text(processes.wait(Whom::Any).await)?;
            let place = children.iter().position(|(child, _)| *child == pid);
            let Some(place) = place else { return Err(format!("the end of {pid} is told once more")) };
            expect("a child under load", ended.exit, Exit::Status(children.swap_remove(place).1))?;
        }
    }
    fleet.wait_for_members(2).await?;
    println!("processes-test: a member was ended under load, and nothing that was acknowledged was lost");
    Ok(())
}

/// All members end at once, and the fleet begins anew: who ran is found again, and this process enrolls again.
pub async fn all_members_ended(fleet: &Fleet) -> Result<(), String> {
    let processes = &fleet.processes;
    let stays = text(processes.spawn(&SpawnOrder::of(CHILD, &["sleep"])).await)?;
    end_all(fleet).await?;
    fleet.start_member().await?;
    expect("the first of a new table", ended(fleet, &order("7")).await?, Exit::Status(7))?;
    let of_nobody = |one: &Description| one.program == CHILD && one.parent == Pid::INIT;
    let found: Vec<Description> = text(processes.list().await)?.into_iter().filter(of_nobody).collect();
    let [again] = found.as_slice() else {
        return Err(format!("{} and no other runs: {found:?}", stays.identity));
    };
    text(processes.kill(Target::Process(again.pid), signal::KILL).await)?;
    let deadline = fleet.runtime.port().now().after(PATIENCE);
    while text(processes.list().await)?.iter().any(of_nobody) {
        if fleet.runtime.port().now() > deadline {
            return Err("what was found again does not end".into());
        }
        fleet.runtime.sleep(LOOK_EVERY).await;
    }
    println!("processes-test: all members were ended at once, and what ran was found again");
    Ok(())
}

/// Ends members until none is left to start another.
async fn end_all(fleet: &Fleet) -> Result<(), String> {
    let path = Path::new(NAME).map_err(|error| error.to_string())?;
    let mut ended = BTreeSet::new();
    let mut quiet = 0;
    while quiet < QUIET_LOOKS {
        let members = fleet.names.members(&path).await.unwrap_or_default();
        let new: Vec<u64> = members.iter().map(|entry| entry.address.identity.0).collect();
        let new: Vec<u64> = new.into_iter().filter(|identity| ended.insert(*identity)).collect();
        quiet = if new.is_empty() { quiet + 1 } else { 0 };
        for identity in new {
            fleet.root.fence(identity).await.map_err(|error| format!("a member is not ended: {error}"))?;
        }
        fleet.runtime.sleep(LOOK_EVERY).await;
    }
    Ok(())
}
