//! The server: an interface, a name, and the loop.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::time::Duration;

use fos_messages::rpc::{Context, Instead, Never};
use fos_runtime::port::{Class, Port};
use libfos::Start;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;

use crate::protocol::{Adder, AdderDispatcher};

/// The name under which the server can be found.
pub const NAME: &str = "demo";
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until somebody ends it.
pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| alloc::format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    server.runtime.serve(Class::External, AdderDispatcher::new(Rc::new(Sums)));
    let key = server.port.address(Class::External).key;
    let root = Root::of_program(start).map_err(|error| error.to_string())?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    root.register(NAME, key, deadline).map_err(|error| error.to_string())?;
    server.run()
}

struct Sums;

impl Adder for Sums {
    fn add(&self, _: Context, one: u64, other: u64) -> Result<u64, Instead<Never>> {
        Ok(one.wrapping_add(other))
    }
    async fn hang(&self, _: Context) -> Result<(), Instead<Never>> {
        core::future::pending().await
    }
}
