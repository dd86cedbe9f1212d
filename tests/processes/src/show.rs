//! What is shown, step by step.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_messages::processes::ORDER_BYTES_MAX;
use fos_messages::rpc::CallError;
use fos_runtime::port::Class;
use libfos::memory::Memory;
use libfos::processes::{
    Exit, Grouping, Outcome, Pid, Place, ProcessError, SpawnOrder, State, Target, Whom, signal,
};
use libfos::server::Server;
use libfos::{Start, println};

use crate::child::{CHILD, GIFT, HAS_CHILDREN, NAMED};
use crate::fleet::{Fleet, Ground};
use crate::{ends, many};

/// Processes that come and go for the leak check, unless the arguments name another number.
const MANY: u32 = 1000;

pub fn text<T>(outcome: Outcome<T>) -> Result<T, String> {
    outcome.map_err(|error| error.to_string())
}

pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let ground = Ground::of(start, &server)?;
    let many = start.arguments.get(2).and_then(|word| word.parse().ok()).unwrap_or(MANY);
    server.block_on(async move {
        let fleet = Fleet::start(ground).await?;
        println!("processes-test: the fleet has two members");
        given(&fleet).await?;
        ends::told(&fleet).await?;
        ends::orphans(&fleet).await?;
        stopped(&fleet).await?;
        refused(&fleet).await?;
        many::storm(&fleet).await?;
        many::thread_bomb(&fleet).await?;
        many::come_and_go(&fleet, many).await?;
        many::member_ended(&fleet).await?;
        many::all_members_ended(&fleet).await
    })
}

/// Spawns, and waits for the end.
pub async fn ended(fleet: &Fleet, order: &SpawnOrder) -> Result<Exit, String> {
    let child = text(fleet.processes.spawn(order).await)?;
    let (pid, ended) = text(fleet.processes.wait(Whom::Child(child.pid)).await)?;
    if pid != child.pid || ended.usage.frames == 0 {
        return Err(format!("waiting for {} told of {pid}, which used {:?}", child.pid, ended.usage));
    }
    Ok(ended.exit)
}

/// A child finds its arguments, environment and keys, and no more than that if it is to be so.
async fn given(fleet: &Fleet) -> Result<(), String> {
    let (name, value) = NAMED;
    let gift = fleet.runtime.port().address(Class::External).key;
    for (role, is_confined) in [("given", false), ("confined", true)] {
        let order = SpawnOrder {
            environment: [(name.into(), value.into())].into(),
            keys: [(GIFT.into(), gift.into())].into(),
            is_confined,
            ..SpawnOrder::of(CHILD, &[role])
        };
        expect(role, ended(fleet, &order).await?, Exit::Status(0))?;
    }
    let words: Vec<String> = (0..200).map(|number| format!("word {number}")).collect();
    let mut order = SpawnOrder::of(CHILD, &["words"]);
    order.arguments.extend(words);
    expect("a long order", ended(fleet, &order).await?, Exit::Status(200))?;
    let order = SpawnOrder { memory_frames: Some(256), ..SpawnOrder::of(CHILD, &["hog"]) };
    expect("a hog", ended(fleet, &order).await?, Exit::Status(0))?;
    println!("processes-test: children found their arguments, environment, keys and memory, and no more");
    Ok(())
}

pub fn expect(what: &str, is: Exit, should: Exit) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what} ended by {is:?}, not {should:?}")) }
}

/// A process stands still and goes on, and one that heeds nothing ends all the same.
async fn stopped(fleet: &Fleet) -> Result<(), String> {
    let processes = &fleet.processes;
    let child = text(processes.spawn(&SpawnOrder::of(CHILD, &["spin"])).await)?;
    let target = Target::Process(child.pid);
    for (by, state) in [(signal::STOP, State::Stopped), (signal::CONTINUE, State::Running)] {
        text(processes.kill(target, by).await)?;
        let is = text(processes.describe(Some(child.pid)).await)?.state;
        if is != state {
            return Err(format!("after signal {by} a process is {is:?}"));
        }
    }
    text(processes.kill(target, signal::STOP).await)?;
    text(processes.kill(target, signal::TERMINATE).await)?;
    let (_, ended) = text(processes.wait(Whom::Child(child.pid)).await)?;
    expect("a process that heeds nothing", ended.exit, Exit::Status(128 + signal::TERMINATE))?;
    let group = text(processes.spawn(&own_group()).await)?.pid;
    let member = SpawnOrder { group: Grouping::Of(group), ..SpawnOrder::of(CHILD, &["sleep"]) };
    text(processes.spawn(&member).await)?;
    let killed = text(processes.kill(Target::Group(group), signal::KILL).await)?;
    for _ in 0..killed {
        let (_, ended) = text(processes.wait(Whom::Group(group)).await)?;
        expect("a member of a group", ended.exit, Exit::Status(128 + signal::KILL))?;
    }
    println!(
        "processes-test: a process stood still, went on and ended; a group of {killed} was ended together"
    );
    Ok(())
}

fn own_group() -> SpawnOrder {
    SpawnOrder { group: Grouping::Own, ..SpawnOrder::of(CHILD, &["sleep"]) }
}

/// What can't be is refused, with its reason.
async fn refused(fleet: &Fleet) -> Result<(), String> {
    let long: String = core::iter::repeat_n('x', ORDER_BYTES_MAX).collect();
    let child = || SpawnOrder::of(CHILD, &["exit", "0"]);
    let orders = [
        (SpawnOrder::of("nobody", &[]), ProcessError::NoProgram),
        (SpawnOrder::of(CHILD, &["exit", &long]), ProcessError::TooLong),
        (SpawnOrder { memory_frames: Some(1), ..child() }, ProcessError::TooMuch),
        (SpawnOrder { memory_frames: Some(u32::MAX), ..child() }, ProcessError::TooMuch),
        (SpawnOrder { place: Place::Core(999), ..child() }, ProcessError::NoSuchPlace),
        (SpawnOrder { place: Place::Machine(1), ..child() }, ProcessError::NoSuchPlace),
        (SpawnOrder { place: Place::Near(Pid(65_000)), ..child() }, ProcessError::NoSuchPlace),
        (SpawnOrder { group: Grouping::Of(Pid(65_000)), ..child() }, ProcessError::NoSuchGroup),
        (SpawnOrder::of("broken", &[]), ProcessError::NotStarted),
    ];
    for (order, why) in orders {
        let outcome = fleet.processes.spawn(&order).await;
        if outcome != Err(CallError::Refused(why)) {
            return Err(format!("spawning what can't be came to {outcome:?}, not {why:?}"));
        }
    }
    let kill = |pid, by| fleet.processes.kill(Target::Process(pid), by);
    let signals = [
        (kill(Pid::INIT, signal::KILL).await, ProcessError::NotPermitted),
        (kill(Pid(65_000), signal::KILL).await, ProcessError::NoSuchProcess),
        (kill(Pid(65_000), 65).await, ProcessError::NoSuchSignal),
    ];
    for (outcome, why) in signals {
        if outcome != Err(CallError::Refused(why)) {
            return Err(format!("a signal that may not be came to {outcome:?}, not {why:?}"));
        }
    }
    let none = fleet.processes.wait(Whom::Any).await;
    if none != Err(CallError::Refused(ProcessError::NoChildren)) {
        return Err(format!("waiting for nobody came to {none:?}"));
    }
    println!("processes-test: what can't be was refused, with its reason");
    Ok(())
}

/// The status of a `parent` that has its children.
pub const PARENT: Exit = Exit::Status(HAS_CHILDREN);
