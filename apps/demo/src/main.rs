//! The demo on the machine.
//!
//! `demo client` has root start `demo-server` on a core, asks it a thousand times, one call after the other and then many
//! at once, and has it ended in the middle of a call, which ends with `PeerLost`. A successor on another core takes the
//! name over, and answers. Then it starts a naming fleet of three, and shows the demo fleet, whose members and loaders are
//! `demo-server` too. Each step prints a line. `demo watched` starts naming and the watchdog, and has members of both fleets
//! hang and end. `demo repaired` ends every server of every fleet under load, one after the other, and
//! `demo stopped N` waits until core N stops under load.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod client;
mod fleet;
mod frames;
mod names;
mod repaired;
mod server;

use libfos::Start;
use libfos::member::{serve, status};

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    let ended = match start.arguments.get(1).map(|role| role.as_str()) {
        Some("client") => client::run(start),
        Some("watched") => client::run_watched(start),
        Some("repaired") => client::run_repaired(start),
        Some("stopped") => client::run_stopped(start),
        Some("server") => server::run(start),
        _ => serve(start, server::process),
    };
    status(start, ended)
}
