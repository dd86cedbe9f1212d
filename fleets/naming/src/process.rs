//! A member of naming, from entering its fleet to its end: asks its starter whom to join, is the first or joins the others, is looked
//! after where its image says so, and serves as long as it is one.

use crate::member::Naming;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use fos_messages::image::Policy;
use fos_messages::names::{Beginning, DirectoryKey, Entry, NamesStarterClient};
use fos_messages::programs::Order;
use fos_messages::rpc::{Address, CallError};
use fos_replicated_map::Member;
use fos_runtime::port::Class;
use fos_runtime::{Care, Names, Runtime, Within};

/// How long the starter and the other members may take, on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long before one that has no time yet is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);
/// How often a member looks whether the others have gone on without it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where a process that is to be a member finds itself.
pub struct Process {
    /// Its runtime.
    pub runtime: Runtime,
    /// Who started it.
    pub starter: NamesStarterClient<Within>,
    /// How it was started, and on which core.
    pub order: Order,
    /// How the image wants naming looked after.
    pub policy: Option<Policy>,
}

impl Process {
    /// Becomes a member; `serves` is told its number when it serves. Ends when it is none, or none any more, with the reason.
    pub async fn run(self, serves: impl FnOnce(u32)) -> String {
        match self.begin(serves).await {
            Ok(naming) => last(&self.runtime, &naming).await,
            Err(reason) => reason,
        }
    }

    async fn begin(&self, serves: impl FnOnce(u32)) -> Result<Naming, String> {
        let beginning = self.enter().await.map_err(|error| format!("it may not enter: {error}"))?;
        let me = Member::new(0, beginning.number);
        let naming = match beginning.sponsors.len() {
            0 => self.first(me, &beginning).await?,
            _ => self.join(me, &beginning).await?,
        };
        if self.policy.is_some() {
            self.be_looked_after(&naming, beginning.root_key).await?;
        }
        let external = self.runtime.port().address(Class::External);
        self.starter.serves(external).await.map_err(|error| error.to_string())?;
        serves(beginning.number);
        Ok(naming)
    }

    /// Registers the member as one of naming's, which the watchdog wants to see, and has it looked after.
    async fn be_looked_after(&self, naming: &Naming, root_key: DirectoryKey) -> Result<(), String> {
        let (runtime, order) = (self.runtime.clone(), self.order.clone());
        let address = runtime.port().address(Class::External);
        let entry = Entry { address, machine: 0, core: order.core, metadata: Vec::new() };
        let deadline = runtime.port().now().after(PATIENCE);
        while let Err(error) = naming.server.enlist(root_key, &entry).await {
            if runtime.port().now() > deadline {
                return Err(format!("it is not registered as a member of naming: {error:?}"));
            }
            runtime.sleep(AGAIN_AFTER).await;
        }
        // It asks itself.
        let names = Names::new(runtime.clone(), [address].into(), (0, order.core));
        let load = runtime.clone();
        let wait = move || {
            let load = load.load();
            u64::from(load.requests) * load.service_time.as_nanos() as u64
        };
        Care { runtime, names, order, policy: self.policy.clone() }.begin_with(wait);
        Ok(())
    }

    /// The starter hears a process only after root has told it of that process.
    async fn enter(&self) -> Result<Beginning, CallError> {
        let runtime = &self.runtime;
        let internal = runtime.port().address(Class::Internal);
        let deadline = runtime.port().now().after(PATIENCE);
        loop {
            match self.starter.enter(internal).await {
                Err(CallError::NotNow) if runtime.port().now() < deadline => runtime.sleep(AGAIN_AFTER).await,
                entered => return entered,
            }
        }
    }

    async fn first(&self, me: Member, beginning: &Beginning) -> Result<Naming, String> {
        let first = Naming::first(self.runtime.clone(), me, beginning.root_key).await;
        first.map_err(|error| format!("the first member does not begin: {error:?}"))
    }

    /// Joins, and waits until it may answer. A sponsor that is no member itself yet is asked again.
    async fn join(&self, me: Member, beginning: &Beginning) -> Result<Naming, String> {
        let runtime = &self.runtime;
        let sponsors: Vec<(Member, Address)> = beginning
            .sponsors
            .iter()
            .map(|peer| (Member::new(peer.machine, peer.number), peer.address))
            .collect();
        let deadline = runtime.port().now().after(PATIENCE);
        let naming = loop {
            match Naming::join(runtime.clone(), me, &sponsors).await {
                Ok(naming) => break naming,
                Err(error) if runtime.port().now() > deadline => {
                    return Err(format!("it may not join: {error}"));
                }
                Err(_) => runtime.sleep(AGAIN_AFTER).await,
            }
        };
        while naming.replication.read(0).is_err() {
            if naming.replication.has_stopped() {
                return Err("its sponsor brings in another one now".into());
            }
            if runtime.port().now() > deadline {
                return Err("the map was not copied in time".into());
            }
            runtime.sleep(AGAIN_AFTER).await;
        }
        Ok(naming)
    }
}

/// Serves until the others have gone on without it: then its process ends, so that no client waits for it.
async fn last(runtime: &Runtime, naming: &Naming) -> String {
    while !naming.replication.has_stopped() {
        runtime.sleep(LOOK_EVERY).await;
    }
    let why = if naming.replication.has_diverged() {
        "its map is not the other members'"
    } else {
        "the other members went on without it"
    };
    why.into()
}
