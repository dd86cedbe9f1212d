//! What a pager knows of one region: which frame is behind each page, and how it was touched last.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use fos_abi::limits::PAGE_SIZE;

use super::store::{Frame, TAKE_MAX};

/// Pages of a chunk: their frames are noted together.
const CHUNK: u64 = 512;
/// The frame is behind another page too: it is mapped read only, and copied before it is written.
const SHARED: u32 = 1 << 31;

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory, used from its first address on if in order.
    Memory,
    /// A stack, used from its last address down.
    Stack,
}

/// Addresses behind which a pager puts pages. What is not touched yet reads as zeros.
#[derive(Debug)]
#[must_use = "a region that is dropped stays as it is"]
pub struct Region {
    pub(super) first: u64,
    pub(super) pages: u64,
}

impl Region {
    /// Where it begins.
    pub fn address(&self) -> u64 {
        self.first * PAGE_SIZE as u64
    }

    /// Its size in bytes.
    pub fn length(&self) -> usize {
        self.pages as usize * PAGE_SIZE
    }

    /// All of it as words. Where no memory is left for one that is touched, the process is over.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the pager puts a page behind each of these addresses when it is touched, until it is given the region; aligned to
        // pages, and atomics allow for other writers.
        unsafe { core::slice::from_raw_parts(self.address() as *const AtomicU64, self.length() / 8) }
    }
}

/// What is behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backed {
    /// The frame.
    pub frame: Frame,
    /// It is behind another page too, or was.
    pub is_shared: bool,
}

/// A region as its pager sees it.
#[derive(Debug)]
pub struct State {
    pub kind: Kind,
    pub first: u64,
    pub pages: u64,
    /// A word for each page, none before one of the chunk's pages was touched. Zero: nothing is behind it.
    chunks: Vec<Option<Box<[u32; CHUNK as usize]>>>,
    /// The page that is touched next if pages are touched in order, and how many were then put behind at once.
    next: u64,
    window: usize,
}

impl State {
    /// A region with nothing behind it.
    pub fn new(kind: Kind, first: u64, pages: u64) -> State {
        let chunks = (0..pages.div_ceil(CHUNK)).map(|_| None).collect();
        State { kind, first, pages, chunks, next: 0, window: 1 }
    }

    pub fn end(&self) -> u64 {
        self.first + self.pages
    }

    pub fn has(&self, page: u64) -> bool {
        (self.first..self.end()).contains(&page)
    }

    /// What is behind a page of it.
    pub fn backed(&self, page: u64) -> Option<Backed> {
        let offset = page.checked_sub(self.first)?;
        let chunk = self.chunks.get((offset / CHUNK) as usize)?.as_ref()?;
        read(chunk[(offset % CHUNK) as usize])
    }

    /// Notes what is behind a page of it.
    pub fn back(&mut self, page: u64, backed: Option<Backed>) {
        let offset = page - self.first;
        let chunk =
            self.chunks[(offset / CHUNK) as usize].get_or_insert_with(|| Box::new([0; CHUNK as usize]));
        chunk[(offset % CHUNK) as usize] = match backed {
            None => 0,
            Some(Backed { frame, is_shared }) => (frame.0 + 1) | if is_shared { SHARED } else { 0 },
        };
    }

    /// The pages that something is behind, in order.
    pub fn all_backed(&self) -> impl Iterator<Item = (u64, Backed)> + '_ {
        let first = self.first;
        let chunks = self.chunks.iter().zip((first..).step_by(CHUNK as usize));
        let chunks = chunks.filter_map(|(chunk, start)| Some((chunk.as_ref()?, start)));
        chunks.flat_map(|(chunk, start)| {
            chunk.iter().zip(start..).filter_map(|(word, page)| Some((page, read(*word)?)))
        })
    }

    /// Pages to put something behind now that one was touched, that one included: twice as many as the last time if it follows on
    /// those, else that one alone. None has anything behind it yet.
    pub fn window(&mut self, page: u64) -> core::ops::Range<u64> {
        self.window = if page == self.next { (2 * self.window).min(TAKE_MAX) } else { 1 };
        let window = self.window as u64;
        let pages = match self.kind {
            Kind::Memory => page..(page + window).min(self.end()),
            Kind::Stack => (page + 1).saturating_sub(window).max(self.first)..page + 1,
        };
        match self.kind {
            Kind::Memory => {
                let end = (pages.start + 1..pages.end).find(|page| self.backed(*page).is_some());
                pages.start..end.unwrap_or(pages.end)
            }
            Kind::Stack => {
                let start = (pages.start..page).rev().find(|page| self.backed(*page).is_some());
                start.map_or(pages.start, |page| page + 1)..pages.end
            }
        }
    }

    /// These pages have something behind them now.
    pub fn went_on(&mut self, pages: &core::ops::Range<u64>) {
        self.next = match self.kind {
            Kind::Memory => pages.end,
            Kind::Stack => pages.start.wrapping_sub(1),
        };
    }
}

fn read(word: u32) -> Option<Backed> {
    let frame = Frame((word & !SHARED).checked_sub(1)?);
    Some(Backed { frame, is_shared: word & SHARED != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(state: &mut State, pages: core::ops::Range<u64>) {
        for page in pages {
            state.back(page, Some(Backed { frame: Frame(page as u32), is_shared: page % 2 == 0 }));
        }
    }

    #[test]
    fn pages_in_order_are_many_at_once_and_others_alone() {
        let mut state = State::new(Kind::Memory, 1000, 100);
        let mut touch = |page| {
            let pages = state.window(page);
            back(&mut state, pages.clone());
            state.went_on(&pages);
            pages
        };
        assert_eq!(
            [touch(1000), touch(1001), touch(1003), touch(1007)],
            [1000..1001, 1001..1003, 1003..1007, 1007..1015]
        );
        assert_eq!(touch(1040), 1040..1041);
        assert_eq!([touch(1015), touch(1016)], [1015..1016, 1016..1018]);
        assert_eq!([touch(1038), touch(1039)], [1038..1039, 1039..1040]);
        assert_eq!([touch(1098), touch(1099)], [1098..1099, 1099..1100]);
    }

    #[test]
    fn a_stack_goes_on_downwards() {
        let mut state = State::new(Kind::Stack, 1000, 20);
        let mut touch = |page| {
            let pages = state.window(page);
            back(&mut state, pages.clone());
            state.went_on(&pages);
            pages
        };
        assert_eq!([touch(1019), touch(1018), touch(1016)], [1019..1020, 1017..1019, 1013..1017]);
        assert_eq!([touch(1012), touch(1004)], [1005..1013, 1000..1005]);
    }

    #[test]
    fn what_was_noted_is_found() {
        let mut state = State::new(Kind::Memory, 700, 2000);
        back(&mut state, 1100..1300);
        state.back(1250, None);
        let all: Vec<u64> = state.all_backed().map(|(page, _)| page).collect();
        assert_eq!(all, (1100..1300).filter(|page| *page != 1250).collect::<Vec<u64>>());
        assert_eq!(state.backed(1200), Some(Backed { frame: Frame(1200), is_shared: true }));
        assert_eq!(state.backed(1201), Some(Backed { frame: Frame(1201), is_shared: false }));
        assert_eq!([state.backed(699), state.backed(700), state.backed(9999)], [None; 3]);
    }
}
