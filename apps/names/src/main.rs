//! `names [PATH] [--json | --follow]`: lists a name of the naming fleet and all below it, and then what changes. Asks whoever started the fleet where its
//! members are, then any member. A name that goes while it is listed is left out.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::names::{NamesStarterClient, Path, STARTER};
use fos_messages::rpc::Address;
use fos_names::walk::{Failure, read};
use fos_names::{FAILED, LISTED, NOT_FOUND, USAGE, document, tree};
use fos_runtime::{Names as Naming, Runtime};
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, eprintln, println};

libfos::entry!(main);

/// How long to wait for the fleet's starter to be found, and for it to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long before a fleet that has no member yet is asked about again.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

fn main(start: &Start) -> u8 {
    match list(start) {
        Ok(()) => LISTED,
        Err((status, reason)) => {
            eprintln!("names: {reason}");
            status
        }
    }
}

/// What is asked for.
struct Wish {
    top: Path,
    as_json: bool,
    follow: bool,
}

fn list(start: &Start) -> Result<(), Failure> {
    let wish = arguments(start)?;
    let failed = |reason: String| (FAILED, reason);
    let mut memory = Memory::of_program(start).map_err(|error| failed(format!("{error:?}")))?;
    let server = Server::create(&mut memory, start).map_err(|error| failed(error.to_string()))?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let starter = Root::of_program(start).and_then(|root| root.find(&mut memory, STARTER, deadline));
    let starter = starter.map_err(|error| {
        (NOT_FOUND, format!("nobody here has started a naming fleet ({error}); try the image `fleet`"))
    })?;
    let (runtime, core) = (server.runtime.clone(), start.core as u16);
    server.block_on(async move {
        let naming = Naming::new(runtime.clone(), members(&runtime, starter).await?, (0, core));
        let names = read(&naming, &wish.top).await?;
        if wish.as_json {
            println!("{}", document::write(&names, naming.seen()));
        } else {
            tree::draw(&names).iter().for_each(|line| println!("{line}"));
        }
        if wish.follow { follow(&runtime, &naming, wish.top).await } else { Ok(()) }
    })
}

fn arguments(start: &Start) -> Result<Wish, Failure> {
    let usage = |reason: String| (USAGE, format!("{reason}; say names [PATH] [--json | --follow]"));
    let mut top = None;
    let (mut as_json, mut follow) = (false, false);
    for word in start.arguments.iter().skip(1) {
        match word.as_str() {
            "--json" => as_json = true,
            "--follow" => follow = true,
            path if top.is_none() => {
                top = Some(Path::new(path).map_err(|error| usage(format!("{path:?} is no name: {error}")))?);
            }
            other => return Err(usage(format!("{other:?} is too much"))),
        }
    }
    if as_json && follow {
        return Err(usage("changes are not written as a document".to_string()));
    }
    Ok(Wish { top: top.unwrap_or_else(Path::root), as_json, follow })
}

/// Says what changes, until somebody ends it.
async fn follow(runtime: &Runtime, naming: &Rc<Naming>, top: Path) -> Result<(), Failure> {
    let mut watch = naming.watch(top.clone()).after(naming.seen());
    loop {
        match watch.next().await {
            Ok(news) if news.look_again => {
                let names = read(naming, &top).await?;
                tree::draw(&names).iter().for_each(|line| println!("{line}"));
            }
            Ok(news) => news.changes.iter().for_each(|change| println!("{}", tree::change(change))),
            Err(_) => runtime.sleep(AGAIN_AFTER).await,
        }
    }
}

/// The fleet's members, as soon as one serves.
async fn members(runtime: &Runtime, starter: Address) -> Result<Vec<Address>, Failure> {
    let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
    let deadline = runtime.port().now().after(PATIENCE);
    loop {
        match starter.members().await {
            Ok(members) if !members.is_empty() => return Ok(members),
            Ok(_) if runtime.port().now() < deadline => runtime.sleep(AGAIN_AFTER).await,
            Ok(_) => return Err((NOT_FOUND, "the naming fleet has no member that serves".to_string())),
            Err(error) => return Err((FAILED, format!("the fleet's starter does not answer: {error}"))),
        }
    }
}
