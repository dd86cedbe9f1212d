//! A member of the naming fleet, as a program: finds its starter at root, is the first or joins the others, and serves.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::image::Policy;
use fos_messages::names::{Beginning, DirectoryKey, Entry, NAMING, NamesStarterClient, STARTER};
use fos_messages::programs::Order;
use fos_messages::rpc::{Address, CallError};
use fos_naming::member::Naming;
use fos_replicated_map::Member;
use fos_runtime::port::Class;
use fos_runtime::{Care, Names, Runtime, Within};
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

libfos::entry!(main, heap = fos_naming::limits::HEAP_BYTES);

/// What the image calls the program.
const PROGRAM: &str = "naming";
/// How long the starter and the other members may take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before one that has no time yet is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);
/// How often a member looks whether the others have gone on without it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn main(start: &Start) -> u8 {
    let Err(reason) = serve(start);
    println!("naming: on core {}: {reason}", start.core);
    1
}

/// Serves as long as the member is one.
fn serve(start: &Start) -> Result<core::convert::Infallible, String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let starter = Root::of_program(start)
        .and_then(|root| root.find(&mut memory, STARTER, deadline))
        .map_err(|error| format!("the starter is not found: {error}"))?;
    let runtime = server.runtime.clone();
    let policy = Policy::all(&start.environment).into_iter().find(|policy| policy.name == NAMING);
    let order = Order { program: PROGRAM.into(), arguments: Vec::new(), core: start.core as u16 };
    let reason = server.block_on(async move {
        let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
        match begin(&runtime, &starter, order, policy).await {
            Ok(naming) => last(&runtime, &naming).await,
            Err(reason) => reason,
        }
    });
    Err(reason)
}

async fn begin(
    runtime: &Runtime,
    starter: &NamesStarterClient<Within>,
    order: Order,
    policy: Option<Policy>,
) -> Result<Naming, String> {
    let core = order.core;
    let beginning = enter(runtime, starter).await.map_err(|error| format!("it may not enter: {error}"))?;
    let me = Member::new(0, beginning.number);
    let naming = match beginning.sponsors.len() {
        0 => first(runtime, me, &beginning).await?,
        _ => join(runtime, me, &beginning).await?,
    };
    if policy.is_some() {
        be_looked_after(runtime, &naming, beginning.root_key, order, policy).await?;
    }
    starter.serves(runtime.port().address(Class::External)).await.map_err(|error| error.to_string())?;
    println!("naming: member {} serves on core {core}", beginning.number);
    Ok(naming)
}

/// Registers the member as one of naming's, which the watchdog wants to see, and has it looked after.
async fn be_looked_after(
    runtime: &Runtime,
    naming: &Naming,
    root_key: DirectoryKey,
    order: Order,
    policy: Option<Policy>,
) -> Result<(), String> {
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
    Care { runtime: runtime.clone(), names, order, policy }.begin_with(wait);
    Ok(())
}

/// The starter hears a process only after root has told it of that process.
async fn enter(runtime: &Runtime, starter: &NamesStarterClient<Within>) -> Result<Beginning, CallError> {
    let internal = runtime.port().address(Class::Internal);
    let deadline = runtime.port().now().after(PATIENCE);
    loop {
        match starter.enter(internal).await {
            Err(CallError::NotNow) if runtime.port().now() < deadline => runtime.sleep(AGAIN_AFTER).await,
            entered => return entered,
        }
    }
}

async fn first(runtime: &Runtime, me: Member, beginning: &Beginning) -> Result<Naming, String> {
    let first = Naming::first(runtime.clone(), me, beginning.root_key).await;
    first.map_err(|error| format!("the first member does not begin: {error:?}"))
}

/// Joins, and waits until it may answer. A sponsor that is no member itself yet is asked again.
async fn join(runtime: &Runtime, me: Member, beginning: &Beginning) -> Result<Naming, String> {
    let sponsors: Vec<(Member, Address)> = beginning
        .sponsors
        .iter()
        .map(|peer| (Member::new(peer.machine, peer.number), peer.address))
        .collect();
    let deadline = runtime.port().now().after(PATIENCE);
    let naming = loop {
        match Naming::join(runtime.clone(), me, &sponsors).await {
            Ok(naming) => break naming,
            Err(error) if runtime.port().now() > deadline => return Err(format!("it may not join: {error}")),
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
