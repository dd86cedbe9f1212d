//! A member of `knowledge`, as a program: `knowledge member KEY KEY`. And what finds out about the core it is started on, tells the
//! fleet and ends: `knowledge probe KEY KEY [reserved]`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::rc::Rc;
use alloc::string::String;

use fos_knowledge::charter::{MARKS, RESERVED, ROLE_PROBE};
use fos_knowledge::member::{self, PROGRAM, Process};
use fos_knowledge::probe::{self, Seen};
use fos_messages::knowledge::{NAME, Place};
use fos_runtime::fleet::{self, Marks};
use libfos::Start;
use libfos::member::{Begun, run, tell};

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    run(start, serve)
}

async fn serve(begun: Begun) -> Result<(), String> {
    let (root, policy) = (begun.programs()?, begun.policy(NAME));
    let Begun { runtime, names, core, cores, arguments, .. } = begun;
    if arguments.get(1).is_some_and(|role| role == ROLE_PROBE) {
        let is_reserved = arguments.iter().any(|word| word == RESERVED);
        return probe::run(&runtime, &names, fleet::key(&arguments)?, seen(core, is_reserved)).await;
    }
    let hear = Rc::new(move |event| tell(PROGRAM, core, event));
    let marks = policy.as_ref().map_or(MARKS, Marks::from);
    member::run(Process { runtime, names, root, core, cores, arguments, policy, marks, hear }).await
}

fn seen(core: u16, is_reserved: bool) -> Seen {
    let place = libfos::topology::core_place();
    let (package, physical) = (place.package as u16, place.physical as u16);
    Seen { at: Place { machine: 0, core }, package, physical, is_reserved }
}
