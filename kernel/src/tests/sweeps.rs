//! Revocations and ends that meet each other in the same tables: whatever waits for whatever, all of it ends, and
//! nothing that was derived is left.

use super::revoke_step;
use crate::arch::machine::paging::Access;
use crate::calls::frames::{fallback_step, unmap_step};
use crate::calls::machine::destroy_step;
use crate::calls::spaces::map_step;
use crate::calls::threads::setup_step;
use crate::capabilities::{self, Capability, find, insert_child};
use crate::cores::core_state;
use crate::ends;
use crate::frames;
use crate::jobs::{self, Code, Job, Step};
use crate::objects;
use crate::space::{Pages, Space};
use crate::tests::machine;
use crate::thread::State;
use fos_abi::Error;
use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::space::SPACE_FRAMES;
use fos_abi::thread::ThreadSetup;
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

fn filled(space: &Space) -> usize {
    (0..space.slots_used()).filter(|index| space.slot(*index).is_some_and(|slot| !slot.is_empty())).count()
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

/// Starts a call of a space whose thread waits for it.
fn start(space: &'static Space, code: Code, arguments: [u64; 2]) -> &'static Job {
    let job = prepare(space, code, &arguments);
    machine::here().work.push(job, |job| &job.place);
    job
}

fn prepare(space: &'static Space, code: Code, arguments: &[u64]) -> &'static Job {
    let thread = machine::thread(space);
    thread.state.set(State::Waiting);
    let job = &thread.jobs[0];
    job.prepare(code);
    job.thread.set(thread);
    job.arguments.iter().zip(arguments).for_each(|(cell, argument)| cell.set(*argument));
    job
}

/// Maps one page with a capability of a space, there.
fn map(space: &'static Space, handle: u64, page: u64) {
    let (slot, capability) = find(space, handle).unwrap();
    slot.note_mapping(space.reference(), page, 1).unwrap();
    let access = Access { may_write: true, ..Access::default() };
    assert_eq!(space.map_small(Pages { first: page, count: 1 }, capability.first(), access), (1, Ok(())));
}

fn mapped(space: &'static Space, page: u64) -> Option<u64> {
    space.at_page(page, |table, index, _| table.get(index).frame()).ok()
}

/// A page that two share, the receiver's fallback for it, and where the receiver has mapped it.
fn shared() -> (&'static Space, [u64; 3]) {
    let space = machine::space(3);
    machine::here().add_space(space);
    let [lent, zero] = [1, 1].map(|count| machine::give(space, Kind::Frames, machine::frames(count), count));
    let shared = u64::from(capabilities::derive(space, lent, Rights::ALL, 0, 1).unwrap().0);
    (space, [lent, zero, shared])
}

const PAGE: u64 = 1 << 18;

#[test]
fn a_fallback_that_took_its_place_goes_with_its_own_capability() {
    let alone = Alone::begin();
    let (space, [lent, zero, shared]) = shared();
    let frame = find(space, zero).unwrap().1.first();
    map(space, shared, PAGE);
    start(space, fallback_step, [shared, zero]);
    alone.run();
    assert_eq!(find(space, zero).unwrap().0.children(), 1, "what may be mapped can't be given away");
    start(space, revoke_step, [lent, 0]);
    alone.run();
    assert_eq!((mapped(space, PAGE), frames::mappings(frame)), (Some(frame), 1));
    let (slot, capability) = find(space, zero).unwrap();
    assert_eq!(capabilities::check_movable(slot, &capability), Err(Error::HasChildren));
    start(space, revoke_step, [zero, 0]);
    alone.run();
    assert_eq!((mapped(space, PAGE), frames::mappings(frame)), (None, 0));
    assert_eq!(capabilities::check_movable(slot, &capability), Ok(()));
}

#[test]
fn a_fallback_that_was_revoked_takes_no_place() {
    let alone = Alone::begin();
    let (space, [lent, zero, shared]) = shared();
    map(space, shared, PAGE);
    start(space, fallback_step, [shared, zero]);
    alone.run();
    start(space, revoke_step, [zero, 0]);
    alone.run();
    start(space, revoke_step, [lent, 0]);
    alone.run();
    assert_eq!((mapped(space, PAGE), filled(space)), (None, 2));
}

#[test]
fn a_fallback_that_is_not_needed_any_more_is_free() {
    let alone = Alone::begin();
    let (space, [lent, zero, shared]) = shared();
    start(space, fallback_step, [shared, zero]);
    alone.run();
    start(space, revoke_step, [lent, 0]);
    alone.run();
    assert_eq!((find(space, zero).unwrap().0.children(), filled(space)), (0, 2));
}

#[test]
fn what_is_mapped_while_it_is_unmapped_is_not_forgotten() {
    let alone = Alone::begin();
    const COUNT: u64 = 128;
    let space = machine::space(3);
    let first = machine::frames(COUNT);
    let handle = machine::give(space, Kind::Frames, first, COUNT);
    let slot = find(space, handle).unwrap().0;
    let own = u64::from(Handle::SELF.0);
    let mapping = prepare(space, map_step, &[own, handle, COUNT << 32, PAGE << 12, 0]);
    assert_eq!(map_step(mapping, machine::here()), Step::Again, "half of it");
    let unmapping = start(space, unmap_step, [handle, 0]);
    alone.run();
    assert!(!unmapping.active.get() && slot.mapping().is_none());
    machine::here().work.push(mapping, |job| &job.place);
    alone.run();
    assert!(!mapping.active.get());
    let counted: u32 = (first..first + COUNT).map(frames::mappings).sum();
    assert_eq!(counted, 0, "pages that nobody remembers");
    let again = start(space, map_step, [own, handle]);
    again.arguments[2].set(COUNT << 32);
    again.arguments[3].set(PAGE << 12);
    alone.run();
    assert_eq!((first..first + COUNT).map(frames::mappings).sum::<u32>(), 128, "it can be mapped again");
}

#[test]
fn registers_of_interrupt_controllers_are_not_mapped() {
    let alone = Alone::begin();
    let space = machine::space(3);
    let own = u64::from(Handle::SELF.0);
    let device = machine::give(space, Kind::Device, 0xfe000, 0x2000);
    let results =
        [(0xbff, 2), (0xc00, 1), (0xdff, 2), (0xe00, 1), (0xeff, 1), (0xc00 - 512, 512), (0xf00, 1)].map(
            |(first, count): (u64, u64)| {
                let job = prepare(space, map_step, &[own, device, first | count << 32, PAGE << 12, 0]);
                map_step(job, machine::here())
            },
        );
    drop(alone);
    let refused = Step::Done(Err(Error::InUse));
    assert_eq!(
        results,
        [refused, refused, refused, refused, refused, Step::Again, Step::Done(Err(Error::AlreadyMapped))]
    );
}

#[test]
fn a_second_destroy_leaves_what_was_built_in_the_same_frames() {
    let alone = Alone::begin();
    let root = space();
    let frames = machine::give(root, Kind::Frames, machine::frames(1), 1);
    made_by(root, frames);
    let owner = (0..root.slots_used())
        .filter_map(|index| root.slot(index))
        .find(|slot| slot.read().is_some_and(|found| found.kind == Kind::Space));
    let owner = owner.unwrap();
    let handle = u64::from(Handle::new(root.index_of(owner), owner.epoch()).0);
    let [first, second] = [0, 1].map(|_| start(root, destroy_step, [handle, 0]));
    while first.active.get() {
        jobs::run_one(machine::here());
    }
    assert_eq!(owner.read().unwrap().kind, Kind::Frames);
    let newer = machine::space(0);
    owner.convert(Kind::Space, newer.reference().0, SPACE_FRAMES as u64 + 1);
    alone.run();
    assert!(!second.active.get());
    assert_eq!(owner.read().unwrap().kind, Kind::Space, "its owner has it as before");
}

#[test]
fn a_setup_that_fails_does_not_touch_the_next_tenant_of_its_slot() {
    let alone = Alone::begin();
    let (space, peer) = (machine::space(3), machine::peer());
    let here = machine::here();
    let thread = machine::thread(space);
    thread.home.store(peer.0.number, Ordering::SeqCst);
    let target = machine::give(space, Kind::Thread, thread.reference.get().0, 0);
    let area = machine::give(space, Kind::Frames, machine::frames(1), 1);
    let job = prepare(space, setup_step, &[target]);
    let area_handle = Handle(area as u32).0;
    job.answer(ThreadSetup { area: area_handle, area_address: PAGE << 12, ..ThreadSetup::default() });
    assert_eq!(setup_step(job, peer.0), Step::Go(here.number));
    assert_eq!(setup_step(job, here), Step::Go(peer.0.number), "claimed and mapped");
    // Revoked meanwhile, and the slot used again.
    space.free_slot(Handle(area as u32).index());
    let next = machine::give(space, Kind::Ports, 7, 1);
    assert_eq!(Handle(next as u32).index(), Handle(area as u32).index());
    thread.state.set(State::Ready);
    assert_eq!(setup_step(job, peer.0), Step::Go(here.number), "it has to be undone");
    assert_eq!(setup_step(job, here), Step::Done(Err(Error::WrongState)));
    assert_eq!(find(space, next).unwrap().1.kind, Kind::Ports);
    drop(alone);
}

#[test]
fn a_revocation_ends_a_program_and_the_child_that_it_made() {
    let alone = Alone::begin();
    let (root, frames, spaces) = family();
    let references = spaces.map(Space::reference);
    let job = start(root, revoke_step, [frames, 0]);
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
        let job = start(root, revoke_step, [frames, 0]);
        alone.run();
        assert!(!job.active.get());
        assert!(references.iter().all(|reference| objects::is_gone(*reference)));
        assert_eq!(filled(root), 1);
    }
}
