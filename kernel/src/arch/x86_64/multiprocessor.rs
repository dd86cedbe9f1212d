//! Starts the other cores (Intel SDM vol. 3, 8.4.4): INIT, a pause, start-up at the trampoline's page, and
//! once more for those that did not answer.

use super::apic;
#[cfg(not(test))]
use super::boot::TRAMPOLINE;
#[cfg(test)]
const TRAMPOLINE: u64 = 0x8000;
use super::{clock, cpu};
use crate::cores::{self, core_state};
use core::sync::atomic::{AtomicU64, Ordering};

/// Where each core's stack ends, by its interrupt controller's number. Machine code reads it.
#[unsafe(no_mangle)]
static stack_by_hardware_id: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

/// Tells where a core's stack ends.
pub fn set_stack(hardware_id: u32, stack: u64) {
    stack_by_hardware_id[hardware_id as usize & 255].store(stack, Ordering::Release);
}

/// Starts every core of the table but this one, whose number is 0. Says how many run.
pub fn start_others() -> usize {
    let others = || (1..cores::count_all()).filter_map(|number| cores::get(number as u16));
    let absent = |core: &&'static cores::Core| core.state.load(Ordering::SeqCst) == core_state::ABSENT;
    for core in others() {
        apic::send_init(core.hardware_id);
    }
    clock::wait(if others().count() > 0 { 200 } else { 0 });
    for (attempt, patience) in [(1, 20_000), (2, 2_000_000)] {
        for core in others().filter(absent) {
            apic::send_startup(core.hardware_id, (TRAMPOLINE >> 12) as u8);
        }
        let end = cpu::time_stamp() + clock::ticks(patience);
        while cpu::time_stamp() < end && others().any(|core| absent(&core)) {
            cpu::relax();
        }
        if attempt == 2 || !others().any(|core| absent(&core)) {
            break;
        }
    }
    // Whoever comes later would find the trampoline gone: back to waiting for a start-up that never comes.
    others().filter(absent).for_each(|core| apic::send_init(core.hardware_id));
    1 + others().filter(|core| !absent(core)).count()
}
