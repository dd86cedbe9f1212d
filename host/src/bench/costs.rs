//! Suite `costs`: what the simulator charges, measured natively on this host. A row's key is the number's name in the cost
//! file, so `--write` puts the rows into `sim/costs/default.toml` with how each was found. What can't be measured here
//! (a network) stays as it stands there.
//!
//! Each number is what one round in ten was faster than, of many short ones, since other work on the host only adds; a
//! step's is the median of its occurrences.
//!
//! Where the host has no equal of the simulated thing, a thing that is about as heavy stands in for it: Linux's getppid
//! for a call of the kernel, unpark for an interrupt, and the time until the unparked thread runs for waking a core.

use super::document::{Document, Row, median};
use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use crate::talk::Talk;
use fos_sim::{Clock, Costs, Measured, Number, Setup, scenarios};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// The suite's name.
pub const SUITE: &str = "costs";
/// The file that is written.
const FILE: &str = "sim/costs/default.toml";
/// Rounds, short enough that many end before the scheduler takes a core away.
const ROUNDS: usize = 400;
/// Repetitions in a round.
const TIMES: u32 = 500;
/// Of all rounds, one in so many was faster than what counts: whatever else runs on the host only adds.
const LOW: usize = 10;
/// Lines that are written by one core and read by another in one go.
const LINES: usize = 64;
/// Processes that are started.
const STARTS: usize = 60;
/// A message's calls in the run that times handlers.
const MESSAGES: u64 = 100_000;

/// A cache line of its own, away from the neighbour that is fetched with it.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// Measures everything.
pub fn measure(_: bool, talk: &Talk) -> Result<Document> {
    let stage = talk.stage("measured what things cost");
    let (one, other) = cores()?;
    let mut rows = vec![
        row("transfer.0", copy(16 << 10)?, "a line copied within the first cache"),
        row(
            "transfer.1",
            round_trip(one, other)? / 2.0,
            "half a round trip over two lines, two pinned cores",
        ),
        row("machine.copy_line", copy(512 << 10)?, "a line copied within the second cache"),
        row("machine.trap", repeated(|| _ = black_box(rustix::process::getppid())), "Linux's getppid"),
    ];
    let (post, occupancy) = burst(one, other)?;
    rows.push(row("machine.post_line", post, "one of 64 lines written that another core had read"));
    rows.push(row("machine.line_occupancy", occupancy, "one of 64 lines read that another core had written"));
    let (interrupt, wake) = waking(one, other)?;
    rows.push(row("machine.ipi", interrupt, "unpark of a thread that sleeps on another core"));
    rows.push(row("machine.wake", wake, "from unpark until the thread on the other core runs"));
    rows.push(row("machine.switch", switch(one)?, "sched_yield to a thread of the same core"));
    rows.push(row("machine.zero_page", zero_page(), "a page of 64 MiB cleared after all the others"));
    rows.extend(steps()?);
    stage.done();
    Ok(Document { suite: SUITE, machine: processor(), rows })
}

/// Writes the rows into the cost file.
pub fn write(document: &Document) -> Result<()> {
    let number = |row: &Row| {
        let from = format!("{}, {}", row.how, document.machine);
        (row.key.clone(), Number::new(row.value.round() as u64, &from))
    };
    let numbers: Vec<(String, Number)> = document.rows.iter().map(number).collect();
    let failed = |why| Failure::new(Code::Failed, why);
    let costs = Costs::load("default").and_then(|costs| costs.with(&numbers)).map_err(failed)?;
    std::fs::write(repository::root().join(FILE), costs.render()).doing(format_args!("writing {FILE}"))
}

fn row(key: &str, nanoseconds: f64, how: &str) -> Row {
    Row::new(key, nanoseconds, "ns", how)
}

/// What naming is asked in its scenario.
const NAMING: [&str; 8] = [
    "Names.look_up",
    "Names.watch",
    "Names.describe",
    "Names.make",
    "Names.register",
    "Names.unregister",
    "NamePeers.say",
    "NamePeers.introduce",
];

/// What the demo fleet and naming are asked in the scenario `fleet`.
const FLEET: [&str; 17] = [
    "Fleet.join",
    "Fleet.relocate",
    "Fleet.standing",
    "FleetPeers.commit",
    "FleetPeers.drain",
    "FleetPeers.leave",
    "FleetPeers.propose",
    "FleetPeers.report",
    "Loader.check",
    "Loader.load",
    "Loader.progress",
    "Names.list_members",
    "Names.report",
    "Notes.read",
    "Notes.write",
    "NotesPeers.copy",
    "NotesPeers.page",
];

/// What `pages` and its custodian are asked in the scenario `pages`.
const PAGES: [&str; 17] = [
    "Custody.account",
    "Custody.adopt",
    "Custody.block",
    "Custody.give",
    "Custody.hand_over",
    "Custody.has_blocks",
    "Custody.set_limit",
    "Custody.subscribe",
    "Custody.take_home",
    "Custody.totals",
    "CustodyNews.orphans",
    "Pages.allocate",
    "Pages.give_back",
    "Pages.set_quota",
    "Pages.statistics",
    "PagesPeers.cede",
    "PagesPeers.lend",
];

/// What members of a pool and its clients say in the scenario `dpool`.
const POOL: [&str; 3] = ["ContainerPeers.say", "Numbers.give", "Numbers.take"];

/// What `processes` and its custodian are asked in the scenario `processes`.
const PROCESSES: [&str; 13] = [
    "Tickets.act",
    "Tickets.forget",
    "Tickets.outlive",
    "ProcessPeers.catch_up",
    "ProcessPeers.change",
    "ProcessPeers.piece",
    "ProcessPeers.progress",
    "ProcessPeers.settle",
    "ProcessPeers.tell",
    "Processes.enroll",
    "Processes.kill",
    "Processes.spawn",
    "Processes.wait",
];

/// What the watchdog and those it looks after are asked in its scenario, when nothing goes wrong.
const WATCHDOG: [&str; 7] = [
    "Minded.ping",
    "Watchdog.beat",
    "Watchdog.look_after",
    "Watchdog.permit",
    "WatchdogPeers.ends",
    "WatchdogPeers.keep",
    "WatchdogPeers.page",
];

/// What `knowledge`, its arbiter and their members are asked in the scenario `placement`.
const PLACEMENT: [&str; 8] = [
    "Arbiter.ask",
    "Arbiter.grants",
    "Arbiter.report",
    "ArbiterPeers.keep",
    "Knowledge.compare",
    "Knowledge.here",
    "Knowledge.tell",
    "KnowledgePeers.learn",
];

/// Handlers that are not asked in a scenario without faults, or that root does.
const AS_A_RESPONSE: [&str; 12] = [
    "Founder.fleets",
    "NamesStarter.enter",
    "NamesStarter.members",
    "NamesStarter.serves",
    "Programs.end",
    "Programs.fence",
    "Programs.stop",
    "Tickets.known",
    "Watchdog.dismiss",
    "Watchdog.poisoned",
    "Watchdog.state",
    "WatchdogPeers.forget",
];

/// Handlers of `knowledge` that its scenario does not ask, and one that does about as much.
const AS_ANOTHER: [(&str, &str); 7] = [
    ("Arbiter.give_back", "Arbiter.ask"),
    ("ArbiterPeers.kept", "ArbiterPeers.keep"),
    ("Knowledge.cores", "Knowledge.compare"),
    ("Knowledge.memory_near", "Knowledge.compare"),
    ("Knowledge.nearest", "Knowledge.compare"),
    ("Knowledge.route", "Knowledge.compare"),
    ("KnowledgePeers.copy", "KnowledgePeers.learn"),
];

/// The medians of the steps of scenarios, run with a clock beside them.
fn steps() -> Result<Vec<Row>> {
    let echo = Timed::of("echo")?;
    let naming = Timed::of("naming")?;
    // Most responses are answers whose tasks run at once.
    let response = (echo.median("answer")? - echo.median("task")?).max(1.0);
    let mut rows = vec![
        row("steps.response", response, "what an answer takes beside its task"),
        echo.row("steps.answer", "answer")?,
        echo.row("steps.task", "task")?,
        row("steps.garbage", response, "taken to be as long as a response"),
        row("steps.background", echo.median("task")?, "taken to be as long as a task"),
        echo.row("handlers.Counter.mirror", "Counter.mirror")?,
        echo.row("handlers.Counter.count", "Counter.count")?,
    ];
    for handler in NAMING {
        rows.push(naming.row(&format!("handlers.{handler}"), handler)?);
    }
    let fleet = Timed::of("fleet")?;
    for handler in FLEET {
        rows.push(fleet.row(&format!("handlers.{handler}"), handler)?);
    }
    let pages = Timed::of("pages")?;
    for handler in PAGES {
        rows.push(pages.row(&format!("handlers.{handler}"), handler)?);
    }
    let taking = pages.median("Custody.take_home")?;
    for handler in ["Custody.release", "Custody.table"] {
        rows.push(row(&format!("handlers.{handler}"), taking, "taken to be as long as Custody.take_home"));
    }
    let pool = Timed::of("dpool")?;
    for handler in POOL {
        rows.push(pool.row(&format!("handlers.{handler}"), handler)?);
    }
    let processes = Timed::of("processes")?;
    for handler in PROCESSES {
        rows.push(processes.row(&format!("handlers.{handler}"), handler)?);
    }
    let piece = processes.median("ProcessPeers.piece")?;
    rows.push(row("handlers.ProcessPeers.told", piece, "taken to be as long as ProcessPeers.piece"));
    let watchdog = Timed::of("watchdog")?;
    for handler in WATCHDOG {
        rows.push(watchdog.row(&format!("handlers.{handler}"), handler)?);
    }
    let describing = naming.median("Names.describe")?;
    rows.push(row("handlers.Names.list", describing, "taken to be as long as Names.describe"));
    // Where cores are not all as near: else nobody moves, and the arbiter is asked for nothing.
    let placement = Timed::on("placement", "8x4")?;
    for handler in PLACEMENT {
        rows.push(placement.row(&format!("handlers.{handler}"), handler)?);
    }
    for (handler, like) in AS_ANOTHER {
        let how = format!("taken to be as long as {like}");
        rows.push(row(&format!("handlers.{handler}"), placement.median(like)?, &how));
    }
    let make = naming.median("Names.make")?;
    rows.push(row("handlers.Names.set_policy", make, "taken to be as long as Names.make"));
    let start = start_of_a_process()?;
    rows.push(row("handlers.Programs.start", start, "a process of /bin/true started and ended"));
    rows.push(row("handlers.Tickets.start", start, "taken to be as long as Programs.start"));
    for handler in AS_A_RESPONSE {
        rows.push(row(&format!("handlers.{handler}"), response, "taken to be as long as a response"));
    }
    Ok(rows)
}

/// How long Linux takes for what root does to start a program.
fn start_of_a_process() -> Result<f64> {
    let start = || {
        let began = Instant::now();
        let ended = std::process::Command::new("/bin/true").status().doing("starting /bin/true");
        ended.map(|_| began.elapsed().as_nanos() as f64)
    };
    let mut times = (0..STARTS).map(|_| start()).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[STARTS / LOW])
}

/// A scenario's steps, timed.
struct Timed {
    scenario: &'static str,
    measured: Measured,
}

impl Timed {
    fn of(name: &'static str) -> Result<Timed> {
        Timed::on(name, "default")
    }

    /// The same on another machine.
    fn on(name: &'static str, machine: &str) -> Result<Timed> {
        let (Some(scenario), Ok(costs)) = (scenarios::find(name), Costs::load(machine)) else {
            let lost = format!("the simulator has lost its scenario {name:?} or its cost file");
            return Err(Failure::new(Code::Bug, lost));
        };
        let setup = Setup { messages: MESSAGES, ..Setup::new(scenario, 1, costs) };
        let measured =
            setup.measure(Box::new(Real(Instant::now()))).map_err(|why| Failure::new(Code::Failed, why))?;
        Ok(Timed { scenario: name, measured })
    }

    fn median(&self, step: &str) -> Result<f64> {
        let times = self.measured.get(step).map(|times| times.iter().map(|time| *time as f64).collect());
        let value = times.and_then(median);
        let never =
            || Failure::new(Code::Bug, format!("`{}` never did what is called {step}", self.scenario));
        value.ok_or_else(never)
    }

    fn row(&self, key: &str, step: &str) -> Result<Row> {
        let how = format!("median of its steps in `{}`, without the mailboxes", self.scenario);
        Ok(row(key, self.median(step)?, &how))
    }
}

struct Real(Instant);

impl Clock for Real {
    fn nanoseconds(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// Two cores of this host.
fn cores() -> Result<(usize, usize)> {
    let allowed = rustix::thread::sched_getaffinity(None).doing("asking for this process's cores")?;
    let mut cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    match (cores.next(), cores.next()) {
        (Some(one), Some(other)) => Ok((one, other)),
        _ => {
            Err(Failure::new(Code::HostLacks, "costs are measured between two cores, and this host has one"))
        }
    }
}

fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    // Not allowed: then the scheduler's own placement is what is measured.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// What a tenth of the values is below of.
fn low(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / LOW).copied().unwrap_or_default()
}

/// What one call takes.
fn repeated(mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let began = Instant::now();
        (0..TIMES).for_each(|_| work());
        began.elapsed().as_nanos() as f64 / f64::from(TIMES)
    };
    low((0..ROUNDS).map(round).collect())
}

/// Copying one line, in a buffer of this size.
fn copy(bytes: usize) -> Result<f64> {
    let (source, mut target) = (vec![1u8; 64], vec![0u8; bytes]);
    let mut at = 0;
    Ok(repeated(|| {
        target[at..at + 64].copy_from_slice(black_box(&source));
        black_box(&mut target);
        at = (at + 64) % bytes;
    }))
}

/// Clearing one page that is in no cache.
fn zero_page() -> f64 {
    const PAGE: usize = 4096;
    let mut memory = vec![1u8; 64 << 20];
    let mut at = 0;
    repeated(|| {
        memory[at..at + PAGE].fill(0);
        black_box(&mut memory);
        at = (at + PAGE) % memory.len();
    })
}

/// Runs `first` here on one core and `second` on the other, and answers what the first one says.
fn pair<T>(cores: (usize, usize), first: impl FnOnce() -> T + Send, second: impl FnOnce() + Send) -> Result<T>
where
    T: Send,
{
    let barrier = Barrier::new(2);
    let outcome = thread::scope(|scope| {
        let one = scope.spawn(|| {
            pin(cores.0);
            barrier.wait();
            first()
        });
        scope.spawn(|| {
            pin(cores.1);
            barrier.wait();
            second();
        });
        one.join()
    });
    outcome.map_err(|_| Failure::new(Code::Bug, "a measuring thread panicked"))
}

/// Each side writes its own line and waits for the other's.
fn round_trip(one: usize, other: usize) -> Result<f64> {
    let (there, back) = (Line::default(), Line::default());
    let turns = u64::from(TIMES) * ROUNDS as u64;
    let ask = || {
        let mut number = 0;
        repeated(|| {
            number += 1;
            there.0.store(number, Ordering::Release);
            wait_for(&back, number);
        })
    };
    let answer = || {
        for number in 1..=turns {
            wait_for(&there, number);
            back.0.store(number, Ordering::Release);
        }
    };
    pair((one, other), ask, answer)
}

fn wait_for(line: &Line, number: u64) {
    while line.0.load(Ordering::Acquire) < number {
        spin_loop();
    }
}

/// Many lines at once, so that their transfers overlap: what one costs the writer, and the reader.
fn burst(one: usize, other: usize) -> Result<(f64, f64)> {
    let rounds = 2_000;
    let lines: Vec<Line> = (0..LINES).map(|_| Line::default()).collect();
    let (there, back, read) = (Line::default(), Line::default(), Line::default());
    let timed = |work: &dyn Fn(&Line)| {
        let began = Instant::now();
        lines.iter().for_each(work);
        began.elapsed().as_nanos() as f64 / LINES as f64
    };
    let write = || {
        let mut times = Vec::new();
        for number in 1..=rounds {
            times.push(timed(&|line| line.0.store(number, Ordering::SeqCst)));
            there.0.store(number, Ordering::Release);
            wait_for(&back, number);
        }
        low(times)
    };
    let fetch = || {
        let mut times = Vec::new();
        for number in 1..=rounds {
            wait_for(&there, number);
            times.push(timed(&|line| _ = black_box(line.0.load(Ordering::Relaxed))));
            back.0.store(number, Ordering::Release);
        }
        // In tenths, through the only thing that the two sides share.
        let tenths = low(times) * 10.0;
        read.0.store(tenths as u64, Ordering::Release);
    };
    let post = pair((one, other), write, fetch)?;
    Ok((post, read.0.load(Ordering::Acquire) as f64 / 10.0))
}

/// What waking a sleeping thread costs who wakes it, and how long it takes until it runs.
fn waking(one: usize, other: usize) -> Result<(f64, f64)> {
    let rounds = 300;
    let (turn, woken, began) = (Arc::new(Line::default()), Arc::new(Line::default()), Instant::now());
    let (sleeper_turn, sleeper_woken) = (turn.clone(), woken.clone());
    let sleeper = thread::spawn(move || {
        pin(other);
        for number in 1..=rounds {
            while sleeper_turn.0.load(Ordering::Acquire) < number {
                thread::park();
            }
            sleeper_woken.0.store(began.elapsed().as_nanos() as u64, Ordering::Release);
        }
    });
    pin(one);
    let (mut costs, mut delays) = (Vec::new(), Vec::new());
    for number in 1..=rounds {
        let last = woken.0.load(Ordering::Acquire);
        // Long enough for the other side to fall asleep.
        thread::sleep(Duration::from_micros(300));
        let before = began.elapsed().as_nanos() as u64;
        turn.0.store(number, Ordering::Release);
        sleeper.thread().unpark();
        costs.push((began.elapsed().as_nanos() as u64 - before) as f64);
        while woken.0.load(Ordering::Acquire) == last {
            spin_loop();
        }
        delays.push(woken.0.load(Ordering::Acquire).saturating_sub(before) as f64);
    }
    sleeper.join().map_err(|_| Failure::new(Code::Bug, "a measuring thread panicked"))?;
    Ok((low(costs), low(delays)))
}

/// Two threads of one core give it to each other.
fn switch(core: usize) -> Result<f64> {
    let over = Line::default();
    let yields = || {
        let took = repeated(rustix::thread::sched_yield);
        over.0.store(1, Ordering::Release);
        took
    };
    let other = || {
        while over.0.load(Ordering::Acquire) == 0 {
            rustix::thread::sched_yield();
        }
    };
    // Each yield is a switch there and one back.
    Ok(pair((core, core), yields, other)? / 2.0)
}

/// The processor's name.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line =
        text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unnamed processor");
    let name = line.trim_start_matches([' ', '\t', ':']).trim();
    let is_virtual = text.lines().any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
    if is_virtual { format!("{name} in a virtual machine") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_number_of_the_cost_file() {
        let costs = Costs::load("default").unwrap();
        let document = measure(false, &Talk::SILENT).unwrap();
        for row in &document.rows {
            assert!(row.value.is_finite() && row.value < 1e7, "{row:?}");
            let changed = costs.with(&[(row.key.clone(), Number::new(777_777, "a test"))]).unwrap();
            assert!(changed.render().contains("777777"), "{}", row.key);
        }
        assert_eq!(stale(&costs, &document.rows), Vec::<String>::new());
    }

    /// Numbers of the file that are not measured here, and do not say so.
    fn stale(costs: &Costs, rows: &[Row]) -> Vec<String> {
        let file: toml::Table = costs.render().parse().unwrap();
        let numbers = ["machine", "steps", "handlers"].into_iter().flat_map(|part| {
            let table = file[part].as_table().unwrap().iter();
            table.map(move |(key, number)| (format!("{part}.{key}"), number["from"].as_str().unwrap()))
        });
        let is_stale = |(key, from): &(String, &str)| {
            !rows.iter().any(|row| row.key == *key) && !from.starts_with("not measured")
        };
        numbers.filter(is_stale).map(|(key, _)| key).collect()
    }
}
