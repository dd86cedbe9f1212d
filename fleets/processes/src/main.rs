//! A member of `processes`, as a program: finds naming and root, and serves until the fleet needs it no more.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::time::Duration;

use fos_messages::names::{NamesStarterClient, STARTER};
use fos_messages::programs::{Order, ProgramsClient};
use fos_processes::charter::{MARKS, PROGRAM, arguments, charter, key};
use fos_processes::limits::{HEAP_BYTES, Limits};
use fos_processes::member::ProcessesMember;
use fos_processes::starter::ByTickets;
use fos_runtime::Names;
use fos_runtime::fleet::{ByPrograms, Event, Member};
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::{Root, programs, tickets};
use libfos::server::Server;
use libfos::{Start, println};

libfos::entry!(main, heap = HEAP_BYTES);

/// How long root, the starter of naming, or the start of a program may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main(start: &Start) -> u8 {
    match serve(start) {
        Ok(()) => 0,
        Err(reason) => {
            println!("processes: on core {}: {reason}", start.core);
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
    let root = programs(start).ok_or("the image does not let the fleet start programs")?;
    let tickets = tickets(start).ok_or("the image does not let the fleet start programs under tickets")?;
    let key = key(&start.arguments).ok_or("the two words of the fleet's key are missing")?;
    let (runtime, core, cores) = (server.runtime.clone(), start.core as u16, start.cores as u16);
    server.block_on(async move {
        let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
        let naming = starter.members().await.map_err(|error| error.to_string())?;
        let names = Names::new(runtime.clone(), naming, (0, core));
        let order = Order { program: PROGRAM.into(), arguments: arguments(key), core };
        let root = ProgramsClient::new(runtime.within(PATIENCE), root);
        let growth = ByPrograms::new(root, order, (0..cores).collect());
        let charter = charter(key, MARKS).map_err(|error| error.to_string())?;
        let hear = move |event| tell(core, event);
        let member = Member::new(&runtime, &names, charter, (0, core), growth, hear);
        let member = member.map_err(|error| error.to_string())?;
        let starter = Rc::new(ByTickets::new(runtime.clone(), tickets));
        let serving = ProcessesMember::enter(&runtime, &member, Limits::of_cores(cores), key, starter).await;
        let _serving = serving.map_err(|error| error.to_string())?;
        member.last().await;
        Ok(())
    })
}

fn tell(core: u16, event: Event) {
    match event {
        Event::Began { epoch, members, coordinates: true } => {
            println!("processes: epoch {}: {members} members, coordinated from core {core}", epoch.0);
        }
        Event::Lost(identity) => {
            println!("processes: core {core} noticed that member {} has ended", identity.0);
        }
        _ => {}
    }
}
