//! A member of `knowledge`, as a program: `knowledge member KEY KEY`. And what finds out about the core it is started on, tells the
//! fleet and ends: `knowledge probe KEY KEY [reserved]`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::time::Duration;

use fos_knowledge::charter::{MARKS, RESERVED, ROLE_PROBE, key};
use fos_knowledge::member::{self, Process};
use fos_knowledge::probe::{self, Seen};
use fos_messages::knowledge::Place;
use fos_messages::names::{NamesStarterClient, STARTER};
use fos_messages::programs::ProgramsClient;
use fos_runtime::Names;
use fos_runtime::fleet::Event;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::{Root, programs};
use libfos::server::Server;
use libfos::{Start, println};

libfos::entry!(main);

/// How long root, the starter of naming, or the start of a program may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main(start: &Start) -> u8 {
    match serve(start) {
        Ok(()) => 0,
        Err(reason) => {
            println!("knowledge: on core {}: {reason}", start.core);
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
    let (runtime, core, cores) = (server.runtime.clone(), start.core as u16, start.cores as u16);
    let arguments = start.arguments.clone();
    server.block_on(async move {
        let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
        let naming = starter.members().await.map_err(|error| error.to_string())?;
        let names = Names::new(runtime.clone(), naming, (0, core));
        if arguments.get(1).is_some_and(|role| role == ROLE_PROBE) {
            let key = key(&arguments).ok_or("the two words of the fleet's key are missing")?;
            let is_reserved = arguments.iter().any(|word| word == RESERVED);
            return probe::run(&runtime, &names, key, seen(core, is_reserved)).await;
        }
        let root = ProgramsClient::new(runtime.within(PATIENCE), root);
        let hear = Rc::new(move |event| tell(core, event));
        let (cores, marks) = ((0..cores).collect(), MARKS);
        member::run(Process { runtime, names, root, core, cores, arguments, marks, hear }).await
    })
}

fn seen(core: u16, is_reserved: bool) -> Seen {
    let place = libfos::topology::core_place();
    let (package, physical) = (place.package as u16, place.physical as u16);
    Seen { at: Place { machine: 0, core }, package, physical, is_reserved }
}

fn tell(core: u16, event: Event) {
    match event {
        Event::Began { epoch, members, coordinates: true } => {
            println!("knowledge: epoch {}: {members} members, coordinated from core {core}", epoch.0);
        }
        Event::Lost(identity) => {
            println!("knowledge: core {core} noticed that member {} has ended", identity.0)
        }
        _ => {}
    }
}
