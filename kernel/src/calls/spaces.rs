//! Address spaces: made, fed with page-table frames, mapped, unmapped, protected, searched for writes.
//! What acts on a space goes to the space's home core.

use super::frames::{NOTES, claim};
use crate::arch::machine::controller;
use crate::arch::machine::entry::Answer;
use crate::arch::machine::paging::Access;
use crate::calls::{attempt, space_of, target_space};
use crate::capabilities::{self, Capability, Slot};
use crate::cores::{self, Core};
use crate::jobs::{self, Job, Step};
use crate::objects::{self, reference_to};
use crate::space::{Pages, Space};
use crate::thread::Thread;
use fos_abi::Error;
use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::limits::{CHUNK_STEPS, DIRTY_MAX, HUGE_PAGES, TABLE_FRAMES_MAX};
use fos_abi::space::{MapFlags, SPACE_FRAMES};

/// `space_create`
pub extern "C" fn space_create(frames: u64, tables: u64, core: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(create_step, [frames, tables, core, 0, 0, 0], (0, 0), |_| Ok(()))
}

/// Built at the caller's home; a space at home on another core is handed to it, and the job comes back.
fn create_step(job: &'static Job, here: &'static Core) -> Step {
    let own = job.space();
    if job.stage.get() == 1 {
        if let Some(space) = objects::resolve::<Space>(objects::Reference(job.cursor[0].get())) {
            here.add_space(space);
        }
        return Step::Done(Ok(job.cursor[1].get()));
    }
    let tables = job.argument(1) as usize;
    let core = attempt!(u16::try_from(job.argument(2)).map_err(|_| Error::BadArgument));
    let alive = cores::get(core).is_some_and(Core::is_alive);
    if tables == 0 || tables > TABLE_FRAMES_MAX || !alive {
        return Step::Done(Err(Error::BadArgument));
    }
    let count = (SPACE_FRAMES + tables) as u64;
    let (slot, first) = attempt!(claim(own, job.argument(0), |length| length == count));
    // SAFETY: `claim` gave that many zeroed frames.
    let space = unsafe { Space::create(first, tables, here.new_identity(), core) };
    let reference = objects::publish::<Space>(first);
    slot.convert(Kind::Space, reference.0, count);
    let handle = u64::from(Handle::new(own.index_of(slot), slot.epoch()).0);
    if core == here.number {
        here.add_space(space);
        return Step::Done(Ok(handle));
    }
    job.stage.set(1);
    job.cursor[0].set(reference.0);
    job.cursor[1].set(handle);
    Step::Go(core)
}

/// `space_donate`
pub extern "C" fn space_donate(space: u64, frames: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(donate_step, [space, frames, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn donate_step(job: &'static Job, here: &'static Core) -> Step {
    if job.stage.get() == 0 {
        let space = attempt!(target_space(job, job.argument(0), Rights::CONTROL));
        let (slot, first) = attempt!(claim(job.space(), job.argument(1), |length| length > 0));
        let count = slot.read().map_or(0, |capability| capability.length);
        slot.convert(Kind::Tables, reference_to(space).0, tables_word(first, count));
        job.cursor[0].set(first);
        job.cursor[1].set(count);
        job.cursor[2].set(reference_to(space).0);
        job.stage.set(1);
    }
    let Some(space) = objects::resolve::<Space>(objects::Reference(job.cursor[2].get())) else {
        crate::frames::release(job.cursor[0].get(), job.cursor[1].get() as usize);
        return Step::Done(Err(Error::Closed));
    };
    if space.home() != here.number {
        return Step::Go(space.home());
    }
    for frame in job.cursor[0].get()..job.cursor[0].get() + job.cursor[1].get() {
        space.add_spare_table(frame);
    }
    Step::Done(Ok(0))
}

/// What the length word of a `Tables` slot holds: how many frames, and the first.
pub fn tables_word(first: u64, count: u64) -> u64 {
    first << 16 | count
}

/// `space_map`
pub extern "C" fn space_map(space: u64, frames: u64, range: u64, address: u64, flags: u64, _: u64) -> Answer {
    let asked = Asked { own: Thread::current().space, space, frames, range, address, flags };
    match map_at_once(&asked, cores::this()) {
        Some(result) => result.into(),
        None => jobs::call(map_step, [space, frames, range, address, flags, 0], (0, 0), |_| Ok(())),
    }
}

/// The arguments of `space_map`, and the caller's space.
struct Asked {
    own: &'static Space,
    space: u64,
    frames: u64,
    range: u64,
    address: u64,
    flags: u64,
}

/// A mapping that was asked for, checked against the capability.
struct Mapping {
    slot: &'static Slot,
    space: &'static Space,
    frame: u64,
    pages: Pages,
    access: Access,
    huge: bool,
}

impl Asked {
    /// Checks it. Only reads the caller's table.
    #[inline(always)]
    fn check(&self) -> Result<Mapping, Error> {
        let (first, count) = (self.range & 0xffff_ffff, self.range >> 32);
        let flags = MapFlags(u32::try_from(self.flags).map_err(|_| Error::BadArgument)?);
        let pages = Pages::new(self.address, count)?;
        if !MapFlags::ALL.contains(flags) {
            return Err(Error::BadArgument);
        }
        let space = space_of(self.own, self.space, Rights::CONTROL)?;
        let (slot, capability) = capabilities::find(self.own, self.frames)?;
        if !matches!(capability.kind, Kind::Frames | Kind::Device) {
            return Err(Error::WrongKind);
        }
        let access = access_for(&capability, flags)?;
        if first + count > capability.length {
            return Err(Error::BadArgument);
        }
        let frame = capability.first() + first;
        if capability.kind == Kind::Device && controller::may_be_registers(frame, count) {
            return Err(Error::InUse);
        }
        let huge = flags.contains(MapFlags::HUGE);
        let unaligned = (frame | pages.first | count) % HUGE_PAGES as u64 != 0;
        if huge && unaligned {
            return Err(Error::BadArgument);
        }
        Ok(Mapping { slot, space, frame, pages, access, huge })
    }
}

/// Maps a chunk of small pages when the caller's table and the space are at home here: what most calls ask for
/// takes no job. A pipelined call takes one, since its result goes elsewhere.
#[inline(always)]
fn map_at_once(asked: &Asked, here: &Core) -> Option<Result<u64, Error>> {
    let small = asked.range >> 32 <= CHUNK_STEPS as u64 && asked.flags & u64::from(MapFlags::HUGE.0) == 0;
    if !small || here.pipelined.get() != 0 || asked.own.home() != here.number {
        return None;
    }
    match asked.check() {
        Ok(mapping) if mapping.space.home() != here.number => None,
        Ok(mapping) => Some(mapping.carry_out()),
        Err(error) => Some(Err(error)),
    }
}

impl Mapping {
    /// Maps it as far as it goes, and has the slot remember it, unless nothing could be mapped.
    #[inline(always)]
    fn carry_out(&self) -> Result<u64, Error> {
        let fresh = !self.slot.is_mapped();
        self.slot.note_mapping(reference_to(self.space), self.pages.first, self.pages.count)?;
        match self.space.map_small(self.pages, self.frame, self.access) {
            (0, Err(error)) => {
                if fresh {
                    self.slot.forget_mapping(self.slot.notes());
                }
                Err(error)
            }
            (done, _) => Ok(done),
        }
    }
}

/// Checks a job's mapping; the slot remembers where it will be mapped. Writes the caller's table only at home.
fn check_mapping(job: &Job, note: bool) -> Result<Mapping, Error> {
    let [space, frames, range, address, flags] = [0, 1, 2, 3, 4].map(|index| job.argument(index));
    let mapping = Asked { own: job.space(), space, frames, range, address, flags }.check()?;
    let (slot, reference, pages) = (mapping.slot, reference_to(mapping.space), mapping.pages);
    if note {
        job.cursor[1].set(u64::from(!slot.is_mapped()));
        job.cursor[2].set(job.space().index_of(slot) as u64);
        slot.note_mapping(reference, pages.first, pages.count)?;
        job.arguments[NOTES].set(slot.notes());
    } else if !slot.remembers(reference, pages.first, pages.count) {
        // `frames_unmap` came in between: what were mapped now, nobody would remember.
        return Err(Error::InUse);
    }
    Ok(mapping)
}

#[inline(always)]
fn access_for(capability: &Capability, flags: MapFlags) -> Result<Access, Error> {
    let device = capability.kind == Kind::Device;
    let access = Access {
        write: flags.contains(MapFlags::WRITE),
        execute: flags.contains(MapFlags::EXECUTE),
        may_write: capability.rights.contains(Rights::WRITE),
        may_execute: capability.rights.contains(Rights::EXECUTE) && !device,
        uncached: device,
        uncounted: device,
    };
    let allowed = capability.rights.contains(Rights::READ)
        && (!access.write || access.may_write)
        && (!access.execute || access.may_execute);
    if allowed { Ok(access) } else { Err(Error::NoRights) }
}

const NOTE: u32 = 0;
const MAP: u32 = 1;
const FORGET: u32 = 2;

pub(super) fn map_step(job: &'static Job, here: &'static Core) -> Step {
    if job.stage.get() == FORGET {
        return forget_note(job, here);
    }
    let first_time = job.stage.get() == NOTE;
    let mapping = match check_mapping(job, first_time) {
        Ok(mapping) => mapping,
        Err(error) if first_time => return Step::Done(Err(error)),
        Err(error) => return not_mapped(job, here, error),
    };
    job.stage.set(MAP);
    if mapping.space.home() != here.number {
        return Step::Go(mapping.space.home());
    }
    let done = job.cursor[0].get();
    let left = Pages { first: mapping.pages.first + done, count: mapping.pages.count - done };
    let (more, result) = if mapping.huge {
        let result = mapping.space.map_huge(left.first, mapping.frame + done, mapping.access);
        (if result.is_ok() { HUGE_PAGES as u64 } else { 0 }, result)
    } else {
        let chunk = Pages { count: left.count.min(CHUNK_STEPS as u64), ..left };
        mapping.space.map_small(chunk, mapping.frame + done, mapping.access)
    };
    job.cursor[0].set(done + more);
    if let Err(error) = result {
        return not_mapped(job, here, error);
    }
    if done + more == mapping.pages.count { Step::Done(Ok(done + more)) } else { Step::Again }
}

/// Something stopped a mapping. If nothing was mapped, the slot need not remember that it was to be.
fn not_mapped(job: &Job, here: &Core, error: Error) -> Step {
    if job.cursor[0].get() > 0 || job.cursor[1].get() == 0 {
        return stopped(job, error);
    }
    job.cursor[3].set(error as u64);
    job.stage.set(FORGET);
    forget_note(job, here)
}

fn forget_note(job: &Job, here: &Core) -> Step {
    let own = job.space();
    if own.home() != here.number {
        return Step::Go(own.home());
    }
    if let Some(slot) = own.slot(job.cursor[2].get() as usize) {
        slot.forget_mapping(job.argument(NOTES));
    }
    Step::Done(Err(Error::from_number(job.cursor[3].get() as u32).unwrap_or(Error::Closed)))
}

/// Something stopped a call over several pages: how many were done, or why none was.
fn stopped(job: &Job, error: Error) -> Step {
    let done = job.cursor[0].get();
    Step::Done(if done > 0 { Ok(done) } else { Err(error) })
}

/// `space_unmap`
pub extern "C" fn space_unmap(space: u64, address: u64, count: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(unmap_step, [space, address, count, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn unmap_step(job: &'static Job, here: &'static Core) -> Step {
    change(job, here, |space, page, left| space.unmap_at(job, page, left))
}

/// `space_protect`
pub extern "C" fn space_protect(space: u64, address: u64, count: u64, flags: u64, _: u64, _: u64) -> Answer {
    jobs::call(protect_step, [space, address, count, flags, 0, 0], (0, 0), |_| {
        let known = u32::try_from(flags).is_ok_and(|flags| flags & !6 == 0);
        if known { Ok(()) } else { Err(Error::BadArgument) }
    })
}

fn protect_step(job: &'static Job, here: &'static Core) -> Step {
    let flags = MapFlags(job.argument(3) as u32);
    change(job, here, |space, page, left| space.protect_at(page, left, flags))
}

const CHANGE: u32 = 0;
const FLUSH: u32 = 1;

/// Changes mapped pages, a batch at a time; after each, waits until no core uses the old mappings.
fn change(
    job: &'static Job,
    here: &'static Core,
    one: impl Fn(&'static Space, u64, u64) -> Result<u64, Error>,
) -> Step {
    let pages = attempt!(Pages::new(job.argument(1), job.argument(2)));
    // After the first batch the space itself is kept: what was changed must be flushed in any case.
    if job.cursor[3].get() == 0 {
        let space = attempt!(target_space(job, job.argument(0), Rights::CONTROL));
        job.cursor[3].set(reference_to(space).0);
    }
    let space = match Space::still_there(objects::Reference(job.cursor[3].get()), here) {
        Ok(space) => space,
        Err(Some(home)) => return Step::Go(home),
        Err(None) => {
            // Nobody runs it any more, or will.
            job.release_held();
            return stopped(job, Error::Closed);
        }
    };
    if job.stage.get() == CHANGE {
        change_batch(job, &pages, |page, left| one(space, page, left));
        job.cursor[1].set(space.begin_flush(here));
        job.stage.set(FLUSH);
    }
    if !space.is_flushed(here, job.cursor[1].get()) {
        return Step::Park;
    }
    job.release_held();
    let done = job.cursor[0].get();
    match Error::from_number(job.cursor[2].get() as u32) {
        Some(error) => stopped(job, error),
        None if done == pages.count => Step::Done(Ok(done)),
        None => {
            job.stage.set(CHANGE);
            Step::Again
        }
    }
}

/// One batch: a chunk of steps, or as many as the job can hold. What stopped it is in the third cursor.
fn change_batch(job: &Job, pages: &Pages, one: impl Fn(u64, u64) -> Result<u64, Error>) {
    for _ in 0..CHUNK_STEPS {
        let done = job.cursor[0].get();
        if done == pages.count || job.holds_all_it_can() {
            return;
        }
        match one(pages.first + done, pages.count - done) {
            Ok(size) => job.cursor[0].set(done + size),
            Err(error) => return job.cursor[2].set(error as u64),
        }
    }
}

/// `space_dirty`
pub extern "C" fn space_dirty(space: u64, address: u64, count: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(dirty_step, [space, address, count, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn dirty_step(job: &'static Job, here: &'static Core) -> Step {
    let pages = attempt!(Pages::new(job.argument(1), job.argument(2)));
    if pages.count > DIRTY_MAX as u64 {
        return Step::Done(Err(Error::BadArgument));
    }
    let space = attempt!(target_space(job, job.argument(0), Rights::READ));
    if space.home() != here.number {
        return Step::Go(space.home());
    }
    if job.stage.get() == CHANGE {
        let bits = (0..pages.count).map(|index| u64::from(space.take_dirty(pages.first + index)) << index);
        let mask = bits.fold(0, |mask, bit| mask | bit);
        job.cursor[0].set(mask);
        // A core that still has the page cached as dirty would not set the bit again.
        job.cursor[1].set(if mask != 0 { space.begin_flush(here) } else { 0 });
        job.stage.set(FLUSH);
    }
    if space.is_flushed(here, job.cursor[1].get()) { Step::Done(Ok(job.cursor[0].get())) } else { Step::Park }
}
