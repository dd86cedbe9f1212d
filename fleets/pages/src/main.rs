//! A member of `pages`, as a program: finds naming and root, and serves until the fleet needs it no more.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;

use fos_abi::capability::Handle;
use fos_abi::space::MapFlags;
use fos_messages::custody::Run;
use fos_messages::pages::NAME;
use fos_messages::rpc::Address;
use fos_pages::charter::MARKS;
use fos_pages::cleaning::Cleaner;
use fos_pages::member::{self, PROGRAM, Process};
use fos_runtime::fleet::Marks;
use libfos::frames::give_up;
use libfos::member::{Begun, run, status, tell};
use libfos::memory::{Memory, MemoryError};
use libfos::root::custody;
use libfos::{Start, println};

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    match custody(start) {
        Some(custodian) => run(start, move |begun| serve(begun, custodian)),
        None => status(start, Err("the image does not give the fleet custody of frames".into())),
    }
}

async fn serve(begun: Begun, custodian: Address) -> Result<(), String> {
    let (root, policy) = (begun.programs()?, begun.policy(NAME));
    let marks = policy.as_ref().map_or(MARKS, Marks::from);
    let Begun { runtime, names, memory, core, cores, arguments, .. } = begun;
    let hear = Rc::new(move |event| tell(PROGRAM, core, event));
    let cleaner = Box::new(ByMapping(RefCell::new(memory)));
    let process =
        Process { runtime, names, root, custodian, core, cores, arguments, policy, marks, cleaner, hear };
    member::run(process).await
}

/// Zeroes frames by mapping them.
struct ByMapping(RefCell<Memory>);

impl ByMapping {
    fn zero(&self, run: &Run, from: u64, count: u64) -> Result<(), MemoryError> {
        let mut memory = self.0.borrow_mut();
        let mapping = memory.map(Handle(run.handle), from as u32, count as usize, MapFlags::WRITE)?;
        mapping.zero();
        memory.unmap(mapping)?;
        Ok(())
    }
}

impl Cleaner for ByMapping {
    fn clean(&self, run: &Run, from: u64, count: u64) -> bool {
        let zeroed = self.zero(run, from, count);
        if let Err(error) = &zeroed {
            println!("pages: {count} frames are not zeroed: {error}");
        }
        zeroed.is_ok()
    }

    fn give_up(&self, run: &Run) -> bool {
        give_up(Handle(run.handle)).is_ok()
    }
}
