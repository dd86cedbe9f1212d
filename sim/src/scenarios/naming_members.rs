//! Members of naming for scenarios that are about something else.

use super::naming::Dress;
use crate::world::{Process, World};
use fos_messages::names::DirectoryKey;
use fos_messages::rpc::Address;
use fos_naming::member::Naming;
use fos_replicated_map::Member;
use fos_runtime::Priority;
use fos_runtime::port::Class;
use std::time::Duration;

const PAUSE: Duration = Duration::from_micros(100);

/// Starts `naming-0` and so on, each on a core of its own. The first makes `/` with this key, the others join those before
/// them, again and again until one takes them; then each is dressed, and a member until its process ends.
pub(super) fn start(
    world: &World,
    count: u32,
    first_core: u32,
    key: DirectoryKey,
    dress: Dress,
) -> Vec<Process> {
    let start = |number: u32| world.start(&format!("naming-{number}"), first_core + number);
    let processes: Vec<Process> = (0..count).map(start).collect();
    let internal: Vec<(Member, Address)> = processes
        .iter()
        .zip(1..)
        .map(|(process, number)| (Member::new(0, number), process.address(Class::Internal)))
        .collect();
    for (number, process) in processes.iter().enumerate() {
        let (runtime, me, sponsors) =
            (process.runtime.clone(), internal[number].0, internal[..number].to_vec());
        process.spawn(Priority::Normal, async move {
            let naming = loop {
                let begun = match sponsors.is_empty() {
                    true => Naming::first(runtime.clone(), me, key).await.ok(),
                    false => Naming::join(runtime.clone(), me, &sponsors).await.ok(),
                };
                match begun {
                    Some(naming) => break naming,
                    None => runtime.sleep(PAUSE).await,
                }
            };
            dress(&runtime, &naming);
            std::future::pending::<()>().await;
        });
    }
    processes
}
