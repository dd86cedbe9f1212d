//! The demo on the machine.
//!
//! `demo client` has root start `demo-server` on a core, asks it a thousand times, one call after the other and then many
//! at once, and has it ended in the middle of a call, which ends with `PeerLost`. A successor on another core takes the
//! name over, and answers. Then it starts a naming fleet of three, and shows the demo fleet, whose members and loaders are
//! `demo-server` too. Each step prints a line. `demo watched` starts naming and the watchdog, and has members of both fleets
//! hang and end. `demo repaired` ends every server of every fleet under load, one after the other, and
//! `demo stopped N` waits until core N stops under load. `demo system` ends every server of the fleets that it finds, and `init`,
//! with processes of its own, which are `demo` too.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod children;
mod client;
mod fleet;
mod frames;
mod members;
mod names;
mod repaired;
mod rounds;
mod server;
mod system;

use alloc::string::String;
use alloc::vec::Vec;

use libfos::Start;
use libfos::member::{serve, status};

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    let words: Vec<&str> = start.arguments.iter().skip(1).map(String::as_str).collect();
    if start.arguments.first().is_some_and(|name| name == system::CHILD) && words != ["seeks"] {
        return system::child(start, &words);
    }
    let ended = match words.first().copied() {
        Some("client") => client::run(start),
        Some("watched") => client::run_watched(start),
        Some("repaired") => client::run_repaired(start),
        Some("stopped") => client::run_stopped(start),
        Some("server") => server::run(start),
        Some("seeks") => system::seek(start),
        Some("system") => {
            let own = start.clone();
            serve(start, |begun| system::run(begun, own))
        }
        _ => serve(start, server::process),
    };
    status(start, ended)
}
