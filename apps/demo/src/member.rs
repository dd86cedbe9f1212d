//! One member of the demo fleet: the fleet library, with notes as its service.

use crate::charter::charter;
use crate::notes::{Book, Clients, Members};
use crate::process::{Heard, Process};
use crate::protocol::{NotesDispatcher, NotesInterface, NotesPeersDispatcher};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use fos_messages::names::DirectoryKey;
use fos_messages::programs::Order;
use fos_runtime::Care;
use fos_runtime::fleet::{ByPrograms, Event, MEMBER, Member, arguments};

/// What the image calls the program.
pub const PROGRAM: &str = "demo-server";

/// Serves until the fleet needs it no more.
pub async fn run(process: Process, key: DirectoryKey) -> Result<(), String> {
    let Process { runtime, names, root, core, cores, policy, marks, say, hear, .. } = process;
    let order = Order { program: PROGRAM.into(), arguments: arguments(MEMBER, key), core };
    let care = Care { runtime: runtime.clone(), names: names.clone(), order: order.clone(), policy };
    let growth = ByPrograms::new(root, order, cores);
    let growth = care.permitted(growth);
    let charter = charter(key, marks).map_err(|error| error.to_string())?;
    let ear = hear.clone();
    let tell = move |event| {
        ear(Heard::Fleet(event));
        tell(say, core, event);
    };
    let member = Member::new(&runtime, &names, charter, (0, core), growth, tell);
    let member = member.map_err(|error| error.to_string())?;
    let book = Book::new(runtime, member.clone());
    member.serve::<NotesInterface>(NotesDispatcher::new(Rc::new(Clients(book.clone()))));
    member.serve_members(NotesPeersDispatcher::new(Rc::new(Members(book.clone()))));
    let minder = care.begin(&member);
    member.enter().await.map_err(|error| error.to_string())?;
    book.fetch().await;
    hear(Heard::Complete);
    member.open().await.map_err(|error| error.to_string())?;
    member.last().await;
    if let Some(minder) = minder {
        minder.dismiss().await;
    }
    say(format_args!("the member on core {core} has left: it was not needed any more"));
    Ok(())
}

fn tell(say: fn(core::fmt::Arguments<'_>), core: u16, event: Event) {
    match event {
        Event::Began { epoch, members, coordinates: true } => {
            say(format_args!("epoch {}: {members} members, coordinated from core {core}", epoch.0));
        }
        Event::Lost(identity) => {
            say(format_args!("core {core} noticed that member {} has ended", identity.0))
        }
        Event::Grows(identity) => say(format_args!("the fleet grows by member {}", identity.0)),
        Event::DidNotGrow => say(format_args!("a member that was started has not come")),
        Event::Shrinks(identity) => say(format_args!("the fleet does without member {}", identity.0)),
        Event::Moves { from, to } => {
            say(format_args!("member {} serves in the place of member {}", to.0, from.0))
        }
        Event::Began { .. } | Event::Leaves => {}
    }
}
