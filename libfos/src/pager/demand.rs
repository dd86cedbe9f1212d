//! Our pager: pages are zero until they are written, copies share their frames until one of them is written, stacks grow to their
//! limit, and around each region are pages with nothing behind them, so that an overrun ends in a report and in nobody's memory.
//!
//! What is touched in order is backed many pages at a time. What is released goes home to the fleet a run at a time, when nothing
//! of the run is used any more; a batch stays for the next touch.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::limits::{MAP_MAX, PAGE_SIZE};
use fos_abi::space::MapFlags;

use super::larder::Larder;
use super::region::{Backed, Kind, Region, State};
use super::store::{Frame, Store};
use super::{Fault, Pager, Verdict};
use crate::calls;
use crate::memory::{Mapping, Memory, MemoryError};
use crate::pages::SupplyError;

/// Frames that are fetched at once at least, 2 MiB.
pub const BATCH: u64 = 512;
/// And at most, 16 MiB.
const BATCH_MAX: u64 = 4096;

/// Frames that a program with so many fetches at once, and keeps when they are free: the more it has, the fewer requests, and never
/// more beside what it uses than half as much again.
fn batch(frames: u64) -> u64 {
    (frames / 2).clamp(BATCH, BATCH_MAX)
}
/// Pages with nothing behind them on each side of a region: as many as one function's frame may skip over at once.
const GUARD_PAGES: u64 = 16;

/// Why a region can't be made, or its pages can't be had now.
pub type PagingError = SupplyError;

/// What was done, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Faults that were handled.
    pub faults: u64,
    /// Pages that got a frame.
    pub backed: u64,
    /// Pages that were copied since they were shared.
    pub copied: u64,
    /// Frames that the pager has.
    pub frames: u64,
}

/// What pages and frames are: the kernel's, or a test's.
pub trait Ground {
    /// Addresses that nobody else has, as pages.
    fn reserve(&mut self, pages: u64) -> Result<u64, MemoryError>;
    /// Gives such addresses back, where nothing is mapped.
    fn free_addresses(&mut self, first: u64, pages: u64);
    /// Puts frames of a capability behind pages.
    fn map(
        &mut self,
        frames: (Handle, u32),
        count: usize,
        page: u64,
        writable: bool,
    ) -> Result<(), MemoryError>;
    /// Takes away what is behind pages.
    fn unmap(&mut self, page: u64, count: u64) -> Result<(), Error>;
    /// Takes frames of a capability away from behind all pages.
    fn unmap_all(&mut self, frames: Handle) -> Result<(), Error>;
    /// Lets pages be written, or only read.
    fn protect(&mut self, page: u64, count: u64, writable: bool) -> Result<(), Error>;
    /// How many pages a frame is behind.
    fn mappings(&self, frames: Handle, index: u32) -> Result<u64, Error>;
    /// Clears pages that may be written.
    fn zero(&mut self, page: u64, count: usize);
    /// Copies one page to another, which may be written.
    fn copy(&mut self, from: u64, to: u64);
}

/// The program's own space.
#[derive(Debug)]
pub struct InSpace(pub Memory);

impl Ground for InSpace {
    fn reserve(&mut self, pages: u64) -> Result<u64, MemoryError> {
        Ok(self.0.reserve(pages as usize)? / PAGE_SIZE as u64)
    }

    fn free_addresses(&mut self, first: u64, pages: u64) {
        self.0.free_addresses(first * PAGE_SIZE as u64, pages as usize);
    }

    fn map(
        &mut self,
        frames: (Handle, u32),
        count: usize,
        page: u64,
        writable: bool,
    ) -> Result<(), MemoryError> {
        let address = page * PAGE_SIZE as u64;
        let mapped = self.0.map_at(Handle::SELF, frames.0, frames.1, count, address, flags(writable));
        mapped.map_err(|(done, error)| match self.unmap(page, done as u64) {
            Ok(()) => error,
            Err(undoing) => undoing.into(),
        })
    }

    fn unmap(&mut self, page: u64, count: u64) -> Result<(), Error> {
        in_pieces(page, count, |address, count| calls::space_unmap(Handle::SELF, address, count))
    }

    fn unmap_all(&mut self, frames: Handle) -> Result<(), Error> {
        calls::frames_unmap(frames)
    }

    fn protect(&mut self, page: u64, count: u64, writable: bool) -> Result<(), Error> {
        in_pieces(page, count, |address, count| {
            calls::space_protect(Handle::SELF, address, count, flags(writable))
        })
    }

    fn mappings(&self, frames: Handle, index: u32) -> Result<u64, Error> {
        calls::frame_read(frames, index.into())
    }

    fn zero(&mut self, page: u64, count: usize) {
        mapping(page, count).zero();
    }

    fn copy(&mut self, from: u64, to: u64) {
        let (from, to) = (mapping(from, 1), mapping(to, 1));
        let mut buffer = [0; 512];
        for offset in (0..PAGE_SIZE).step_by(buffer.len()) {
            let copied = from.read(offset, &mut buffer).and_then(|()| to.write(offset, &buffer));
            debug_assert!(copied.is_ok(), "both are whole pages");
        }
    }
}

fn flags(writable: bool) -> MapFlags {
    if writable { MapFlags::WRITE } else { MapFlags::READ }
}

/// Pages of a region that are backed.
fn mapping(page: u64, count: usize) -> Mapping {
    // SAFETY: the pager calls this for pages that it has mapped so, on the thread that they belong to, and lets go of it at once.
    unsafe { Mapping::from_raw(page * PAGE_SIZE as u64, count, true) }
}

fn in_pieces(
    page: u64,
    count: u64,
    mut call: impl FnMut(u64, u64) -> Result<u64, Error>,
) -> Result<(), Error> {
    let mut done = 0;
    while done < count {
        let now = call((page + done) * PAGE_SIZE as u64, (count - done).min(MAP_MAX as u64))?;
        if now == 0 {
            return Err(Error::NotMapped);
        }
        done += now;
    }
    Ok(())
}

/// The pager of one thread. Clones are the same pager.
#[derive(Debug)]
pub struct Demand<G>(Rc<RefCell<Inside<G>>>);

impl<G> Clone for Demand<G> {
    fn clone(&self) -> Demand<G> {
        Demand(self.0.clone())
    }
}

#[derive(Debug)]
struct Inside<G> {
    ground: G,
    larder: Box<dyn Larder>,
    store: Store,
    /// By their first page.
    regions: BTreeMap<u64, State>,
    figures: Figures,
    /// A page's address where a frame is mapped to be copied to.
    scratch: Option<u64>,
}

impl<G: Ground> Pager for Demand<G> {
    fn fault(&mut self, fault: Fault) -> Verdict {
        // Whoever faults while the pager is at work faults in the pager.
        self.0.try_borrow_mut().map_or(Verdict::Unknown, |mut inside| inside.fault(fault))
    }
}

impl<G: Ground> Demand<G> {
    /// A pager without regions.
    pub fn new(ground: G, larder: impl Larder + 'static) -> Demand<G> {
        let (store, regions, figures) = Default::default();
        let larder = Box::new(larder);
        Demand(Rc::new(RefCell::new(Inside { ground, larder, store, regions, figures, scratch: None })))
    }

    /// Makes a region of so many pages, at least one. It costs nothing until it is touched.
    pub fn make(&self, kind: Kind, pages: u64) -> Result<Region, PagingError> {
        let mut inside = self.0.borrow_mut();
        let with_guards = pages.checked_add(2 * GUARD_PAGES).ok_or(MemoryError::OutOfAddresses)?;
        let first = inside.ground.reserve(with_guards)? + GUARD_PAGES;
        inside.regions.insert(first, State::new(kind, first, pages));
        Ok(Region { first, pages })
    }

    /// Has something behind the pages of a range of bytes, so that touching them does not fail. What is beyond the region is left
    /// out.
    pub fn touch(&self, region: &Region, bytes: core::ops::Range<usize>) -> Result<(), PagingError> {
        let page = |byte: usize| region.first + (byte / PAGE_SIZE) as u64;
        let end = page(bytes.end.saturating_add(PAGE_SIZE - 1)).min(region.first + region.pages);
        let mut inside = self.0.borrow_mut();
        (page(bytes.start)..end).try_for_each(|page| inside.provide(region.first, page))
    }

    /// Makes a region with what this one holds now. Neither sees what is written to the other later.
    pub fn copy(&self, region: &Region) -> Result<Region, PagingError> {
        let kind = self.0.borrow().regions.get(&region.first).map_or(Kind::Memory, |state| state.kind);
        let copy = self.make(kind, region.pages)?;
        let shared = self.0.borrow_mut().share(region.first, copy.first);
        match shared {
            Ok(()) => Ok(copy),
            Err(error) => {
                self.release(copy)?;
                Err(error)
            }
        }
    }

    /// Ends a region; what was behind it is free, and goes home beyond a batch of what the program had.
    pub fn release(&self, region: Region) -> Result<(), PagingError> {
        let mut inside = self.0.borrow_mut();
        let stays = batch(inside.store.frames());
        inside.release(region.first)?;
        inside.give_back(stays)
    }

    /// Gives back all that is not used, for a program that hears that little is free.
    pub fn give_back_unused(&self) -> Result<(), PagingError> {
        self.0.borrow_mut().give_back(0)
    }

    /// What was done.
    pub fn figures(&self) -> Figures {
        let inside = self.0.borrow();
        Figures { frames: inside.store.frames(), ..inside.figures }
    }
}

impl<G: Ground> Inside<G> {
    fn fault(&mut self, fault: Fault) -> Verdict {
        let page = fault.address / PAGE_SIZE as u64;
        let below = self.regions.range(..=page + GUARD_PAGES).next_back();
        let Some((&first, state)) = below.filter(|(_, state)| page < state.end() + GUARD_PAGES) else {
            return Verdict::Unknown;
        };
        if !state.has(page) {
            return Verdict::Over(overrun(state, fault.address));
        }
        self.figures.faults += 1;
        let done = match state.backed(page) {
            None => self.back(first, page),
            Some(backed) if backed.is_shared && fault.is_write => self.own(first, page, backed.frame),
            // It is there and may be written: the access is one that memory does not allow.
            Some(_) => return Verdict::Unknown,
        };
        match done {
            Ok(()) => Verdict::Retry,
            Err(error) => Verdict::Over(format!("no memory for address {:#x}: {error}", fault.address)),
        }
    }

    /// A page of this region is to be written.
    fn provide(&mut self, first: u64, page: u64) -> Result<(), PagingError> {
        match self.regions.get(&first).and_then(|state| state.backed(page)) {
            None => self.back(first, page),
            Some(Backed { frame, is_shared: true }) => self.own(first, page, frame),
            Some(_) => Ok(()),
        }
    }

    /// Has zeros behind a page that has nothing behind it, and behind those that are likely to be next.
    fn back(&mut self, first: u64, page: u64) -> Result<(), PagingError> {
        if self.store.free() == 0 {
            self.fetch()?;
        }
        let Some(state) = self.regions.get_mut(&first) else { return Ok(()) };
        let window = state.window(page);
        let most = (window.end - window.start) as usize;
        let taken = self.store.take(most).ok_or(MemoryError::OutOfFrames)?;
        let count = taken.count as u64;
        let pages = match state.kind {
            Kind::Memory => page..page + count,
            Kind::Stack => page + 1 - count..page + 1,
        };
        if let Err(error) =
            self.ground.map((taken.handle, taken.first.index()), taken.count, pages.start, true)
        {
            (0..taken.count as u32).for_each(|index| self.store.free_one(Frame(taken.first.0 + index)));
            return Err(error.into());
        }
        if !taken.is_clean {
            self.ground.zero(pages.start, taken.count);
        }
        for (page, index) in pages.clone().zip(0..) {
            state.back(page, Some(Backed { frame: Frame(taken.first.0 + index), is_shared: false }));
        }
        state.went_on(&pages);
        self.figures.backed += count;
        Ok(())
    }

    fn fetch(&mut self) -> Result<(), PagingError> {
        for run in self.larder.fetch(batch(self.store.frames()))? {
            if !self.store.add(run) {
                return Err(SupplyError::BadAnswer);
            }
        }
        Ok(())
    }

    /// A shared page is to be written: it gets a frame of its own, or the frame is its own by now.
    fn own(&mut self, first: u64, page: u64, frame: Frame) -> Result<(), PagingError> {
        let handle = self.store.handle(frame).ok_or(MemoryError::OutOfFrames)?;
        let mut own = frame;
        if self.ground.mappings(handle, frame.index())? == 1 {
            self.ground.protect(page, 1, true)?;
        } else {
            own = self.copied(page)?;
            self.ground.unmap(page, 1)?;
            let handle = self.store.handle(own).ok_or(MemoryError::OutOfFrames)?;
            self.ground.map((handle, own.index()), 1, page, true)?;
            self.figures.copied += 1;
        }
        if let Some(state) = self.regions.get_mut(&first) {
            state.back(page, Some(Backed { frame: own, is_shared: false }));
        }
        Ok(())
    }

    /// A frame with what is on a page.
    fn copied(&mut self, page: u64) -> Result<Frame, PagingError> {
        if self.store.free() == 0 {
            self.fetch()?;
        }
        let scratch = match self.scratch {
            Some(scratch) => scratch,
            None => self.ground.reserve(1)?,
        };
        self.scratch = Some(scratch);
        let taken = self.store.take(1).ok_or(MemoryError::OutOfFrames)?;
        if let Err(error) = self.ground.map((taken.handle, taken.first.index()), 1, scratch, true) {
            self.store.free_one(taken.first);
            return Err(error.into());
        }
        self.ground.copy(page, scratch);
        self.ground.unmap(scratch, 1)?;
        Ok(taken.first)
    }

    /// Has the frames of one region behind the other too.
    fn share(&mut self, from: u64, to: u64) -> Result<(), PagingError> {
        let Some(state) = self.regions.get(&from) else { return Ok(()) };
        let backed: Vec<(u64, Backed)> = state.all_backed().collect();
        for stretch in backed.chunk_by(|one, next| {
            one.0 + 1 == next.0
                && one.1.is_shared == next.1.is_shared
                && one.1.frame.0 + 1 == next.1.frame.0
                && one.1.frame.run() == next.1.frame.run()
        }) {
            let (page, Backed { frame, is_shared }) = stretch[0];
            let handle = self.store.handle(frame).ok_or(MemoryError::OutOfFrames)?;
            if !is_shared {
                self.ground.protect(page, stretch.len() as u64, false)?;
                self.note_shared(from, from, stretch);
            }
            self.ground.map((handle, frame.index()), stretch.len(), page - from + to, false)?;
            self.note_shared(from, to, stretch);
        }
        Ok(())
    }

    /// Notes that the frames of these pages of one region are behind those of another, or of the same, and shared.
    fn note_shared(&mut self, from: u64, to: u64, stretch: &[(u64, Backed)]) {
        let Some(state) = self.regions.get_mut(&to) else { return };
        for (page, backed) in stretch {
            state.back(page - from + to, Some(Backed { is_shared: true, ..*backed }));
        }
    }

    fn release(&mut self, first: u64) -> Result<(), PagingError> {
        let Some(state) = self.regions.remove(&first) else { return Ok(()) };
        let mut runs: Vec<usize> = Vec::new();
        let mut own: Vec<(u64, Frame)> = Vec::new();
        for (page, Backed { frame, is_shared }) in state.all_backed() {
            if !is_shared {
                self.store.free_one(frame);
                own.push((page, frame));
                if runs.last() != Some(&frame.run()) {
                    runs.push(frame.run());
                }
                continue;
            }
            self.ground.unmap(page, 1)?;
            let handle = self.store.handle(frame).ok_or(MemoryError::OutOfFrames)?;
            if self.ground.mappings(handle, frame.index())? == 0 {
                self.store.free_one(frame);
            }
        }
        self.unmap(&own, runs)?;
        self.ground.free_addresses(first - GUARD_PAGES, state.pages + 2 * GUARD_PAGES);
        Ok(())
    }

    /// Unmaps pages of freed frames: those of runs that are not used any more a run at a time.
    fn unmap(&mut self, own: &[(u64, Frame)], mut runs: Vec<usize>) -> Result<(), PagingError> {
        runs.sort_unstable();
        runs.dedup();
        runs.retain(|run| self.store.is_unused(*run));
        for run in &runs {
            let handle = own
                .iter()
                .find(|(_, frame)| frame.run() == *run)
                .and_then(|(_, frame)| self.store.handle(*frame));
            handle.map_or(Ok(()), |handle| self.ground.unmap_all(handle))?;
        }
        let left: Vec<u64> = own
            .iter()
            .filter(|(_, frame)| runs.binary_search(&frame.run()).is_err())
            .map(|(page, _)| *page)
            .collect();
        for stretch in left.chunk_by(|one, next| one + 1 == *next) {
            self.ground.unmap(stretch[0], stretch.len() as u64)?;
        }
        Ok(())
    }

    fn give_back(&mut self, stay: u64) -> Result<(), PagingError> {
        let unused = self.store.remove_unused(stay);
        if unused.is_empty() { Ok(()) } else { self.larder.give_back(&unused) }
    }
}

fn overrun(state: &State, address: u64) -> String {
    let kib = state.pages * PAGE_SIZE as u64 / 1024;
    match state.kind {
        Kind::Stack => format!("a stack of {kib} KiB is used up: address {address:#x} is beyond its end"),
        Kind::Memory => format!("memory of {kib} KiB was overrun: address {address:#x} is beyond it"),
    }
}

#[cfg(test)]
mod tests;
