//! Naming of one member, and the fleet.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};

use fos_init::{Founder, PATIENCE, wait_for_members};
use fos_knowledge::charter::{MARKS, ROLE_PROBE, charter, found};
use fos_knowledge::member::PROGRAM;
use fos_messages::arbiter::ArbiterClient;
use fos_messages::knowledge::{KnowledgeClient, NAME};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::rpc::Address;
use fos_runtime::{Named, Names, Runtime, Within, fleet};

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

impl Fleet {
    /// Starts naming and the first member, and waits for a second.
    pub async fn start(founder: Founder) -> Result<Fleet, String> {
        let names = founder.naming(&[NAMING_CORE]).await?;
        let charter = charter(founder.new_key(), MARKS).map_err(|error| error.to_string())?;
        let founded = founder.found(&names, &charter, found, (PROGRAM, FIRST_CORE)).await?;
        let Founder { runtime, root, .. } = founder;
        let fleet = Fleet { runtime, root, names, first: founded.first, key: founded.key };
        fleet.wait_for_members(MARKS.members_min, |_| true).await?;
        Ok(fleet)
    }

    /// Waits until so many members serve that are as they should be.
    pub async fn wait_for_members(&self, count: usize, is_one: impl Fn(u64) -> bool) -> Result<(), String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        wait_for_members(&self.runtime, &self.names, &path, count, is_one).await
    }

    /// Has each core found out about, one after the other.
    pub async fn probe(&self, cores: u16) -> Result<(), String> {
        for core in 0..cores {
            let arguments = fleet::arguments(ROLE_PROBE, self.key);
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
