//! A lender that is ended while its pages are mapped: after its receiver has mapped them and before it copies, which is a
//! moment that no message can hit, so this does by itself what a port does with a long message.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::limits::PAGE_SIZE;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_messages::programs::{Order, ProgramsClient};
use fos_runtime::Within;
use fos_runtime::port::{LENT_MAX, Port};
use libfos::Start;
use libfos::clock::Clock;
use libfos::frames;
use libfos::mailbox::Mailbox;
use libfos::memory::Memory;
use libfos::port::lending::Borrowed;
use libfos::root::{Root, programs};
use libfos::server::Server;

use crate::{Outcome, line};

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// The name of the mailbox to which is lent.
const NAME: &str = "tasks-borrower";
/// The program that lends, and where it runs.
const LENDER: &str = "tasks-lender";
const LENDER_CORE: u16 = 2;
/// All pages first: what page tables take is taken then, and later rounds leave as many frames as they found.
const LENGTHS: [usize; 5] = [LENT_MAX, MESSAGE_MAX + 1, PAGE_SIZE + 1, 30_000, LENT_MAX];
/// What the messages consist of: no zeros.
const FILLED: u8 = 0xa5;

/// Lends one message of this length, and waits to be ended.
pub fn lend(start: &Start, length: &str) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let root = Root::of_program(start).map_err(line)?;
    let to = root.find(&mut memory, NAME, deadline).map_err(line)?;
    let message = vec![FILLED; length.parse().map_err(line)?];
    server.port.send(&to, &message).map_err(line)?;
    let runtime = server.runtime.clone();
    server.block_on(async move { runtime.sleep(PATIENCE).await });
    Err("nobody has ended the lender".into())
}

/// Borrows from lenders of different lengths, each of which ends before the copy.
pub fn outlives_its_lender(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    let mut mailbox = Mailbox::create(&mut memory, 64, 16).map_err(line)?;
    let key = mailbox.key(KeyRights::SEND.with(KeyRights::ATTACH), 0).map_err(line)?;
    let clock = Clock::new(start.tsc_hz);
    let root = Root::of_program(start).map_err(line)?;
    root.register(NAME, key, clock.after(PATIENCE)).map_err(line)?;
    let programs = programs(start).ok_or("the image does not let it start programs")?;
    let programs = ProgramsClient::new(server.runtime.within(PATIENCE), programs);
    let mut left = None;
    for length in LENGTHS {
        let lender = begin(&server, &programs, length)?;
        let message = mailbox.receive(clock.after(PATIENCE)).map_err(|_| "the lender lends nothing")?;
        let right = message.accept().map_err(line)?;
        drop(message);
        one(&server, &programs, &mut memory, lender, right, length)
            .map_err(|why| alloc::format!("{length} bytes: {why}"))?;
        let free = memory.frames.free_frames();
        if free != *left.get_or_insert(free) {
            return Err(alloc::format!("{length} bytes: {free} frames are left of {left:?}"));
        }
    }
    mailbox.destroy(&mut memory).map_err(line)
}

fn begin(server: &Server, programs: &ProgramsClient<Within>, length: usize) -> Result<u64, String> {
    let arguments = vec!["lend".to_string(), length.to_string()];
    let (order, programs) =
        (Order { program: LENDER.into(), arguments, core: LENDER_CORE }, programs.clone());
    server.block_on(async move { programs.start(&order).await }).map(|started| started.number).map_err(line)
}

/// Maps, ends the lender, copies: zeros, and what was mapped goes as ever.
fn one(
    server: &Server,
    programs: &ProgramsClient<Within>,
    memory: &mut Memory,
    lender: u64,
    right: Handle,
    length: usize,
) -> Outcome {
    let borrowed = Borrowed::map(memory, right, length).map_err(line)?;
    if borrowed.copy().map_err(line)? != vec![FILLED; length] {
        return Err("what is mapped is not the message".into());
    }
    let programs = programs.clone();
    server
        .block_on(async move {
            programs.stop(lender).await?;
            programs.end(lender).await
        })
        .map_err(line)?;
    let copied = zeros_within_patience(server, &borrowed);
    borrowed.end(memory).map_err(line)?;
    match frames::give_up(right) {
        Err(_) => copied,
        Ok(()) => Err("the right to the pages of a lender that has ended is still there".into()),
    }
}

/// Root tells of an end when the process is not yet taken apart: its pages go soon after.
fn zeros_within_patience(server: &Server, borrowed: &Borrowed) -> Outcome {
    let deadline = server.port.now().after(PATIENCE);
    loop {
        let copied: Vec<u8> = borrowed.copy().map_err(line)?;
        match copied.iter().all(|byte| *byte == 0) {
            true => return Ok(()),
            false if server.port.now() > deadline => return Err("the lender's pages are still there".into()),
            false => {
                let sleep = server.runtime.sleep(LOOK_EVERY);
                server.block_on(sleep);
            }
        }
    }
}
