//! A member of the watchdog, as a program: finds naming by its starter, its fleet's key in its arguments, and the policies of
//! the image in its environment.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::time::Duration;

use fos_messages::image::Policy;
use fos_messages::names::{DirectoryKey, NamesStarterClient, STARTER};
use fos_messages::programs::Order;
use fos_runtime::Names;
use fos_runtime::fleet::Event as FleetEvent;
use fos_watchdog::book::Event;
use fos_watchdog::member::{self, Process};
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::{Root, programs};
use libfos::server::Server;
use libfos::{Start, println};

libfos::entry!(main);

/// How long root and the starter of naming may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main(start: &Start) -> u8 {
    match serve(start) {
        Ok(()) => 0,
        Err(reason) => {
            println!("watchdog: on core {}: {reason}", start.core);
            1
        }
    }
}

fn serve(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let starter = Root::of_program(start)
        .and_then(|root| root.find(&mut memory, STARTER, deadline))
        .map_err(|error| format!("the starter of naming is not found: {error}"))?;
    let root = programs(start).ok_or("the image does not let the watchdog start programs")?;
    let key = key(&start.arguments).ok_or("the two words of the fleet's key are missing")?;
    let core = start.core as u16;
    let mut words = start.arguments.iter().cloned();
    let order = Order { program: words.next().unwrap_or_default(), arguments: words.collect(), core };
    let policies = Policy::all(&start.environment);
    let cores = (0..start.cores as u16).collect();
    let runtime = server.runtime.clone();
    server.block_on(async move {
        let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
        let naming = starter.members().await.map_err(|error| error.to_string())?;
        let names = Names::new(runtime.clone(), naming, (0, core));
        names.follow(Some(starter));
        let (hear, tell) = (Rc::new(move |event| hear(core, event)), Rc::new(move |event| tell(core, event)));
        member::run(Process { runtime, names, root, order, cores, key, policies, hear, tell }).await
    })
}

fn key(arguments: &[String]) -> Option<DirectoryKey> {
    let word = |place: usize| arguments.get(place)?.parse().ok();
    Some(DirectoryKey([word(1)?, word(2)?]))
}

fn hear(core: u16, event: FleetEvent) {
    match event {
        FleetEvent::Began { epoch, members, coordinates: true } => {
            println!("watchdog: epoch {}: {members} members, coordinated from core {core}", epoch.0);
        }
        FleetEvent::Lost(identity) => {
            println!("watchdog: core {core} noticed that member {} has ended", identity.0);
        }
        _ => {}
    }
}

fn tell(core: u16, event: Event) {
    match event {
        Event::Silent(charge) => println!(
            "watchdog: member {} of {} on core {} is silent: core {core} has it ended",
            charge.identity().0,
            charge.fleet,
            charge.order.core
        ),
        Event::Fenced(charge) => println!(
            "watchdog: member {} of {} has been stopped and ended",
            charge.identity().0,
            charge.fleet
        ),
        Event::NotFenced(charge) => println!(
            "watchdog: root did not end member {} of {}: it is asked again",
            charge.identity().0,
            charge.fleet
        ),
        Event::Started(identity) => {
            println!("watchdog: a fleet of which nobody was left begins again with process {}", identity.0);
        }
        Event::Failing(fleet) => {
            println!("watchdog: members of {fleet} end again and again: it is given no more for a while");
        }
        Event::Poisoned(fleet) => {
            println!("watchdog: a request at which two members of {fleet} ended was refused");
        }
    }
}
