//! The servers as programs: the one that is attacked, one that lies, and members of a fleet that a request ends.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::names::{DirectoryKey, Entry, NamesStarterClient, STARTER};
use fos_messages::rpc::{Context, Instead, Never, interface};
use fos_peers::liar::Liar;
use fos_peers::till::{Honest, TillDispatcher};
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Runtime};
use libfos::Start;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;

use crate::scene::{FRAIL, PATIENCE, THE_LIAR, TILL, path};
use crate::{Outcome, line};

/// Serves until somebody ends it.
pub fn till(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    serve(start, &server, TILL)
}

/// The same, but its answers are lies.
pub fn liar(start: &Start, seed: &str) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let honest = Server::create(&mut memory, start).map_err(line)?;
    let liar = Liar::new(honest.port.clone(), seed.parse().map_err(line)?);
    serve(start, &Server { runtime: Runtime::new(Rc::new(liar)), port: honest.port }, THE_LIAR)
}

fn serve(start: &Start, server: &Server, name: &str) -> Outcome {
    let honest = Honest::new(server.runtime.clone());
    server.runtime.serve(Class::External, TillDispatcher::new(honest));
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let root = Root::of_program(start).map_err(line)?;
    root.register(name, server.port.address(Class::External).key, deadline).map_err(line)?;
    server.run()
}

/// What members of the frail fleet are asked.
#[interface(id = 0x7f22, version = 1)]
pub trait Frail {
    /// The same number.
    #[operation(idempotent)]
    fn mirror(&self, number: u64) -> u64;

    /// Panics, which ends the member.
    #[operation(idempotent)]
    fn panic(&self);

    /// Never answers.
    #[operation(idempotent)]
    async fn hang(&self);

    /// How many poisonous requests this member was told of.
    #[operation(idempotent)]
    fn reports(&self) -> u64;
}

struct Member(Runtime);

impl Frail for Member {
    fn mirror(&self, _: Context, number: u64) -> Result<u64, Instead<Never>> {
        Ok(number)
    }
    fn panic(&self, _: Context) -> Result<(), Instead<Never>> {
        panic!("somebody asked for it")
    }
    async fn hang(&self, _: Context) -> Result<(), Instead<Never>> {
        core::future::pending().await
    }
    fn reports(&self, _: Context) -> Result<u64, Instead<Never>> {
        Ok(self.0.lost().poisonous)
    }
}

/// A member of the frail fleet: registers itself with the key of the fleet's directory, and serves until it ends.
pub fn frail(start: &Start, key: &[&str]) -> Outcome {
    let [one, other] = key else {
        return Err("a member is told the two words of its directory's key".into());
    };
    let key = DirectoryKey([one.parse().map_err(line)?, other.parse().map_err(line)?]);
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    server.runtime.serve(Class::External, FrailDispatcher::new(Rc::new(Member(server.runtime.clone()))));
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let root = Root::of_program(start).map_err(line)?;
    let starter = root.find(&mut memory, STARTER, deadline).map_err(line)?;
    let (runtime, core, path) = (server.runtime.clone(), start.core as u16, path(FRAIL)?);
    server.block_on(async move {
        let members =
            NamesStarterClient::new(runtime.within(PATIENCE), starter).members().await.map_err(line)?;
        let names = Names::new(runtime.clone(), members, (0, core));
        let address = runtime.port().address(Class::External);
        let entry = Entry { address, machine: 0, core, metadata: Vec::new() };
        let deadline = runtime.port().now().after(PATIENCE);
        loop {
            match names.register(&path, key, &entry).await {
                Ok(()) => return Ok(()),
                Err(error) if runtime.port().now() > deadline => return Err(line(error)),
                Err(_) => runtime.sleep(Duration::from_millis(5)).await,
            }
        }
    })?;
    server.run()
}
