//! Address spaces. A space is a process as far as the kernel knows one: page tables, a capability table, a
//! name cache, an identity. Its home core alone changes tables; every core may read them.
//!
//! Unmapping is split: entries are cleared at home, the space's flush generation goes up, and every core
//! that has the space loaded is asked to catch up. The caller's job is parked until they have; only then
//! is a frame out of reach.

use crate::arch::machine::cpu;
use crate::arch::machine::paging::{self, Access, Entry, Table, frame_pointer, index_at, table_at};
use crate::capabilities::Slot;
use crate::cores::{self, Core};
use crate::frames;
use crate::inbox::{Inbox, flag};
use crate::jobs::Job;
use crate::list::Links;
use crate::names::NameEntry;
use crate::objects::{self, Object, Reference, reference_to};
use crate::thread::Thread;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64, Ordering};
use fos_abi::Error;
use fos_abi::limits::{CORES_MAX, HUGE_PAGES, SLOTS_PER_FRAME};
use fos_abi::space::MapFlags;

/// A space.
#[repr(C)]
pub struct Space {
    /// Who its process is.
    pub identity: u64,
    home: AtomicU16,
    /// 0 alive, 1 ending.
    pub ending: AtomicU32,
    /// Physical address of its top page table.
    root: u64,
    /// Slots of its capability table.
    slots: usize,
    /// Frames of its capability table.
    pub table_frames: usize,
    table: *const Slot,
    /// Its name cache: one frame.
    pub names: *const NameEntry,
    /// Free slots that were used before, linked through their object word: index plus one, 0 is the end.
    free: Cell<usize>,
    /// Slots from here on were never used.
    unused: Cell<usize>,
    /// Frames for page tables, linked through their first word; 0 is the end.
    spare_tables: Cell<u64>,
    /// Goes up with every unmapping.
    flush_generation: AtomicU64,
    /// Cores that have it loaded.
    active: [AtomicU64; CORES_MAX.div_ceil(64)],
    /// On each core, which touches no other's, the ready thread of this space whose turn is next; null: none.
    heads: [Cell<*const Thread>; CORES_MAX],
    /// Its threads.
    pub threads: AtomicPtr<Thread>,
    /// Its place among the spaces at home on the same core.
    pub at_home: Links<Space>,
    /// Who watches it.
    pub watchers: AtomicU64,
    /// Its own end.
    pub teardown: Job,
    /// Why it ends.
    pub end_reason: Cell<u64>,
    /// Set when a capability of its table had children: they are swept when it ends.
    pub had_children: Cell<bool>,
}
const _: () = assert!(size_of::<Space>() <= 4096);

impl Object for Space {
    const KIND: u8 = crate::frames::frame_kind::SPACE;
}

// SAFETY: cells and tables are changed by the home core's kernel only; the rest is atomic or fixed.
unsafe impl Sync for Space {}

/// A run of pages of one space.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// Number of the first page (address / 4096).
    pub first: u64,
    /// How many.
    pub count: u64,
}

impl Pages {
    /// Checks that an address range is page-aligned, not empty, and in user space.
    #[inline(always)]
    pub fn new(address: u64, count: u64) -> Result<Pages, Error> {
        use fos_abi::limits::{MAP_MAX, USER_END, USER_START};
        if address & 4095 != 0 || count == 0 || count > MAP_MAX as u64 || address < USER_START {
            return Err(Error::BadArgument);
        }
        if address > USER_END - count * 4096 || address >= USER_END {
            return Err(Error::BadArgument);
        }
        Ok(Pages { first: address >> 12, count })
    }
}

impl Space {
    /// Makes a space in claimed frames: object, names, top table, capability table.
    ///
    /// # Safety
    /// The frames from `first` on must be claimed and zeroed.
    pub unsafe fn create(first: u64, table_frames: usize, identity: u64, home: u16) -> &'static Space {
        let at = frame_pointer(first).cast::<Space>();
        let table = frame_pointer(first + 3).cast::<Slot>();
        // SAFETY: the caller hands over zeroed frames, and zero is valid for every field not set here.
        let space = unsafe {
            (*at).identity = identity;
            (*at).home = AtomicU16::new(home);
            (*at).root = (first + 2) << 12;
            (*at).slots = table_frames * SLOTS_PER_FRAME;
            (*at).table_frames = table_frames;
            (*at).table = table;
            (*at).flush_generation = AtomicU64::new(1);
            (*at).names = frame_pointer(first + 1).cast();
            &*at
        };
        // SAFETY: the frame is zeroed and the space's own.
        paging::share_kernel_half(
            // SAFETY: the kernel's root is a table for ever.
            unsafe { table_at(paging::kernel_root() >> 12) },
            // SAFETY: the third frame is the top table.
            unsafe { table_at(first + 2) },
        );
        space
    }

    /// See `heads`.
    #[inline(always)]
    pub fn head_on(&self, here: &Core) -> &Cell<*const Thread> {
        &self.heads[usize::from(here.number)]
    }

    /// The space that a reference named when it was alive, if it is at home here and its frames are not free yet:
    /// between its end's first step and its last there is still something to undo. Else its home, or nothing.
    pub fn still_there(reference: Reference, here: &Core) -> Result<&'static Space, Option<u16>> {
        if reference == Reference::NONE || objects::is_gone(reference) {
            return Err(None);
        }
        // SAFETY: a space began there, as the reference says. If it is at home elsewhere its last step may come at
        // any time, so the frame may be memory like any other by now: one word is read, which every value is good for.
        let space = unsafe { objects::object_at::<Space>(reference.frame()) };
        let home = space.home();
        core::sync::atomic::fence(Ordering::Acquire);
        match objects::is_gone(reference) {
            true => Err(None),
            // Its end runs on this core, so not during this entry.
            false if home == here.number => Ok(space),
            false => Err(Some(home)),
        }
    }
    /// Its home core.
    #[inline(always)]
    pub fn home(&self) -> u16 {
        self.home.load(Ordering::Acquire)
    }
    /// The core that buries a failed one takes over.
    pub fn set_home(&self, core: u16) {
        self.home.store(core, Ordering::Release);
    }
    /// Whether it is the root program's: the first process of the first core.
    pub fn is_root(&self) -> bool {
        self.identity == 1
    }
    /// Whether it has not begun to end.
    pub fn is_alive(&self) -> bool {
        self.ending.load(Ordering::Acquire) == 0
    }
    /// Its reference.
    pub fn reference(&self) -> Reference {
        reference_to(self)
    }

    // The capability table.

    /// All slots from this one on are empty, and always were. Home core only.
    pub fn slots_used(&self) -> usize {
        self.unused.get()
    }
    /// A slot by index.
    #[inline(always)]
    pub fn slot(&self, index: usize) -> Option<&'static Slot> {
        if index >= self.slots {
            return None;
        }
        // SAFETY: the table has `slots` slots; it stays as long as the space, which readers found alive.
        unsafe {
            core::hint::assert_unchecked(!self.table.is_null());
            Some(&*self.table.add(index))
        }
    }
    /// The index of one of its slots.
    pub fn index_of(&self, slot: &Slot) -> usize {
        (slot as *const Slot as usize - self.table as usize) / size_of::<Slot>()
    }
    fn link_free(&self, index: usize) {
        if let Some(slot) = self.slot(index) {
            slot.set_link(self.free.get() as u64);
            self.free.set(index + 1);
        }
    }
    /// Whether no slot is free. Only a hint on other cores.
    pub fn is_full(&self) -> bool {
        self.free.get() == 0 && self.unused.get() == self.slots
    }
    /// Takes a free slot. Home core only.
    pub fn take_free_slot(&self) -> Option<usize> {
        if let Some(index) = self.free.get().checked_sub(1) {
            self.free.set(self.slot(index)?.link() as usize);
            return Some(index);
        }
        let index = self.unused.get();
        self.unused.set((index + 1).min(self.slots));
        (index < self.slots).then_some(index)
    }
    /// Empties a slot. Home core only.
    pub fn free_slot(&self, index: usize) {
        if self.slot(index).is_some_and(Slot::clear) {
            self.link_free(index);
        }
    }

    // Its threads: pushed by any core, walked and taken out by the home core.

    /// Adds a thread.
    pub fn add_thread(&self, thread: &'static Thread) {
        let node = (thread as *const Thread).cast_mut();
        let mut first = self.threads.load(Ordering::Acquire);
        loop {
            thread.space_link.store(first, Ordering::Relaxed);
            match self.threads.compare_exchange_weak(first, node, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }
    /// Takes a thread out.
    pub fn remove_thread(&self, thread: &'static Thread) {
        let node = (thread as *const Thread).cast_mut();
        let after = thread.space_link.load(Ordering::Acquire);
        if self.threads.compare_exchange(node, after, Ordering::SeqCst, Ordering::Acquire).is_ok() {
            return;
        }
        let mut next = self.threads.load(Ordering::Acquire);
        // SAFETY: threads leave this list, here, before they go.
        while let Some(other) = unsafe { next.as_ref() } {
            next = other.space_link.load(Ordering::Acquire);
            if next == node {
                other.space_link.store(after, Ordering::Release);
                return;
            }
        }
    }
    /// Whether it has threads.
    pub fn has_threads(&self) -> bool {
        !self.threads.load(Ordering::Acquire).is_null()
    }
    /// Calls `each` for up to a chunk of threads that have not begun to end. Says whether there were more.
    pub fn each_living_thread(&self, mut each: impl FnMut(&'static Thread)) -> bool {
        let mut left = fos_abi::limits::CHUNK_STEPS;
        let mut next = self.threads.load(Ordering::Acquire);
        // SAFETY: as above.
        while let Some(thread) = unsafe { next.as_ref() } {
            next = thread.space_link.load(Ordering::Acquire);
            if thread.is_alive() {
                if left == 0 {
                    return true;
                }
                left -= 1;
                each(thread);
            }
        }
        false
    }

    // Page tables.

    /// Pages from `page` to the end of the hole it is in, as far as missing tables show.
    pub fn hole_at(&self, page: u64) -> u64 {
        let mut table = self.top();
        for level in (1..paging::LEVELS).rev() {
            let entry = table.get(index_at(page << 12, level));
            if !entry.is_present() {
                let size = 1u64 << (9 * level);
                return size - page % size;
            }
            if entry.is_huge() {
                return 1;
            }
            // SAFETY: present entries above the last level point to tables of this space.
            table = unsafe { table_at(entry.frame()) };
        }
        1
    }

    /// Takes a zeroed frame for a page table.
    fn take_table(&self) -> Option<u64> {
        let frame = self.spare_tables.get();
        if frame == 0 {
            return None;
        }
        let pointer = frame_pointer(frame).cast::<u64>();
        // SAFETY: spare tables are claimed frames of this space, linked by `add_spare_table`.
        unsafe {
            self.spare_tables.set(pointer.read());
            core::ptr::write_bytes(pointer.cast::<u8>(), 0, 4096);
        }
        Some(frame)
    }
    /// Adds a claimed frame for page tables.
    pub fn add_spare_table(&self, frame: u64) {
        // SAFETY: the frame was claimed for this space.
        unsafe { frame_pointer(frame).cast::<u64>().write(self.spare_tables.get()) };
        self.spare_tables.set(frame);
    }
    /// Takes a spare frame back out, when the space ends.
    pub fn remove_spare_table(&self) -> Option<u64> {
        let frame = self.spare_tables.get();
        if frame == 0 {
            return None;
        }
        // SAFETY: as in `take_table`.
        self.spare_tables.set(unsafe { frame_pointer(frame).cast::<u64>().read() });
        Some(frame)
    }
    /// The top table.
    pub fn top(&self) -> &'static Table {
        // SAFETY: the root stays a table as long as the space.
        unsafe { table_at(self.root >> 12) }
    }
    /// The table that holds a page's entry at a level, making tables on the way if asked.
    #[inline(always)]
    pub fn table_for(&self, page: u64, level: usize, make: bool) -> Result<&'static Table, Error> {
        let mut table = self.top();
        for upper in (level + 1..paging::LEVELS).rev() {
            let index = index_at(page << 12, upper);
            let mut entry = table.get(index);
            if !entry.is_present() {
                if !make {
                    return Err(Error::NotMapped);
                }
                entry = Entry::table(self.take_table().ok_or(Error::NoTables)?);
                table.set(index, entry);
            } else if entry.is_huge() {
                return Err(if make { Error::AlreadyMapped } else { Error::NotMapped });
            }
            // SAFETY: present entries above the last level point to tables of this space.
            table = unsafe { table_at(entry.frame()) };
        }
        Ok(table)
    }

    /// Maps up to a chunk of small pages; says how many. An error counts only if none was.
    #[inline(always)]
    pub fn map_small(&self, pages: Pages, frame: u64, access: Access) -> (u64, Result<(), Error>) {
        let (mut done, blank) = (0, Entry::page(0, access, false));
        while done < pages.count {
            let page = pages.first + done;
            let table = match self.table_for(page, 0, true) {
                Ok(table) => table,
                Err(error) => return (done, Err(error)),
            };
            let start = index_at(page << 12, 0);
            let run = (pages.count - done).min((paging::ENTRIES - start) as u64);
            for step in 0..run {
                if let Err(error) = map_entry(table, start + step as usize, frame + done + step, blank) {
                    return (done + step, Err(error));
                }
            }
            done += run;
        }
        (done, Ok(()))
    }

    /// Maps one huge page.
    pub fn map_huge(&self, page: u64, frame: u64, access: Access) -> Result<(), Error> {
        let table = self.table_for(page, 1, true)?;
        let index = index_at(page << 12, 1);
        if table.get(index).is_present() {
            return Err(Error::AlreadyMapped);
        }
        if !access.uncounted {
            frames::map_huge(frame)?;
        }
        table.set(index, Entry::page(frame, access, true));
        Ok(())
    }

    /// Calls `each` with the table, index and size in pages of what is mapped at `page`.
    pub fn at_page<R>(&self, page: u64, each: impl FnOnce(&Table, usize, u64) -> R) -> Result<R, Error> {
        let directory = self.table_for(page, 1, false)?;
        let index = index_at(page << 12, 1);
        let entry = directory.get(index);
        if !entry.is_present() {
            return Err(Error::NotMapped);
        }
        if entry.is_huge() {
            return Ok(each(directory, index, HUGE_PAGES as u64));
        }
        // SAFETY: a present entry that is no huge page points to a table of this space.
        let table = unsafe { table_at(entry.frame()) };
        let index = index_at(page << 12, 0);
        if !table.get(index).is_present() {
            return Err(Error::NotMapped);
        }
        Ok(each(table, index, 1))
    }

    /// Unmaps what is at `page`: how many pages that was. A huge page goes as a whole, and only if `page`
    /// is its first and `count` covers it. The frame still counts as mapped, by `job`, until every core has
    /// caught up.
    pub fn unmap_at(&self, job: &Job, page: u64, count: u64) -> Result<u64, Error> {
        self.at_page(page, |table, index, size| {
            if size > count || !page.is_multiple_of(size) {
                return Err(Error::BadArgument);
            }
            job.hold(table.swap(index, Entry::EMPTY), size);
            self.forget_here(page);
            Ok(size)
        })?
    }

    /// Changes how the page is mapped, within what it was mapped with.
    pub fn protect_at(&self, page: u64, count: u64, flags: MapFlags) -> Result<u64, Error> {
        self.at_page(page, |table, index, size| {
            if size > count || !page.is_multiple_of(size) {
                return Err(Error::BadArgument);
            }
            let old = table.get(index);
            let mut access = old.access();
            access.write = flags.contains(MapFlags::WRITE);
            access.execute = flags.contains(MapFlags::EXECUTE);
            if access.write && !access.may_write || access.execute && !access.may_execute {
                return Err(Error::NoRights);
            }
            let dirty = table.swap(index, Entry::page(old.frame(), access, size > 1)).0 & paging::DIRTY_BIT;
            if dirty != 0 {
                table.set_bits(index, paging::DIRTY_BIT);
            }
            self.forget_here(page);
            Ok(size)
        })?
    }

    /// Reads and clears a page's dirty bit.
    pub fn take_dirty(&self, page: u64) -> bool {
        self.at_page(page, |table, index, _| {
            let dirty = table.clear_bits(index, paging::DIRTY_BIT).is_dirty();
            if dirty {
                self.forget_here(page);
            }
            dirty
        })
        .unwrap_or(false)
    }

    /// Forgets one cached translation if this core has the space loaded.
    #[inline(always)]
    pub fn forget_here(&self, page: u64) {
        if core::ptr::eq(cores::this().loaded.get(), self) {
            cpu::forget_page(page << 12);
        }
    }

    // Which cores have it loaded, and what they may still have cached.

    /// A core loads its tables.
    #[inline(always)]
    pub fn enter(&'static self, here: &Core) {
        let (word, bit) = here.place;
        self.active[word].fetch_or(bit, Ordering::SeqCst);
        // Whoever clears entries from now on asks this core, which walks the tables only after both stores.
        here.loaded_shared.store((self as *const Space).cast_mut(), Ordering::Release);
        here.flushed.store(self.flush_generation.load(Ordering::SeqCst), Ordering::Release);
        // SAFETY: the root maps the kernel's half as every space's does.
        unsafe { cpu::set_page_table_root(self.root) };
    }
    /// A core has loaded other tables.
    #[inline(always)]
    pub fn leave(&self, here: &Core) {
        let (word, bit) = here.place;
        self.active[word].fetch_and(!bit, Ordering::SeqCst);
    }
    /// Whether entries were cleared that a core which has it loaded may still have cached.
    pub fn is_behind(&self, core: &Core) -> bool {
        core.flushed.load(Ordering::SeqCst) != self.flush_generation.load(Ordering::SeqCst)
    }
    /// A core that has it loaded forgets what it cached.
    pub fn flush(&self, here: &Core) {
        let generation = self.flush_generation.load(Ordering::SeqCst);
        // SAFETY: the same tables as before.
        unsafe { cpu::set_page_table_root(self.root) };
        here.flushed.store(generation, Ordering::SeqCst);
    }
    /// Cores that have it loaded.
    fn active_cores(&self) -> impl Iterator<Item = &'static Core> + '_ {
        self.active.iter().enumerate().flat_map(|(word, bits)| {
            let bits = bits.load(Ordering::SeqCst);
            (0..64 - bits.leading_zeros())
                .filter(move |bit| bits >> bit & 1 == 1)
                .filter_map(move |bit| cores::get((word * 64) as u16 + bit as u16))
        })
    }
    /// Entries were cleared: asks the other cores that run this space to catch up, and says up to which
    /// generation. 0 when nobody else has it loaded. One that sleeps is left alone: it marks itself awake before it
    /// looks at the generation, which is up before its mark is read here.
    pub fn begin_flush(&self, here: &Core) -> u64 {
        core::sync::atomic::fence(Ordering::SeqCst);
        let own = |word| if word == here.place.0 { here.place.1 } else { 0 };
        let mut active = self.active.iter().enumerate();
        let others = active.any(|(word, bits)| bits.load(Ordering::SeqCst) & !own(word) != 0);
        if !others {
            return 0;
        }
        let generation = self.flush_generation.fetch_add(1, Ordering::SeqCst) + 1;
        // The home core, which alone clears entries, has forgotten its own.
        if core::ptr::eq(here.loaded.get(), self) {
            here.flushed.store(generation, Ordering::SeqCst);
        }
        self.ask(|core| core.number != here.number && core.is_running());
        generation
    }
    /// Has cores give it up that still have it loaded, where no thread of it is left to run. Says whether all have.
    pub fn let_go(&self, here: &'static Core) -> bool {
        if core::ptr::eq(here.loaded.get(), self) {
            crate::scheduler::unload_space(here);
        }
        !self.ask(|core| core.is_alive())
    }
    /// Asks those of the cores that have it loaded to catch up. Says whether there were any.
    fn ask(&self, which: impl Fn(&Core) -> bool) -> bool {
        let asked = self.active_cores().filter(|core| which(core));
        asked.map(|core| Inbox::post_flags(core, flag::FLUSH)).count() > 0
    }
    /// Whether every core has caught up with a generation.
    pub fn is_flushed(&self, here: &Core, generation: u64) -> bool {
        generation == 0
            || self.active_cores().all(|core| {
                core.number == here.number
                    || !core.is_running()
                    || !core::ptr::eq(core.loaded_shared.load(Ordering::SeqCst), self)
                    || core.flushed.load(Ordering::SeqCst) >= generation
            })
    }
}

/// Maps a frame; `blank` is the entry but for the frame's number.
#[inline(always)]
fn map_entry(table: &Table, index: usize, frame: u64, blank: Entry) -> Result<(), Error> {
    if table.get(index).is_present() {
        return Err(Error::AlreadyMapped);
    }
    if blank.is_counted() {
        frames::map(frame)?;
    }
    table.set(index, blank.at(frame));
    Ok(())
}

/// A mapping is gone: its frame has one less.
pub fn forget_entry(entry: Entry, size: u64) {
    if entry.is_present() && entry.is_counted() {
        if size > 1 { frames::unmap_huge(entry.frame()) } else { frames::unmap(entry.frame()) }
    }
}

#[cfg(test)]
#[path = "tests/shootdown.rs"]
mod tests;
