//! What a run stands on: naming, whoever else is started, and the directories of honest and bad.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, Path, STARTER};
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::rpc::Address;
use fos_naming::starter::Starter;
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Within};
use libfos::Start;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::{Root, programs};
use libfos::server::Server;

use crate::{Outcome, line};

/// Names at root.
pub const TILL: &str = "till";
/// See [`TILL`].
pub const THE_LIAR: &str = "liar";
/// The name of the frail fleet.
pub const FRAIL: &str = "/frail";
/// How long anything may take on a slow emulator with a busy host.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often one looks who waits.
pub const LOOK_EVERY: Duration = Duration::from_millis(2);
/// The program of the image that all others are.
const PROGRAM: &str = "peers-process";
/// Cores of the members of naming.
const NAMING_CORES: [u16; 2] = [2, 3];

/// A name from its text.
pub fn path(text: &str) -> Result<Path, String> {
    Path::new(text).map_err(line)
}

/// Naming is there, and this process may start others.
pub struct Scene<'a> {
    start: &'a Start,
    memory: Memory,
    /// This process.
    pub server: Server,
    /// The way to root.
    pub root: ProgramsClient<Within>,
    /// Members of naming.
    pub naming: Vec<Address>,
    /// The way to naming.
    pub names: Rc<Names>,
    root_key: DirectoryKey,
}

impl Scene<'_> {
    /// Starts naming.
    pub fn begin(start: &Start) -> Result<Scene<'_>, String> {
        let mut memory = Memory::of_program(start).map_err(line)?;
        let server = Server::create(&mut memory, start).map_err(line)?;
        let root = programs(start).ok_or("the image does not let it start programs")?;
        let root = ProgramsClient::new(server.runtime.within(PATIENCE), root);
        let (starter, root_key) = Starter::serve(&server.runtime);
        let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
        Root::of_program(start)
            .and_then(|root| root.register(STARTER, server.port.address(Class::External).key, deadline))
            .map_err(line)?;
        let (asked, runtime) = (root.clone(), server.runtime.clone());
        let naming = server.block_on(async move {
            for (count, core) in (1..).zip(NAMING_CORES) {
                let order = Order { program: "naming".into(), arguments: Vec::new(), core };
                let started = asked.start(&order).await.map_err(line)?;
                starter.expect(Identity(started.identity));
                let deadline = runtime.port().now().after(PATIENCE);
                while starter.serving().len() < count {
                    if runtime.port().now() > deadline {
                        return Err(format!("naming does not begin on core {core}"));
                    }
                    runtime.sleep(LOOK_EVERY).await;
                }
            }
            Ok(starter.serving())
        })?;
        let names = Names::new(server.runtime.clone(), naming.clone(), (0, start.core as u16));
        Ok(Scene { start, memory, server, root, naming, names, root_key })
    }

    /// Makes a directory with a key of its own.
    pub fn directory(&self, name: &str) -> Result<(Path, DirectoryKey), String> {
        let key = DirectoryKey([self.server.port.random(), self.server.port.random()]);
        let (names, path, root_key) = (self.names.clone(), path(name)?, self.root_key);
        let made = path.clone();
        self.server.block_on(async move { names.make(&made, root_key, key, true).await }).map_err(line)?;
        Ok((path, key))
    }

    /// Starts one of this program's own processes.
    pub fn process(&self, core: u16, words: &[&str]) -> Result<Started, String> {
        let arguments = words.iter().map(ToString::to_string).collect();
        let order = Order { program: PROGRAM.into(), arguments, core };
        let root = self.root.clone();
        self.server.block_on(async move { root.start(&order).await }).map_err(line)
    }

    /// Waits until a process has registered at root: its address.
    pub fn find(&mut self, name: &str) -> Result<Address, String> {
        let deadline = Clock::new(self.start.tsc_hz).after(PATIENCE);
        let root = Root::of_program(self.start).map_err(line)?;
        root.find(&mut self.memory, name, deadline).map_err(line)
    }

    /// Waits until this is so.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) -> Outcome {
        let runtime = self.server.runtime.clone();
        let deadline = runtime.port().now().after(PATIENCE);
        while !is_so() {
            if runtime.port().now() > deadline {
                return Err(format!("waited in vain for {what}"));
            }
            let sleep = runtime.sleep(LOOK_EVERY);
            self.server.block_on(sleep);
        }
        Ok(())
    }
}
