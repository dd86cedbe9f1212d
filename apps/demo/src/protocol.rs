//! What the two say to each other.

use fos_messages::rpc::interface;

/// Adds.
#[interface(id = 0x7f01, version = 1)]
pub trait Adder {
    /// The sum of two numbers of 64 bits, around the end.
    #[operation(idempotent)]
    fn add(&self, one: u64, other: u64) -> u64;

    /// Never answers.
    #[operation(idempotent)]
    async fn hang(&self);
}
