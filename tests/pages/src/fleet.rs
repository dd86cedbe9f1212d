//! Naming of one member, and the fleet.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, Path, STARTER};
use fos_messages::pages::NAME;
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_naming::starter::Starter;
use fos_pages::charter::{MARKS, arguments, charter, found};
use fos_pages::member::PROGRAM;
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Runtime, Within};
use libfos::Start;
use libfos::clock::Clock;
use libfos::root::Root;
use libfos::server::Server;

use crate::show::{LOOK_EVERY, wait_until};
use crate::user::PATIENCE;

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
        wait_until(&runtime, "naming", || !starter.serving().is_empty()).await?;
        let names = Names::new(runtime.clone(), starter.serving(), (0, core));
        let port = runtime.port();
        let key = DirectoryKey([port.random(), port.random()]);
        let charter = charter(key, MARKS).map_err(|error| error.to_string())?;
        while found(&names, &charter, root_key).await.is_err() {
            runtime.sleep(LOOK_EVERY).await;
        }
        let order = Order { program: PROGRAM.into(), arguments: arguments(key), core: FIRST_CORE };
        let first = root.start(&order).await.map_err(|error| format!("no member starts: {error}"))?;
        let fleet = Fleet { runtime, root, names, first, key };
        fleet.wait_for_members(MARKS.members_min, |_| true).await?;
        Ok(fleet)
    }

    /// Waits until so many members serve that are as they should be.
    pub async fn wait_for_members(&self, count: usize, is_one: fn(u64) -> bool) -> Result<(), String> {
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
}
