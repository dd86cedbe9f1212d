//! Messages that are longer than a mailbox takes: requests and answers between programs on different cores, lies about lent
//! pages, and a receiver that ends with pages of ours.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use fos_abi::capability::{Handle, Rights};
use fos_abi::limits::PAGE_SIZE;
use fos_messages::rpc::{Address, CallError, Context, Instead, Never, SendError, interface};
use fos_runtime::Priority;
use fos_runtime::port::{Class, LENT_MAX, Port};
use libfos::clock::Clock;
use libfos::mailbox::Sender;
use libfos::memory::Memory;
use libfos::port::KernelPort;
use libfos::port::thresholds::Thresholds;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, calls};

use crate::{Outcome, line};

/// Turns bytes around.
#[interface(id = 0x7f04, version = 1)]
pub trait Reverser {
    /// The same bytes, the last first.
    #[operation(idempotent, answer_max = LENT_MAX)]
    fn reverse(&self, bytes: Vec<u8>) -> Vec<u8>;
}

/// The server.
pub struct Reverse;

impl Reverser for Reverse {
    fn reverse(&self, _: Context, mut bytes: Vec<u8>) -> Result<Vec<u8>, Instead<Never>> {
        bytes.reverse();
        Ok(bytes)
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a body that may be needed beside its content.
const BESIDE: usize = 64;
/// On both sides of what a mailbox, a page, and all pages take.
const LENGTHS: [usize; 9] =
    [1, 900, 1000, PAGE_SIZE - 20, PAGE_SIZE, PAGE_SIZE + 1, 30_000, LENT_MAX / 2, LENT_MAX - BESIDE];
/// Where a link's word has its kind, and the word for lent pages (libfos/src/port/switching/words.rs).
const WORD_AT: usize = 12;
const LENT: u8 = 0x85;
const WORD_SIZE: usize = 16;
/// Lies, of each kind: more than a capability table has room for, should one stay.
const LIES: u64 = 300;

/// The name of the program that turns bytes around.
const NAME: &str = "tasks-server";

/// Turns bytes around for others, for ever.
pub fn serve(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    server.runtime.serve(Class::External, ReverserDispatcher::new(Rc::new(Reverse)));
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let root = Root::of_program(start).map_err(line)?;
    root.register(NAME, server.port.address(Class::External).key, deadline).map_err(line)?;
    server.run()
}

/// All of it.
pub fn go_by_pages(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let root = Root::of_program(start).map_err(line)?;
    let to = root.find(&mut memory, NAME, deadline).map_err(line)?;
    ask(&server, to)?;
    lie(&mut memory, &server, to)?;
    wait_for_room(&server, to)?;
    ask(&server, to)?;
    end_with_pages(&mut memory, start, &server)
}

fn ask(server: &Server, to: Address) -> Outcome {
    let reverser = ReverserClient::new(server.runtime.within(PATIENCE), to);
    server.block_on(async move {
        for (round, length) in LENGTHS.into_iter().cycle().take(3 * LENGTHS.len()).enumerate() {
            let bytes: Vec<u8> = (0..length).map(|place| (place * 7 + round) as u8).collect();
            let reversed = reverser.reverse(bytes.clone()).await.map_err(line)?;
            if !reversed.iter().rev().eq(&bytes) {
                return Err(alloc::format!("{length} bytes came back as other {}", reversed.len()));
            }
        }
        match reverser.reverse([0; LENT_MAX + 1].into()).await {
            Err(CallError::NotSent(SendError::TooLong)) => Ok(()),
            other => Err(alloc::format!("a body of more than {LENT_MAX} bytes: {other:?}")),
        }
    })?;
    match server.port.lent() {
        0 => Ok(()),
        lent => Err(alloc::format!("{lent} messages are answered and still lent")),
    }
}

fn word(length: u64) -> [u8; WORD_SIZE] {
    let mut word = [0; WORD_SIZE];
    word[..8].copy_from_slice(&length.to_le_bytes());
    word[WORD_AT] = LENT;
    word
}

/// Says that pages are lent that are none, are more or fewer, or are gone when they are looked for.
fn lie(memory: &mut Memory, server: &Server, to: Address) -> Outcome {
    let block = memory.frames.take(2).map_err(line)?;
    let page = PAGE_SIZE as u64;
    for number in 0..LIES {
        let right = || calls::cap_derive(block.handle, Rights::READ.with(Rights::MOVE), 0, 2).map_err(line);
        let (length, right) = match number % 6 {
            0 => (2 * page, Handle::NONE),
            1 => (page, right()?),
            2 => (2 * page + 1, right()?),
            3 => (u64::MAX, right()?),
            4 => (LENT_MAX as u64 + 1, right()?),
            _ => (0, right()?),
        };
        say(server, to, length, right)?;
    }
    let right = calls::cap_derive(block.handle, Rights::READ.with(Rights::MOVE), 0, 2).map_err(line)?;
    say(server, to, 2 * page, right)?;
    // The last is taken back, perhaps in the middle of being copied.
    calls::cap_revoke(block.handle).map_err(line)?;
    memory.frames.give_back(block).map_err(line)
}

fn say(server: &Server, to: Address, length: u64, right: Handle) -> Outcome {
    loop {
        match Sender::new(to.key).send_with(&word(length), right) {
            Ok(_) => return Ok(()),
            Err(libfos::Error::Full) => {
                let runtime = server.runtime.clone();
                server.block_on(async move { runtime.sleep(Duration::from_millis(1)).await });
            }
            Err(error) => return Err(line(error)),
        }
    }
}

/// The lies have filled this process's share of the server's mailbox: waits until they are taken.
fn wait_for_room(server: &Server, to: Address) -> Outcome {
    let (runtime, reverser) =
        (server.runtime.clone(), ReverserClient::new(server.runtime.within(PATIENCE), to));
    server.block_on(async move {
        loop {
            match reverser.reverse([1].into()).await {
                Ok(_) => return Ok(()),
                Err(CallError::NotSent(SendError::Full)) => runtime.sleep(Duration::from_millis(1)).await,
                Err(error) => return Err(line(error)),
            }
        }
    })
}

/// A receiver ends with a request in lent pages that it has not taken: its caller hears of it, and the pages are back.
fn end_with_pages(memory: &mut Memory, start: &Start, server: &Server) -> Outcome {
    let second = KernelPort::with_thresholds(memory, start, Thresholds::MACHINE).map_err(line)?;
    let reverser = ReverserClient::new(server.runtime.within(PATIENCE), second.address(Class::External));
    let outcome = Rc::new(RefCell::new(None));
    let (place, runtime) = (outcome.clone(), server.runtime.clone());
    runtime.spawn(Priority::Normal, async move {
        let reversed = reverser.reverse([7; 30_000].into()).await;
        *place.borrow_mut() = Some(reversed);
    });
    let slept = runtime.clone();
    server.block_on(async move { slept.sleep(Duration::from_millis(1)).await });
    if server.port.lent() != 1 {
        return Err(alloc::format!("{} messages are lent, not the one", server.port.lent()));
    }
    second.end(memory).map_err(line)?;
    server.block_on(async move { runtime.sleep(Duration::from_millis(5)).await });
    match outcome.take() {
        Some(Err(CallError::PeerLost)) => {}
        other => return Err(alloc::format!("the call ended with {other:?}")),
    }
    match server.port.lent() {
        0 => Ok(()),
        lent => {
            Err(String::from("what was lent to one that has ended is still lent: ")
                + &alloc::format!("{lent}"))
        }
    }
}
