//! Keys: made, derived and revoked on the mailbox's home core.

use super::mailboxes::own;
use crate::arch::machine::entry::Answer;
use crate::calls::attempt;
use crate::cores::Core;
use crate::jobs::{self, Job, Step};
use crate::mailbox::{self, Mailbox};
use crate::objects::reference_to;
use core::sync::atomic::Ordering;
use fos_abi::capability::Handle;
use fos_abi::key::{KeyRights, MailboxId};
use fos_abi::limits::CHUNK_STEPS;
use fos_abi::{Error, Key};

const KEY: usize = size_of::<Key>();

/// `key_create`
pub extern "C" fn key_create(mailbox: u64, rights: u64, badge: u64, out: u64, _: u64, _: u64) -> Answer {
    jobs::call(create_step, [mailbox, rights, badge, 0, 0, 0], (out, KEY), |_| checked_out(out))
}

/// An address for an answer, refused early if it can't be one.
fn checked_out(address: u64) -> Result<(), Error> {
    crate::arch::machine::user_memory::check_aligned(address, KEY)
}

fn rights_of(job: &Job) -> Result<KeyRights, Error> {
    let rights = KeyRights(job.argument(1) as u32);
    if job.argument(1) > u64::from(u32::MAX) || !KeyRights::ALL.contains(rights) {
        return Err(Error::BadArgument);
    }
    Ok(rights)
}

fn create_step(job: &'static Job, here: &'static Core) -> Step {
    let rights = attempt!(rights_of(job));
    let mailbox = attempt!(own(job.space(), job.argument(0)));
    make(job, here, mailbox, None, rights)
}

/// Makes a key in the first free entry, a chunk of the table per step. Not while the parent is about to
/// end: what were derived from it now would outlive it.
fn make(job: &Job, here: &Core, mailbox: &Mailbox, parent: Option<u32>, rights: KeyRights) -> Step {
    let home = mailbox.home.load(Ordering::Acquire);
    if home != here.number {
        return Step::Go(home);
    }
    let keys = mailbox.keys();
    if parent.is_some_and(|parent| keys.is_doomed(parent)) {
        return Step::Again;
    }
    let from = job.cursor[0].get() as usize;
    if from >= keys.0.len() {
        return Step::Done(Err(Error::NoSlot));
    }
    let secret = [here.random.next(), here.random.next()];
    let Some(entry) = keys.create(from, parent, rights, job.argument(2), secret) else {
        job.cursor[0].set((from + CHUNK_STEPS) as u64);
        return Step::Again;
    };
    job.answer(Key { mailbox: MailboxId(reference_to(mailbox).0), entry, machine: 0, secret });
    Step::Done(Ok(0))
}

/// `key_derive`
pub extern "C" fn key_derive(key: u64, rights: u64, badge: u64, out: u64, _: u64, _: u64) -> Answer {
    jobs::call(derive_step, [0, rights, badge, 0, 0, 0], (out, KEY), |job| {
        checked_out(out)?;
        job.read_input::<Key>(key)
    })
}

/// The mailbox and rights of the key that a job carries.
fn given(job: &Job) -> Result<(&'static Mailbox, Key, KeyRights), Error> {
    let key = job.input::<Key>();
    let mailbox = mailbox::find(key.mailbox.0)?;
    let (rights, _) = mailbox.keys().check(u64::from(key.entry), key.secret)?;
    Ok((mailbox, key, rights))
}

fn derive_step(job: &'static Job, here: &'static Core) -> Step {
    let rights = attempt!(rights_of(job));
    let (mailbox, key, held) = attempt!(given(job));
    if !held.contains(KeyRights::DERIVE.with(rights)) {
        return Step::Done(Err(Error::NoRights));
    }
    make(job, here, mailbox, Some(key.entry), rights)
}

/// `key_revoke`
pub extern "C" fn key_revoke(mailbox: u64, key: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(revoke_step, [mailbox, 0, 0, 0, 0, 0], (0, 0), |job| job.read_input::<Key>(key))
}

const CHECK: u32 = 0;
const MARK: u32 = 1;
const END: u32 = 2;

/// Marks the key and, pass by pass, everything derived from it; then ends what is marked. One at a time
/// per mailbox: the marks of two could not be told apart.
fn revoke_step(job: &'static Job, here: &'static Core) -> Step {
    let owner = job.argument(0) != u64::from(Handle::NONE.0);
    let key = job.input::<Key>();
    let mailbox = attempt!(mailbox::find(key.mailbox.0));
    let home = mailbox.home.load(Ordering::Acquire);
    if home != here.number {
        return Step::Go(home);
    }
    if job.stage.get() == CHECK {
        let (_, _, rights) = attempt!(given(job));
        if owner {
            let own = attempt!(own(job.space(), job.argument(0)));
            if !core::ptr::eq(own, mailbox) {
                return Step::Done(Err(Error::BadKey));
            }
        } else if !rights.contains(KeyRights::DERIVE) {
            return Step::Done(Err(Error::NoRights));
        }
        if mailbox.revoking.replace(true) {
            return Step::Again;
        }
        job.stage.set(MARK);
    }
    let keys = mailbox.keys();
    let from = job.cursor[0].get() as usize;
    if job.stage.get() == MARK {
        if from == 0 && job.cursor[1].get() == 0 {
            keys.doom(key.entry);
        }
        if keys.doom_children(from) {
            job.cursor[1].set(2);
        }
        job.cursor[0].set((from + CHUNK_STEPS) as u64);
        if from + CHUNK_STEPS >= keys.0.len() {
            job.cursor[0].set(0);
            // A pass that found some is followed by another.
            if job.cursor[1].replace(1) != 2 {
                job.stage.set(END);
            }
        }
        return Step::Again;
    }
    keys.end_doomed(from, (!owner).then_some(key.entry));
    job.cursor[0].set((from + CHUNK_STEPS) as u64);
    if from + CHUNK_STEPS < keys.0.len() {
        return Step::Again;
    }
    mailbox.revoking.set(false);
    Step::Done(Ok(0))
}

#[cfg(test)]
#[path = "../tests/revocation.rs"]
mod tests;
