//! Messages without a runtime (docs/messaging.md): `echo serve NAME` answers each message with its bytes, for ever; `echo
//! ask NAME` sends a thousand to whoever has that name and looks at the answers. `apps/hello-c` is the same in C.
//!
//! A question begins with the 32 bytes of a key, to which the rest of it goes back.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};
use core::time::Duration;

use fos_abi::key::KeyRights;
use fos_messages::start::KeyBytes;
use libfos::clock::{Clock, Deadline};
use libfos::mailbox::{Mailbox, Sender};
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::{Start, println};

libfos::entry!(main);

const SLOTS: usize = 64;
const KEYS: usize = 16;
const QUESTIONS: u32 = 1000;
/// How long anything may take, on a slow emulator with a busy host.
const PATIENCE: Duration = Duration::from_secs(30);

fn main(start: &Start) -> u8 {
    let [_, role, name] = start.arguments.as_slice() else { return usage() };
    let outcome = match role.as_str() {
        "serve" => serve(start, name),
        "ask" => ask(start, name),
        _ => return usage(),
    };
    let Err(reason) = outcome else { return 0 };
    println!("echo: {role} {name}: {reason}");
    1
}

fn usage() -> u8 {
    println!("echo: say `echo serve NAME` or `echo ask NAME`");
    2
}

/// Turns any error into a line.
fn line(error: impl core::fmt::Debug) -> String {
    alloc::format!("{error:?}")
}

/// Answers for ever. A client that takes no answers loses them: nobody is waited for.
fn serve(start: &Start, name: &str) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let mut mailbox = Mailbox::create(&mut memory, SLOTS, KEYS).map_err(line)?;
    let key = mailbox.key(KeyRights::SEND.with(KeyRights::WATCH), 0).map_err(line)?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let root = Root::of_program(start).map_err(|error| error.to_string())?;
    root.register(name, key, deadline).map_err(|error| error.to_string())?;
    loop {
        let message = mailbox.receive(Deadline::NEVER).map_err(line)?;
        if let Some((answer, bytes)) = message.bytes().split_first_chunk() {
            let _ = Sender::new(KeyBytes(*answer).into()).send(bytes);
        }
    }
}

/// Asks, and looks whether each answer is its question's and comes from whoever was asked.
fn ask(start: &Start, name: &str) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let mut mailbox = Mailbox::create(&mut memory, SLOTS, KEYS).map_err(line)?;
    let KeyBytes(answer) = mailbox.key(KeyRights::SEND, 0).map_err(line)?.into();
    let clock = Clock::new(start.tsc_hz);
    let deadline = clock.after(PATIENCE);
    let root = Root::of_program(start).map_err(|error| error.to_string())?;
    let server = root.find(&mut memory, name, deadline).map_err(|error| error.to_string())?;
    for number in 0..QUESTIONS {
        let question = [&answer[..], &number.to_le_bytes()].concat();
        Sender::new(server.key).send_until(&question, clock, deadline).map_err(line)?;
        let message = mailbox.receive(deadline).map_err(line)?;
        if message.sender() != server.identity || message.bytes() != number.to_le_bytes() {
            return Err(alloc::format!("the answer to {number} is another's or other than it"));
        }
    }
    println!("echo: {QUESTIONS} messages to {name} came back");
    Ok(())
}
