//! A member of `pages`, as a program: finds naming and root, and serves until the fleet needs it no more.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::RefCell;
use core::time::Duration;

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::space::MapFlags;
use fos_messages::custody::Run;
use fos_messages::image::Policy;
use fos_messages::names::{NamesStarterClient, STARTER};
use fos_messages::pages::NAME;
use fos_messages::programs::ProgramsClient;
use fos_pages::charter::MARKS;
use fos_pages::cleaning::Cleaner;
use fos_pages::member::{self, Process};
use fos_runtime::Names;
use fos_runtime::fleet::{Event, Marks};
use libfos::clock::Clock;
use libfos::memory::{Memory, MemoryError};
use libfos::root::{Root, custody, programs};
use libfos::server::Server;
use libfos::{Start, calls, println};

libfos::entry!(main);

/// How long root, the starter of naming, or the start of a program may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main(start: &Start) -> u8 {
    match serve(start) {
        Ok(()) => 0,
        Err(reason) => {
            println!("pages: on core {}: {reason}", start.core);
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
    let custodian = custody(start).ok_or("the image does not give the fleet custody of frames")?;
    let (runtime, core, cores) = (server.runtime.clone(), start.core as u16, start.cores as u16);
    let arguments = start.arguments.clone();
    let policy = Policy::all(&start.environment).into_iter().find(|policy| policy.name == NAME);
    server.block_on(async move {
        let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
        let naming = starter.members().await.map_err(|error| error.to_string())?;
        let names = Names::new(runtime.clone(), naming, (0, core));
        names.follow(Some(starter));
        let root = ProgramsClient::new(runtime.within(PATIENCE), root);
        let hear = Rc::new(move |event| tell(core, event));
        let cores = (0..cores).collect();
        let marks = policy.as_ref().map_or(MARKS, Marks::from);
        let cleaner = Box::new(ByMapping(RefCell::new(memory)));
        let process =
            Process { runtime, names, root, custodian, core, cores, arguments, policy, marks, cleaner, hear };
        member::run(process).await
    })
}

fn tell(core: u16, event: Event) {
    match event {
        Event::Began { epoch, members, coordinates: true } => {
            println!("pages: epoch {}: {members} members, coordinated from core {core}", epoch.0);
        }
        Event::Lost(identity) => println!("pages: core {core} noticed that member {} has ended", identity.0),
        _ => {}
    }
}

/// Zeroes frames by mapping them.
struct ByMapping(RefCell<Memory>);

impl ByMapping {
    fn clean_one(&self, run: &Run) -> Result<(), MemoryError> {
        let (mut memory, frames) = (self.0.borrow_mut(), Handle(run.handle));
        let mapping = memory.map(frames, 0, run.range.count as usize, MapFlags::WRITE)?;
        mapping.zero();
        memory.unmap(mapping)?;
        give_up(frames)?;
        Ok(())
    }
}

/// Unmapping pages leaves the capability's hull, which deleting it would meet.
fn give_up(frames: Handle) -> Result<(), Error> {
    calls::frames_unmap(frames)?;
    calls::cap_delete(frames)
}

impl Cleaner for ByMapping {
    fn clean(&self, runs: &[Run]) -> bool {
        runs.iter().all(|run| match self.clean_one(run) {
            Ok(()) => true,
            Err(error) => {
                println!("pages: {} frames are not zeroed: {error}", run.range.count);
                false
            }
        })
    }
}
