//! Starts further processes and threads out of the running program: a child runs the very same code, in a space
//! of its own, on a core of its choice, beginning at a function of ours. For tests and benchmarks that need peers;
//! ordinary programs are started by root.
//!
//! ```text
//!  the program's own addresses   text and constants: one copy for all children, never written
//!                                data and heap: a copy of the parent's, as they were at the start
//!  CHILD_BLOCK                   a few pages that parent and child both write
//!  below CHILD_STACK_TOP         the child's stack
//! ```
//!
//! A child's statics are the parent's of that moment, so its heap works; handles that the parent kept there name
//! nothing in the child's table. Whoever starts children has one thread while it does.

use core::sync::atomic::{AtomicU64, Ordering};

use fos_abi::capability::{Handle, Rights};
use fos_abi::limits::{MAP_MAX, PAGE_SIZE};
use fos_abi::space::{MapFlags, SPACE_FRAMES};
use fos_abi::thread::{Registers, THREAD_FRAMES};
use fos_abi::{Error, Key, MailboxId};

use crate::arch::spawn::start_registers;
use crate::calls;

/// Where a child finds its block.
pub const CHILD_BLOCK: u64 = 0x3000_0000;
/// Pages of the block.
pub const BLOCK_PAGES: u64 = 8;
/// Words of the block.
pub const BLOCK_WORDS: usize = BLOCK_PAGES as usize * PAGE_SIZE / 8;
/// The highest address of a child's stack.
pub const CHILD_STACK_TOP: u64 = 0x3010_0000;
/// Pages of the stack.
pub const STACK_PAGES: u64 = 16;

/// Memory that parent and child share.
pub type Block = [AtomicU64; BLOCK_WORDS];

unsafe extern "C" {
    static __image_start: u8;
    static __data_start: u8;
    static __image_end: u8;
}

/// Where the frames of new objects come from.
pub trait Frames {
    /// A capability with all rights for exactly `count` frames, from which nothing is derived.
    fn take(&mut self, count: u64) -> Result<Handle, Error>;
}

/// Maps `pages` frames of `piece` in `space`, from its frame `first`, and donates page-table frames from `tables`
/// when the space has too few. They stay with the space until it ends.
pub fn map(
    space: Handle,
    tables: &mut dyn Frames,
    piece: Handle,
    first: u64,
    pages: u64,
    address: u64,
    flags: MapFlags,
) -> Result<(), Error> {
    const DONATION: u64 = 4;
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(MAP_MAX as u64) as u32;
        let target = address + done * PAGE_SIZE as u64;
        match calls::space_map(space, piece, (first + done) as u32, count, target, flags) {
            Ok(0) | Err(Error::NoTables) => calls::space_donate(space, tables.take(DONATION)?)?,
            Ok(mapped) => done += mapped,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The running program's code, copied once for all its children.
#[derive(Debug)]
pub struct Image {
    text: Handle,
}

/// What a child is to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Its core.
    pub core: u64,
    /// Frames of its capability table, 64 slots each.
    pub table_frames: usize,
    /// Frames for its page tables; at least 8.
    pub page_tables: u64,
    /// Called with the address of the child's block; what it answers is the thread's exit status.
    pub entry: extern "C" fn(u64) -> u64,
    /// Where the child's data, block and stack are mapped in the parent: [`Image::window_size`] bytes.
    pub window: u64,
}

/// A child: stopped at first, resume its thread.
#[derive(Debug)]
pub struct Process {
    /// Its space.
    pub space: Handle,
    /// Its first thread.
    pub thread: Handle,
    /// The frames of its data, block and stack.
    pub memory: Handle,
    /// The same frames, as mapped in the parent's window.
    pub view: Handle,
    /// The program's code, as mapped in the child: derived from the image, so it outlives the child's own frames.
    pub code: Handle,
    /// Where the block is mapped in the parent.
    block: u64,
}

fn text_range() -> (u64, u64) {
    (&raw const __image_start as u64, &raw const __data_start as u64)
}

fn data_range() -> (u64, u64) {
    (&raw const __data_start as u64, &raw const __image_end as u64)
}

fn pages_in((start, end): (u64, u64)) -> u64 {
    (end - start).div_ceil(PAGE_SIZE as u64)
}

impl Image {
    /// Copies the program's text and constants. `window` is a free address that is used meanwhile.
    pub fn copy(own: &mut dyn Frames, window: u64) -> Result<Image, Error> {
        let pages = pages_in(text_range());
        let text = own.take(pages)?;
        map(Handle::SELF, own, text, 0, pages, window, MapFlags::WRITE)?;
        copy_range(text_range(), window);
        calls::frames_unmap(text)?;
        Ok(Image { text })
    }

    /// Bytes that a child's window takes.
    pub fn window_size() -> u64 {
        memory_pages() * PAGE_SIZE as u64
    }

    /// Builds a child out of `source`. Its thread is stopped, with its registers set. `own` gives page tables for the
    /// parent's window.
    pub fn start(
        &self,
        own: &mut dyn Frames,
        source: &mut dyn Frames,
        cores: Handle,
        plan: &Plan,
    ) -> Result<Process, Error> {
        let space_frames = source.take((SPACE_FRAMES + plan.table_frames) as u64)?;
        let space = calls::space_create(space_frames, plan.table_frames, plan.core)?;
        calls::space_donate(space, source.take(plan.page_tables)?)?;
        let both = source.take(memory_pages())?;
        let memory = whole(both)?;
        let view = whole(both)?;
        map(Handle::SELF, own, view, 0, memory_pages(), plan.window, MapFlags::WRITE)?;
        let code = whole(self.text)?;
        let (text, read_execute) = (text_range(), MapFlags::READ.with(MapFlags::EXECUTE));
        map(space, source, code, 0, pages_in(text), text.0, read_execute)?;
        fill(source, space, memory, plan.window)?;
        let thread = calls::thread_create(source.take(THREAD_FRAMES as u64)?, space, cores, plan.core)?;
        calls::thread_write(thread, &start_registers(plan.entry, CHILD_BLOCK, CHILD_STACK_TOP))?;
        let block = plan.window + pages_in(data_range()) * PAGE_SIZE as u64;
        Ok(Process { space, thread, memory, view, code, block })
    }
}

/// Fills a child's memory through the window, and maps it in the child.
fn fill(source: &mut dyn Frames, space: Handle, memory: Handle, window: u64) -> Result<(), Error> {
    let data = data_range();
    copy_range(data, window);
    let data_pages = pages_in(data);
    map(space, source, memory, 0, data_pages, data.0, MapFlags::WRITE)?;
    map(space, source, memory, data_pages, BLOCK_PAGES, CHILD_BLOCK, MapFlags::WRITE)?;
    let stack = CHILD_STACK_TOP - STACK_PAGES * PAGE_SIZE as u64;
    map(space, source, memory, data_pages + BLOCK_PAGES, STACK_PAGES, stack, MapFlags::WRITE)?;
    clear(window + data_pages * PAGE_SIZE as u64, BLOCK_PAGES * PAGE_SIZE as u64);
    Ok(())
}

impl Process {
    /// The memory that parent and child share, as the parent sees it, until the child's memory is unmapped here.
    pub fn block(&self) -> &'static Block {
        // SAFETY: the pages stay mapped at this address while the window does; all access to them is atomic.
        unsafe { &*(self.block as *const Block) }
    }
}

/// The block, for the child: `address` is what its entry was called with.
pub fn own_block(address: u64) -> &'static Block {
    assert!(address == CHILD_BLOCK, "only a child's entry is called with its block");
    // SAFETY: every child has its block mapped there for its whole life; all access to it is atomic.
    unsafe { &*(CHILD_BLOCK as *const Block) }
}

/// Leaves a key in words of a block, for the other side.
pub fn store_key(words: &[AtomicU64], key: &Key) {
    let parts = [key.mailbox.0, u64::from(key.entry), key.secret[0], key.secret[1]];
    for (word, part) in words.iter().zip(parts) {
        word.store(part, Ordering::Relaxed);
    }
}

/// The key that the other side left in these words.
pub fn load_key(words: &[AtomicU64]) -> Key {
    let part = |index: usize| words[index].load(Ordering::Relaxed);
    Key { mailbox: MailboxId(part(0)), entry: part(1) as u32, machine: 0, secret: [part(2), part(3)] }
}

/// Makes a stopped thread in a space, with its registers set.
pub fn thread(
    source: &mut dyn Frames,
    space: Handle,
    cores: Handle,
    core: u64,
    registers: &Registers,
) -> Result<Handle, Error> {
    let thread = calls::thread_create(source.take(THREAD_FRAMES as u64)?, space, cores, core)?;
    calls::thread_write(thread, registers)?;
    Ok(thread)
}

/// Registers of a thread that calls `entry(argument)` on the stack below `stack_top`.
pub fn registers(entry: extern "C" fn(u64) -> u64, argument: u64, stack_top: u64) -> Registers {
    start_registers(entry, argument, stack_top)
}

/// Another capability for all of `frames`: one capability can be mapped in one space only.
fn whole(frames: Handle) -> Result<Handle, Error> {
    let info = calls::cap_read(frames)?;
    calls::cap_derive(frames, Rights(info.rights as u8), 0, info.length)
}

fn memory_pages() -> u64 {
    pages_in(data_range()) + BLOCK_PAGES + STACK_PAGES
}

fn copy_range((start, end): (u64, u64), to: u64) {
    // SAFETY: the linker's symbols bound memory that is mapped readable; the target was just mapped writable for at
    // least as many pages and nothing refers to it. The program has one thread here, so nothing changes meanwhile.
    unsafe { core::ptr::copy_nonoverlapping(start as *const u8, to as *mut u8, (end - start) as usize) }
}

fn clear(address: u64, bytes: u64) {
    // SAFETY: part of the window that was just mapped writable, to which nothing refers yet.
    unsafe { core::ptr::write_bytes(address as *mut u8, 0, bytes as usize) }
}
