//! A member of `processes`, as a program: finds naming and root, and serves until the fleet needs it no more.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::rc::Rc;
use alloc::string::{String, ToString};

use fos_messages::processes::NAME;
use fos_messages::programs::Order;
use fos_messages::rpc::Address;
use fos_processes::charter::{MARKS, PROGRAM, charter};
use fos_processes::limits::{HEAP_BYTES, Limits};
use fos_processes::member::ProcessesMember;
use fos_processes::starter::ByTickets;
use fos_runtime::Care;
use fos_runtime::fleet::{self, ByPrograms, MEMBER, Marks, Member};
use libfos::Start;
use libfos::member::{Begun, run, status, tell};
use libfos::root::tickets;

libfos::entry!(main, heap = HEAP_BYTES);

fn main(start: &Start) -> u8 {
    match tickets(start) {
        Some(tickets) => run(start, move |begun| serve(begun, tickets)),
        None => status(start, Err("the image does not let the fleet start programs under tickets".into())),
    }
}

async fn serve(begun: Begun, tickets: Address) -> Result<(), String> {
    let (root, key) = (begun.programs()?, fleet::key(&begun.arguments)?);
    let policy = begun.policy(NAME);
    let Begun { runtime, names, core, cores, .. } = begun;
    let limits = Limits::of_cores(cores.len() as u16);
    let order = Order { program: PROGRAM.into(), arguments: fleet::arguments(MEMBER, key), core };
    let care = Care { runtime: runtime.clone(), names: names.clone(), order: order.clone(), policy };
    let growth = care.permitted(ByPrograms::new(root, order, cores));
    let marks = care.policy.as_ref().map_or(MARKS, Marks::from);
    let charter = charter(key, marks).map_err(|error| error.to_string())?;
    let member =
        Member::new(&runtime, &names, charter, (0, core), growth, move |event| tell(PROGRAM, core, event));
    let member = member.map_err(|error| error.to_string())?;
    let minder = care.begin(&member);
    let starter = Rc::new(ByTickets::new(runtime.clone(), tickets));
    let serving = ProcessesMember::enter(&runtime, &member, limits, key, starter).await;
    let _serving = serving.map_err(|error| error.to_string())?;
    member.last().await;
    if let Some(minder) = minder {
        minder.dismiss().await;
    }
    Ok(())
}
