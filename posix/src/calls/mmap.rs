//! `mmap(address, length, protection, flags, descriptor, offset)`: fresh memory.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::{Protection, System};
use super::{Answer, Entry, Support};
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_TYPE, PROT_EXEC, PROT_READ, PROT_WRITE,
};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::mmap, support: Support::Partial, note: "anonymous memory only, writable or executable but not both (EPERM)", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [address, length, protection, flags, descriptor, _] = arguments;
    let protection = read_protection(protection)?;
    let flags = flags as u32;
    if flags & MAP_ANONYMOUS == 0 {
        process.descriptors.get(descriptor)?;
        return Err(Errno::ENODEV);
    }
    if flags & MAP_TYPE == 0 || length == 0 {
        return Err(Errno::EINVAL);
    }
    let fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    if fixed == 0 {
        return process.memory.map_anywhere(system, address, length, protection);
    }
    process.memory.map_fixed(system, address, length, protection, fixed & MAP_FIXED_NOREPLACE != 0)
}

/// PROT_* bits as the register holds them. EPERM for memory both writable and executable.
pub fn read_protection(bits: u64) -> Result<Protection, Errno> {
    let has = |bit: u32| bits & u64::from(bit) != 0;
    let protection = Protection { read: has(PROT_READ), write: has(PROT_WRITE), execute: has(PROT_EXEC) };
    if bits & !u64::from(PROT_READ | PROT_WRITE | PROT_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    if protection.write && protection.execute { Err(Errno::EPERM) } else { Ok(protection) }
}
