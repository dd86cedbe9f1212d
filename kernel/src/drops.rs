//! Undoing what a capability has brought about, when it is deleted, revoked, or its holder ends: mappings
//! are removed (or replaced by the fallback frame), objects built in its frames ended, watches and
//! interrupts unbound. Each drop is a part of some job and may take it to other cores and back.

use crate::arch::machine::paging::{Access, Entry};
use crate::capabilities::{self, Capability, Slot};
use crate::cores::{self, Core};
use crate::ends;
use crate::frames;
use crate::interrupts;
use crate::jobs::{self, Job, Step};
use crate::mailbox::Mailbox;
use crate::objects::{self, Reference, object_at, reference_to, resolve};
use crate::space::Space;
use crate::thread::Thread;
use crate::watch;
use core::sync::atomic::Ordering;
use fos_abi::Error;
use fos_abi::capability::Kind;
use fos_abi::limits::CHUNK_STEPS;
use fos_abi::mailbox::EndReason;

const BEGIN: u32 = 0;
const UNMAP: u32 = 1;
const UNWATCH: u32 = 2;
const FREE: u32 = 3;
/// The slot is free; the space that had its frames as page tables is not gone yet. Nothing of either is touched.
const AWAIT_TABLES: u32 = 4;

/// Positions in a job's cursors. The first two are the sweep's.
const SWEEP_CORE: usize = 0;
const SLOT: usize = 1;
const PAGE: usize = 2;
const GENERATION: usize = 3;
/// Word of a job's bytes that names the space a sweep is in.
const SWEEP_SPACE: usize = 20;
/// Word of a job's bytes that names the space it waits for in [`AWAIT_TABLES`].
const FED_SPACE: usize = 21;

/// Drops one slot of a space. Begins and ends on the space's home core; a job in the middle of it has
/// `drop_stage` set, and must come back here. `Done` means: the slot is free.
pub fn drop_slot(job: &Job, here: &'static Core, space: &'static Space, index: usize) -> Step {
    if job.drop_stage.get() == AWAIT_TABLES {
        return await_tables(job);
    }
    let Some(slot) = space.slot(index) else { return Step::Done(Ok(0)) };
    if job.drop_stage.get() == BEGIN {
        let Some(capability) = slot.read() else { return Step::Done(Ok(0)) };
        if let Some(step) = await_end(job, here, space, &capability) {
            return step;
        }
        if !slot.begin_drop() {
            return if may_skip(job, space) { Step::Done(Ok(0)) } else { Step::Park };
        }
        job.cursor[PAGE].set(0);
        job.cursor[GENERATION].set(0);
        job.drop_stage.set(first_stage(space, slot, &capability));
    }
    let Some(capability) = slot.read() else {
        job.drop_stage.set(BEGIN);
        return Step::Done(Ok(0));
    };
    let step = match job.drop_stage.get() {
        UNMAP => {
            let fallback = fallback(space, slot, &capability).map_or(0, |(_, fallback)| fallback.first());
            unmap_hull(job, here, slot, &capability, fallback)
        }
        UNWATCH if is_being_told(slot, &capability) => {
            if !job.cancelled.load(Ordering::Acquire) {
                return Step::Park;
            }
            // What is watched is this job's own caller: the watch stays until it has been told.
            slot.end_drop();
            jobs::recheck_everywhere(here);
            job.drop_stage.set(BEGIN);
            return Step::Done(Err(Error::Closed));
        }
        UNWATCH => unwatch(here, slot, &capability),
        _ => Step::Done(Ok(0)),
    };
    if !matches!(step, Step::Done(_)) {
        return step;
    }
    job.drop_stage.set(FREE);
    if space.home() != here.number {
        return Step::Go(space.home());
    }
    free(space, slot, &capability);
    jobs::recheck_everywhere(here);
    if capability.kind == Kind::Tables && !job.thread.get().is_null() {
        job.bytes()[FED_SPACE] = capability.object;
        job.drop_stage.set(AWAIT_TABLES);
        return await_tables(job);
    }
    job.drop_stage.set(BEGIN);
    Step::Done(Ok(0))
}

/// A call waits until frames that were page tables are ordinary memory again. An end does not: the frames stay the fed
/// space's until it is gone, and spaces that feed each other would wait for each other.
fn await_tables(job: &Job) -> Step {
    if !objects::is_gone(Reference(job.bytes()[FED_SPACE])) && !job.cancelled.load(Ordering::Acquire) {
        return Step::Park;
    }
    job.drop_stage.set(BEGIN);
    Step::Done(Ok(0))
}

/// Begins the end of the object that a slot owns, and says what to do until it is gone. The slot is not held
/// meanwhile: another job may come to it.
///
/// A call waits, until its caller ends: the two may wait for each other. So does the end of the space whose slot
/// this is, for what was built there is younger than that space and does not wait for it. Any other end leaves
/// owners of spaces, and what feeds them, to whoever waits for those or to a later sweep: they may be waiting for
/// this very end.
fn await_end(job: &Job, here: &'static Core, space: &Space, capability: &Capability) -> Option<Step> {
    if !capability.is_owner() || objects::is_gone(capability.reference()) {
        return None;
    }
    end_object(here, capability.reference());
    let by_end = job.thread.get().is_null();
    let elsewhere = by_end && !core::ptr::eq(job.owner.get().cast(), space);
    match capability.kind {
        Kind::Space | Kind::Tables if elsewhere => Some(Step::Done(Ok(0))),
        Kind::Tables => None,
        _ => (by_end || !job.cancelled.load(Ordering::Acquire)).then_some(Step::Park),
    }
}

/// Another job is at a slot that this one wants dropped, and may itself be waiting for this job's caller. An end
/// leaves it to the other, but for the end of the space itself, whose slots must all be free.
fn may_skip(job: &Job, space: &Space) -> bool {
    let end_of_another = job.thread.get().is_null() && !core::ptr::eq(job.owner.get().cast(), space);
    end_of_another || job.cancelled.load(Ordering::Acquire)
}

/// What takes the place of a capability's frames, if that was not revoked itself meanwhile.
fn fallback(
    space: &'static Space,
    slot: &Slot,
    capability: &Capability,
) -> Option<(&'static Slot, Capability)> {
    let handle = slot.fallback().filter(|_| capability.kind == Kind::Frames)?;
    capabilities::find(space, u64::from(handle.0)).ok()
}

fn first_stage(space: &'static Space, slot: &Slot, capability: &Capability) -> u32 {
    match capability.kind {
        Kind::Frames | Kind::Device if let Some((mapped_in, low, high)) = slot.mapping() => {
            // The fallback remembers the mapping before it is made.
            let noted = fallback(space, slot, capability)
                .is_some_and(|(fallback, _)| fallback.note_mapping(mapped_in, low, high - low).is_ok());
            if capability.kind == Kind::Frames && !noted {
                slot.set_fallback(None);
            }
            UNMAP
        }
        Kind::Watch => UNWATCH,
        Kind::Interrupt => {
            interrupts::unbind(capability.first() as u32);
            FREE
        }
        _ => FREE,
    }
}

/// Begins the end of whatever object a reference names.
pub fn end_object(here: &'static Core, reference: Reference) {
    let reason = EndReason::Destroyed as u64;
    if let Some(thread) = resolve::<Thread>(reference) {
        ends::end_thread(here, thread, reason);
    } else if let Some(space) = resolve::<Space>(reference) {
        ends::end_space(here, space, reason);
    } else if let Some(mailbox) = resolve::<Mailbox>(reference) {
        ends::end_mailbox(here, mailbox, reason);
    }
}

/// Whether what is watched has begun to end, but this watcher has not been told: it is in a list that
/// somebody walks.
fn is_being_told(slot: &Slot, capability: &Capability) -> bool {
    !slot.was_told() && watched(capability.object).is_none_or(|(_, watchers)| watch::has_ended(watchers))
}

fn unwatch(here: &Core, slot: &Slot, capability: &Capability) -> Step {
    if slot.was_told() {
        return Step::Done(Ok(0));
    }
    let Some((home, watchers)) = watched(capability.object) else { return Step::Done(Ok(0)) };
    if home != here.number {
        // What was at home on a dead core is its undertaker's soon, and its watchers are being told.
        return if cores::get(home).is_some_and(Core::is_alive) { Step::Go(home) } else { Step::Park };
    }
    watch::remove(watchers, slot);
    if !slot.was_told()
        && let Some(mailbox) = resolve::<Mailbox>(Reference(capability.length))
    {
        mailbox.release_notice();
    }
    Step::Done(Ok(0))
}

/// Marks the object word of a watch on a core.
pub const WATCHED_CORE: u64 = 1 << 63;

/// The home and watchers of what a watch names, if it still exists.
pub fn watched(object: u64) -> Option<(u16, &'static core::sync::atomic::AtomicU64)> {
    if object & WATCHED_CORE != 0 {
        let core = cores::get((object & 0xffff) as u16)?;
        return Some((core.number, &core.watchers));
    }
    let reference = Reference(object);
    if let Some(thread) = resolve::<Thread>(reference) {
        return Some((thread.home.load(Ordering::Acquire), &thread.watchers));
    }
    if let Some(space) = resolve::<Space>(reference) {
        return Some((space.home(), &space.watchers));
    }
    let mailbox = resolve::<Mailbox>(reference)?;
    Some((mailbox.home.load(Ordering::Acquire), &mailbox.watchers))
}

fn free(space: &'static Space, slot: &Slot, capability: &Capability) {
    if let Some((fallback, child)) = fallback(space, slot, capability)
        && fallback.mapping().is_none()
    {
        capabilities::leave_parent(&child);
        space.free_slot(space.index_of(fallback));
    }
    capabilities::leave_parent(capability);
    space.free_slot(space.index_of(slot));
}

/// Removes every mapping made with a capability, on the home core of the space it was mapped in, and
/// waits until no core can reach the frames. With a fallback frame, that takes their place.
pub fn unmap_hull(
    job: &Job,
    here: &'static Core,
    slot: &Slot,
    capability: &Capability,
    fallback: u64,
) -> Step {
    let Some((reference, low, high)) = slot.mapping() else { return Step::Done(Ok(0)) };
    let space = match Space::still_there(reference, here) {
        Ok(space) => space,
        Err(Some(home)) => return Step::Go(home),
        Err(None) => {
            job.release_held();
            return Step::Done(Ok(0));
        }
    };
    if job.cursor[GENERATION].get() == 0 {
        let mut page = job.cursor[PAGE].get().max(low);
        for _ in 0..CHUNK_STEPS {
            if page >= high || job.holds_all_it_can() {
                break;
            }
            page += unmap_one(job, space, page, capability, fallback);
        }
        job.cursor[PAGE].set(page);
        job.cursor[GENERATION].set(space.begin_flush(here));
    }
    if !space.is_flushed(here, job.cursor[GENERATION].get()) {
        return Step::Park;
    }
    job.release_held();
    job.cursor[GENERATION].set(0);
    if job.cursor[PAGE].get() < high { Step::Again } else { Step::Done(Ok(0)) }
}

/// Unmaps what is at a page if it is one of the capability's frames: how far to go on.
fn unmap_one(job: &Job, space: &Space, page: u64, capability: &Capability, fallback: u64) -> u64 {
    let frames = capability.first()..capability.first() + capability.length;
    let passed = space.at_page(page, |table, index, size| {
        let entry = table.get(index);
        if frames.contains(&entry.frame()) {
            let access = Access { write: entry.access().write, may_write: true, ..Access::default() };
            let replacement = if fallback != 0 && size == 1 && frames::map(fallback).is_ok() {
                Entry::page(fallback, access, false)
            } else {
                Entry::EMPTY
            };
            job.hold(table.swap(index, replacement), size);
            space.forget_here(page);
        }
        size - page % size
    });
    passed.unwrap_or_else(|_| space.hole_at(page))
}

/// Prepares a sweep: from the first core on.
pub fn begin_sweep(job: &Job) {
    job.cursor[SWEEP_CORE].set(0);
    job.cursor[SLOT].set(0);
    job.bytes()[SWEEP_SPACE] = 0;
}

/// Goes over every capability table of every core and drops what is no longer valid.
pub fn sweep(job: &Job, here: &'static Core) -> Step {
    for _ in 0..CHUNK_STEPS {
        let number = job.cursor[SWEEP_CORE].get() as usize;
        if job.drop_stage.get() == BEGIN {
            if number >= cores::count_all() {
                return Step::Done(Ok(0));
            }
            let alive = cores::get(number as u16)
                .is_some_and(|core| core.is_alive() && core.counters.spaces.load(Ordering::Acquire) != 0);
            if !alive {
                next_core(job);
                continue;
            }
            if number != usize::from(here.number) {
                return Step::Go(number as u16);
            }
        }
        match sweep_slot(job, here) {
            Some(Step::Done(_)) => job.cursor[SLOT].set(job.cursor[SLOT].get() + 1),
            Some(step) => return step,
            None => next_core(job),
        }
    }
    Step::Again
}

fn next_core(job: &Job) {
    begin_sweep_of(job, job.cursor[SWEEP_CORE].get() + 1);
}

fn begin_sweep_of(job: &Job, core: u64) {
    job.cursor[SWEEP_CORE].set(core);
    job.cursor[SLOT].set(0);
    job.bytes()[SWEEP_SPACE] = 0;
}

/// Looks at one slot. `None`: no more spaces on this core.
fn sweep_slot(job: &Job, here: &'static Core) -> Option<Step> {
    if job.drop_stage.get() == AWAIT_TABLES {
        return Some(await_tables(job));
    }
    let index = job.cursor[SLOT].get() as usize;
    let space = match Reference(job.bytes()[SWEEP_SPACE]) {
        Reference::NONE => here.spaces.first(),
        // SAFETY: a space whose slot is being dropped stays: its end drops every slot, this one included.
        reference if job.drop_stage.get() != BEGIN => Some(unsafe { object_at::<Space>(reference.frame()) }),
        reference => match resolve::<Space>(reference) {
            Some(space) => Some(space),
            None => {
                // It ended meanwhile, and its slots with it: begin this core anew.
                begin_sweep_of(job, u64::from(here.number));
                return Some(Step::Again);
            }
        },
    }?;
    job.bytes()[SWEEP_SPACE] = reference_to(space).0;
    if index >= space.slots_used() {
        // SAFETY: spaces in the list of this core are in place until this core takes them out.
        let next = unsafe { space.at_home.next.get().as_ref() }?;
        job.bytes()[SWEEP_SPACE] = reference_to(next).0;
        job.cursor[SLOT].set(0);
        return sweep_slot(job, here);
    }
    if job.drop_stage.get() == BEGIN {
        let dead =
            space.slot(index).and_then(Slot::read).is_some_and(|found| !capabilities::is_valid(&found));
        if !dead {
            return Some(Step::Done(Ok(0)));
        }
    }
    Some(drop_slot(job, here, space, index))
}
