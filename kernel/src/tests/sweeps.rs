//! Revocations and ends that meet each other in the same tables: whatever waits for whatever, all of it ends, and
//! nothing that was derived is left.

use super::revoke_step;
use crate::capabilities::{self, Capability, find, insert_child};
use crate::cores::core_state;
use crate::ends;
use crate::jobs::{self, Job};
use crate::objects;
use crate::space::Space;
use crate::tests::machine;
use crate::thread::State;
use fos_abi::capability::{Kind, Rights};
use fos_abi::space::SPACE_FRAMES;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

/// The machine for one test, with this core alone taking part.
struct Alone(#[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Alone {
    fn begin() -> Alone {
        let whole = machine::whole();
        machine::here().state.store(core_state::RUNNING, Ordering::SeqCst);
        Alone(whole)
    }
    /// Runs what is under way on this core until nothing is left to do.
    fn run(&self) {
        let here = machine::here();
        for _ in 0..100_000 {
            if here.work.is_empty() {
                return;
            }
            jobs::run_one(here);
        }
        panic!("jobs of this core wait for each other by turning");
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        machine::here().state.store(core_state::ABSENT, Ordering::SeqCst);
    }
}

/// A space that sweeps find.
fn space() -> &'static Space {
    let space = machine::space(0);
    machine::here().add_space(space);
    space
}

/// Makes a space whose owner is a child of a capability of another.
fn made_by(creator: &'static Space, frames: u64) -> &'static Space {
    let made = space();
    let (slot, parent) = find(creator, frames).unwrap();
    let (object, length) = (made.reference().0, SPACE_FRAMES as u64 + 1);
    let owner = Capability { kind: Kind::Space, object, length, ..parent };
    insert_child(creator, slot, &parent, owner).unwrap();
    made
}

/// Lends a part of a capability to another space.
fn lend(from: &'static Space, frames: u64, to: &'static Space) -> u64 {
    let child = capabilities::derive(from, frames, Rights::ALL, 0, 1).unwrap();
    let (slot, capability) = find(from, u64::from(child.0)).unwrap();
    let taken = capabilities::take(from, slot, &capability).unwrap();
    u64::from(capabilities::insert(to, &taken).unwrap().0)
}

/// A revocation under way.
fn revoke(space: &'static Space, handle: u64) -> &'static Job {
    let thread = machine::thread(space);
    thread.state.set(State::Waiting);
    let job = &thread.jobs[0];
    job.prepare(revoke_step);
    job.thread.set(thread);
    job.arguments[0].set(handle);
    machine::here().work.push(job);
    job
}

fn filled(space: &Space) -> usize {
    (0..space.slot_count()).filter(|index| space.slot(*index).is_some_and(|slot| !slot.is_empty())).count()
}

/// Root lends to a program, which lends to a child that it made; both have derived from what they have.
fn family() -> (&'static Space, u64, [&'static Space; 2]) {
    let root = space();
    let frames = machine::give(root, Kind::Frames, machine::frames(1), 1);
    let program = made_by(root, frames);
    let lent = lend(root, frames, program);
    let child = made_by(program, lent);
    let below = lend(program, lent, child);
    capabilities::derive(child, below, Rights::READ, 0, 1).unwrap();
    (root, frames, [program, child])
}

#[test]
fn a_revocation_ends_a_program_and_the_child_that_it_made() {
    let alone = Alone::begin();
    let (root, frames, spaces) = family();
    let references = spaces.map(Space::reference);
    let job = revoke(root, frames);
    alone.run();
    assert!(!job.active.get(), "the revocation never returns");
    assert!(references.iter().all(|reference| objects::is_gone(*reference)));
    assert_eq!(filled(root), 1, "what was derived is gone, what was revoked stays");
}

#[test]
fn a_program_that_ends_by_itself_takes_its_child_with_it_while_root_revokes() {
    let alone = Alone::begin();
    for first in 0..2 {
        let (root, frames, spaces) = family();
        let references = spaces.map(Space::reference);
        ends::end_space(machine::here(), spaces[first], 1);
        (0..first * 3).for_each(|_| jobs::run_one(machine::here()));
        let job = revoke(root, frames);
        alone.run();
        assert!(!job.active.get());
        assert!(references.iter().all(|reference| objects::is_gone(*reference)));
        assert_eq!(filled(root), 1);
    }
}
