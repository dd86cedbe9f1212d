//! `peers`: the bad deeds on the machine, one process for each, beside honest clients in another, with a server, one that
//! lies, and naming as programs of their own.
//!
//! `peers table [DEED]` does each deed of the table, those over shared pages included, and says of each whether anybody noticed;
//! `peers fuzz SEED DEEDS` has so many done at random; `peers poison` has members of a fleet ended by what they are asked.
//! What it prints is read by `./fos test hostile`; it exits with 0 when all is well and 1 otherwise. The other words
//! are for the processes that it starts itself.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod bad;
mod director;
mod links;
mod poison;
mod scene;
mod servers;

use alloc::string::String;

use libfos::{Start, println};

libfos::entry!(main);

/// What went wrong, for people.
type Outcome = Result<(), String>;

fn main(start: &Start) -> u8 {
    let words: alloc::vec::Vec<&str> = start.arguments.iter().skip(1).map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["table"] => director::table(start, ""),
        ["table", only] => director::table(start, only),
        ["fuzz", seed, deeds] => director::fuzz(start, seed, deeds),
        ["poison"] => poison::run(start),
        ["till"] => servers::till(start),
        ["liar", seed] => servers::liar(start, seed),
        ["frail", key @ ..] => servers::frail(start, key),
        ["bad", deed, rest @ ..] => bad::run(start, deed, rest),
        _ => Err("say `peers table`, `peers fuzz SEED DEEDS` or `peers poison`".into()),
    };
    match outcome {
        Ok(()) => 0,
        Err(reason) => {
            println!("peers: {}: {reason}", words.join(" "));
            1
        }
    }
}

/// Turns any error into a line.
fn line(error: impl core::fmt::Debug) -> String {
    alloc::format!("{error:?}")
}
