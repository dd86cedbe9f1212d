//! A member of the watchdog, as a program: finds naming by its starter, its fleet's key in its arguments, and the policies of
//! the image in its environment.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::rc::Rc;
use alloc::string::String;

use fos_messages::programs::Order;
use fos_runtime::fleet;
use fos_watchdog::book::Event;
use fos_watchdog::member::{self, Process};
use libfos::member::{Begun, run};
use libfos::{Start, println};

libfos::entry!(main);

/// What the image calls the program.
const PROGRAM: &str = "watchdog";

fn main(start: &Start) -> u8 {
    run(start, serve)
}

async fn serve(begun: Begun) -> Result<(), String> {
    let root = begun.root()?;
    let Begun { runtime, names, core, cores, arguments, policies, .. } = begun;
    let key = fleet::key(&arguments)?;
    let order = Order { program: PROGRAM.into(), arguments: fleet::arguments(fleet::MEMBER, key), core };
    let hear = Rc::new(move |event| libfos::member::tell(PROGRAM, core, event));
    let tell = Rc::new(move |event| tell(core, event));
    member::run(Process { runtime, names, root, order, cores, key, policies, hear, tell }).await
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
