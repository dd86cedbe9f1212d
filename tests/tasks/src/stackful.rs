//! Functions on stacks of their own.

use alloc::rc::Rc;
use core::cell::Cell;
use core::hint::black_box;
use core::time::Duration;

use fos_runtime::Priority;
use fos_runtime::port::{Class, Port};
use libfos::Start;
use libfos::memory::Memory;
use libfos::server::Server;
use libfos::stackful::{Stacks, Waits};

use crate::echo::{EchoClient, EchoDispatcher, Same};
use crate::{Outcome, line};

const STACK_PAGES: usize = 8;
/// How often the long function pauses, calls and sleeps.
const ROUNDS: u64 = 100;

fn server(start: &Start) -> Result<(Server, Stacks), alloc::string::String> {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let stacks = Stacks::create(&mut memory, 2, STACK_PAGES).map_err(line)?;
    Ok((Server::create(&mut memory, start).map_err(line)?, stacks))
}

/// A long function pauses, calls its own member and sleeps; meanwhile the member serves and another task counts.
pub fn lets_others_run(start: &Start) -> Outcome {
    let (server, stacks) = server(start)?;
    server.runtime.serve(Class::External, EchoDispatcher::new(Rc::new(Same)));
    let count = Rc::new(Cell::new(0u64));
    let (runtime, counter) = (server.runtime.clone(), count.clone());
    server.runtime.spawn(Priority::Normal, async move {
        loop {
            counter.set(counter.get() + 1);
            runtime.sleep(Duration::from_micros(100)).await;
        }
    });
    let (runtime, to) = (server.runtime.clone(), server.port.address(Class::External));
    let echo = EchoClient::new(runtime.within(Duration::from_secs(20)), to);
    let long = stacks.run(move |waits| {
        let mut sum = 0;
        for number in 0..ROUNDS {
            waits.pause();
            if waits.block_on(echo.echo(number)) != Ok(number) {
                return Err(number);
            }
            waits.block_on(runtime.sleep(Duration::from_micros(200)));
            sum += number;
        }
        Ok(sum)
    });
    match server.block_on(long) {
        Ok(sum) if sum == ROUNDS * (ROUNDS - 1) / 2 => {}
        other => return Err(alloc::format!("the long function ended with {other:?}")),
    }
    let counted = count.get();
    if counted < ROUNDS { Err(alloc::format!("the other task ran {counted} times only")) } else { Ok(()) }
}

/// Calls itself until the stack is used up.
#[allow(unconditional_recursion, reason = "the stack's end is what is to be found")]
fn endless(waits: &Waits, depth: u64) -> u64 {
    let local = black_box([depth; 64]);
    if black_box(depth) == u64::MAX {
        waits.pause();
    }
    endless(waits, depth + 1) + local[7]
}

/// The program ends here: below the stack nothing is mapped.
pub fn overflows(start: &Start) -> Outcome {
    let (server, stacks) = server(start)?;
    let depth = server.block_on(stacks.run(|waits| endless(waits, 0)));
    Err(alloc::format!("went {depth} deep on {STACK_PAGES} pages"))
}
