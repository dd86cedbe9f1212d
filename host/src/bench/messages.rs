//! Suite `messages`: what messages between two cores cost.
//!
//! Times: the program in bench/messages runs on two cores of this host, natively, and takes each measurement once in each
//! of its rounds. Whatever is called a ratio is the median of the rounds' ratios, so what is compared was measured within
//! milliseconds. Counts: as in suite `kernel`, in a guest whose time stamp counter counts instructions. Calls between cores
//! also stand beside Linux in guests of the same QEMU (`round_trips`).

use super::document::{Document, Row, Versus, median};
use super::{kernel, machines, round_trips, targets};
use crate::cargo;
use crate::children::collect;
use crate::failure::{Code, Context, Failure, Result};
use crate::image::{self, Built};
use crate::linux_guest::Timed;
use crate::machine::accelerator;
use crate::repository;
use crate::talk::Talk;
use fos_bench_linux::line::{self, Line, Measurement};
use std::process::Command;
use std::time::Duration;

/// The suite's name.
pub const SUITE: &str = "messages";
/// The program that measures natively.
const PROGRAM: &str = "fos-bench-messages";
/// It takes a minute on an idle host; on a busy one, threads that wait for each other wait for time slices.
const MEASURE_WITHIN: Duration = Duration::from_secs(20 * 60);

/// Measures everything.
pub fn measure(with_linux: bool, talk: &Talk) -> Result<Document> {
    let built = image::build(machines::IMAGE, talk)?;
    let linux = if with_linux { Some(machines::linux(talk)?) } else { None };
    let stage = talk.stage("timed messages between two cores of this host");
    let rounds = Rounds(native()?);
    stage.done();
    let stage = talk.stage("counted instructions of channels");
    let mut rows = rounds.ratios()?;
    rows.extend(counts(&built)?);
    stage.done();
    let pairs = machines::pairs(&built, linux.as_ref(), Timed::RoundTrips, talk)?;
    rows.extend(round_trips::rows(&pairs)?);
    rows.extend(rounds.times());
    let rows = rows.into_iter().map(|row| targets::apply(row, &[]));
    Ok(Document { suite: SUITE, machine: machine(), rows: rows.collect() })
}

/// The exact counts alone.
pub fn counts(built: &Built) -> Result<Vec<Row>> {
    kernel::counted(built, &["messages"])
}

/// Builds and runs the native program.
fn native() -> Result<Vec<Measurement>> {
    let mut build = cargo::cargo(&["build", "--release", "-p", PROGRAM]);
    cargo::run(&mut build, "building what measures messages")?;
    let said =
        collect(&mut Command::new(repository::target().join("release").join(PROGRAM)), MEASURE_WITHIN)?;
    let lines = said.output.lines().map(|text| line::parse(text).doing("reading the program's numbers"));
    let lines: Vec<Line> = lines.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    if !said.status.success() || !lines.contains(&Line::End) {
        let message =
            format!("{PROGRAM} did not measure everything ({}):\n{}", said.status, said.errors.trim());
        return Err(Failure::new(Code::Failed, message));
    }
    let measured = lines.into_iter().filter_map(|line| match line {
        Line::Bench(measured) => Some(measured),
        Line::Note(_) | Line::End => None,
    });
    Ok(measured.collect())
}

/// What the program measured: each key once in each round, in the order of the rounds.
struct Rounds(Vec<Measurement>);

impl Rounds {
    /// A key's values, round by round.
    fn of(&self, key: &str) -> Vec<f64> {
        self.0.iter().filter(|measured| measured.key == key).map(|measured| measured.value as f64).collect()
    }

    /// Values of one key over those of another, round by round, as a row.
    fn ratio(&self, key: &str, over: &[f64], under: &[f64], how: &str) -> Result<Row> {
        let ratios = over.iter().zip(under).map(|(over, under)| over / under).collect();
        let missing = || Failure::new(Code::Failed, format!("{PROGRAM} measured nothing for {key}"));
        Ok(Row::new(key, median(ratios).ok_or_else(missing)?, "ratio", how))
    }

    /// The keys that are called ratios.
    fn ratios(&self) -> Result<Vec<Row>> {
        let channel = self.of("channel_round_trip");
        let best_ring: Vec<f64> = self
            .of("rtrb_stream")
            .into_iter()
            .zip(self.of("crossbeam_stream"))
            .map(|(rtrb, crossbeam)| rtrb.min(crossbeam))
            .collect();
        let over = |key, other, how| self.ratio(key, &self.of(other), &channel, how);
        Ok(vec![
            self.ratio(
                "channel_round_trip_over_floor",
                &channel,
                &self.of("raw_round_trip"),
                "round trip of 56 bytes over that of two raw lines, median of the rounds' ratios",
            )?,
            self.ratio(
                "channel_throughput_over_best_ring",
                &best_ring,
                &self.of("channel_stream_put"),
                "time of a message over the better of rtrb and crossbeam by that over a channel, 16 put together",
            )?,
            self.ratio(
                "channel_each_shown_over_best_ring",
                &best_ring,
                &self.of("channel_stream_sent"),
                "the same with each message shown at once, and a look whether the receiver sleeps",
            )?,
            self.ratio(
                "rpc_over_getppid",
                &self.of("rpc"),
                &self.of("linux_getppid"),
                "a call of nothing to another core over channels by getppid, median of the rounds' ratios",
            )?,
            self.ratio(
                "channel_over_getppid",
                &channel,
                &self.of("linux_getppid"),
                "round trip of 56 bytes to another core over channels by getppid",
            )?,
            over("pipe_over_channel", "linux_pipe_round_trip", "round trip over two pipes by that over channels")?,
            over("futex_over_channel", "linux_futex_round_trip", "two sleeps and wake-ups by a futex by a round trip over channels")?,
            over("unix_over_channel", "linux_unix_round_trip", "round trip over AF_UNIX sockets by that over channels")?,
        ])
    }

    /// The medians of all keys, in nanoseconds; of an update by message beside the same by lock.
    fn times(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for measured in &self.0 {
            let key = format!("{}_ns", measured.key);
            if rows.iter().any(|row| row.key == key) {
                continue;
            }
            let nanoseconds = |key: &str| median(self.of(key)).unwrap_or_default() / 1000.0;
            let mut row = Row::new(&key, nanoseconds(&measured.key), "ns", &measured.how);
            row.versus = measured.key.strip_suffix("_by_message").map(|update| {
                let lock = format!("{update}_by_lock");
                Versus { value: nanoseconds(&lock), what: format!("{lock}_ns") }
            });
            rows.push(row);
        }
        rows
    }
}

/// What it ran on, in one line.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("two of {cores} cores of {}, natively; counts under QEMU's TCG", accelerator::processor())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(key: &str, value: u64) -> Measurement {
        Measurement { key: key.into(), value, unit: "ps".into(), how: "clock".into() }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        let rounds = Rounds(vec![
            measured("a", 100),
            measured("b", 400),
            measured("a", 200),
            measured("b", 250),
            measured("b", 600),
            measured("a", 300),
        ]);
        let row = rounds.ratio("k", &rounds.of("a"), &rounds.of("b"), "how").unwrap();
        assert_eq!(row.value, 0.5);
        assert!(rounds.ratio("k", &rounds.of("a"), &rounds.of("c"), "how").is_err());
    }

    #[test]
    fn an_update_by_message_stands_beside_that_by_lock() {
        let rounds = Rounds(vec![measured("update_1_by_lock", 2000), measured("update_1_by_message", 1000)]);
        let rows = rounds.times();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].key.as_str(), rows[1].ratio()), ("update_1_by_message_ns", Some(0.5)));
    }
}
