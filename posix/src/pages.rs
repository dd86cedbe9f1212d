//! The pages of the program and the frames behind them.
//!
//! Memory is *promised* first, and backed by frames when the program, or a call for it, touches it: a few pages around
//! the touch at once. Promises never exceed the free frames, so one that was given is kept. A backed page without any
//! access is *hidden*: unmapped, its frame and content kept, since the CPU has no mapped page that can't be read.

use alloc::vec::Vec;
use core::ops::Range;

use fos_abi::capability::Handle;
use fos_abi::space::MapFlags;
use fos_posix::system::{OutOfMemory, PAGE, Protection};
use libfos::memory::{Memory, MemoryError};
use libfos::ranges::Ranges;
use libfos::reflect::{ProgramMemory, map_program, protect_program, unmap_program};
use rangemap::{RangeMap, RangeSet};

/// Frames that stay with libfos, for page tables: enough for the program's few regions and 64 MiB of pages.
const FRAMES_KEPT: u64 = 48;
/// Pages backed at one touch, aligned: fewer faults for memory that is used in order.
const TOUCH_PAGES: u64 = 16;

/// What stands behind some pages.
enum Backing {
    /// Nothing yet.
    Promised,
    /// Own frames, from this one on.
    Frames(u64),
    /// What root mapped before the program began: its image.
    Image,
}

/// What the program did to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it, or a call did something with it.
    Read,
    /// Wrote to it.
    Write,
    /// Ran into it.
    Execute,
}

impl Access {
    fn allowed_by(self, protection: Protection) -> bool {
        match self {
            Access::Read => protection.accessible(),
            Access::Write => protection.write,
            Access::Execute => protection.execute,
        }
    }
}

/// The pages. Ranges are in pages.
#[derive(Debug)]
pub struct Pages {
    memory: Memory,
    program: ProgramMemory,
    /// The frames that the program's memory is made of, and which of them are free.
    frames: Handle,
    free: Ranges,
    promised: RangeMap<u64, Protection>,
    promises: u64,
    /// Which frame stands behind a page: frame minus page, wrapping, so that a run of pages has one value.
    backing: RangeMap<u64, u64>,
    hidden: RangeSet<u64>,
}

impl Pages {
    /// Takes what is left of `memory` for the program.
    pub fn new(mut memory: Memory, program: ProgramMemory) -> Result<Pages, MemoryError> {
        let left = memory.frames.free_frames().saturating_sub(FRAMES_KEPT);
        let block = memory.frames.take(left)?;
        Ok(Pages {
            memory,
            program,
            frames: block.handle,
            free: Ranges::new(0, left),
            promised: RangeMap::new(),
            promises: 0,
            backing: RangeMap::new(),
            hidden: RangeSet::new(),
        })
    }

    /// Promises pages that have nothing behind them.
    pub fn promise(&mut self, pages: Range<u64>, protection: Protection) -> Result<(), OutOfMemory> {
        let count = pages.end - pages.start;
        if self.promises + count > self.free.free_count() {
            return Err(OutOfMemory);
        }
        self.promises += count;
        self.promised.insert(pages, protection);
        Ok(())
    }

    /// Backs the promised pages around one that was touched. False if the page is not promised, or not for that, or
    /// page tables are used up.
    pub fn touch(&mut self, page: u64, access: Access) -> bool {
        let Some((range, protection)) = self.promised.get_key_value(&page) else { return false };
        let protection = *protection;
        if !access.allowed_by(protection) {
            return false;
        }
        let start = range.start.max(page / TOUCH_PAGES * TOUCH_PAGES);
        let end = range.end.min((page / TOUCH_PAGES + 1) * TOUCH_PAGES);
        let mut next = start;
        while next < end {
            match self.back_some(next..end, protection) {
                Ok(count) => next += count,
                Err(OutOfMemory) => return next > page,
            }
        }
        true
    }

    /// Touches the promised pages of a range of bytes. Whether there were any.
    pub fn touch_bytes(&mut self, address: u64, bytes: usize) -> bool {
        let Some(end) = address.checked_add(bytes as u64) else { return false };
        let mut touched = false;
        for page in address / PAGE..end.div_ceil(PAGE) {
            touched |= self.touch(page, Access::Read);
        }
        touched
    }

    /// Unmaps pages, and gives back frames and promises behind them.
    pub fn release(&mut self, pages: Range<u64>) {
        for (part, backing) in self.parts(&pages) {
            match backing {
                Backing::Promised => self.forget_promise(part),
                Backing::Frames(first) => {
                    // Frames whose pages could not be unmapped stay out of use.
                    if self.unmap_visible(&part) {
                        self.give_back(first, part.end - part.start);
                    }
                    self.backing.remove(part.clone());
                    self.hidden.remove(part);
                }
                Backing::Image => {
                    let (address, count) = place(&part);
                    // What stays mapped can be reached by this program alone.
                    let _ = unmap_program(address, count);
                }
            }
        }
    }

    /// Changes how pages may be used.
    pub fn protect(&mut self, pages: Range<u64>, protection: Protection) -> Result<(), OutOfMemory> {
        for (part, backing) in self.parts(&pages) {
            match backing {
                Backing::Promised => self.promised.insert(part, protection),
                Backing::Frames(first) => self.protect_own(part, first, protection)?,
                Backing::Image => protect_mapped(&part, protection)?,
            }
        }
        Ok(())
    }

    /// Backs some promised pages, from the first; answers with how many.
    fn back_some(&mut self, pages: Range<u64>, protection: Protection) -> Result<u64, OutOfMemory> {
        let (first, count) = self.take_frames(pages.end - pages.start).ok_or(OutOfMemory)?;
        let part = pages.start..pages.start + count;
        if let Err(error) = self.map_cleared(first, &part, protection) {
            self.give_back(first, count);
            return Err(error);
        }
        self.backing.insert(part.clone(), first.wrapping_sub(part.start));
        self.forget_promise(part);
        Ok(count)
    }

    fn forget_promise(&mut self, pages: Range<u64>) {
        self.promises -= pages.end - pages.start;
        self.promised.remove(pages);
    }

    /// Takes the largest free run of frames up to `most`.
    fn take_frames(&mut self, most: u64) -> Option<(u64, u64)> {
        let sizes =
            core::iter::successors(Some(most), |count| Some(count / 2)).take_while(|count| *count > 0);
        sizes.into_iter().find_map(|count| Some((self.free.take(count, 1)?, count)))
    }

    fn give_back(&mut self, first: u64, count: u64) {
        let returned = self.free.give_back(first, count);
        debug_assert!(returned, "frames come back once");
    }

    /// Maps frames that may hold anything, clears them, and only then allows what the program asked for.
    fn map_cleared(
        &mut self,
        first: u64,
        pages: &Range<u64>,
        protection: Protection,
    ) -> Result<(), OutOfMemory> {
        self.map(first, pages, MapFlags::WRITE)?;
        let (address, count) = place(pages);
        let cleared = self.program.clear(address, count * PAGE as usize).is_ok();
        if cleared && (protection.write || protect_mapped(pages, protection).is_ok()) {
            return Ok(());
        }
        // Nothing may stay mapped that is not recorded; if even this fails the frames are lost to this process only.
        let _ = unmap_program(address, count);
        Err(OutOfMemory)
    }

    fn map(&mut self, first: u64, pages: &Range<u64>, flags: MapFlags) -> Result<(), OutOfMemory> {
        let (address, count) = place(pages);
        map_program(&mut self.memory, self.frames, first as u32, count, address, flags)
            .map_err(|_| OutOfMemory)
    }

    /// What stands behind the parts of a range.
    fn parts(&self, pages: &Range<u64>) -> Vec<(Range<u64>, Backing)> {
        let mut parts = Vec::new();
        parts.extend(
            self.promised.overlapping(pages).map(|(range, _)| (cut(range, pages), Backing::Promised)),
        );
        for (range, delta) in self.backing.overlapping(pages) {
            let part = cut(range, pages);
            let first = part.start.wrapping_add(*delta);
            parts.push((part, Backing::Frames(first)));
        }
        for gap in self.backing.gaps(pages) {
            parts.extend(self.promised.gaps(&gap).map(|image| (image, Backing::Image)));
        }
        parts
    }

    /// Changes pages that have own frames, from `first` on.
    fn protect_own(
        &mut self,
        pages: Range<u64>,
        first: u64,
        protection: Protection,
    ) -> Result<(), OutOfMemory> {
        if !protection.accessible() {
            if !self.unmap_visible(&pages) {
                return Err(OutOfMemory);
            }
            self.hidden.insert(pages);
            return Ok(());
        }
        let hidden: Vec<_> = self.hidden.overlapping(&pages).map(|range| cut(range, &pages)).collect();
        let visible: Vec<_> = self.hidden.gaps(&pages).collect();
        for part in hidden {
            self.map(first + (part.start - pages.start), &part, flags(protection))?;
            self.hidden.remove(part);
        }
        visible.iter().try_for_each(|part| protect_mapped(part, protection))
    }

    fn unmap_visible(&self, pages: &Range<u64>) -> bool {
        self.hidden.gaps(pages).all(|part| {
            let (address, count) = place(&part);
            unmap_program(address, count).is_ok()
        })
    }
}

fn protect_mapped(pages: &Range<u64>, protection: Protection) -> Result<(), OutOfMemory> {
    let (address, count) = place(pages);
    protect_program(address, count, flags(protection)).map_err(|_| OutOfMemory)
}

/// The part of `range` that is in `pages`.
fn cut(range: &Range<u64>, pages: &Range<u64>) -> Range<u64> {
    range.start.max(pages.start)..range.end.min(pages.end)
}

/// Address and number of pages.
fn place(pages: &Range<u64>) -> (u64, usize) {
    (pages.start * PAGE, (pages.end - pages.start) as usize)
}

fn flags(protection: Protection) -> MapFlags {
    let write = if protection.write { MapFlags::WRITE } else { MapFlags::READ };
    let execute = if protection.execute { MapFlags::EXECUTE } else { MapFlags::READ };
    write.with(execute)
}
