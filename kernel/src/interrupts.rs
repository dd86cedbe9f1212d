//! Interrupt lines, each bound to at most one mailbox. A level-triggered line is masked from its interrupt
//! until the driver says that it is done; an edge-triggered one is not, and counts what came meanwhile.

use crate::arch::machine::ioapic;
use crate::cores::{self, Core};
use crate::mailbox::Mailbox;
use crate::objects::{Reference, resolve};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use fos_abi::Error;
use fos_abi::mailbox::MessageKind;

/// Lines of the table.
pub const LINES: usize = ioapic::LINES;

/// One line. Claimed by `bound`, then written by one core at a time: the one it is routed to.
struct Line {
    bound: AtomicU32,
    mailbox: AtomicU64,
    cookie: AtomicU64,
    core: AtomicU32,
    /// Interrupts since the last notice; a notice is out while `told` is set.
    count: AtomicU64,
    told: AtomicU32,
}

static TABLE: [Line; LINES] = [const {
    Line {
        bound: AtomicU32::new(0),
        mailbox: AtomicU64::new(0),
        cookie: AtomicU64::new(0),
        core: AtomicU32::new(0),
        count: AtomicU64::new(0),
        told: AtomicU32::new(0),
    }
}; LINES];

/// Binds a line to a mailbox, with a slot set aside for its notice.
pub fn bind(line: u32, mailbox: Reference, cookie: u64) -> Result<(), Error> {
    let place = &TABLE[line as usize];
    if place.bound.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return Err(Error::InUse);
    }
    let reserved = resolve::<Mailbox>(mailbox).map_or(Err(Error::NoSlot), Mailbox::reserve_notice);
    if let Err(error) = reserved {
        place.bound.store(0, Ordering::Release);
        return Err(error);
    }
    place.cookie.store(cookie, Ordering::Relaxed);
    place.count.store(0, Ordering::Relaxed);
    place.told.store(0, Ordering::Relaxed);
    place.mailbox.store(mailbox.0, Ordering::Release);
    Ok(())
}

/// Sends a bound line's interrupts to a core.
pub fn route(line: u32, core: u16) {
    if let Some(core) = cores::get(core) {
        TABLE[line as usize].core.store(u32::from(core.number), Ordering::Release);
        ioapic::route(line, core.hardware_id, false);
    }
}

/// Frees a line, masked.
pub fn unbind(line: u32) {
    let place = &TABLE[line as usize];
    let core = cores::get(place.core.load(Ordering::Acquire) as u16);
    ioapic::route(line, core.map_or(0, |core| core.hardware_id), true);
    let mailbox = Reference(place.mailbox.swap(0, Ordering::AcqRel));
    if let Some(mailbox) = resolve::<Mailbox>(mailbox) {
        mailbox.release_notice();
    }
    place.bound.store(0, Ordering::Release);
}

/// An interrupt came to this core.
pub fn came(here: &Core, line: u32) {
    let place = &TABLE[line as usize];
    if ioapic::is_level(line) {
        ioapic::route(line, here.hardware_id, true);
    }
    place.count.fetch_add(1, Ordering::AcqRel);
    if place.told.swap(1, Ordering::AcqRel) == 0 {
        tell(line);
    }
}

fn tell(line: u32) {
    let place = &TABLE[line as usize];
    let count = place.count.swap(0, Ordering::AcqRel);
    if let Some(mailbox) = resolve::<Mailbox>(Reference(place.mailbox.load(Ordering::Acquire))) {
        mailbox.notify(
            MessageKind::Interrupt,
            place.cookie.load(Ordering::Relaxed),
            &[u64::from(line), count],
        );
    }
}

/// The driver has served its device.
pub fn done(line: u32) {
    let place = &TABLE[line as usize];
    place.told.store(0, Ordering::SeqCst);
    if ioapic::is_level(line)
        && let Some(core) = cores::get(place.core.load(Ordering::Acquire) as u16)
    {
        ioapic::route(line, core.hardware_id, false);
    }
    if place.count.load(Ordering::SeqCst) > 0 && place.told.swap(1, Ordering::AcqRel) == 0 {
        tell(line);
    }
}

/// A core has failed: its lines go to another.
pub fn move_lines(from: u16, to: &Core) {
    for (line, place) in TABLE.iter().enumerate() {
        if place.bound.load(Ordering::Acquire) == 1 && place.core.load(Ordering::Acquire) == u32::from(from) {
            route(line as u32, to.number);
        }
    }
}
