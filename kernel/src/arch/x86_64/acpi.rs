//! Finds the cores and interrupt controllers in the ACPI tables (MADT, ACPI 6.5, 5.2.12), or in the older
//! MP table. Every length comes from firmware and is checked against the table it is in.

use super::paging::DIRECT_MAP;

/// What the tables tell.
pub struct Found {
    /// Interrupt controller numbers of the cores that may be started.
    pub cores: [u32; fos_abi::limits::CORES_MAX],
    /// How many.
    pub count: usize,
    /// Physical address of the I/O interrupt controller, 0: none.
    pub io_controller: u64,
    /// Its first line.
    pub io_first_line: u32,
}

/// Bytes of physical memory, as a table claims to have them. At most 1 MiB, below 4 GiB.
fn bytes(address: u64, length: usize) -> Option<&'static [u8]> {
    if address == 0 || length > 1 << 20 || address.checked_add(length as u64)? > 1 << 32 {
        return None;
    }
    // SAFETY: the boot tables map the first 4 GiB; firmware tables lie there and nobody writes them.
    Some(unsafe { core::slice::from_raw_parts((DIRECT_MAP + address) as *const u8, length) })
}

fn word(table: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(table.get(at..at + 4)?.try_into().ok()?))
}
fn long(table: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(table.get(at..at + 8)?.try_into().ok()?))
}
fn half(table: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(table.get(at..at + 2)?.try_into().ok()?))
}
fn sums_to_zero(table: &[u8]) -> bool {
    table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// A table with its header's own length.
fn table(address: u64) -> Option<&'static [u8]> {
    let length = word(bytes(address, 36)?, 4)? as usize;
    let table = bytes(address, length.max(36))?;
    sums_to_zero(table).then_some(table)
}

fn search(start: u64, length: usize, step: usize, signature: &[u8]) -> Option<u64> {
    let area = bytes(start, length)?;
    let at = (0..length - signature.len()).step_by(step).find(|at| area[*at..].starts_with(signature))?;
    Some(start + at as u64)
}

fn madt(root_pointer: u64) -> Option<&'static [u8]> {
    let pointer = match root_pointer {
        0 => search(0xe0000, 0x20000, 16, b"RSD PTR ")?,
        given => given,
    };
    let root = bytes(pointer, 36)?;
    let extended = root[15] >= 2 && long(root, 24)? != 0;
    let (directory, width) =
        if extended { (table(long(root, 24)?)?, 8) } else { (table(u64::from(word(root, 16)?))?, 4) };
    directory[36..].chunks_exact(width).find_map(|entry| {
        let address = if width == 8 { long(entry, 0)? } else { u64::from(word(entry, 0)?) };
        table(address).filter(|table| table.starts_with(b"APIC"))
    })
}

fn read_madt(table: &[u8], found: &mut Found) -> Option<()> {
    let mut at = 44;
    while at + 2 <= table.len() {
        let entry = table.get(at..at + usize::from(table[at + 1]).max(2))?;
        match entry[0] {
            // Bit 0: it is there. One that only might be plugged in (bit 1) would be waited for in vain.
            0 if word(entry, 4)? & 1 != 0 => found.add(u32::from(entry[3])),
            9 if word(entry, 8)? & 1 != 0 => found.add(word(entry, 4)?),
            1 if found.io_controller == 0 => {
                found.io_controller = u64::from(word(entry, 4)?);
                found.io_first_line = word(entry, 8)?;
            }
            2 => {
                let flags = half(entry, 8)?;
                super::ioapic::set_trigger(word(entry, 4)?, flags >> 2 & 3 == 3, flags & 3 == 3);
            }
            _ => {}
        }
        at += entry.len();
    }
    Some(())
}

fn read_mp_table(found: &mut Found) -> Option<()> {
    let pointer = search(0xf0000, 0x10000, 16, b"_MP_").or_else(|| search(0x9fc00, 0x400, 16, b"_MP_"))?;
    let address = u64::from(word(bytes(pointer, 16)?, 4)?);
    let length = usize::from(half(bytes(address, 44)?, 4)?);
    let table = bytes(address, length.max(44))?;
    let mut at = 44;
    while at < table.len() {
        let entry = &table[at..];
        match entry[0] {
            0 => {
                if entry.get(3)? & 1 != 0 {
                    found.add(u32::from(entry[1]));
                }
                at += 20;
            }
            2 => {
                if found.io_controller == 0 {
                    found.io_controller = u64::from(word(entry, 4)?);
                }
                at += 8;
            }
            _ => at += 8,
        }
    }
    Some(())
}

impl Found {
    fn add(&mut self, hardware_id: u32) {
        if self.count < self.cores.len() && hardware_id < 255 {
            self.cores[self.count] = hardware_id;
            self.count += 1;
        }
    }
}

/// Reads the tables. At least the core that runs this is found.
pub fn read(root_pointer: u64, own_id: u32) -> Found {
    let mut found = Found { cores: [0; _], count: 0, io_controller: 0, io_first_line: 0 };
    if madt(root_pointer).and_then(|table| read_madt(table, &mut found)).is_none() || found.count == 0 {
        found.count = 0;
        let _ = read_mp_table(&mut found);
    }
    if !found.cores[..found.count].contains(&own_id) {
        found.count = 0;
        found.add(own_id);
    }
    found
}
