//! A member of the naming fleet, as a program: finds its starter at root, and is a member as long as it can.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};
use alloc::{format, vec};

use fos_messages::image::Policy;
use fos_messages::names::{NAMING, NamesStarterClient, STARTER};
use fos_messages::programs::Order;
use fos_naming::process::{PATIENCE, Process};
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

libfos::entry!(main, heap = fos_naming::limits::HEAP_BYTES);

/// What the image calls the program.
const PROGRAM: &str = "naming";

fn main(start: &Start) -> u8 {
    let Err(reason) = serve(start);
    println!("naming: on core {}: {reason}", start.core);
    1
}

/// Serves as long as the member is one.
fn serve(start: &Start) -> Result<core::convert::Infallible, String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let starter = Root::of_program(start)
        .and_then(|root| root.find(&mut memory, STARTER, deadline))
        .map_err(|error| format!("the starter is not found: {error}"))?;
    let core = start.core;
    let runtime = server.runtime.clone();
    let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
    let policy = Policy::all(&start.environment).into_iter().find(|policy| policy.name == NAMING);
    let order = Order { program: PROGRAM.into(), arguments: vec![], core: core as u16 };
    let process = Process { runtime, starter, order, policy };
    let serves = move |number| println!("naming: member {number} serves on core {core}");
    Err(server.block_on(async move { process.run(serves).await }))
}
