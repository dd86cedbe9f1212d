//! Random numbers for keys: ChaCha with 12 rounds (D. J. Bernstein, "ChaCha, a variant of Salsa20"), one
//! generator per core, seeded from the CPU's generator where it has one, and from the jitter of two clocks
//! in any case. Never a counter.

use crate::arch::machine::{clock, cpu};
use core::cell::Cell;

/// One core's generator.
pub struct Generator {
    key: Cell<[u32; 8]>,
    block: Cell<u64>,
    unused: Cell<[u64; 4]>,
    left: Cell<usize>,
}

const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

fn quarter(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(16);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(12);
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(8);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(7);
}

/// One block of the stream cipher: `rounds` rounds over key and block number.
pub fn block(key: &[u32; 8], number: u64, rounds: usize) -> [u32; 16] {
    let mut start = [0; 16];
    start[..4].copy_from_slice(&CONSTANTS);
    start[4..12].copy_from_slice(key);
    start[12] = number as u32;
    start[13] = (number >> 32) as u32;
    let mut state = start;
    for _ in 0..rounds / 2 {
        for column in 0..4 {
            quarter(&mut state, column, column + 4, column + 8, column + 12);
        }
        for diagonal in 0..4 {
            quarter(
                &mut state,
                diagonal,
                4 + (diagonal + 1) % 4,
                8 + (diagonal + 2) % 4,
                12 + (diagonal + 3) % 4,
            );
        }
    }
    for (word, first) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(first);
    }
    state
}

impl Generator {
    /// Seeds it. Without a hardware generator the seed is the jitter of the time stamp against memory and
    /// the timer, folded through the cipher: weaker, and `docs/security.md` says so.
    pub fn seed(&self) {
        let mut key = [0u32; 8];
        for round in 0..64u64 {
            let sample =
                cpu::hardware_random().unwrap_or(0) ^ cpu::time_stamp().rotate_left(17) ^ clock::noise();
            key[round as usize % 8] ^= sample as u32;
            key[(round as usize + 3) % 8] ^= (sample >> 32) as u32;
            let mixed = block(&key, round, 20);
            key.copy_from_slice(&mixed[..8]);
        }
        self.key.set(key);
        self.left.set(0);
    }

    /// 64 random bits. The key changes with every block, and what was given out is not kept, so that a
    /// later leak tells nothing of the past.
    pub fn next(&self) -> u64 {
        let left = self.left.get();
        if left == 0 {
            let number = self.block.get();
            self.block.set(number + 1);
            let words = block(&self.key.get(), number, 12);
            let mut key = [0; 8];
            key.copy_from_slice(&words[..8]);
            self.key.set(key);
            let mut unused = [0; 4];
            for (index, word) in unused.iter_mut().enumerate() {
                *word = u64::from(words[8 + 2 * index]) << 32 | u64::from(words[9 + 2 * index]);
            }
            self.unused.set(unused);
            self.left.set(4);
        }
        let left = self.left.get() - 1;
        self.left.set(left);
        let mut unused = self.unused.get();
        let word = core::mem::take(&mut unused[left]);
        self.unused.set(unused);
        word
    }
}

#[cfg(test)]
#[path = "tests/random.rs"]
mod tests;
