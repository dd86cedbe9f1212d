//! Who serves in a fleet, as naming has it, and waiting until enough do.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_abi::Identity;
use fos_messages::names::Path;
use fos_messages::rpc::Address;
use fos_runtime::{Names, Runtime};

use crate::fleet::{LOOK_EVERY, PATIENCE};

/// A name that the program knows.
pub(crate) fn path(name: &str) -> Result<Path, String> {
    Path::new(name).map_err(|error| error.to_string())
}

/// The members of a fleet.
pub(crate) async fn members(names: &Names, fleet: &Path) -> Result<Vec<Address>, String> {
    let members = names.members(fleet).await.map_err(|error| error.to_string())?;
    Ok(members.iter().map(|entry| entry.address).collect())
}

/// Waits until so many members serve, and not the one that was ended: its name is repaired.
pub(crate) async fn await_members(
    runtime: &Runtime,
    names: &Names,
    fleet: &Path,
    count: usize,
    ended: Option<Identity>,
) -> Result<(), String> {
    let deadline = runtime.port().now().after(PATIENCE);
    loop {
        let members = members(names, fleet).await.unwrap_or_default();
        let is_gone = members.iter().all(|member| Some(member.identity) != ended);
        if is_gone && members.len() >= count {
            return Ok(());
        }
        if runtime.port().now() > deadline {
            return Err(format!("{fleet} has {} members instead of {count}: {members:?}", members.len()));
        }
        runtime.sleep(LOOK_EVERY).await;
    }
}
