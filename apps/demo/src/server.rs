//! The server: an interface, a name, and the loop.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::names::{DirectoryKey, Entry, NamesStarterClient, Path, STARTER};
use fos_messages::rpc::{Context, Instead, Never};
use fos_runtime::Names;
use fos_runtime::port::{Class, Port};
use libfos::Start;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;

use crate::fleet::FLEET;
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

/// Serves as a member of the fleet: found at naming, with the directory's key from its arguments.
pub fn run_member(start: &Start) -> Result<(), String> {
    let key = directory_key(start).ok_or("a member is told the two words of its directory's key")?;
    let path = Path::new(FLEET).map_err(|error| error.to_string())?;
    let mut memory = Memory::of_program(start).map_err(|error| alloc::format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    server.runtime.serve(Class::External, AdderDispatcher::new(Rc::new(Sums)));
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let starter = Root::of_program(start)
        .and_then(|root| root.find(&mut memory, STARTER, deadline))
        .map_err(|error| error.to_string())?;
    let (runtime, core) = (server.runtime.clone(), start.core as u16);
    server.block_on(async move {
        let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
        let members = starter.members().await.map_err(|error| error.to_string())?;
        let names = Names::new(runtime.clone(), members, (0, core));
        let address = runtime.port().address(Class::External);
        let entry = Entry { address, machine: 0, core, metadata: Vec::new() };
        names.register(&path, key, &entry).await.map_err(|error| error.to_string())
    })?;
    server.run()
}

fn directory_key(start: &Start) -> Option<DirectoryKey> {
    let word = |place: usize| start.arguments.get(place)?.parse().ok();
    Some(DirectoryKey([word(2)?, word(3)?]))
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
