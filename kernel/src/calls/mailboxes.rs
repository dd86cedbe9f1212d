//! Making and mapping mailboxes, and taking what was attached to a message.

use crate::arch::machine::entry::Answer;
use crate::arch::machine::paging::{Access, Entry, index_at};
use crate::calls::attempt;
use crate::capabilities::{self, is_valid, leave_parent};
use crate::cores::Core;
use crate::jobs::{self, Job, Step};
use crate::mailbox::Mailbox;
use crate::objects;
use crate::space::{Pages, Space};
use core::sync::atomic::Ordering;
use fos_abi::Error;
use fos_abi::capability::{Handle, Kind};
use fos_abi::mailbox::frames_for;

/// `mailbox_create`
pub extern "C" fn mailbox_create(frames: u64, slots: u64, keys: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(create_step, [frames, slots, keys, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn create_step(job: &'static Job, _: &'static Core) -> Step {
    let (slots, keys) = (job.argument(1) as usize, job.argument(2) as usize);
    let (count, private) = attempt!(frames_for(slots, keys).ok_or(Error::BadArgument));
    let space = job.space();
    let (slot, first) =
        attempt!(super::frames::claim(space, job.argument(0), |length| length == count as u64));
    let home = job.thread().home.load(Ordering::Relaxed);
    // SAFETY: `claim` gave that many zeroed frames.
    unsafe { Mailbox::create(first, (count, private), slots, keys, space, home) };
    slot.convert(Kind::Mailbox, objects::publish::<Mailbox>(first).0, count as u64);
    Step::Done(Ok(u64::from(Handle::new(space.index_of(slot), slot.epoch()).0)))
}

/// The caller's own mailbox.
pub fn own(space: &'static Space, handle: u64) -> Result<&'static Mailbox, Error> {
    let (_, capability) = capabilities::find(space, handle)?;
    if capability.kind != Kind::Mailbox {
        return Err(Error::WrongKind);
    }
    capability.object::<Mailbox>().map_err(|_| Error::BadCapability)
}

/// `mailbox_map`
pub extern "C" fn mailbox_map(mailbox: u64, address: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(map_step, [mailbox, address, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn map_step(job: &'static Job, _: &'static Core) -> Step {
    let mailbox = attempt!(own(job.space(), job.argument(0)));
    let ring = (mailbox.frames - mailbox.private_frames - 1) as u64;
    let pages = attempt!(Pages::new(job.argument(1), 1 + 2 * ring));
    if mailbox.is_mapped() {
        return Step::Done(Err(Error::AlreadyMapped));
    }
    for done in 0..pages.count {
        if let Err(error) = map_page(mailbox, pages.first, done, ring) {
            for mapped in 0..done {
                unmap_page(job.space(), mailbox, pages.first + mapped);
            }
            return Step::Done(Err(error));
        }
    }
    mailbox.mapped_at.set(pages.first);
    Step::Done(Ok(0))
}

fn map_page(mailbox: &Mailbox, first: u64, index: u64, ring: u64) -> Result<(), Error> {
    let control = objects::reference_to(mailbox).frame() + mailbox.private_frames as u64;
    let frame = if index == 0 { control } else { control + 1 + (index - 1) % ring };
    let access = Access { write: index == 0, may_write: index == 0, uncounted: true, ..Access::default() };
    let page = first + index;
    let table = mailbox.space.table_for(page, 0, true)?;
    if table.get(index_at(page << 12, 0)).is_present() {
        return Err(Error::AlreadyMapped);
    }
    table.set(index_at(page << 12, 0), Entry::page(frame, access, false));
    Ok(())
}

/// Unmaps one page if it is the mailbox's. On the home core of its space.
pub fn unmap_page(space: &Space, mailbox: &Mailbox, page: u64) {
    let first = objects::reference_to(mailbox).frame();
    let _ = space.at_page(page, |table, index, size| {
        let frame = table.get(index).frame();
        if size == 1 && (first..first + mailbox.frames as u64).contains(&frame) {
            table.set(index, Entry::EMPTY);
            crate::arch::machine::cpu::forget_page(page << 12);
        }
    });
}

/// `accept`
pub extern "C" fn accept(mailbox: u64, ticket: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(accept_step, [mailbox, ticket, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn accept_step(job: &'static Job, _: &'static Core) -> Step {
    let space = job.space();
    let mailbox = attempt!(own(space, job.argument(0)));
    let ticket = attempt!(u32::try_from(job.argument(1)).map_err(|_| Error::BadArgument));
    if !mailbox.holds_message(ticket) {
        return Step::Done(Err(Error::BadArgument));
    }
    let capability = attempt!(mailbox.attachment(ticket).take(ticket).ok_or(Error::BadArgument));
    if !is_valid(&capability) {
        leave_parent(&capability);
        return Step::Done(Err(Error::BadCapability));
    }
    match capabilities::insert(space, &capability) {
        Ok(handle) => Step::Done(Ok(u64::from(handle.0))),
        Err(error) => {
            mailbox.attachment(ticket).give_back(ticket, &capability);
            Step::Done(Err(error))
        }
    }
}
