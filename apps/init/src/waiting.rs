//! Waits of whoever founds fleets: each looks again and again, and has an end.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use fos_messages::names::Path;
use fos_runtime::{Names, Runtime};

pub use libfos::member::PATIENCE;

/// How often is looked whether it has come about.
pub const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until it is so; `what` is waited for.
pub async fn wait_until(runtime: &Runtime, what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
    let deadline = runtime.port().now().after(PATIENCE);
    while !is_so() {
        if runtime.port().now() > deadline {
            return Err(format!("waited in vain for {what}"));
        }
        runtime.sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Waits until a fleet has so many members that are as they should be, by their processes.
pub async fn wait_for_members(
    runtime: &Runtime,
    names: &Names,
    fleet: &Path,
    count: usize,
    is_one: impl Fn(u64) -> bool,
) -> Result<(), String> {
    let deadline = runtime.port().now().after(PATIENCE);
    loop {
        let members = names.members(fleet).await;
        let members = members.map_err(|error| error.to_string());
        let found = members
            .as_ref()
            .map_or(0, |members| members.iter().filter(|member| is_one(member.address.identity.0)).count());
        if found >= count {
            return Ok(());
        }
        if runtime.port().now() > deadline {
            let why = members.err().unwrap_or_else(|| format!("there are {found}"));
            return Err(format!("waited in vain for {count} members of {fleet}: {why}"));
        }
        runtime.sleep(LOOK_EVERY).await;
    }
}
