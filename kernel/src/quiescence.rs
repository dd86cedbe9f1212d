//! When may memory that others read without locks be used anew? When every core's kernel has since been at
//! a point where it held no reference: between two entries. (P. McKenney's quiescent-state-based
//! reclamation; the cores are asked, nobody counts readers.)

use crate::cores::{self, Core, core_state};
use crate::inbox::{Inbox, flag};
use core::sync::atomic::{AtomicU64, Ordering};

static EPOCH: AtomicU64 = AtomicU64::new(1);

/// Begins a grace period: asks every running core to pass a quiescent point. Sleeping cores hold nothing.
pub fn begin(here: &Core) -> u64 {
    let epoch = EPOCH.fetch_add(1, Ordering::SeqCst) + 1;
    for core in cores::alive() {
        if core.number != here.number && core.state.load(Ordering::SeqCst) == core_state::RUNNING {
            Inbox::post_flags(core, flag::QUIESCE);
        }
    }
    epoch
}

/// This core holds no reference now. Says whether somebody may have waited for that.
pub fn pass(here: &Core) -> bool {
    let epoch = EPOCH.load(Ordering::SeqCst);
    here.quiescent.swap(epoch, Ordering::SeqCst) != epoch
}

/// Whether the grace period is over. The asking core itself is between two steps of the operation, and
/// looks objects up anew in each.
pub fn is_over(here: &Core, epoch: u64) -> bool {
    cores::alive().all(|core| {
        core.number == here.number
            || core.state.load(Ordering::SeqCst) == core_state::IDLE
            || core.quiescent.load(Ordering::SeqCst) >= epoch
    })
}
