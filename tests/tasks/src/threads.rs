//! Two threads of one process, each with a runtime of its own, on different cores.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use fos_abi::capability::Handle;
use fos_abi::limits::PAGE_SIZE;
use fos_abi::space::MapFlags;
use fos_messages::rpc::{ADDRESS_SIZE, Address};
use fos_messages::start::handle_name;
use fos_runtime::port::{Class, Port};
use libfos::memory::Memory;
use libfos::server::Server;
use libfos::{Start, calls, spawn};

use crate::echo::{EchoClient, EchoDispatcher, Same};
use crate::links::{Counter, OrderDispatcher};
use crate::{Outcome, line};

const STACK_PAGES: usize = 16;
/// Frames of the second thread: three mailboxes, links, lent pages and page tables.
const FRAMES: u64 = 256;
const CALLS: u64 = 500;
const PATIENCE: Duration = Duration::from_secs(20);
/// The core of the second thread; the image starts the first elsewhere.
const CORE: u64 = 2;

/// What the second thread begins with.
struct Second {
    memory: Memory,
    start: Start,
    /// Where its address is to be put.
    address: &'static Posted,
}

/// An address that one thread leaves for another: its words, then whether it is there.
struct Posted {
    words: [AtomicU64; ADDRESS_SIZE / 8],
    is_there: AtomicU64,
}

static POSTED: Posted =
    Posted { words: [const { AtomicU64::new(0) }; ADDRESS_SIZE / 8], is_there: AtomicU64::new(0) };

impl Posted {
    fn leave(&self, address: &Address) {
        for (word, bytes) in self.words.iter().zip(address.to_bytes().as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        self.is_there.store(1, Ordering::Release);
    }

    fn take(&self) -> Address {
        while self.is_there.load(Ordering::Acquire) == 0 {
            calls::thread_yield();
        }
        let mut bytes = [0; ADDRESS_SIZE];
        for (word, bytes) in self.words.iter().zip(bytes.as_chunks_mut::<8>().0) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        Address::from_bytes(&bytes)
    }
}

extern "C" fn second(argument: u64) -> u64 {
    // SAFETY: `begin_second` made it of a box for this thread alone.
    let Second { mut memory, start, address } = *unsafe { Box::from_raw(argument as *mut Second) };
    let Ok(server) = Server::create(&mut memory, &start) else { return 1 };
    server.runtime.serve(Class::External, EchoDispatcher::new(Rc::new(Same)));
    server.runtime.serve(Class::External, OrderDispatcher::new(Rc::new(Counter::default())));
    address.leave(&server.port.address(Class::External));
    server.run()
}

/// The first thread calls the second.
pub fn call_each_other(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    let to = begin_second(start, &mut memory)?;
    let echo = EchoClient::new(server.runtime.within(PATIENCE), to);
    server.block_on(async move {
        for number in 0..CALLS {
            match echo.echo(number).await {
                Ok(same) if same == number => {}
                other => return Err(alloc::format!("call {number}: {other:?}")),
            }
        }
        Ok(())
    })
}

/// Starts the second thread in this process, which serves at the address.
pub fn begin_second(start: &Start, memory: &mut Memory) -> Result<Address, String> {
    let handle = |name| start.handle(name).ok_or("the image does not grant it cores and frames");
    let (cores, frames, space) =
        (handle(handle_name::CORES)?, handle(handle_name::FRAMES)?, handle(handle_name::SPACE)?);
    let stack = memory.frames.take(STACK_PAGES as u64).map_err(line)?;
    let stack = memory.map(stack.handle, 0, STACK_PAGES, MapFlags::WRITE).map_err(line)?;
    let top = stack.address() + (STACK_PAGES * PAGE_SIZE) as u64;
    let memory = memory.split(FRAMES).map_err(line)?;
    let argument = Box::new(Second { memory, start: start.clone(), address: &POSTED });
    let registers = spawn::registers(second, Box::into_raw(argument) as u64, top);
    let thread =
        spawn::thread(&mut Source { frames, next: 0 }, space, cores, CORE, &registers).map_err(line)?;
    calls::thread_resume(thread).map_err(line)?;
    Ok(POSTED.take())
}

/// Frames of the image's grant, one piece after the other.
struct Source {
    frames: Handle,
    next: u64,
}

impl spawn::Frames for Source {
    fn take(&mut self, count: u64) -> Result<Handle, libfos::Error> {
        let first = self.next;
        self.next += count;
        calls::cap_derive(self.frames, fos_abi::capability::Rights::ALL, first, count)
    }
}
