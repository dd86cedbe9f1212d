//! The fleets that an image's `init` has founded, and their keys: for programs that the image lets know (`fleets`). By the key of
//! `/processes` a program becomes a process of that fleet.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::founder::{FOUNDER, FoundedFleet, FounderClient};
use fos_messages::rpc::Address;
use fos_runtime::Runtime;

use crate::Start;
use crate::clock::Clock;
pub use crate::member::PATIENCE;
use crate::memory::Memory;
use crate::root::Root;

/// How long the fleets may take to be founded, there.
const FOUNDED_WITHIN: Duration = Duration::from_secs(120);
/// How often is asked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where the founder is asked, whoever that is now.
pub fn founder(start: &Start, memory: &mut Memory) -> Result<Address, String> {
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let found = Root::of_program(start).and_then(|root| root.find(memory, FOUNDER, deadline));
    found.map_err(|error| {
        format!("nobody here founds fleets, or the image does not let this program know them (\"fleets\"): {error}")
    })
}

/// All fleets of the image, once they are founded.
pub async fn fleets(runtime: &Runtime, founder: Address) -> Result<Vec<FoundedFleet>, String> {
    let founder = FounderClient::new(runtime.within(PATIENCE), founder);
    let deadline = runtime.port().now().after(FOUNDED_WITHIN);
    let mut fleets: Vec<FoundedFleet> = Vec::new();
    loop {
        let progress = founder.fleets(fleets.len() as u32).await;
        let progress = progress.map_err(|error| format!("who founds the fleets does not answer: {error}"))?;
        let is_more = !progress.fleets.is_empty();
        fleets.extend(progress.fleets);
        if fleets.len() >= progress.planned as usize {
            return Ok(fleets);
        }
        if runtime.port().now() > deadline {
            let (founded, planned) = (fleets.len(), progress.planned);
            return Err(format!("{founded} of {planned} fleets are founded: the console says why"));
        }
        if !is_more {
            runtime.sleep(LOOK_EVERY).await;
        }
    }
}
