//! A service that answers what it was sent, and its client.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use fos_messages::rpc::{Address, AnswerBody, CallError, Caller, Context, Served};
use fos_runtime::Serve;

/// The interface's number.
pub const ECHO: u16 = 0x7f02;
const OPERATION: u16 = 1;

/// Answers what it was sent.
pub struct Echo;

impl Serve for Echo {
    fn serve(self: Rc<Self>, _: u16, _: Context, body: &[u8]) -> Served {
        let body = body.to_vec();
        Served::Task(Box::pin(async move { AnswerBody::Done(body) }))
    }
}

/// Sends a number, and expects it back.
pub async fn echo(caller: &impl Caller, to: &Address, number: u64) -> Result<bool, CallError<Vec<u8>>> {
    let bytes = number.to_le_bytes();
    let answer =
        caller.call(to, ECHO, OPERATION, bytes.len(), &|body| body.extend_from_slice(&bytes)).await?;
    Ok(answer == bytes)
}
