//! Calls on capabilities, watches, devices, cores and the machine.

use fos_abi::calls::{Call, CoreInfo};
use fos_abi::capability::{CapabilityInfo, Handle, Rights};
use fos_abi::{Error, Key};

use super::{answer, done, handle, selector};
use crate::arch::call::{call1, call2, call3, call4};

/// Makes a weaker capability: fewer rights, and of a range `count` from `first` (relative to the range).
pub fn cap_derive(from: Handle, rights: Rights, first: u64, count: u64) -> Result<Handle, Error> {
    // SAFETY: no pointers.
    let answers =
        unsafe { call4(selector(Call::cap_derive), u64::from(from.0), u64::from(rights.0), first, count) };
    handle(answers)
}

/// Gives up a capability that nothing depends on.
pub fn cap_delete(capability: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(selector(Call::cap_delete), u64::from(capability.0)) })
}

/// Ends everything derived from a capability, wherever it went.
pub fn cap_revoke(capability: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(selector(Call::cap_revoke), u64::from(capability.0)) })
}

/// Tells what a capability is.
pub fn cap_read(capability: Handle) -> Result<CapabilityInfo, Error> {
    let mut info = CapabilityInfo::default();
    let out = core::ptr::from_mut(&mut info) as u64;
    // SAFETY: the kernel writes one `CapabilityInfo` to `out`, which is borrowed for the call.
    done(unsafe { call2(selector(Call::cap_read), u64::from(capability.0), out) }).map(|()| info)
}

/// Moves a capability into another space's table; answers with its handle there.
pub fn cap_give(space: Handle, capability: Handle) -> Result<Handle, Error> {
    // SAFETY: no pointers.
    handle(unsafe { call2(selector(Call::cap_give), u64::from(space.0), u64::from(capability.0)) })
}

/// Ends a thread, space or mailbox; the capability becomes the frames it was built in.
pub fn destroy(object: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(selector(Call::destroy), u64::from(object.0)) })
}

/// Asks for one `Ended` message, with `cookie` as its badge, when a thread, space, mailbox or core ends.
pub fn watch(target: Handle, mailbox: Handle, cookie: u64) -> Result<Handle, Error> {
    // SAFETY: no pointers.
    handle(unsafe { call3(selector(Call::watch), u64::from(target.0), u64::from(mailbox.0), cookie) })
}

/// As [`watch`], for the mailbox that a key opens.
pub fn watch_mailbox(key: &Key, mailbox: Handle, cookie: u64) -> Result<Handle, Error> {
    let pointer = core::ptr::from_ref(key) as u64;
    // SAFETY: the kernel only reads the key.
    handle(unsafe { call3(selector(Call::watch_mailbox), pointer, u64::from(mailbox.0), cookie) })
}

/// Has an interrupt line's interrupts sent to a mailbox, with `cookie` as their badge.
pub fn interrupt_bind(interrupts: Handle, line: u64, mailbox: Handle, cookie: u64) -> Result<Handle, Error> {
    // SAFETY: no pointers.
    let answers = unsafe {
        call4(selector(Call::interrupt_bind), u64::from(interrupts.0), line, u64::from(mailbox.0), cookie)
    };
    handle(answers)
}

/// Lets a line interrupt again.
pub fn interrupt_done(interrupt: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(selector(Call::interrupt_done), u64::from(interrupt.0)) })
}

/// Reads 1, 2 or 4 bytes (`size`) from an I/O port.
pub fn port_read(ports: Handle, port: u16, size: u64) -> Result<u32, Error> {
    // SAFETY: no pointers; who holds the ports vouches for the device.
    let answers = unsafe { call3(selector(Call::port_read), u64::from(ports.0), u64::from(port), size) };
    answer(answers).map(|data| data as u32)
}

/// Writes 1, 2 or 4 bytes (`size`) to an I/O port.
pub fn port_write(ports: Handle, port: u16, size: u64, data: u32) -> Result<(), Error> {
    // SAFETY: no pointers; who holds the ports vouches for the device.
    let answers = unsafe {
        call4(selector(Call::port_write), u64::from(ports.0), u64::from(port), size, u64::from(data))
    };
    done(answers)
}

/// Ends the machine with a status; comes back only when refused.
pub fn machine_off(machine: Handle, status: u8) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call2(selector(Call::machine_off), u64::from(machine.0), u64::from(status)) })
}

/// State and counters of a core.
pub fn core_read(core: u64) -> Result<CoreInfo, Error> {
    let mut info = CoreInfo::default();
    let out = core::ptr::from_mut(&mut info) as u64;
    // SAFETY: the kernel writes one `CoreInfo` to `out`, which is borrowed for the call.
    done(unsafe { call2(selector(Call::core_read), core, out) }).map(|()| info)
}
