//! The program's memory as Linux describes it: the areas of its image, its stack, its heap (`brk`) and its
//! mappings (`mmap`). This file decides which addresses a call may touch; [`System`] does what it decided.
//!
//! Memory is backed when it is mapped, except for areas without any access, which hold no frames until `mprotect`
//! opens them (programs reserve large ranges that way). Nothing is ever writable and executable at once.

use crate::errno::Errno;
use crate::system::{PAGE, Protection, System};
use alloc::vec::Vec;
use core::ops::Range;
use fos_abi::limits::{USER_END, USER_START};
use rangemap::RangeMap;

/// One area's pages: how they may be used, and whether frames stand behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// As asked for.
    pub protection: Protection,
    /// False only for areas that never had any access.
    pub backed: bool,
}

/// Where things are when the program starts. Addresses in bytes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is mapped already: the image's segments and the stack.
    pub mapped: Vec<(Range<u64>, Protection)>,
    /// What belongs to the personality: the program may neither map nor unmap there.
    pub reserved: Vec<Range<u64>>,
    /// Where the heap begins, page aligned.
    pub heap_start: u64,
    /// Where the heap must end at the latest, page aligned.
    pub heap_limit: u64,
    /// Where `mmap` puts what has no address, from the top down; page aligned.
    pub window: Range<u64>,
}

/// The areas. Keys are page numbers.
#[derive(Debug)]
pub struct Memory {
    areas: RangeMap<u64, Area>,
    reserved: Vec<Range<u64>>,
    heap_start: u64,
    heap_end: u64,
    heap_limit: u64,
    window: Range<u64>,
}

/// The pages that hold the bytes of `range`.
fn pages_of(range: &Range<u64>) -> Range<u64> {
    range.start / PAGE..range.end.div_ceil(PAGE)
}

impl Memory {
    /// The areas of a program that is about to start.
    pub fn new(plan: Plan) -> Memory {
        let mut areas = RangeMap::new();
        for (range, protection) in &plan.mapped {
            let pages = pages_of(range);
            if !pages.is_empty() {
                areas.insert(pages, Area { protection: *protection, backed: true });
            }
        }
        Memory {
            areas,
            reserved: plan.reserved.iter().map(pages_of).collect(),
            heap_start: plan.heap_start,
            heap_end: plan.heap_start,
            heap_limit: plan.heap_limit,
            window: pages_of(&plan.window),
        }
    }

    /// Moves the end of the heap if that can be; answers where it ends now (brk(2), "C library/kernel differences").
    pub fn set_heap_end(&mut self, system: &mut dyn System, end: u64) -> u64 {
        if end >= self.heap_start && end <= self.heap_limit && self.resize_heap(system, end).is_ok() {
            self.heap_end = end;
        }
        self.heap_end
    }

    fn resize_heap(&mut self, system: &mut dyn System, end: u64) -> Result<(), Errno> {
        let (old, new) = (self.heap_end.div_ceil(PAGE), end.div_ceil(PAGE));
        if new < old {
            self.remove(system, new..old);
        } else if new > old {
            self.must_be_free(&(old..new))?;
            self.insert(system, old..new, Protection::READ_WRITE)?;
        }
        Ok(())
    }

    /// Maps fresh memory where it fits, at `hint` if that is free. Answers the address.
    pub fn map_anywhere(
        &mut self,
        system: &mut dyn System,
        hint: u64,
        length: u64,
        protection: Protection,
    ) -> Result<u64, Errno> {
        let hinted = self.range(hint & !(PAGE - 1), length).filter(|_| hint != 0);
        let pages = match hinted.filter(|pages| self.must_be_free(pages).is_ok()) {
            Some(pages) => pages,
            None => self.free_range(length.div_ceil(PAGE))?,
        };
        self.insert(system, pages.clone(), protection)?;
        Ok(pages.start * PAGE)
    }

    /// Maps fresh memory exactly there. What was there goes, or with `keep` the call is refused.
    pub fn map_fixed(
        &mut self,
        system: &mut dyn System,
        address: u64,
        length: u64,
        protection: Protection,
        keep: bool,
    ) -> Result<u64, Errno> {
        let pages = self.aligned(address, length)?;
        if keep {
            self.must_be_free(&pages).map_err(|_| Errno::EEXIST)?;
        } else {
            self.must_not_be_reserved(&pages)?;
            self.remove(system, pages.clone());
        }
        self.insert(system, pages, protection)?;
        Ok(address)
    }

    /// Unmaps what is mapped in a range (munmap(2): nothing there is no error).
    pub fn unmap(&mut self, system: &mut dyn System, address: u64, length: u64) -> Result<(), Errno> {
        let pages = self.aligned(address, length).map_err(|_| Errno::EINVAL)?;
        self.must_not_be_reserved(&pages).map_err(|_| Errno::EINVAL)?;
        self.remove(system, pages);
        Ok(())
    }

    /// Changes the protection of a range that is mapped without a gap.
    pub fn protect(
        &mut self,
        system: &mut dyn System,
        address: u64,
        length: u64,
        protection: Protection,
    ) -> Result<(), Errno> {
        if length == 0 && address.is_multiple_of(PAGE) {
            return Ok(());
        }
        let pages = self.aligned(address, length)?;
        if self.areas.gaps(&pages).next().is_some() {
            return Err(Errno::ENOMEM);
        }
        let parts: Vec<(Range<u64>, Area)> = self
            .areas
            .overlapping(&pages)
            .map(|(range, area)| (range.start.max(pages.start)..range.end.min(pages.end), *area))
            .collect();
        for (part, area) in parts {
            self.protect_part(system, part, area, protection)?;
        }
        Ok(())
    }

    fn protect_part(
        &mut self,
        system: &mut dyn System,
        pages: Range<u64>,
        area: Area,
        protection: Protection,
    ) -> Result<(), Errno> {
        let backed = area.backed || protection.accessible();
        match (area.backed, protection.accessible()) {
            (true, _) => system.protect(pages.clone(), protection),
            (false, true) => system.populate(pages.clone(), protection),
            (false, false) => Ok(()),
        }
        .map_err(|_| Errno::ENOMEM)?;
        self.areas.insert(pages, Area { protection, backed });
        Ok(())
    }

    fn insert(
        &mut self,
        system: &mut dyn System,
        pages: Range<u64>,
        protection: Protection,
    ) -> Result<(), Errno> {
        let backed = protection.accessible();
        if backed {
            system.populate(pages.clone(), protection).map_err(|_| Errno::ENOMEM)?;
        }
        self.areas.insert(pages, Area { protection, backed });
        Ok(())
    }

    fn remove(&mut self, system: &mut dyn System, pages: Range<u64>) {
        let parts: Vec<Range<u64>> = self
            .areas
            .overlapping(&pages)
            .filter(|(_, area)| area.backed)
            .map(|(range, _)| range.start.max(pages.start)..range.end.min(pages.end))
            .collect();
        for part in parts {
            system.release(part);
        }
        self.areas.remove(pages);
    }

    /// The pages of a range that starts at a page, has a length, and lies in user addresses.
    fn aligned(&self, address: u64, length: u64) -> Result<Range<u64>, Errno> {
        if !address.is_multiple_of(PAGE) || length == 0 {
            return Err(Errno::EINVAL);
        }
        self.range(address, length).ok_or(Errno::ENOMEM)
    }

    fn range(&self, address: u64, length: u64) -> Option<Range<u64>> {
        let end = address.checked_add(length).filter(|end| *end <= USER_END)?;
        (address >= USER_START && length > 0).then(|| pages_of(&(address..end)))
    }

    fn must_not_be_reserved(&self, pages: &Range<u64>) -> Result<(), Errno> {
        let overlaps = |other: &Range<u64>| pages.start < other.end && other.start < pages.end;
        if self.reserved.iter().any(overlaps) { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    fn must_be_free(&self, pages: &Range<u64>) -> Result<(), Errno> {
        self.must_not_be_reserved(pages)?;
        if self.areas.overlaps(pages) { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// The highest free place for `count` pages in the window.
    fn free_range(&self, count: u64) -> Result<Range<u64>, Errno> {
        let fits = |gap: &Range<u64>| gap.end - gap.start >= count;
        let gap = self.areas.gaps(&self.window).filter(fits).last().ok_or(Errno::ENOMEM)?;
        Ok(gap.end - count..gap.end)
    }

    /// The area that holds an address.
    pub fn area(&self, address: u64) -> Option<Area> {
        self.areas.get(&(address / PAGE)).copied()
    }
}
