//! Naming of one member, and the fleet.

use alloc::rc::Rc;
use alloc::string::{String, ToString};

use fos_init::{Founder, wait_for_members};
use fos_messages::names::DirectoryKey;
use fos_messages::programs::{ProgramsClient, Started};
use fos_pages::charter::{MARKS, charter, found};
use fos_pages::member::PROGRAM;
use fos_runtime::{Names, Runtime, Within};

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
        wait_for_members(&founder.runtime, &names, &charter.name, MARKS.members_min, |_| true).await?;
        let Founder { runtime, root, .. } = founder;
        Ok(Fleet { runtime, root, names, first: founded.first, key: founded.key })
    }
}
