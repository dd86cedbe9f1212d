//! A conversation whose server has nothing to do: a sample of what an interface may hold, asked by tests, by the demo
//! and by measurements.

use crate::rpc::{interface, wire::Scalar};
use alloc::string::String;

/// The sum of two numbers has more than 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct Overflow;

/// Why an [`Echo::refuse`] is refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Refusal {
    /// It always is.
    Always,
    /// The text was longer than this.
    LongerThan(u32),
}

/// Bytes of the longest text that comes back.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Answers what it is told.
#[interface(id = 2, version = 1)]
pub trait Echo {
    /// The sum. At once, and of a fixed layout on both ways: what a call costs at least.
    #[operation(idempotent)]
    fn sum(&self, left: u64, right: u64) -> Result<u64, Overflow>;

    /// The same text, of at most [`TEXT_BYTES_MAX`] bytes with the few of its length.
    #[operation(idempotent, answer_max = TEXT_BYTES_MAX)]
    async fn echo(&self, text: &str) -> String;

    /// Counts a number. Nothing comes back.
    #[operation(post)]
    fn note(&self, number: u64);

    /// Has no value, ever.
    #[operation(idempotent, answer_max = 16)]
    async fn refuse(&self, text: &str) -> Result<(), Refusal>;

    /// The sum of all numbers that were noted.
    #[operation(idempotent)]
    fn noted(&self) -> u64;
}
