//! The fuzzer: workers on every core that make calls chosen from a seed, beside two victims that must not notice, and
//! the counts of how each call ended.

mod actions;
mod board;
mod choice;
mod victim;
mod worker;

use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use fos_abi::calls::{CALLS, Call, CallInfo};
use fos_abi::capability::{Handle, Rights};
use fos_abi::error::ERRORS;
use libfos::spawn::Process;
use libfos::{calls, eprintln, println};

use self::board::{Board, NEIGHBOURS, Orders, state};
use self::victim::place;
use crate::ground::{Ground, Plot};
use crate::kernel::{Broken, During, word};
use crate::stage::{Inbox, Stage, full_key, load_key, store_key};
use crate::verdict::Failure;

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// At least so many calls, over all workers.
    pub calls: u64,
    /// Every choice follows from it.
    pub seed: u64,
    /// Workers, one per core; 0: as many as there are cores, at most four.
    pub cores: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Result {
    /// Calls made.
    pub calls: u64,
    /// Of these, how many succeeded.
    pub succeeded: u64,
    /// Documented outcomes that never came, and need not be left out.
    pub zero: u64,
    /// Things that are wrong: undocumented outcomes, audits, victims, faults, stalls.
    pub failures: u64,
    /// Whether every audit balanced.
    pub audit: bool,
}

/// Frames of a worker for itself.
const WORKER_FRAMES: u64 = 768;
/// Frames of its capability table.
const WORKER_TABLE_FRAMES: usize = 4;
/// Frames of a victim for itself.
const VICTIM_FRAMES: u64 = 320;
/// How long between two looks at the workers.
const LOOK_MILLISECONDS: u64 = 100;
/// How long between two lines about progress.
const PROGRESS_MILLISECONDS: u64 = 5_000;
/// A worker that makes no call for so long is stuck.
const STALL_MILLISECONDS: u64 = 40_000;

struct Running {
    plot: Plot,
    process: Process,
}

impl Running {
    fn board(&self) -> Board {
        Board(self.process.block())
    }
}

/// Runs the fuzzer, and says what it found on standard output.
pub fn run(ground: Ground, options: Options) -> Result {
    let mut stage = Stage::new(ground);
    match play(&mut stage, options) {
        Ok(result) => result,
        Err(failure) => {
            println!("hostile: finding {}", failure.0);
            Result { failures: 1, audit: false, ..Result::default() }
        }
    }
}

fn play(stage: &mut Stage, options: Options) -> core::result::Result<Result, Failure> {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut reports = Inbox::create(&mut plot, window)?;
    let count = match options.cores {
        0 => stage.ground.grant.core_count.min(4),
        cores => cores.min(stage.ground.grant.core_count),
    };
    let victims = start_victims(stage)?;
    let workers = (0..count)
        .map(|number| start_worker(stage, &reports, options, number, count))
        .collect::<core::result::Result<Vec<_>, _>>()?;
    for worker in &workers {
        calls::thread_resume(worker.process.thread)?;
    }
    let mut result = Result { audit: true, ..Result::default() };
    watch(stage, &mut reports, &workers, &victims, &mut result);
    end_victims(stage, &victims, &mut result);
    tell_findings(&workers, &mut result);
    tell_counts(&workers, &mut result, stage.ground.grant);
    for running in workers.into_iter().chain(victims) {
        if let Err(failure) = stage.clear(running.plot) {
            println!("hostile: finding {}", failure.0);
            result.failures += 1;
            result.audit = false;
        }
    }
    stage.clear(plot)?;
    Ok(result)
}

fn start_worker(
    stage: &mut Stage,
    reports: &Inbox,
    options: Options,
    number: u64,
    count: u64,
) -> core::result::Result<Running, Failure> {
    let core = number % stage.ground.grant.core_count;
    let (plot, process) = stage.child_with(worker::live, core, WORKER_FRAMES, WORKER_TABLE_FRAMES)?;
    let grant = stage.ground.grant;
    // The clock chip can't be shared: the first worker has it.
    let devices = number == 0;
    let board = Board(process.block());
    board.order(&Orders {
        cores: word(given(&process, grant.cores)?),
        ports: word(if devices { given(&process, grant.ports)? } else { Handle::NONE }),
        interrupts: word(if devices { given(&process, grant.interrupts)? } else { Handle::NONE }),
        seed: options.seed,
        calls: options.calls.div_ceil(count),
        number,
    });
    let key = full_key(reports.mailbox, number)?;
    store_key(board.report_key(), &key);
    crate::fixture::report_to(process.thread, key, number)?;
    Ok(Running { plot, process })
}

/// Gives a child a capability of its own for what the program was given.
fn given(process: &Process, handle: Handle) -> core::result::Result<Handle, Broken> {
    if handle == Handle::NONE {
        return Ok(Handle::NONE);
    }
    let info = calls::cap_read(handle).during("reading a grant")?;
    let rights = Rights(info.rights as u8);
    let part = calls::cap_derive(handle, rights, 0, info.length).during("deriving a grant")?;
    calls::cap_give(process.space, part).during("giving a grant")
}

fn start_victims(stage: &mut Stage) -> core::result::Result<Vec<Running>, Failure> {
    let mut victims = Vec::new();
    for number in 0..2u64 {
        let core = (stage.ground.grant.core + 1 + number) % stage.ground.grant.core_count;
        let (plot, process) = stage.child_with(victim::live, core, VICTIM_FRAMES, 1)?;
        process.block()[place::FIRST].store(u64::from(number == 0), Ordering::Relaxed);
        calls::thread_resume(process.thread)?;
        victims.push(Running { plot, process });
    }
    let deadline = stage.patience();
    for (victim, partner) in [(0, 1), (1, 0)] {
        let block = victims[victim as usize].process.block();
        let ready = crate::stage::wait_for(&block[place::READY], 1, deadline);
        crate::ensure!(
            ready,
            "victim {victim} never got ready: notice {}",
            block[place::NOTICED].load(Ordering::Acquire)
        );
        let other: &Running = &victims[partner as usize];
        let identity = calls::cap_read(other.process.space)?.identity;
        block[place::PARTNER].store(identity, Ordering::Relaxed);
    }
    for (victim, partner) in [(0usize, 1usize), (1, 0)] {
        let key = load_key(&victims[partner].process.block()[place::OWN_KEY..]);
        store_key(&victims[victim].process.block()[place::PARTNER_KEY..], &key);
        victims[victim].process.block()[place::GO].store(1, Ordering::Release);
    }
    Ok(victims)
}

/// Looks at the workers until all have ended, or something is wrong with one.
fn watch(stage: &Stage, reports: &mut Inbox, workers: &[Running], victims: &[Running], result: &mut Result) {
    let mut progress = stage.ground.after(PROGRESS_MILLISECONDS);
    let mut stalls: Vec<_> = workers.iter().map(|_| (0, stage.ground.after(STALL_MILLISECONDS))).collect();
    loop {
        let look = stage.ground.after(LOOK_MILLISECONDS);
        if let Ok(letter) = reports.receive(look) {
            tell_fault(&letter, workers, result);
            return;
        }
        pass_keys(workers);
        if workers.iter().all(|worker| worker.board().state() != state::RUNNING) {
            return;
        }
        if victims.iter().any(|victim| victim.process.block()[place::NOTICED].load(Ordering::Acquire) != 0) {
            return;
        }
        for (number, worker) in workers.iter().enumerate() {
            let made = worker.board().calls_made();
            if made != stalls[number].0 {
                stalls[number] = (made, stage.ground.after(STALL_MILLISECONDS));
            } else if stalls[number].1.has_passed() && worker.board().state() == state::RUNNING {
                tell_stall(number, worker, result);
                return;
            }
        }
        if progress.has_passed() {
            progress = stage.ground.after(PROGRESS_MILLISECONDS);
            tell_progress(workers, victims);
        }
    }
}

/// Each worker learns its neighbours' newest keys.
fn pass_keys(workers: &[Running]) {
    for worker in workers {
        for (index, neighbour) in workers.iter().enumerate().take(NEIGHBOURS) {
            let key = load_key(neighbour.board().public_key());
            store_key(worker.board().neighbour_key(index), &key);
        }
    }
}

fn tell_fault(letter: &crate::stage::Letter, workers: &[Running], result: &mut Result) {
    result.failures += 1;
    let number = letter.badge as usize;
    let current = workers.get(number).map(|worker| worker.board().current());
    println!(
        "hostile: finding worker {number} faulted: vector {} code {:#x} address {:#x} rip {:#x}; last call {:x?}",
        letter.word(0),
        letter.word(1),
        letter.word(2),
        letter.word(3),
        current
    );
}

fn tell_stall(number: usize, worker: &Running, result: &mut Result) {
    result.failures += 1;
    let (call, arguments) = worker.board().current();
    let name = CALLS.get((call & 0xffff) as usize).map_or("?", |info| info.name);
    let info = calls::thread_info(worker.process.thread);
    println!("hostile: finding worker {number} stands still in {name} ({call:#x}) {arguments:x?}; {info:?}");
}

fn tell_progress(workers: &[Running], victims: &[Running]) {
    let sum = |each: fn(Board) -> u64| workers.iter().map(|worker| each(worker.board())).sum::<u64>();
    let exchanges: u64 =
        victims.iter().map(|victim| victim.process.block()[place::EXCHANGES].load(Ordering::Relaxed)).sum();
    eprintln!(
        "hostile: {} calls, {} succeeded, {} rounds, {} exchanges of the victims",
        sum(Board::calls_made),
        sum(Board::succeeded),
        sum(Board::rounds),
        exchanges
    );
}

fn end_victims(stage: &Stage, victims: &[Running], result: &mut Result) {
    for victim in victims {
        victim.process.block()[place::STOP].store(1, Ordering::Release);
    }
    let deadline = stage.patience();
    for (number, victim) in victims.iter().enumerate() {
        let block = victim.process.block();
        let ended = crate::stage::wait_for(&block[place::DONE], 1, deadline);
        let noticed = block[place::NOTICED].load(Ordering::Acquire);
        let exchanges = block[place::EXCHANGES].load(Ordering::Relaxed);
        if noticed != 0 || !ended || exchanges == 0 {
            result.failures += 1;
            let detail = block[place::DETAIL].load(Ordering::Relaxed);
            println!(
                "hostile: finding victim {number} noticed {noticed} (detail {detail:#x}), ended: {ended}, \
                 {exchanges} exchanges"
            );
        }
    }
}

fn tell_findings(workers: &[Running], result: &mut Result) {
    for (number, worker) in workers.iter().enumerate() {
        let board = worker.board();
        if board.state() == state::FAILED {
            result.failures += 1;
            result.audit = false;
            println!("hostile: finding worker {number} after {} rounds: {}", board.rounds(), board.text());
        }
        result.failures += board.finding_count();
        for index in 0..board.finding_count().min(board::FINDINGS_MAX) {
            let (call, arguments, error) = board.finding(index);
            let name = CALLS.get(call as usize).map_or("?", |info| info.name);
            let error = fos_abi::Error::from_number(error as u32);
            println!(
                "hostile: finding worker {number}: {name}{arguments:x?} ended in {error:?}, which is not documented"
            );
        }
    }
}

/// Outcomes that this machine, or anybody who wants to live on, can't have.
fn is_out_of_reach(info: &CallInfo, outcome: usize, grant: crate::ground::Grant) -> bool {
    use fos_abi::Error;
    let call = info.number;
    let is = |target: Call| call == target as u32;
    let error = Error::from_number(outcome as u32);
    let alone = grant.core_count == 1 && matches!(error, Some(Error::WrongCore));
    let one_core = grant.core_count == 1 && is(Call::watch) && error == Some(Error::BadArgument);
    let no_lines = grant.interrupts == Handle::NONE && (is(Call::interrupt_bind) || is(Call::interrupt_done));
    let no_ports = grant.ports == Handle::NONE && (is(Call::port_read) || is(Call::port_write));
    // It would end the machine.
    let off = is(Call::machine_off) && outcome == 0;
    alone || one_core || no_lines || no_ports || off
}

fn tell_counts(workers: &[Running], result: &mut Result, grant: crate::ground::Grant) {
    for info in CALLS {
        let total = |outcome: usize| {
            workers.iter().map(|worker| worker.board().counted(info.number as usize, outcome)).sum()
        };
        tell_count(info, "success", 0, total(0), result, grant);
        for error in ERRORS {
            let count: u64 = total(error as usize);
            if count > 0 || info.errors.contains(&error) {
                let name: String = alloc::format!("{error:?}");
                tell_count(info, &name, error as usize, count, result, grant);
            }
        }
    }
    result.calls = workers.iter().map(|worker| worker.board().calls_made()).sum();
    result.succeeded = workers.iter().map(|worker| worker.board().succeeded()).sum();
}

fn tell_count(
    info: &CallInfo,
    outcome: &str,
    number: usize,
    count: u64,
    result: &mut Result,
    grant: crate::ground::Grant,
) {
    if count == 0 && is_out_of_reach(info, number, grant) {
        return;
    }
    result.zero += u64::from(count == 0);
    println!("hostile: count {} {outcome} {count}", info.name);
}
