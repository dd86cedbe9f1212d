//! What the hypervisor's loader tells by the PVH start info (Xen, `xen/include/public/arch-x86/hvm/start_info.h`):
//! RAM, the boot archive, the command line, the ACPI root.

use super::paging::DIRECT_MAP;

const MAGIC: u32 = 0x336e_c578;
const RAM: u32 = 1;

#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    acpi_root: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Module {
    address: u64,
    size: u64,
    command_line: u64,
    reserved: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct MapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// Ranges of RAM that are kept; more are ignored.
pub const RANGES_MAX: usize = 16;

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

/// What was told, copied out of the loader's memory.
pub struct MemoryMap {
    /// RAM, page-aligned, in the order told.
    pub ram: [Range; RANGES_MAX],
    /// How many ranges.
    pub count: usize,
    /// The boot archive.
    pub archive: Range,
    /// The command line.
    pub command_line: [u8; 512],
    /// Its length.
    pub command_line_length: usize,
    /// Physical address of the ACPI root pointer; 0: search.
    pub acpi_root: u64,
}

/// Reads it. `None` when there is no usable start info.
///
/// # Safety
/// `start_info` must be what the loader passed in `ebx`; the first 4 GiB must be mapped.
pub unsafe fn read(start_info: u64) -> Option<MemoryMap> {
    // SAFETY: the PVH protocol says that ebx points to a start info below 4 GiB.
    let info = unsafe { &*((DIRECT_MAP + start_info) as *const StartInfo) };
    if info.magic != MAGIC || info.version < 1 || info.memory_map_entries > 128 {
        return None;
    }
    let mut map = MemoryMap {
        ram: [Range::default(); RANGES_MAX],
        count: 0,
        archive: Range::default(),
        command_line: [0; 512],
        command_line_length: 0,
        acpi_root: info.acpi_root,
    };
    for index in 0..u64::from(info.memory_map_entries) {
        // SAFETY: the map has that many entries of 24 bytes.
        let entry = unsafe { ((DIRECT_MAP + info.memory_map) as *const MapEntry).add(index as usize).read() };
        let Some(start) = entry.address.checked_next_multiple_of(4096) else { continue };
        let end = entry.address.saturating_add(entry.size) & !4095;
        if entry.kind == RAM && start < end && map.count < RANGES_MAX {
            map.ram[map.count] = Range { start, end };
            map.count += 1;
        }
    }
    if info.modules > 0 {
        // SAFETY: there is at least one module entry.
        let module = unsafe { ((DIRECT_MAP + info.module_list) as *const Module).read() };
        map.archive = Range { start: module.address, end: module.address.saturating_add(module.size) };
    }
    if info.command_line != 0 {
        for index in 0..map.command_line.len() {
            // SAFETY: the command line is a zero-terminated string below 4 GiB.
            let byte = unsafe { ((DIRECT_MAP + info.command_line) as *const u8).add(index).read() };
            if byte == 0 {
                break;
            }
            map.command_line[index] = byte;
            map.command_line_length = index + 1;
        }
    }
    (map.count > 0).then_some(map)
}
