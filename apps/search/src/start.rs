//! How a member finds what it needs on the machine.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::names::{DirectoryKey, NamesStarterClient, STARTER};
use fos_messages::programs::{Order, ProgramsClient};
use fos_runtime::Names;
use fos_runtime::fleet::{ByPrograms, Event};
use fos_search::member::{self, Heard, Process};
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::{Root, programs};
use libfos::server::Server;
use libfos::{Start, println};

/// How long root, the starter of naming, or the start of a program may take on a slow emulator with a busy host.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What the image calls the program.
const PROGRAM: &str = "search";

/// The order by which a member is started.
pub fn order(DirectoryKey([one, other]): DirectoryKey, core: u16) -> Order {
    let arguments = ["member".into(), one.to_string(), other.to_string()].into();
    Order { program: PROGRAM.into(), arguments, core }
}

fn key(arguments: &[String]) -> Option<DirectoryKey> {
    let word = |place: usize| arguments.get(place)?.parse().ok();
    Some(DirectoryKey([word(2)?, word(3)?]))
}

/// Is one of the fleet until that needs it no more.
pub fn member(start: &Start) -> Result<(), String> {
    let key = key(&start.arguments).ok_or("the two words of the fleet's key are missing")?;
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let starter = Root::of_program(start)
        .and_then(|root| root.find(&mut memory, STARTER, deadline))
        .map_err(|error| format!("the starter of naming is not found: {error}"))?;
    let root = programs(start).ok_or("the image does not let the fleet start programs")?;
    let (runtime, core, cores) = (server.runtime.clone(), start.core as u16, start.cores as u16);
    server.block_on(async move {
        let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
        let naming = starter.members().await.map_err(|error| error.to_string())?;
        let names = Names::new(runtime.clone(), naming, (0, core));
        let root = ProgramsClient::new(runtime.within(PATIENCE), root);
        let places: Vec<u16> = (0..cores).collect();
        let growth = ByPrograms::new(root, order(key, core), places);
        let hear = Rc::new(move |heard| tell(core, heard));
        member::run(Process { runtime, names, growth, core, key, rest: Duration::ZERO, hear }).await
    })
}

fn tell(core: u16, heard: Heard) {
    match heard {
        Heard::Fleet(Event::Began { epoch, members, coordinates: true }) => {
            println!("search: epoch {}: {members} members, coordinated from core {core}", epoch.0);
        }
        Heard::Fleet(Event::Lost(identity)) => {
            println!("search: core {core} noticed that member {} has ended", identity.0);
        }
        _ => {}
    }
}
