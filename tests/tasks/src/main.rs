//! `tasks`: what of the cooperative runtime can be seen on the machine alone. `tasks CASE` runs one case, says `CASE: ok`
//! and exits with 0, or says what is wrong and exits with 1; `overflow` ends by a fault if all is well. Read by `./fos test
//! messages`.
#![no_std]
#![no_main]

extern crate alloc;

mod borrowed;
mod echo;
mod links;
mod long;
mod named;
mod paths;
mod promises;
mod stackful;
mod threads;

use alloc::string::String;

use libfos::{Start, eprintln, println};

libfos::entry!(main);

/// What went wrong, for people.
pub type Outcome = Result<(), String>;

/// Turns any error into a line.
pub fn line(error: impl core::fmt::Debug) -> String {
    alloc::format!("{error:?}")
}

fn main(start: &Start) -> u8 {
    let case = start.arguments.get(1).map(String::as_str).unwrap_or_default();
    let outcome = match case {
        "stackful" => stackful::lets_others_run(start),
        "overflow" => stackful::overflows(start),
        "links" => links::keep_order(start),
        "costs" => links::costs(start),
        "serve" => long::serve(start),
        "long" => long::go_by_pages(start),
        "lend" => borrowed::lend(start, start.arguments.get(2).map(String::as_str).unwrap_or_default()),
        "borrowed" => borrowed::outlives_its_lender(start),
        "named" => named::survives_its_receiver(start),
        "paths" => paths::are_found(start),
        "promises" => promises::are_kept(start),
        "threads" => threads::call_each_other(start),
        _ => Err("no such case".into()),
    };
    match outcome {
        Ok(()) => {
            println!("{case}: ok");
            0
        }
        Err(reason) => {
            eprintln!("{case}: {reason}");
            1
        }
    }
}
