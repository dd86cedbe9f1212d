//! Interrupt lines and I/O ports for drivers in user space.

use super::mailboxes::own;
use crate::arch::machine::entry::Answer;
use crate::arch::machine::ports;
use crate::calls::attempt;
use crate::capabilities::{self, Capability};
use crate::cores::Core;
use crate::interrupts;
use crate::jobs::{self, Job, Step};
use crate::objects::reference_to;
use crate::thread::Thread;
use core::sync::atomic::Ordering;
use fos_abi::Error;
use fos_abi::capability::{Kind, Rights};

/// `interrupt_bind`
pub extern "C" fn interrupt_bind(lines: u64, line: u64, mailbox: u64, cookie: u64, _: u64, _: u64) -> Answer {
    jobs::call(bind_step, [lines, line, mailbox, cookie, 0, 0], (0, 0), |_| Ok(()))
}

fn bind_step(job: &'static Job, _: &'static Core) -> Step {
    let space = job.space();
    let line = job.argument(1);
    let (slot, range) =
        attempt!(capabilities::find_kind(space, job.argument(0), Kind::Interrupts, Rights::CONTROL));
    if line < range.first() || line >= range.first() + range.length || line >= interrupts::LINES as u64 {
        return Step::Done(Err(Error::BadArgument));
    }
    let mailbox = attempt!(own(space, job.argument(2)));
    let capability = Capability { kind: Kind::Interrupt, object: line, length: 1, ..range };
    let reference = reference_to(mailbox);
    attempt!(interrupts::bind(line as u32, reference, job.argument(3)));
    match capabilities::insert_child(space, slot, &range, capability) {
        Ok(handle) => {
            interrupts::route(line as u32, mailbox.home.load(Ordering::Acquire));
            Step::Done(Ok(u64::from(handle.0)))
        }
        Err(error) => {
            interrupts::unbind(line as u32);
            Step::Done(Err(error))
        }
    }
}

/// `interrupt_done`
pub extern "C" fn interrupt_done(interrupt: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    let space = Thread::current().space;
    let found = capabilities::find_kind(space, interrupt, Kind::Interrupt, Rights::CONTROL);
    found.map(|(_, capability)| interrupts::done(capability.first() as u32)).map(|()| 0).into()
}

/// The ports that a call names, if the caller may use them.
fn checked(ports: u64, port: u64, size: u64, right: Rights) -> Result<(u16, u8), Error> {
    let (_, range) = capabilities::find_kind(Thread::current().space, ports, Kind::Ports, right)?;
    let end = port.checked_add(size).ok_or(Error::BadArgument)?;
    let last = range.first() + range.length;
    if !matches!(size, 1 | 2 | 4) || port < range.first() || end > last || end > 0x1_0000 {
        return Err(Error::BadArgument);
    }
    Ok((port as u16, size as u8))
}

/// `port_read`
pub extern "C" fn port_read(range: u64, port: u64, size: u64, _: u64, _: u64, _: u64) -> Answer {
    checked(range, port, size, Rights::READ)
        // SAFETY: whoever holds a port's capability is trusted with the device behind it.
        .map(|(port, size)| u64::from(unsafe { ports::read(port, size) }))
        .into()
}

/// `port_write`
pub extern "C" fn port_write(range: u64, port: u64, size: u64, data: u64, _: u64, _: u64) -> Answer {
    checked(range, port, size, Rights::WRITE)
        .map(|(port, size)| {
            // SAFETY: as in `port_read`.
            unsafe { ports::write(port, size, data as u32) };
            0
        })
        .into()
}
