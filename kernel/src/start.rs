//! Boot: from the machine as the loader left it to a kernel on every core and the root program ready.
//! Memory is handed out from the bottom of the RAM above the image, never given back, and never asked for
//! again after this file is done.

use crate::arch::machine::descriptors::{INTERRUPT_STACKS, InterruptTable, enable_system_calls};
use crate::arch::machine::memory_map::{self, MemoryMap, Range};
use crate::arch::machine::multiprocessor;
use crate::arch::machine::paging::{
    self, DIRECT_MAP, Entry, IMAGE_BASE, KernelMap, KernelPage, STACKS, frame_pointer, table_at,
};
use crate::arch::machine::{
    acpi, boot, clock, controller, cpu, entry, features, ioapic, power_off, serial, user_memory,
};
use crate::cores::{self, Core, core_state};
use crate::failure;
use crate::frames::{self, frame_kind};
use crate::root::{self, Free};
use core::sync::atomic::{AtomicU64, Ordering};
use fos_abi::exit::UNUSABLE_MACHINE;

/// Frames of a kernel stack, and of each interrupt stack; each has a guard page below.
const STACK_PAGES: u64 = 8;
const INTERRUPT_STACK_PAGES: u64 = 3;
/// Pages that a core's stacks take, guards included.
const CORE_PAGES: u64 = 64;

unsafe extern "C" {
    static image_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static image_end: u8;
    static trampoline_start: u8;
    static trampoline_end: u8;
    static trampoline_root: u8;
}

struct Shared<T>(core::cell::UnsafeCell<T>);
// SAFETY: written by the first core before any other starts, read-only afterwards.
unsafe impl<T> Sync for Shared<T> {}

static INTERRUPTS: Shared<InterruptTable> = Shared(core::cell::UnsafeCell::new(InterruptTable::new()));

/// Hands out zeroed frames at boot.
struct BootMemory {
    next: u64,
    end: u64,
}

impl BootMemory {
    fn frames(&mut self, count: u64) -> u64 {
        let first = self.next;
        if first + count > self.end {
            power_off(UNUSABLE_MACHINE);
        }
        self.next += count;
        // SAFETY: these frames are free RAM above the image, mapped by the direct map.
        unsafe { core::ptr::write_bytes(frame_pointer(first), 0, count as usize * 4096) };
        first
    }
}

/// The first core, on the boot stack, with the boot tables.
#[unsafe(no_mangle)]
extern "C" fn start_first_core(start_info: u64) -> ! {
    features::detect();
    // SAFETY: the boot code passes what the loader gave.
    let Some(map) = (unsafe { memory_map::read(start_info) }) else { power_off(UNUSABLE_MACHINE) };
    let command_line = &map.command_line[..map.command_line_length];
    failure::configure(core::str::from_utf8(command_line).unwrap_or(""));
    let mut memory = free_memory(&map);
    let found = acpi::read(map.acpi_root, cpu::identify(1, 0)[1] >> 24);
    build_kernel_half(&map, &mut memory, &found);
    make_frame_table(&map, &mut memory);
    make_cores(&found, &mut memory);
    // SAFETY: only this core runs.
    unsafe { (*INTERRUPTS.0.get()).fill(entry::stub) };
    enter_core(0);
    controller::set_mapping();
    controller::enable_on_this_core();
    if found.io_controller != 0 {
        ioapic::set_mapping(0, found.io_first_line);
        ioapic::mask_all();
    }
    if !clock::calibrate() {
        serial::print_line(format_args!("fos-kernel: no clock: CPUID tells no rate, and there is no PIT"));
        power_off(UNUSABLE_MACHINE);
    }
    let here = cores::this();
    here.random.seed();
    copy_trampoline();
    let running = multiprocessor::start_others();
    // The trampoline is needed no more; nothing else lies in the lower half.
    // SAFETY: the kernel's root is a table for ever.
    unsafe { table_at(paging::kernel_root() >> 12) }.set(0, Entry::EMPTY);
    let free = free_ranges(&map, memory.next);
    root::create(here, &map, running, free);
    here.scheduler.start(here);
    // SAFETY: GS is the kernel's; the boot stack is not needed any more.
    unsafe { entry::leave() }
}

/// Another core, on its own stack, with the final tables.
#[unsafe(no_mangle)]
extern "C" fn start_other_core(hardware_id: u32) -> ! {
    let number = (0..cores::count_all() as u16)
        .find(|number| cores::get(*number).is_some_and(|core| core.hardware_id == hardware_id));
    let Some(number) = number else { cpu::halt_forever() };
    enter_core(number);
    controller::enable_on_this_core();
    let here = cores::this();
    here.random.seed();
    here.scheduler.start(here);
    here.state.store(core_state::RUNNING, Ordering::SeqCst);
    // SAFETY: GS is the kernel's; nothing on the stack is needed.
    unsafe { entry::leave() }
}

/// The RAM above the image, up to the archive if that lies in the same range.
fn free_memory(map: &MemoryMap) -> BootMemory {
    let image = (&raw const image_end as u64 - IMAGE_BASE) >> 12;
    let range =
        map.ram[..map.count].iter().find(|range| range.start >> 12 <= image && image < range.end >> 12);
    let Some(range) = range else { power_off(UNUSABLE_MACHINE) };
    let archive = map.archive.start >> 12;
    let end = range.end >> 12;
    BootMemory { next: image, end: if archive >= image && archive < end { archive } else { end } }
}

/// What is left for programs: RAM without the first MiB, the kernel's part, and the archive.
fn free_ranges(map: &MemoryMap, kernel_end: u64) -> Free {
    let archive = Range { start: map.archive.start >> 12, end: map.archive.end.div_ceil(4096) };
    let mut free = Free::default();
    for ram in &map.ram[..map.count] {
        let start = (ram.start >> 12).max(kernel_end);
        let end = ram.end >> 12;
        if archive.start >= start && archive.start < end {
            free.add(start, archive.start);
            free.add(archive.end.min(end), end);
        } else if start < end {
            free.add(start, end);
        }
    }
    for range in free.ranges() {
        for frame in range.start..range.end {
            if let Some(entry) = frames::entry(frame) {
                entry.set_kind(frame_kind::ORDINARY);
            }
        }
    }
    free
}

/// Builds the tables of the kernel's half and switches to them.
fn build_kernel_half(map: &MemoryMap, memory: &mut BootMemory, found: &acpi::Found) {
    if !features::get().smap {
        for address in user_memory::without_smap() {
            // SAFETY: the text is still writable through the boot tables; `nop dword ptr [rax]` has the
            // length of the instruction it replaces.
            unsafe { (address as *mut [u8; 3]).write([0x0f, 0x1f, 0x00]) };
        }
    }
    let root = memory.frames(1);
    let mut tables = KernelMap { root, allocate: || memory.frames(1) };
    map_image(&mut tables);
    map_ram(map, &mut tables);
    tables.map(paging::DEVICES, controller::physical_base() >> 12, KernelPage::Registers, 0);
    if found.io_controller != 0 {
        tables.map(paging::DEVICES + 4096, found.io_controller >> 12, KernelPage::Registers, 0);
    }
    // The trampoline runs at its physical address while a core turns paging on; it is unmapped for
    // programs, whose tables copy the upper half only.
    tables.map(boot::TRAMPOLINE, boot::TRAMPOLINE >> 12, KernelPage::Code, 0);
    let mut stacks = |core: u64| map_stacks(core, &mut tables);
    for core in 0..found.count as u64 {
        stacks(core);
    }
    paging::set_kernel_root(root << 12);
    features::enable_on_this_core();
    // SAFETY: the new tables map text, data, the boot stack (in the image) and all RAM.
    unsafe { cpu::set_page_table_root(root << 12) };
}

fn map_image<A: FnMut() -> u64>(tables: &mut KernelMap<A>) {
    let pages = |from: *const u8, to: *const u8| (from as u64..to as u64).step_by(4096);
    let parts = [
        (&raw const image_start, &raw const text_end, KernelPage::Code),
        (&raw const text_end, &raw const rodata_end, KernelPage::Constant),
        (&raw const rodata_end, &raw const image_end, KernelPage::Data),
    ];
    for (from, to, kind) in parts {
        for address in pages(from, to) {
            tables.map(address, (address - IMAGE_BASE) >> 12, kind, 0);
        }
    }
}

/// Maps all RAM, and the first MiB, where firmware tables lie; the image's text and constants are
/// read-only here too.
fn map_ram<A: FnMut() -> u64>(map: &MemoryMap, tables: &mut KernelMap<A>) {
    let image = (&raw const image_start as u64 - IMAGE_BASE) >> 12;
    let constants = (&raw const rodata_end as u64 - IMAGE_BASE) >> 12;
    let low = Range { start: 0, end: 1 << 20 };
    for range in core::iter::once(&low).chain(&map.ram[..map.count]) {
        let (mut frame, end) = (range.start >> 12, range.end >> 12);
        while frame < end {
            let huge = frame % 512 == 0 && frame + 512 <= end && !(frame..frame + 512).contains(&image);
            let read_only = frame >= image && frame < constants;
            let kind = if read_only { KernelPage::Constant } else { KernelPage::Data };
            tables.map(DIRECT_MAP + (frame << 12), frame, kind, usize::from(huge));
            frame += if huge { 512 } else { 1 };
        }
    }
}

/// Where a core's stacks end: the one for calls and traps, then the interrupt stacks.
fn stack_tops(core: u64) -> (u64, [u64; INTERRUPT_STACKS]) {
    let base = STACKS + core * CORE_PAGES * 4096;
    let main = base + (1 + STACK_PAGES) * 4096;
    let step = (1 + INTERRUPT_STACK_PAGES) * 4096;
    (main, core::array::from_fn(|index| main + step * (index as u64 + 1)))
}

fn map_stacks<A: FnMut() -> u64>(core: u64, tables: &mut KernelMap<A>) {
    let (main, others) = stack_tops(core);
    let mut map = |top: u64, pages: u64| {
        for page in 1..=pages {
            let frame = (tables.allocate)();
            tables.map(top - page * 4096, frame, KernelPage::Data, 0);
        }
    };
    map(main, STACK_PAGES);
    for top in others {
        map(top, INTERRUPT_STACK_PAGES);
    }
}

fn make_frame_table(map: &MemoryMap, memory: &mut BootMemory) {
    let length = map.ram[..map.count].iter().map(|range| range.end >> 12).max().unwrap_or(0);
    let table = memory.frames((length * 16).div_ceil(4096));
    // SAFETY: zeroed frames for exactly this, never freed.
    unsafe { frames::install(frame_pointer(table).cast(), length) };
}

/// Core 0 is the one that runs; the others in the order of the tables.
fn make_cores(found: &acpi::Found, memory: &mut BootMemory) {
    let own = cpu::identify(1, 0)[1] >> 24;
    let others = found.cores[..found.count].iter().copied().filter(|id| *id != own);
    for (number, hardware_id) in core::iter::once(own).chain(others).enumerate() {
        let frames = size_of::<Core>().div_ceil(4096) as u64;
        let at = frame_pointer(memory.frames(frames)).cast::<Core>();
        // SAFETY: zeroed frames for exactly this, never freed.
        let core = unsafe {
            Core::create(at, number as u16, hardware_id);
            &*at
        };
        multiprocessor::set_stack(hardware_id, stack_tops(number as u64).0);
        cores::add(core);
    }
    if let Some(first) = cores::get(0) {
        first.state.store(core_state::RUNNING, Ordering::SeqCst);
    }
}

/// Makes this CPU core `number`: descriptors, stacks, interrupt table, GS, call entry, features.
fn enter_core(number: u16) {
    let Some(core) = cores::get(number) else { cpu::halt_forever() };
    let (stack, interrupt_stacks) = stack_tops(u64::from(number));
    core.kernel_stack.set(stack);
    // SAFETY: the core's own descriptors, used by this CPU only and kept for ever; its stacks are mapped;
    // the interrupt table was filled before any core came here.
    unsafe {
        (*core.descriptors.get()).load(number, stack, interrupt_stacks);
        (*INTERRUPTS.0.get()).load();
        cpu::write_msr(cpu::msr::GS_BASE, core as *const Core as u64);
        cpu::write_msr(cpu::msr::KERNEL_GS_BASE, 0);
    }
    features::enable_on_this_core();
    if features::read() != *features::get() {
        cpu::halt_forever();
    }
    enable_system_calls(entry::system_call as *const () as u64);
}

fn copy_trampoline() {
    let start = &raw const trampoline_start;
    let length = &raw const trampoline_end as usize - start as usize;
    let root_at = &raw const trampoline_root as usize - start as usize;
    let to = (DIRECT_MAP + boot::TRAMPOLINE) as *mut u8;
    // SAFETY: the page below 1 MiB is free RAM, mapped by the direct map; the trampoline is in the boot
    // part of the image, which the direct map also holds (at its physical address).
    unsafe {
        core::ptr::copy_nonoverlapping((DIRECT_MAP + start as u64) as *const u8, to, length);
        (*to.add(root_at).cast::<AtomicU64>()).store(paging::kernel_root(), Ordering::SeqCst);
    }
}
