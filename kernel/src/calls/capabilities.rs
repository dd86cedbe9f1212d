//! Deriving, deleting, revoking, reading and giving capabilities.

use crate::arch::machine::entry::Answer;
use crate::arch::machine::user_memory::check_aligned;
use crate::calls::attempt;
use crate::capabilities::{self, Capability};
use crate::cores::Core;
use crate::drops;
use crate::jobs::{self, Job, Step};
use crate::objects::resolve;
use crate::space::Space;
use crate::thread::Thread;
use fos_abi::Error;
use fos_abi::capability::{CapabilityInfo, Kind, Rights};

/// `cap_derive`
pub extern "C" fn cap_derive(handle: u64, rights: u64, first: u64, count: u64, _: u64, _: u64) -> Answer {
    jobs::call(derive_step, [handle, rights, first, count, 0, 0], (0, 0), |_| Ok(()))
}

fn derive_step(job: &'static Job, _: &'static Core) -> Step {
    let rights = attempt!(u8::try_from(job.argument(1)).map_err(|_| Error::BadArgument));
    let space = job.space();
    let (first, count) = (job.argument(2), job.argument(3));
    let derived = capabilities::derive(space, job.argument(0), Rights(rights), first, count);
    Step::Done(derived.map(|handle| u64::from(handle.0)))
}

/// `cap_delete`
pub extern "C" fn cap_delete(handle: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(delete_step, [handle, 0, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn delete_step(job: &'static Job, here: &'static Core) -> Step {
    let space = job.space();
    if job.drop_stage.get() != 0 {
        return drops::drop_slot(job, here, space, job.cursor[1].get() as usize);
    }
    let (slot, capability) = attempt!(capabilities::find(space, job.argument(0)));
    if slot.children() != 0 {
        return Step::Done(Err(Error::HasChildren));
    }
    if capability.is_owner() {
        return Step::Done(Err(Error::InUse));
    }
    if matches!(capability.kind, Kind::Frames | Kind::Device) && slot.mapping().is_some() {
        return Step::Done(Err(Error::StillMapped));
    }
    job.cursor[1].set(space.index_of(slot) as u64);
    drops::drop_slot(job, here, space, space.index_of(slot))
}

/// `cap_revoke`
pub extern "C" fn cap_revoke(handle: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(revoke_step, [handle, 0, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

const INVALIDATE: u32 = 0;

/// Invalidates everything derived, then goes over all cores to undo it.
fn revoke_step(job: &'static Job, here: &'static Core) -> Step {
    if job.stage.get() == INVALIDATE {
        let (slot, _) = attempt!(capabilities::find(job.space(), job.argument(0)));
        if !slot.revoke() {
            return Step::Done(Ok(0));
        }
        job.stage.set(1);
        drops::begin_sweep(job);
    }
    drops::sweep(job, here)
}

/// `cap_read`
pub extern "C" fn cap_read(handle: u64, out: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    let size = size_of::<CapabilityInfo>();
    jobs::call(read_step, [handle, 0, 0, 0, 0, 0], (out, size), |_| check_aligned(out, size))
}

fn read_step(job: &'static Job, _: &'static Core) -> Step {
    let (slot, capability) = attempt!(capabilities::find(job.space(), job.argument(0)));
    let range = capability.is_range();
    let identity = match capability.kind {
        Kind::Space => resolve::<Space>(capability.reference()).map_or(0, |space| space.identity),
        Kind::Thread => resolve::<Thread>(capability.reference()).map_or(0, |thread| thread.space.identity),
        _ => 0,
    };
    job.answer(CapabilityInfo {
        kind: capability.kind as u32,
        rights: u32::from(capability.rights.0),
        base: if range { capability.first() } else { capability.object },
        length: if range { capability.length } else { 0 },
        children: slot.children(),
        identity,
    });
    Step::Done(Ok(0))
}

/// `cap_give`
pub extern "C" fn cap_give(space: u64, handle: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(give_step, [space, handle, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

const TAKE: u32 = 0;
const PUT: u32 = 1;
const PUT_BACK: u32 = 2;

/// Takes the capability out at home, puts it in on the other space's home; if that fails, back.
fn give_step(job: &'static Job, here: &'static Core) -> Step {
    let own = job.space();
    if job.stage.get() == TAKE {
        let (_, target) =
            attempt!(capabilities::find_kind(own, job.argument(0), Kind::Space, Rights::CONTROL));
        if attempt!(target.object::<Space>()).is_full() {
            return Step::Done(Err(Error::NoSlot));
        }
        let (slot, capability) = attempt!(capabilities::find(own, job.argument(1)));
        let capability = attempt!(capabilities::take(own, slot, &capability));
        *job.bytes() = [0; 24];
        job.bytes()[..6].copy_from_slice(&[
            capability.kind as u64 | u64::from(capability.rights.0) << 8,
            capability.object,
            capability.length,
            capability.parent,
            capability.stamp,
            target.object,
        ]);
        job.stage.set(PUT);
    }
    let capability = carried(job);
    let target = resolve::<Space>(crate::objects::Reference(job.bytes()[5]));
    if job.stage.get() == PUT {
        match target {
            Some(target) if target.home() != here.number => return Step::Go(target.home()),
            Some(target) => match capabilities::insert(target, &capability) {
                Ok(handle) => return Step::Done(Ok(u64::from(handle.0))),
                Err(_) => job.cursor[0].set(Error::NoSlot as u64),
            },
            None => job.cursor[0].set(Error::Closed as u64),
        }
        job.stage.set(PUT_BACK);
    }
    if own.home() != here.number {
        return Step::Go(own.home());
    }
    if capabilities::insert(own, &capability).is_err() {
        capabilities::leave_parent(&capability);
    }
    let error = Error::from_number(job.cursor[0].get() as u32).unwrap_or(Error::Closed);
    Step::Done(Err(error))
}

/// The capability that a giving job carries.
fn carried(job: &Job) -> Capability {
    let words = job.bytes();
    Capability {
        kind: *fos_abi::capability::KINDS.get((words[0] & 0xff) as usize).unwrap_or(&Kind::Empty),
        rights: Rights((words[0] >> 8) as u8),
        object: words[1],
        length: words[2],
        parent: words[3],
        stamp: words[4],
    }
}

#[cfg(test)]
#[path = "../tests/sweeps.rs"]
mod tests;
