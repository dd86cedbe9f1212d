//! `/init` of the Linux guest: measures one mode's operations, prints a line for each, and ends the machine.
//!
//! The mode is the program's argument: `instructions`, `spawns` or `fault-instructions` (one CPU, QEMU counts instructions), `times`
//! or `round-trips` (two CPUs), `faults` (any number, a worker on each).
//! As process 1 it mounts what it reads and reboots at the end (QEMU runs with `-no-reboot`); as an ordinary
//! process it only measures, for a look by hand. A failed measurement panics: as process 1 that panics the
//! guest's kernel, no `end` line appears, and the host reports the console's last lines.

mod byte_streams;
mod clock;
mod faults;
mod machine;
mod pages;
mod process;
mod shared;
mod shootdown;
mod spawns;
mod switches;

use clock::{COUNTING, Effort, SPAWNING, TIMING, middle};
use fos_bench_linux::line::{Line, Measurement};

/// Rounds of round trips. Odd, so that the median is one of them.
const ROUNDS: usize = 9;

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    if mode == spawns::ENDS_AT_ONCE {
        return;
    }
    machine::prepare();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    process::pin(0);
    match mode.as_str() {
        "instructions" => measure_instructions(),
        "spawns" => measure_spawns(),
        "times" => measure_times(),
        "round-trips" => measure_round_trips(),
        "faults" => measure_faults(cpus),
        "fault-instructions" => count_faults(),
        _ => panic!("{mode:?} is no mode: see the beginning of this program's source"),
    }
    for note in machine::notes() {
        print(Line::Note(note));
    }
    print(Line::End);
    machine::end();
}

fn print(line: Line) {
    println!("{line}");
    machine::drain_console(); // or its interrupts fall into the next measurement
}

fn report(key: &str, value: u64, unit: &str, effort: Effort, how: &str) {
    let (key, unit, how) = (key.to_owned(), unit.to_owned(), format!("{how}median of {}", effort.samples));
    print(Line::Bench(Measurement { key, value, unit, how }));
}

fn measure_instructions() {
    let report = |key, value, how| report(key, value, "instructions", COUNTING, &format!("{how}; "));
    report("linux_getppid", switches::getppid(COUNTING), "getppid by a bare syscall instruction");
    let value = switches::futex_ping_pong();
    report("linux_futex_ping_pong", value, "round trip of two processes on one CPU over a shared futex word");
    let value = switches::pipe_ping_pong();
    report("linux_pipe_ping_pong", value, "round trip of two processes on one CPU, 64 bytes each way");
    let value = switches::sched_yield_switch();
    report("linux_sched_yield_switch", value, "half a round trip of two yielding threads of one process");
    let (restrict, relax) = pages::mprotect_page();
    report("linux_mprotect_page", restrict, "one touched page made read-only");
    report("linux_mprotect_page_back", relax, "one touched page made writable again");
    let value = pages::munmap_page_after(COUNTING, |_| ());
    report("linux_munmap_page", value, "one touched page, frame freed, one CPU");
    report("linux_mmap_touch_page", pages::mmap_touch_page(), "mmap and first write, frame cleared");
    report(
        "linux_mmap_batched",
        pages::mmap_batched(),
        "per page, MAP_POPULATE of 512 pages, frames cleared",
    );
    let (one, batched) = pages::mmap_existing();
    report("linux_mmap_existing_page", one, "mmap with MAP_POPULATE of one memfd page that is in memory");
    report("linux_mmap_existing_batched", batched, "per page, the same with 512 pages");
}

fn measure_spawns() {
    let how = "posix_spawn of a static program that ends at once, and waitpid; ";
    report("linux_spawn", spawns::spawn_and_wait(SPAWNING), "instructions", SPAWNING, how);
}

fn measure_times() {
    let scale = clock::Scale::measure();
    let times = shootdown::munmap(&scale);
    report_times("linux_munmap_1cpu_ns", &times.one_cpu, "one CPU");
    report_times("linux_munmap_2cpu_ns", &times.two_cpus, "two CPUs, a thread running on the other");
}

/// Each measured in every round; the quickest counts. On a host with more to run than cores most rounds wait for its time
/// slices, which is a thousand times what is measured.
fn measure_round_trips() {
    const OTHER_CPU: usize = 1;
    let scale = clock::Scale::measure();
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let ticks = [
            switches::getppid(TIMING),
            byte_streams::pipes(TIMING, OTHER_CPU),
            byte_streams::unix_sockets(TIMING, OTHER_CPU),
        ];
        rounds.iter_mut().zip(ticks).for_each(|(round, ticks)| round.push(scale.nanoseconds(ticks)));
    }
    let how = format!("quickest of {ROUNDS} rounds, each the ");
    let report = |key: &str, times: Vec<u64>, what: &str| {
        let quickest = times.iter().copied().min().unwrap_or_default();
        report(key, quickest, "ns", TIMING, &format!("{what}; {how}"));
        print(Line::Note(format!("{key}: median round {} ns", middle(times))));
    };
    let [getppid, pipes, sockets] = rounds;
    report("linux_guest_getppid_ns", getppid, "getppid by a bare syscall instruction");
    report("linux_guest_pipe_ns", pipes, "round trip of processes on two CPUs, two pipes, 64 bytes each way");
    report("linux_guest_unix_ns", sockets, "the same over a pair of AF_UNIX stream sockets");
}

fn measure_faults(cpus: usize) {
    let (value, how) = (
        faults::pages_per_second(cpus),
        "regions of 64 MiB touched page by page and unmapped, a worker on each CPU",
    );
    let (key, unit) = ("linux_pages_per_second".to_owned(), "1/s".to_owned());
    print(Line::Bench(Measurement { key, value, unit, how: how.to_owned() }));
}

fn count_faults() {
    let how = format!(
        "of {} regions of 64 MiB touched page by page and unmapped, all that ran meanwhile",
        faults::COUNTED
    );
    let (key, unit) = ("linux_page_instructions".to_owned(), "instructions".to_owned());
    print(Line::Bench(Measurement { key, value: faults::ticks_per_page(), unit, how }));
}

fn report_times(key: &str, times: &shootdown::Times, touched_on: &str) {
    let rounds = shootdown::ROUNDS;
    let how = format!("munmap of a page touched on {touched_on}; median of {rounds} rounds, each the ");
    report(key, times.median, "ns", TIMING, &how);
    print(Line::Note(format!("{key}: rounds from {} to {} ns", times.range.0, times.range.1)));
}
