//! What is found out of a core by running on it: where it is, and what messages from it to the members of `knowledge` take, by the kernel
//! and, once libfos has opened one, over a channel. What is measured is a call, halved: it has what the member does for it in it, which
//! is some hundred nanoseconds and the same everywhere.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use fos_messages::knowledge::{Fact, KnowledgeClient, NAME, Place, Way};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::rpc::{Address, CallError, Never};
use fos_runtime::{Names, Runtime};

/// Calls that still go by the kernel, and of which the shortest counts.
const BY_KERNEL: usize = 16;
/// Calls after which there is a channel, and of which the shortest counts again.
const UNTIL_CHANNEL: usize = 256;
const OVER_CHANNEL: usize = 64;
/// How long a call may take, and a member's start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What CPUID said of the core.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The core.
    pub at: Place,
    /// Its package.
    pub package: u16,
    /// Its physical core there.
    pub physical: u16,
    /// The image keeps it.
    pub is_reserved: bool,
}

/// Tells the fleet of this core.
pub async fn run(runtime: &Runtime, names: &Rc<Names>, key: DirectoryKey, seen: Seen) -> Result<(), String> {
    let path = Path::new(NAME).map_err(|error| error.to_string())?;
    let fleet = KnowledgeClient::new(names.at(path.clone(), PATIENCE), Address::default());
    let Seen { at, package, physical, is_reserved } = seen;
    // Without SRAT each package is a node of its own, as far as anybody knows.
    let mut facts = Vec::from([Fact::Core { at, package, physical, node: package, is_reserved }]);
    for entry in names.members(&path).await.map_err(|error| error.to_string())? {
        let to = Place { machine: entry.machine, core: entry.core };
        let member = KnowledgeClient::new(runtime.within(PATIENCE), entry.address);
        let kernel = shortest(runtime, &member, to, BY_KERNEL).await;
        let _ = shortest(runtime, &member, to, UNTIL_CHANNEL).await;
        let channel = shortest(runtime, &member, to, OVER_CHANNEL).await;
        let cost = |way, took: u32| Fact::Cost { from: at, to, way, nanoseconds: took };
        facts.extend(kernel.ok().map(|took| cost(Way::Kernel, took)));
        facts.extend(channel.ok().filter(|_| at != to).map(|took| cost(Way::Channel, took)));
    }
    fleet.tell(key, facts).await.map_err(|error| error.to_string())
}

/// Half of what the shortest of some calls took, in nanoseconds.
async fn shortest(
    runtime: &Runtime,
    member: &KnowledgeClient<fos_runtime::Within>,
    to: Place,
    calls: usize,
) -> Result<u32, CallError<Never>> {
    let mut shortest = u32::MAX;
    for _ in 0..calls {
        let began = runtime.port().now();
        member.route(to, to).await?;
        let took = runtime.port().now().since(began).as_nanos() / 2;
        shortest = shortest.min(u32::try_from(took).unwrap_or(u32::MAX));
    }
    Ok(shortest)
}
