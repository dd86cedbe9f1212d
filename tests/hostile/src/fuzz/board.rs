//! What a worker and the program that started it share: the worker's orders, its counts, and what it found wrong.

use core::sync::atomic::{AtomicU64, Ordering};

use alloc::string::String;

use fos_abi::Error;
use fos_abi::calls::{CALLS, Call};
use libfos::spawn::Block;

use crate::kernel::{Answer, Arguments};
use crate::stage::word::FREE;

/// Outcomes of a call: success, then each error by number.
pub const OUTCOMES: usize = 32;
/// Undocumented outcomes that are kept with their arguments.
pub const FINDINGS_MAX: u64 = 32;
/// Words of one finding: call, arguments, error.
const FINDING_WORDS: usize = 8;
/// Bytes of a worker's last words.
const TEXT_BYTES: usize = 1024;

const CORES: usize = FREE;
const PORTS: usize = FREE + 1;
const INTERRUPTS: usize = FREE + 2;
const SEED: usize = FREE + 3;
const TARGET: usize = FREE + 4;
const NUMBER: usize = FREE + 5;
const STATE: usize = FREE + 6;
const CALLS_MADE: usize = FREE + 7;
const SUCCEEDED: usize = FREE + 8;
const ROUNDS: usize = FREE + 9;
const FINDINGS: usize = FREE + 10;
const TEXT_LENGTH: usize = FREE + 11;
const CURRENT: usize = FREE + 12;
const REPORT_KEY: usize = 28;
const PUBLIC_KEY: usize = 32;
const NEIGHBOUR_KEYS: usize = 40;
const TEXT: usize = 64;
const FINDING: usize = TEXT + TEXT_BYTES / 8;
const COUNTS: usize = FINDING + FINDINGS_MAX as usize * FINDING_WORDS;
const END: usize = COUNTS + CALLS.len() * OUTCOMES;
const _: () = assert!(END <= libfos::spawn::BLOCK_WORDS);
/// Workers that a neighbour's key is kept of.
pub const NEIGHBOURS: usize = 4;

/// How a worker is doing.
pub mod state {
    /// At work.
    pub const RUNNING: u64 = 0;
    /// All calls made, every audit balanced.
    pub const DONE: u64 = 1;
    /// An audit did not balance, or a preparation was refused: see the text.
    pub const FAILED: u64 = 2;
}

/// A block, read as a board.
#[derive(Clone, Copy)]
pub struct Board(pub &'static Block);

/// What a worker is to do.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// Handle of the cores, in the worker's table.
    pub cores: u64,
    /// Handle of the ports, or `NONE`.
    pub ports: u64,
    /// Handle of the interrupt line, or `NONE`.
    pub interrupts: u64,
    /// The seed of all workers.
    pub seed: u64,
    /// Calls to make.
    pub calls: u64,
    /// Which worker this is.
    pub number: u64,
}

impl Board {
    fn get(self, index: usize) -> u64 {
        self.0[index].load(Ordering::Relaxed)
    }
    fn set(self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::Relaxed);
    }

    /// Writes the orders.
    pub fn order(self, orders: &Orders) {
        let words = [orders.cores, orders.ports, orders.interrupts, orders.seed, orders.calls, orders.number];
        for (index, word) in [CORES, PORTS, INTERRUPTS, SEED, TARGET, NUMBER].into_iter().zip(words) {
            self.set(index, word);
        }
    }
    /// Reads the orders.
    pub fn orders(self) -> Orders {
        Orders {
            cores: self.get(CORES),
            ports: self.get(PORTS),
            interrupts: self.get(INTERRUPTS),
            seed: self.get(SEED),
            calls: self.get(TARGET),
            number: self.get(NUMBER),
        }
    }

    /// See [`state`].
    pub fn state(self) -> u64 {
        self.0[STATE].load(Ordering::Acquire)
    }
    /// Calls made so far.
    pub fn calls_made(self) -> u64 {
        self.get(CALLS_MADE)
    }
    /// Of these, how many succeeded.
    pub fn succeeded(self) -> u64 {
        self.get(SUCCEEDED)
    }
    /// Rounds finished, each with an audit.
    pub fn rounds(self) -> u64 {
        self.get(ROUNDS)
    }
    /// One more round.
    pub fn count_round(self) {
        self.set(ROUNDS, self.get(ROUNDS) + 1);
    }

    /// Ends the worker's part.
    pub fn finish(self, outcome: Result<(), String>) {
        if let Err(text) = &outcome {
            let length = text.len().min(TEXT_BYTES);
            for (index, bytes) in text.as_bytes()[..length].chunks(8).enumerate() {
                let mut word = [0; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                self.set(TEXT + index, u64::from_le_bytes(word));
            }
            self.set(TEXT_LENGTH, length as u64);
        }
        let state = if outcome.is_ok() { state::DONE } else { state::FAILED };
        self.0[STATE].store(state, Ordering::Release);
    }
    /// What the worker said at its end.
    pub fn text(self) -> String {
        let length = (self.get(TEXT_LENGTH) as usize).min(TEXT_BYTES);
        let bytes = (0..length).map(|index| (self.get(TEXT + index / 8) >> (8 * (index % 8))) as u8);
        String::from_utf8_lossy(&bytes.collect::<alloc::vec::Vec<u8>>()).into_owned()
    }

    /// Notes a call before it is made, so that a hang has a name.
    #[inline]
    pub fn begin(self, number: u32, arguments: &Arguments) {
        self.set(CURRENT, u64::from(number));
        for (index, argument) in arguments.iter().enumerate() {
            self.set(CURRENT + 1 + index, *argument);
        }
    }
    /// The call that was begun last.
    pub fn current(self) -> (u64, Arguments) {
        (self.get(CURRENT), core::array::from_fn(|index| self.get(CURRENT + 1 + index)))
    }

    /// Counts how a call ended.
    #[inline]
    pub fn count(self, call: Call, answer: Answer) {
        let outcome = match answer {
            Ok(_) => 0,
            Err(error) => error as usize,
        };
        let place = &self.0[COUNTS + call as usize * OUTCOMES + outcome];
        place.store(place.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.set(CALLS_MADE, self.get(CALLS_MADE) + 1);
        self.set(SUCCEEDED, self.get(SUCCEEDED) + u64::from(outcome == 0));
    }
    /// How often a call ended so (0: success, else an error's number).
    pub fn counted(self, call: usize, outcome: usize) -> u64 {
        self.get(COUNTS + call * OUTCOMES + outcome)
    }

    /// Keeps an outcome that is not documented.
    pub fn find(self, call: Call, arguments: &Arguments, error: Error) {
        let count = self.get(FINDINGS);
        self.set(FINDINGS, count + 1);
        if count < FINDINGS_MAX {
            let at = FINDING + count as usize * FINDING_WORDS;
            self.set(at, call as u64);
            arguments.iter().enumerate().for_each(|(index, argument)| self.set(at + 1 + index, *argument));
            self.set(at + 7, error as u64);
        }
    }
    /// How many there were.
    pub fn finding_count(self) -> u64 {
        self.get(FINDINGS)
    }
    /// One of those that were kept: call, arguments, error.
    pub fn finding(self, index: u64) -> (u64, Arguments, u64) {
        let at = FINDING + index as usize * FINDING_WORDS;
        (self.get(at), core::array::from_fn(|word| self.get(at + 1 + word)), self.get(at + 7))
    }

    /// Where the worker finds the key for reports of its faults.
    pub fn report_key(self) -> &'static [AtomicU64] {
        &self.0[REPORT_KEY..REPORT_KEY + 4]
    }
    /// Where the worker puts a key to its mailbox, for its neighbours.
    pub fn public_key(self) -> &'static [AtomicU64] {
        &self.0[PUBLIC_KEY..PUBLIC_KEY + 4]
    }
    /// Where the worker finds a neighbour's key.
    pub fn neighbour_key(self, index: usize) -> &'static [AtomicU64] {
        let at = NEIGHBOUR_KEYS + 4 * (index % NEIGHBOURS);
        &self.0[at..at + 4]
    }
}
const _: () = assert!(NEIGHBOUR_KEYS + 4 * NEIGHBOURS <= TEXT && CURRENT + 7 <= REPORT_KEY);
