//! `root`: the first program. The kernel gives it every capability; it reads the boot archive and the image
//! description in it, starts what they name with exactly the capabilities they grant, and then serves: names and
//! keys for programs ([`registry`]), commands of the host over the control link ([`link`]), faults and ends
//! ([`ending`]). It waits for no program and for no host; what a program or the host sends can end in an error for
//! them, never in an end of root.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod boot;
mod ending;
mod files;
mod grants;
mod input;
mod keeping;
mod link;
mod memory;
mod program;
mod queries;
mod registry;
mod server;
mod serving;
mod starting;
mod succeeding;
mod talk;
mod ticketing;

use libfos::BootFacts;

libfos::root_entry!(main, heap = 8 << 20);

/// Status when root could not even begin; the kernel then ends the machine.
const NOT_BEGUN: u8 = 1;

fn main(facts: &'static BootFacts) -> u8 {
    let talk = talk::Talk::new(facts);
    match boot::begin(facts, &talk) {
        Ok(mut server) => server.run(),
        Err(reason) => {
            talk.say(format_args!("cannot begin: {reason}"));
            NOT_BEGUN
        }
    }
}
