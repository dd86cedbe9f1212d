//! The root program: found in the boot archive, started by the kernel with every capability there is.
//! After this the kernel makes no decision about who gets what.

use crate::arch::machine::clock;
use crate::arch::machine::memory_map::{MemoryMap, Range};
use crate::arch::machine::paging::{Access, frame_pointer};
use crate::calls::make_thread;
use crate::capabilities::{Capability, NO_PARENT};
use crate::cores::Core;
use crate::frames;
use crate::objects::{self, reference_to};
use crate::space::{Pages, Space};
use crate::thread::Thread;
use fos_abi::boot::{
    ABI_VERSION, ARCHIVE_ADDRESS, BootFacts, CommandLine, FACTS_ADDRESS, FACTS_MAGIC, ROOT_STACK_SIZE,
    ROOT_STACK_TOP, ROOT_TABLE_FRAMES, root_slot,
};
use fos_abi::capability::{Kind, Rights};
use fos_abi::limits::{USER_END, USER_START};
use fos_abi::space::SPACE_FRAMES;
use fos_abi::thread::THREAD_FRAMES;

/// Free memory at boot, in frames.
#[derive(Default)]
pub struct Free {
    ranges: [Range; 32],
    count: usize,
}

impl Free {
    /// Adds a range, if it is not empty and there is room.
    pub fn add(&mut self, start: u64, end: u64) {
        if start < end && self.count < self.ranges.len() {
            self.ranges[self.count] = Range { start, end };
            self.count += 1;
        }
    }
    /// The ranges.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges[..self.count]
    }
    /// Takes frames from the end of the first range that has them.
    fn take(&mut self, count: u64) -> u64 {
        let range = self.ranges[..self.count].iter_mut().find(|range| range.end - range.start >= count);
        let Some(range) = range else { panic!("not enough memory for the root program") };
        range.end -= count;
        for frame in range.end..range.end + count {
            if let Some(entry) = frames::entry(frame) {
                entry.set_kind(frames::frame_kind::PART);
            }
        }
        // SAFETY: free RAM, just taken.
        unsafe { core::ptr::write_bytes(frame_pointer(range.end), 0, count as usize * 4096) };
        range.end
    }
}

/// Frames for its page tables.
const PAGE_TABLES: u64 = 96;

/// Makes the root program and its thread, ready on this core.
pub fn create(here: &'static Core, map: &MemoryMap, running: usize, mut free: Free) {
    let image = find_root(archive_bytes(map));
    let first = free.take((SPACE_FRAMES + ROOT_TABLE_FRAMES) as u64);
    // SAFETY: claimed, zeroed frames.
    let space = unsafe { Space::create(first, ROOT_TABLE_FRAMES, here.new_identity(), here.number) };
    objects::publish::<Space>(first);
    here.add_space(space);
    let tables = free.take(PAGE_TABLES);
    (tables..tables + PAGE_TABLES).for_each(|frame| space.add_spare_table(frame));
    let entry = load(space, image, &mut free);
    let frame = free.take(ROOT_STACK_SIZE / 4096);
    map_pages(space, ROOT_STACK_TOP - ROOT_STACK_SIZE, frame, ROOT_STACK_SIZE / 4096, true, false);
    let archive = map.archive.start >> 12;
    let archive_pages = (map.archive.end - map.archive.start).div_ceil(4096);
    map_pages(space, ARCHIVE_ADDRESS, archive, archive_pages, false, false);
    let facts_frame = free.take(1);
    map_pages(space, FACTS_ADDRESS, facts_frame, 1, false, false);
    let thread = make_root_thread(here, space, entry, &mut free);
    let ranges = fill_table(space, thread, map, running, &free);
    let facts = BootFacts {
        magic: FACTS_MAGIC,
        version: ABI_VERSION,
        cores: running as u32,
        tsc_hz: clock::tsc_hz(),
        archive_length: map.archive.end - map.archive.start,
        memory_ranges: ranges as u32,
        command_line_length: map.command_line_length as u32,
        archive_frame: archive,
        command_line: CommandLine(map.command_line),
    };
    // SAFETY: the frame was taken for this, and is larger.
    unsafe { frame_pointer(facts_frame).cast::<BootFacts>().write(facts) };
    here.scheduler.make_ready(here, thread);
}

fn make_root_thread(here: &Core, space: &'static Space, entry: u64, free: &mut Free) -> &'static Thread {
    let first = free.take(THREAD_FRAMES as u64);
    let thread = make_thread(first, space, here.number);
    thread.reference.set(objects::publish::<Thread>(first));
    space.add_thread(thread);
    here.counters.threads.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    let registers = thread.saved();
    registers.rip = entry;
    registers.rsp = ROOT_STACK_TOP;
    registers.rdi = FACTS_ADDRESS;
    thread
}

/// Puts every capability there is into the root program's table: how many ranges of frames.
fn fill_table(
    space: &'static Space,
    thread: &'static Thread,
    map: &MemoryMap,
    running: usize,
    free: &Free,
) -> usize {
    let range = |kind, first: u64, count: u64| (kind, first, count);
    let last_ram = map.ram[..map.count].iter().map(|range| range.end >> 12).max().unwrap_or(0);
    let high = last_ram.max(1 << 20);
    let first_device = 0x8_0000; // 2 GiB: no RAM from there to 4 GiB on the machines this kernel knows
    let ram = map.ram[..map.count].iter().map(|range| range.end >> 12);
    let low_ram = ram.clone().filter(|end| *end <= 1 << 20).max();
    let device = low_ram.unwrap_or(0).max(first_device);
    let fixed = [
        range(Kind::Space, reference_to(space).0, 0),
        range(Kind::Thread, reference_to(thread).0, 0),
        range(Kind::Cores, 0, running as u64),
        range(Kind::Ports, 0, 0x1_0000),
        range(Kind::Interrupts, 0, crate::interrupts::LINES as u64),
        range(Kind::Device, device, (1 << 20) - device),
        range(Kind::Machine, 0, 0),
        range(Kind::Device, high, (1 << 28) - high),
    ];
    let memory = free.ranges().iter().filter(|range| range.start < range.end);
    let memory = memory.map(|range| (Kind::Frames, range.start, range.end - range.start));
    let mut count = 0;
    for (kind, object, length) in fixed.into_iter().chain(memory) {
        let capability =
            Capability { kind, rights: Rights::ALL, object, length, parent: NO_PARENT, stamp: 0 };
        let _ = crate::capabilities::insert(space, &capability);
        count += 1;
    }
    count - root_slot::FRAMES
}

fn map_pages(space: &Space, address: u64, frame: u64, count: u64, write: bool, execute: bool) {
    let access =
        Access { write, execute, may_write: write, may_execute: execute, uncounted: true, uncached: false };
    let (_, result) = space.map_small(Pages { first: address >> 12, count }, frame, access);
    assert!(result.is_ok(), "the root program's memory can't be mapped at {address:#x}");
}

fn archive_bytes(map: &MemoryMap) -> &'static [u8] {
    let length = (map.archive.end - map.archive.start) as usize;
    // SAFETY: the archive is RAM that the loader filled and nobody writes; the direct map holds it.
    unsafe { core::slice::from_raw_parts(frame_pointer(0).add(map.archive.start as usize), length) }
}

/// Finds the file `root` in the archive: cpio "newc" (110 bytes of header in hexadecimal, the name, the
/// contents, each padded to 4 bytes).
fn find_root(archive: &'static [u8]) -> &'static [u8] {
    let field = |header: &[u8], index: usize| -> Option<usize> {
        let digits = core::str::from_utf8(header.get(6 + 8 * index..14 + 8 * index)?).ok()?;
        usize::from_str_radix(digits, 16).ok()
    };
    let mut at = 0;
    loop {
        let file =
            archive.get(at..at + 110).filter(|header| header.starts_with(b"070701")).and_then(|header| {
                let (size, name_size) = (field(header, 6)?, field(header, 11)?);
                let name = archive.get(at + 110..(at + 110).checked_add(name_size)?)?;
                let start = (at + 110 + name_size).next_multiple_of(4);
                Some((name, archive.get(start..start.checked_add(size)?)?, start + size))
            });
        match file {
            Some((b"root\0", contents, _)) => return contents,
            Some((b"TRAILER!!!\0", ..)) | None => panic!("no file \"root\" in the boot archive"),
            Some((.., end)) => at = end.next_multiple_of(4),
        }
    }
}

/// Loads a static ELF-64 program (System V ABI, "Program Header"): its entry.
fn load(space: &Space, image: &[u8], free: &mut Free) -> u64 {
    let word = |at: usize, size: usize| -> u64 {
        let bytes = at.checked_add(size).and_then(|end| image.get(at..end)).unwrap_or_default();
        bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    assert!(image.starts_with(b"\x7fELF\x02\x01"), "the root program is no ELF-64 file");
    let (headers, size, count) = (word(32, 8) as usize, word(54, 2) as usize, word(56, 2) as usize);
    for header in (0..count).map(|index| headers.saturating_add(index * size)) {
        const LOAD: u64 = 1;
        let field = |at: usize, size: usize| word(header.saturating_add(at), size);
        if field(0, 4) != LOAD || field(40, 8) == 0 {
            continue;
        }
        let flags = field(4, 4);
        let [offset, address, length, memory] = [8, 16, 32, 40].map(|at| field(at, 8));
        let contents = offset.checked_add(length).and_then(|end| image.get(offset as usize..end as usize));
        let end = address.checked_add(memory).filter(|end| address >= USER_START && *end <= USER_END);
        let (Some(contents), Some(end), true) = (contents, end, length <= memory) else {
            panic!("the root program's segment for {address:#x} is malformed")
        };
        let page = address & !4095;
        let pages = (end - page).div_ceil(4096);
        let frame = free.take(pages);
        // SAFETY: the frames were taken for this segment, whose contents are no longer than its memory.
        unsafe {
            let to = frame_pointer(frame).add((address - page) as usize);
            core::ptr::copy_nonoverlapping(contents.as_ptr(), to, contents.len());
        }
        map_pages(space, page, frame, pages, flags & 2 != 0, flags & 1 != 0);
    }
    word(24, 8)
}

#[cfg(test)]
#[path = "tests/root.rs"]
mod tests;
