//! How fast messages go between two cores of this host: fos's channels and calls, and beside them the raw cache lines,
//! other rings, and what Linux offers.
//!
//! Every measurement is taken once in each of [`PAIRS`] rounds, so that what is compared was measured within
//! milliseconds, whatever else the host does meanwhile. Each is a line `bench KEY VALUE UNIT HOW`, so a key comes
//! [`PAIRS`] times; the last line is `end`. `./fos bench messages` compares them round by round.

mod calls;
mod channels;
mod clock;
mod floor;
mod lines;
mod linux;
mod rings;
mod shared_state;
mod stream;
mod two_cores;

use fos_bench_linux::line::{Line, Measurement};
use two_cores::Cores;

/// Rounds.
const PAIRS: usize = 15;
/// Messages that are put before they are shown.
const TOGETHER: u64 = 16;

/// Something to measure.
struct Subject {
    key: String,
    how: String,
    /// Answers picoseconds.
    sample: Box<dyn Fn(Cores) -> u64>,
}

fn subject(key: &str, how: &str, sample: impl Fn(Cores) -> u64 + 'static) -> Subject {
    Subject { key: key.to_owned(), how: how.to_owned(), sample: Box::new(sample) }
}

fn main() {
    let cores = Cores::choose();
    let subjects = subjects();
    for round in 0..PAIRS {
        // Every other round backwards, so that nothing always comes right after the same.
        let mut order: Vec<&Subject> = subjects.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for subject in order {
            let (key, how) = (subject.key.clone(), subject.how.clone());
            let value = (subject.sample)(cores);
            println!("{}", Line::Bench(Measurement { key, value, unit: "ps".to_owned(), how }));
        }
    }
    println!("{}", Line::End);
}

fn subjects() -> Vec<Subject> {
    let mut subjects = vec![
        subject(
            "raw_round_trip",
            "a number in one line there and in another back, fastest of six ways",
            floor::two_lines,
        ),
        subject(
            "raw_moving_round_trip",
            "as raw_round_trip, over 30 lines each way in turn",
            floor::moving_lines,
        ),
        subject(
            "channel_round_trip",
            "56 bytes over a channel and back, both ends polling",
            channels::round_trip,
        ),
        subject(
            "rpc",
            "a call that asks and answers nothing over a channel each way: stubs, codec, dispatch, tasks, both ends polling",
            calls::round_trip,
        ),
        subject("linux_getppid", "getppid by a syscall instruction, the other core at rest", linux::getppid),
        subject("channel_stream_put", "56 bytes, one way, 16 messages shown at once, 62 slots", |cores| {
            channels::stream_put(cores, TOGETHER)
        }),
        subject("rtrb_stream", "56 bytes, one way, push and pop, 62 slots", rings::rtrb),
        subject(
            "channel_stream_sent",
            "56 bytes, one way, each shown at once with a look at the sleep word, 62 slots",
            channels::stream_sent,
        ),
        subject("crossbeam_stream", "56 bytes, one way, ArrayQueue, 62 slots", rings::crossbeam),
        subject("linux_pipe_round_trip", "56 bytes through two pipes, two threads", linux::pipe),
        subject(
            "linux_futex_round_trip",
            "a private futex word, two threads, each asleep before its turn",
            linux::futex,
        ),
        subject(
            "linux_futex_awake_round_trip",
            "as linux_futex_round_trip, but who finds its turn has come does not sleep",
            linux::futex_awake,
        ),
        subject(
            "linux_unix_round_trip",
            "56 bytes through a pair of AF_UNIX stream sockets, two threads",
            linux::unix,
        ),
    ];
    for lines in shared_state::LINES {
        let how = format!("{lines} lines updated under a ticket lock that two cores want");
        subjects.push(subject(&format!("update_{lines}_by_lock"), &how, move |cores| {
            shared_state::by_lock(cores, lines)
        }));
        let how = format!("{lines} lines updated by their core, asked by message, answered");
        subjects.push(subject(&format!("update_{lines}_by_message"), &how, move |cores| {
            shared_state::by_message(cores, lines)
        }));
    }
    subjects
}
