//! `init`: founds the fleets that its image has as `[[fleet]]`, naming first, then the others in the image's order, and goes on as
//! the starter of naming, which replaces members of naming that have ended. To programs that the image lets know it tells the fleets'
//! keys (`fos_messages::founder`). A fleet that can't be founded is named on the console, and those after it are founded all the same.
//!
//! When it ends, root starts another, which goes on from what this one has left ([`fos_init::legacy`]).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod book;
mod heirs;
mod probes;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};

use fos_init::legacy::{self, Legacy};
use fos_init::{Founder, PATIENCE, wait_for_members};
use fos_messages::founder::{FOUNDER, FounderDispatcher};
use fos_messages::image::Policy;
use fos_messages::knowledge;
use fos_messages::names::{DirectoryKey, NAMING};
use fos_naming::nursery::Event;
use fos_naming::starter::Starter;
use fos_runtime::Names;
use fos_runtime::fleet::make_names;
use fos_runtime::port::{Class, Port};
use libfos::clock::Clock;
use libfos::member::status;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

use crate::book::Book;
use crate::heirs::Heirs;

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    status(start, serve(start))
}

fn serve(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("its own memory: {error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let heirs = Heirs::of(start)?;
    let legacy = Legacy::read(&start.kept);
    let root_key = legacy.root_key.unwrap_or_else(|| new_key(&server));
    heirs.leave(legacy::root_key(root_key))?;
    let starter = Starter::after(root_key, legacy.entered, &legacy.members, move |memo| {
        if let Err(reason) = heirs.leave(legacy::memo(memo)) {
            println!("init: {reason}");
        }
    });
    starter.hear(&server.runtime);
    let founder = Founder::with(start, &server, starter, root_key)?;
    let policies = Policy::all(&start.environment);
    let book = Book::new(policies.len() as u32);
    // The key of this mailbox is told by root, to whom the image lets know, and by nobody else: that of the other one is told to
    // whoever looks for naming.
    server.runtime.serve(Class::Internal, FounderDispatcher::new(book.clone()));
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    Root::of_program(start)
        .and_then(|root| root.register(FOUNDER, server.port.address(Class::Internal).key, deadline))
        .map_err(|error| format!("root does not take the founder's name: {error}"))?;
    server.block_on(async move {
        let naming = policies.iter().find(|policy| policy.name == NAMING);
        let naming = naming.ok_or("the image has no [[fleet]] named \"/naming\"")?;
        let names = found_naming(&founder, naming).await?;
        book.enter(naming.path(), founder.root_key);
        for (place, policy) in policies.iter().enumerate().filter(|(_, policy)| policy.name != NAMING) {
            match found(&founder, &names, (place, policy), &legacy, &heirs).await {
                Ok(key) => book.enter(policy.path(), key),
                Err(reason) => println!("init: {} is not founded: {reason}", policy.name),
            }
        }
        core::future::pending().await
    })
}

fn new_key(server: &Server) -> DirectoryKey {
    DirectoryKey([server.port.random(), server.port.random()])
}

/// Naming with a member on each of as many cores as it has members, from its policy's on; or the one that is there.
async fn found_naming(founder: &Founder, policy: &Policy) -> Result<Rc<Names>, String> {
    let cores = founder.cores.len().max(1) as u32;
    let on = |member: u32| ((u32::from(policy.core) + member) % cores) as u16;
    let on: alloc::vec::Vec<u16> = (0..policy.members_min).map(on).collect();
    let names = founder.kept_naming(&on, tell).await?;
    println!("init: {} has {} members", policy.name, founder.starter.members().len());
    Ok(names)
}

/// A fleet that has as many members as it wants. One that another `init` had founded has its coordinator and the watchdog; one that
/// it had begun to found is begun with again, under the same key.
async fn found(
    founder: &Founder,
    names: &Rc<Names>,
    (place, policy): (usize, &Policy),
    legacy: &Legacy,
    heirs: &Heirs,
) -> Result<DirectoryKey, String> {
    let name = policy.path();
    let key = match legacy.fleet(&name) {
        Some((key, true)) => return Ok(key),
        Some((key, false)) => key,
        None => founder.new_key(),
    };
    heirs.leave(legacy::fleet(place, &name, key, false))?;
    let make = async |above| {
        make_names(names, &name, key, above).await?;
        names.set_policy(&name, key, policy.lookup.policy()).await
    };
    founder.made(&name, make).await?;
    // Of two that are begun at once one founds the fleet, and the other joins it.
    founder.first_member(key, &policy.program, policy.core).await?;
    let wanted = policy.members_min as usize;
    wait_for_members(&founder.runtime, names, &name, wanted, |_| true).await?;
    println!("init: {name} has {wanted} members");
    if policy.name == knowledge::NAME {
        probes::run(founder, &policy.program, key).await;
    }
    heirs.leave(legacy::fleet(place, &name, key, true))?;
    Ok(key)
}

fn tell(event: Event) {
    match event {
        Event::Ended(identity) => println!("init: member {} of naming has ended", identity.0),
        Event::Replaced(identity) => println!("init: process {} serves naming in its place", identity.0),
        Event::NotReplaced => println!("init: none has come in its place yet"),
    }
}
