//! What the two say to each other.

use alloc::vec::Vec;

use fos_messages::rpc::wire::{Scalar, read_scalar};
use fos_messages::rpc::{Address, CallError, Caller, Interface, Operation};

/// The conversation.
pub struct Adder;

/// Answers the sum of two numbers of 64 bits, around the end.
pub const ADD: u16 = 1;
/// Is never answered.
pub const HANG: u16 = 2;

impl Interface for Adder {
    const ID: u16 = 0x7f01;
    const VERSION: u32 = 1;
    const NAME: &'static str = "adder";
    const OPERATIONS: &'static [Operation] = &[
        Operation { name: "add", idempotent: true, answer_max: 8 },
        Operation { name: "hang", idempotent: true, answer_max: 0 },
    ];
}

/// Asks for a sum.
pub async fn add(
    caller: &impl Caller,
    to: &Address,
    one: u64,
    other: u64,
) -> Result<u64, CallError<Vec<u8>>> {
    let body = |bytes: &mut Vec<u8>| {
        one.write(bytes);
        other.write(bytes);
    };
    let answer = caller.call(to, Adder::ID, ADD, 8, &body).await?;
    read_scalar(&answer).ok_or(CallError::BadAnswer)
}

/// Asks for what never comes.
pub async fn hang(caller: &impl Caller, to: &Address) -> Result<(), CallError<Vec<u8>>> {
    caller.call(to, Adder::ID, HANG, 0, &|_| {}).await.map(|_| ())
}
