//! Ending objects and the machine, and what a core is doing.

use crate::arch::machine;
use crate::arch::machine::entry::Answer;
use crate::arch::machine::user_memory::check_aligned;
use crate::calls::attempt;
use crate::capabilities::{self, Slot};
use crate::cores::{self, Core};
use crate::drops;
use crate::jobs::{self, Job, Step};
use crate::objects::{self, Reference, reference_to};
use crate::space::Space;
use crate::thread::Thread;
use core::sync::atomic::Ordering;
use fos_abi::Error;
use fos_abi::calls::CoreInfo;
use fos_abi::capability::{Handle, Kind, Rights};

/// `destroy`
pub extern "C" fn destroy(handle: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(destroy_step, [handle, 0, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

const BEGIN: u32 = 0;
const AWAIT: u32 = 1;
const SWEEP: u32 = 2;
/// Word of the job's bytes that keeps the answer during the sweep, which uses the others.
const HANDLE: usize = 22;

/// Ends the object, waits until it is gone, then, for its owner, turns the slot back into frames.
pub(super) fn destroy_step(job: &'static Job, here: &'static Core) -> Step {
    let space = job.space();
    if job.stage.get() == BEGIN {
        let (_, capability) = attempt!(capabilities::find(space, job.argument(0)));
        if !matches!(capability.kind, Kind::Thread | Kind::Space | Kind::Mailbox | Kind::Tables) {
            return Step::Done(Err(Error::WrongKind));
        }
        if !capability.rights.contains(Rights::DESTROY) {
            return Step::Done(Err(Error::NoRights));
        }
        let reference = capability.reference();
        let own = reference == reference_to(job.thread()) || reference == reference_to(space);
        let tables_of_living = capability.kind == Kind::Tables && !objects::is_gone(reference);
        if own || tables_of_living {
            return Step::Done(Err(Error::InUse));
        }
        drops::end_object(here, reference);
        job.cursor[0].set(reference.0);
        job.stage.set(AWAIT);
    }
    if job.stage.get() == AWAIT {
        if !objects::is_gone(Reference(job.cursor[0].get())) {
            return if job.cancelled.load(Ordering::Acquire) {
                Step::Done(Err(Error::Closed))
            } else {
                Step::Park
            };
        }
        let (slot, capability) = attempt!(capabilities::find(space, job.argument(0)));
        // Another call may have turned it back, and something else may have been built there since.
        if !capability.is_owner() || capability.object != job.cursor[0].get() {
            return Step::Done(Ok(0));
        }
        let swept = slot.revoke();
        into_frames(slot, capability.kind, capability.object, capability.length);
        let handle = Handle::new(space.index_of(slot), slot.epoch());
        job.cursor[2].set(u64::from(handle.0));
        if !swept {
            return Step::Done(Ok(job.cursor[2].get()));
        }
        job.bytes()[HANDLE] = job.cursor[2].get();
        drops::begin_sweep(job);
        job.stage.set(SWEEP);
    }
    match drops::sweep(job, here) {
        Step::Done(_) => Step::Done(Ok(job.bytes()[HANDLE])),
        step => step,
    }
}

/// The slot stands for frames again.
fn into_frames(slot: &Slot, kind: Kind, object: u64, length: u64) {
    let (first, count) = match kind {
        Kind::Tables => (length >> 16, length & 0xffff),
        _ => (Reference(object).frame(), length),
    };
    slot.convert(Kind::Frames, first, count);
}

/// `machine_off`
pub extern "C" fn machine_off(handle: u64, status: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    let space: &'static Space = Thread::current().space;
    match capabilities::find_kind(space, handle, Kind::Machine, Rights::NONE) {
        Ok(_) => machine::power_off(status as u8),
        Err(error) => Answer::error(error),
    }
}

/// `core_read`
pub extern "C" fn core_read(core: u64, out: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    let size = size_of::<CoreInfo>();
    if let Err(error) = check_aligned(out, size) {
        return Answer::error(error);
    }
    let Some(core) = u16::try_from(core).ok().and_then(cores::get) else {
        return Answer::error(Error::BadArgument);
    };
    let read = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let info = CoreInfo {
        state: u64::from(core.state.load(Ordering::Acquire)),
        hardware_id: u64::from(core.hardware_id),
        threads: read(&core.counters.threads),
        spaces: read(&core.counters.spaces),
        switches: read(&core.counters.switches),
        kicks: read(&core.counters.kicks),
        shootdowns: read(&core.counters.shootdowns),
        chunks: read(&core.counters.chunks),
    };
    machine::user_memory::write_value(out, &info).map(|()| 0).into()
}
