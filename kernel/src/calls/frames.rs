//! Frames: how often mapped, undoing mappings, the fallback of shared pages, and claiming for objects.

use crate::arch::machine::entry::Answer;
use crate::arch::machine::paging::frame_pointer;
use crate::calls::attempt;
use crate::capabilities::{self, Capability, Slot};
use crate::cores::Core;
use crate::drops;
use crate::frames;
use crate::jobs::{self, Job, Step};
use crate::space::Space;
use fos_abi::Error;
use fos_abi::capability::{Kind, Rights};
use fos_abi::limits::CHUNK_STEPS;

/// Claims the frames of a capability for an object, and zeroes them: the slot, to be converted, and the
/// first frame. `fits` says whether the number of frames is right; it is at most a chunk.
pub fn claim(
    space: &'static Space,
    handle: u64,
    fits: impl FnOnce(u64) -> bool,
) -> Result<(&'static Slot, u64), Error> {
    let (slot, capability) = capabilities::find_kind(space, handle, Kind::Frames, Rights::WRITE)?;
    if !fits(capability.length) || capability.length > CHUNK_STEPS as u64 {
        return Err(Error::BadArgument);
    }
    if slot.children() != 0 {
        return Err(Error::HasChildren);
    }
    if slot.mapping().is_some() || slot.fallback().is_some() {
        return Err(Error::StillMapped);
    }
    let (first, count) = (capability.first(), capability.length as usize);
    frames::claim(first, count)?;
    // SAFETY: these frames were just claimed; nobody can map them, and nobody has.
    unsafe { core::ptr::write_bytes(frame_pointer(first), 0, count * 4096) };
    Ok((slot, first))
}

/// `frame_read`
pub extern "C" fn frame_read(handle: u64, index: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(read_step, [handle, index, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn read_step(job: &'static Job, _: &'static Core) -> Step {
    let (_, capability) =
        attempt!(capabilities::find_kind(job.space(), job.argument(0), Kind::Frames, Rights::READ));
    if job.argument(1) >= capability.length {
        return Step::Done(Err(Error::BadArgument));
    }
    Step::Done(Ok(u64::from(frames::mappings(capability.first() + job.argument(1)))))
}

/// `frames_unmap`
pub extern "C" fn frames_unmap(handle: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(unmap_step, [handle, 0, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

/// An argument that the call does not have, where it keeps the slot's count of noted mappings.
pub const NOTES: usize = 5;

const COUNT: u32 = 0;
const UNMAP: u32 = 1;
const FORGET: u32 = 2;

/// Unmaps at the home of the space it was mapped in, then forgets it at the caller's home, unless another
/// thread began to map with it meanwhile.
pub(super) fn unmap_step(job: &'static Job, here: &'static Core) -> Step {
    let (slot, capability) = attempt!(capabilities::find(job.space(), job.argument(0)));
    if !matches!(capability.kind, Kind::Frames | Kind::Device) {
        return Step::Done(Err(Error::WrongKind));
    }
    if job.stage.get() == COUNT {
        job.arguments[NOTES].set(slot.notes());
        slot.begin_unmapping();
        job.stage.set(UNMAP);
    }
    if job.stage.get() == UNMAP {
        match drops::unmap_hull(job, here, slot, &capability, 0) {
            Step::Done(Ok(_)) => job.stage.set(FORGET),
            step => return step,
        }
    }
    let home = job.space().home();
    if home != here.number {
        return Step::Go(home);
    }
    slot.end_unmapping(job.argument(NOTES));
    Step::Done(Ok(0))
}

/// `frames_fallback`
pub extern "C" fn frames_fallback(handle: u64, zero: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(fallback_step, [handle, zero, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

/// The kernel makes a child of the zero frame's capability, without rights, in the same table: it remembers the
/// mapping that takes the shared frames' place. So the zero frame can't be given away or claimed until its own
/// capability is revoked, which takes the mapping, and the choice, back.
pub(super) fn fallback_step(job: &'static Job, _: &'static Core) -> Step {
    let space = job.space();
    let (slot, _) = attempt!(capabilities::find_kind(space, job.argument(0), Kind::Frames, Rights::READ));
    let (zero, frame) =
        attempt!(capabilities::find_kind(space, job.argument(1), Kind::Frames, Rights::WRITE));
    if frame.length != 1 || core::ptr::eq(slot, zero) {
        return Step::Done(Err(Error::BadArgument));
    }
    if slot.fallback().is_some_and(|handle| capabilities::find(space, u64::from(handle.0)).is_ok()) {
        return Step::Done(Err(Error::InUse));
    }
    if zero.children() != 0 {
        return Step::Done(Err(Error::HasChildren));
    }
    if frames::mappings(frame.first()) != 0 || zero.mapping().is_some() {
        return Step::Done(Err(Error::StillMapped));
    }
    // Counted as mapped meanwhile, so that nobody builds an object in it.
    attempt!(frames::map(frame.first()));
    // SAFETY: the frame is ordinary memory that nothing maps; its owner gave it for this.
    unsafe { core::ptr::write_bytes(frame_pointer(frame.first()), 0, 4096) };
    frames::unmap(frame.first());
    let child = Capability { rights: Rights::NONE, ..frame };
    slot.set_fallback(Some(attempt!(capabilities::insert_child(space, zero, &frame, child))));
    Step::Done(Ok(0))
}
