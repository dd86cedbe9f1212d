//! Naming of one member, and the fleet.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Identity;
use fos_knowledge::charter::{MARKS, ROLE_PROBE, arguments, arguments_of, charter, found};
use fos_knowledge::member::PROGRAM;
use fos_messages::arbiter::ArbiterClient;
use fos_messages::knowledge::{KnowledgeClient, NAME};
use fos_messages::names::{DirectoryKey, Path, STARTER};
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::rpc::Address;
use fos_naming::starter::Starter;
use fos_runtime::port::{Class, Port};
use fos_runtime::{Named, Names, Runtime, Within};
use libfos::Start;
use libfos::clock::Clock;
use libfos::root::Root;
use libfos::server::Server;

/// How long anything may take on a busy host.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Cores of naming and of the first member.
const NAMING_CORE: u16 = 2;
const FIRST_CORE: u16 = 3;

/// The fleet, and who started it.
pub struct Fleet {
    pub runtime: Runtime,
    pub root: ProgramsClient<Within>,
    pub names: Rc<Names>,
    pub first: Started,
    pub key: DirectoryKey,
}

/// Who introduces members of naming, under the name by which they find it.
pub fn starter(start: &Start, server: &Server) -> Result<(Rc<Starter>, DirectoryKey), String> {
    let (starter, key) = Starter::serve(&server.runtime);
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let registered = Root::of_program(start)
        .and_then(|root| root.register(STARTER, server.port.address(Class::External).key, deadline));
    registered.map_err(|error| error.to_string())?;
    Ok((starter, key))
}

impl Fleet {
    /// Starts naming and the first member, and waits for a second.
    pub async fn start(
        runtime: Runtime,
        root: ProgramsClient<Within>,
        (starter, root_key): (Rc<Starter>, DirectoryKey),
        core: u16,
    ) -> Result<Fleet, String> {
        let order = Order { program: "naming".into(), arguments: Vec::new(), core: NAMING_CORE };
        let naming = root.start(&order).await.map_err(|error| format!("naming does not start: {error}"))?;
        starter.expect(Identity(naming.identity));
        let deadline = runtime.port().now().after(PATIENCE);
        while starter.serving().is_empty() {
            if runtime.port().now() > deadline {
                return Err("waited in vain for naming".into());
            }
            runtime.sleep(LOOK_EVERY).await;
        }
        let names = Names::new(runtime.clone(), starter.serving(), (0, core));
        let port = runtime.port();
        let key = DirectoryKey([port.random(), port.random()]);
        let charter = charter(key, MARKS).map_err(|error| error.to_string())?;
        while let Err(error) = found(&names, &charter, root_key).await {
            if runtime.port().now() > deadline {
                return Err(format!("the fleet's names are not made: {error}"));
            }
            runtime.sleep(LOOK_EVERY).await;
        }
        let order = Order { program: PROGRAM.into(), arguments: arguments(key), core: FIRST_CORE };
        let first = root.start(&order).await.map_err(|error| format!("no member starts: {error}"))?;
        let fleet = Fleet { runtime, root, names, first, key };
        fleet.wait_for_members(MARKS.members_min, |_| true).await?;
        Ok(fleet)
    }

    /// Waits until so many members serve that are as they should be.
    pub async fn wait_for_members(&self, count: usize, is_one: impl Fn(u64) -> bool) -> Result<(), String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        let deadline = self.runtime.port().now().after(PATIENCE);
        loop {
            let members = self.names.members(&path).await.unwrap_or_default();
            if members.iter().filter(|member| is_one(member.address.identity.0)).count() >= count {
                return Ok(());
            }
            if self.runtime.port().now() > deadline {
                return Err(format!("waited in vain for {count} members: there are {}", members.len()));
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    /// Has each core found out about, one after the other.
    pub async fn probe(&self, cores: u16) -> Result<(), String> {
        for core in 0..cores {
            let arguments = arguments_of(ROLE_PROBE, self.key);
            let probe = self.root.start(&Order { program: PROGRAM.into(), arguments, core }).await;
            let probe = probe.map_err(|error| format!("no probe starts on core {core}: {error}"))?;
            match self.root.end(probe.number).await {
                Ok(0) => {}
                ended => return Err(format!("the probe of core {core} ended with {ended:?}")),
            }
        }
        Ok(())
    }

    pub fn knowledge(&self) -> Result<KnowledgeClient<Named>, String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        Ok(KnowledgeClient::new(self.names.at(path, PATIENCE), Address::default()))
    }

    pub fn arbiter(&self) -> Result<ArbiterClient<Named>, String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        Ok(ArbiterClient::new(self.names.at(path, PATIENCE), Address::default()))
    }
}
