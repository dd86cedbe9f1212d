//! Entering the kernel and coming back with nothing done: a call of its own, a reflected Linux call, a fault.

use alloc::boxed::Box;
use alloc::vec;

use fos_abi::capability::Handle;
use fos_abi::thread::ThreadSetup;
use libfos::calls;
use libfos::measure;
use libfos::spawn::Frames;

use crate::ground::{Broken, During, Ground};
use crate::sample::{counted_by_routine, print_count};

/// Bytes of the stack that reflected calls and faults enter on.
const UPCALL_STACK: usize = 16 << 10;

/// Counts them.
pub fn measure(ground: &mut Ground) -> Result<(), Broken> {
    print_count(
        "null_call",
        counted_by_routine(measure::null_cost).during("counting")?,
        "the call that does nothing, user to user, loading its number included",
    );
    set_up(ground)?;
    print_count(
        "reflect",
        counted_by_routine(measure::reflect_cost).during("counting")?,
        "a Linux call to a reflect entry that returns at once (6 of the instructions are the entry's), user to user",
    );
    let address = ground.memory.reserve(1).during("reserving an address")?;
    let fault = || {
        // SAFETY: nothing is mapped at a reserved address, and `set_up` gave this thread its area, stack and entry.
        unsafe { measure::fault_cost(address) }
    };
    print_count(
        "fault_upcall",
        counted_by_routine(fault).during("counting")?,
        "a load of a page that is not there to a pager entry that steps over it (7 of the instructions), user to user",
    );
    ground.memory.free_addresses(address, 1);
    Ok(())
}

/// Gives the calling thread an area, a stack, and entries that go straight back.
fn set_up(ground: &mut Ground) -> Result<(), Broken> {
    let area = ground.supply.take(1).during("a frame for the area")?;
    let area_address = ground.memory.reserve(1).during("reserving the area's address")?;
    let stack = Box::leak(vec![0u8; UPCALL_STACK].into_boxed_slice());
    let setup = ThreadSetup {
        area: area.0,
        area_address,
        reflect_entry: measure::reflect_return as *const () as u64,
        pager_entry: measure::step_over_pager as *const () as u64,
        stack: stack.as_ptr_range().end as u64 & !15,
        ..ThreadSetup::default()
    };
    ground.with_tables(|| calls::thread_setup(Handle::SELF, &setup)).during("setting up the area")
}
