//! The programs that the client has started: one server by itself, and the processes of the fleet.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::fmt::Arguments;

use fos_demo::charter::{FLEET, MARKS};
use fos_demo::process::{self, Process};
use fos_demo::protocol::{Adder, AdderDispatcher, Hanging, HangingDispatcher};
use fos_messages::rpc::{Context, Instead, Never};
use fos_runtime::fleet::Marks;
use fos_runtime::port::{Class, Port};
use libfos::clock::Clock;
use libfos::member::{Begun, PATIENCE};
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

/// The name under which the server can be found.
pub const NAME: &str = "demo";

/// Serves until somebody ends it.
pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("its own memory: {error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    server.runtime.serve(Class::External, AdderDispatcher::new(Rc::new(Sums)));
    let key = server.port.address(Class::External).key;
    let root = Root::of_program(start).map_err(|error| error.to_string())?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    root.register(NAME, key, deadline).map_err(|error| error.to_string())?;
    server.run()
}

/// Plays its part in the demo fleet until that is over.
pub async fn process(begun: Begun) -> Result<(), String> {
    let (root, policy) = (begun.programs()?, begun.policy(FLEET));
    let Begun { runtime, names, core, cores, arguments, .. } = begun;
    if policy.is_some() {
        runtime.serve(Class::External, HangingDispatcher::new(Rc::new(Hangs)));
    }
    let (marks, hear) = (policy.as_ref().map_or(MARKS, Marks::from), Rc::new(|_| ()));
    process::run(Process { runtime, names, root, core, cores, arguments, policy, marks, say, hear }).await
}

/// Says something about the fleet.
pub fn say(words: Arguments<'_>) {
    println!("fleet: {words}");
}

struct Sums;

/// Hangs when it is told to.
struct Hangs;

impl Hanging for Hangs {
    fn hang(&self, _: Context) {
        loop {
            core::hint::spin_loop();
        }
    }
}

impl Adder for Sums {
    fn add(&self, _: Context, one: u64, other: u64) -> Result<u64, Instead<Never>> {
        Ok(one.wrapping_add(other))
    }
    async fn hang(&self, _: Context) -> Result<(), Instead<Never>> {
        core::future::pending().await
    }
}
