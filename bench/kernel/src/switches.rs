//! Switching between two threads of one space that yield to each other.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::thread::Registers;
use libfos::calls;
use libfos::measure;
use libfos::spawn;

use crate::ground::{Broken, During, Ground};
use crate::sample::{counted, print_count};

/// Counts half a round trip.
pub fn measure(ground: &mut Ground) -> Result<(), Broken> {
    let turns: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
    let registers = Registers {
        rip: measure::yield_entry as *const () as u64,
        rdi: core::ptr::from_ref(turns) as u64,
        ..Registers::default()
    };
    let (cores, core) = (ground.cores, ground.core);
    let partner =
        spawn::thread(&mut ground.supply, Handle::SELF, cores, core, &registers).during("making a thread")?;
    calls::thread_resume(partner).during("starting a thread")?;
    let round = counted(|| {
        let before = turns.load(Ordering::Relaxed);
        let (ticks, ()) = measure::count(calls::thread_yield);
        let after = turns.load(Ordering::Relaxed);
        // Anything but one turn of the partner is no round trip.
        if after == before + 1 { Ok(ticks) } else { Err(Error::WrongState) }
    });
    print_count(
        "thread_switch",
        round.during("yielding")?.per(2),
        "half a round trip of two threads of one space that yield to each other, rounded up",
    );
    calls::destroy(partner).during("ending a thread")
}
