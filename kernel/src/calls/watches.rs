//! `watch` and `watch_mailbox`.

use super::mailboxes::own;
use crate::arch::machine::entry::Answer;
use crate::calls::attempt;
use crate::capabilities::{self, Capability, NO_PARENT};
use crate::cores::{self, Core};
use crate::drops::WATCHED_CORE;
use crate::jobs::{self, Job, Step};
use crate::mailbox::{self, Mailbox};
use crate::objects::{Reference, reference_to, resolve};
use crate::space::Space;
use crate::thread::Thread;
use crate::watch;
use core::sync::atomic::AtomicU64;
use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::key::KeyRights;
use fos_abi::{Error, Key};

/// `watch`
pub extern "C" fn watch(target: u64, mailbox: u64, cookie: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(watch_step, [target, mailbox, cookie, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn watch_step(job: &'static Job, _: &'static Core) -> Step {
    let (_, target) = attempt!(capabilities::find(job.space(), job.argument(0)));
    if !target.rights.contains(Rights::WATCH) {
        return Step::Done(Err(Error::NoRights));
    }
    let (object, watchers) = attempt!(watchers_of(&target));
    Step::Done(begin(job, object, watchers))
}

/// What a watch on a capability's object is called, and its list.
fn watchers_of(target: &Capability) -> Result<(u64, &'static AtomicU64), Error> {
    let reference: Reference = target.reference();
    let watchers = match target.kind {
        Kind::Thread => &resolve::<Thread>(reference).ok_or(Error::Closed)?.watchers,
        Kind::Space => &resolve::<Space>(reference).ok_or(Error::Closed)?.watchers,
        Kind::Mailbox => &resolve::<Mailbox>(reference).ok_or(Error::Closed)?.watchers,
        Kind::Cores if target.length != 1 => return Err(Error::BadArgument),
        Kind::Cores => {
            let core = cores::get(target.first() as u16).ok_or(Error::BadArgument)?;
            return Ok((WATCHED_CORE | target.first(), &core.watchers));
        }
        _ => return Err(Error::WrongKind),
    };
    Ok((reference.0, watchers))
}

/// `watch_mailbox`
pub extern "C" fn watch_mailbox(key: u64, mailbox: u64, cookie: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(watch_mailbox_step, [0, mailbox, cookie, 0, 0, 0], (0, 0), |job| job.read_input::<Key>(key))
}

fn watch_mailbox_step(job: &'static Job, _: &'static Core) -> Step {
    let key = job.input::<Key>();
    let target = attempt!(mailbox::find(key.mailbox.0));
    let (rights, _) = attempt!(target.keys().check(u64::from(key.entry), key.secret));
    if !rights.contains(KeyRights::WATCH) {
        return Step::Done(Err(Error::NoRights));
    }
    Step::Done(begin(job, reference_to(target).0, &target.watchers))
}

/// Makes the watch: a slot set aside for its notice, a capability, a place in the list.
fn begin(job: &Job, object: u64, watchers: &'static AtomicU64) -> Result<u64, Error> {
    let space = job.space();
    let mailbox = own(space, job.argument(1))?;
    mailbox.reserve_notice()?;
    let capability = Capability {
        kind: Kind::Watch,
        rights: Rights::ALL,
        object,
        length: reference_to(mailbox).0,
        parent: NO_PARENT,
        stamp: job.argument(2),
    };
    let handle: Handle =
        capabilities::insert(space, &capability).inspect_err(|_| mailbox.release_notice())?;
    let slot = space.slot(handle.index()).ok_or(Error::NoSlot)?;
    if let Err(error) = watch::add(watchers, slot) {
        mailbox.release_notice();
        space.free_slot(handle.index());
        return Err(error);
    }
    Ok(u64::from(handle.0))
}
