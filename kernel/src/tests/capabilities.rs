//! Capability tables: what a slot keeps and forgets, what may be derived, how far, and that revoking ends
//! everything below a slot and nothing beside it, as a tree of a model says.

use super::machine;
use crate::capabilities::{self, Capability, NO_PARENT, check_movable, find, is_valid};
use crate::objects;
use crate::space::Space;
use fos_abi::Error;
use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::limits::{DERIVATION_DEPTH, SLOTS_PER_FRAME};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A range of ports: a kind that has no object behind it.
fn range(space: &'static Space, first: u64, length: u64) -> u64 {
    machine::give(space, Kind::Ports, first, length)
}

fn derive_all(space: &'static Space, handle: u64) -> Result<u64, Error> {
    let length = find(space, handle)?.1.length;
    derive(space, handle, Rights::ALL, 0, length)
}

fn derive(space: &'static Space, handle: u64, rights: Rights, first: u64, count: u64) -> Result<u64, Error> {
    capabilities::derive(space, handle, rights, first, count).map(|handle| u64::from(handle.0))
}

/// What deleting a capability does to the tables.
fn delete(space: &'static Space, handle: u64) {
    let (slot, capability) = find(space, handle).unwrap();
    capabilities::leave_parent(&capability);
    space.free_slot(space.index_of(slot));
}

fn children(space: &'static Space, handle: u64) -> u64 {
    find(space, handle).unwrap().0.children()
}

fn opens(space: &'static Space, handle: u64) -> bool {
    find(space, handle).is_ok()
}

#[test]
fn a_slot_keeps_what_it_is_filled_with() {
    let space = machine::space(0);
    for (number, kind) in
        [Kind::Frames, Kind::Device, Kind::Cores, Kind::Machine, Kind::Tables].into_iter().enumerate()
    {
        let number = number as u64;
        let rights = Rights(0x5a ^ number as u8);
        let capability = Capability {
            kind,
            rights,
            object: 7 << 32 | number,
            length: 9,
            parent: NO_PARENT,
            stamp: number,
        };
        let handle = u64::from(capabilities::insert(space, &capability).unwrap().0);
        let (slot, found) = find(space, handle).unwrap();
        assert_eq!(found, capability);
        assert_eq!((slot.children(), slot.mapping(), slot.fallback()), (0, None, Some(Handle(6))));
    }
}

#[test]
fn a_handle_to_a_slot_that_was_used_again_is_refused() {
    let space = machine::space(0);
    let mut old = vec![];
    for _ in 0..300 {
        let handle = range(space, 0, 1);
        assert_eq!(Handle(handle as u32).index(), 0, "the slot that was freed last is used first");
        assert!(opens(space, handle) && !old.contains(&handle));
        delete(space, handle);
        assert_eq!(find(space, handle).map(drop), Err(Error::BadCapability));
        old.push(handle);
    }
    let now = range(space, 0, 1);
    assert!(old.iter().all(|handle| !opens(space, *handle)) && opens(space, now));
}

#[test]
fn handles_that_name_nothing_are_refused() {
    let space = machine::space(0);
    let handle = range(space, 0, 1);
    for bad in
        [handle + 1, 64, 0xffff, handle | 1 << 32, u64::MAX, u64::from(Handle::NONE.0), handle + (1 << 16)]
    {
        assert_eq!(find(space, bad).map(drop), Err(Error::BadCapability), "{bad:#x}");
    }
    let (slot, _) = find(space, handle).unwrap();
    assert!(slot.begin_drop() && !slot.begin_drop());
    assert!(!opens(space, handle), "a slot that is being dropped is out of reach");
    slot.end_drop();
    assert!(opens(space, handle));
}

#[test]
fn a_child_has_no_right_and_no_part_that_its_parent_lacks() {
    let space = machine::space(0);
    let parent = range(space, 100, 10);
    let weak = Rights::READ.with(Rights::DERIVE);
    let child = derive(space, parent, weak, 2, 5).unwrap();
    let (_, found) = find(space, child).unwrap();
    assert_eq!((found.first(), found.length, found.rights), (102, 5, weak));
    assert_eq!(derive(space, child, Rights::WRITE, 0, 1), Err(Error::NoRights));
    assert_eq!(derive(space, child, weak.with(Rights::MOVE), 0, 1), Err(Error::NoRights));
    for (first, count) in [(0, 0), (0, 6), (5, 1), (6, 0), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, 2)] {
        assert_eq!(
            derive(space, child, Rights::READ, first, count),
            Err(Error::BadArgument),
            "{first} {count}"
        );
    }
    let last = derive(space, child, Rights::READ, 4, 1).unwrap();
    assert_eq!(find(space, last).unwrap().1.first(), 106);
    assert_eq!(derive(space, last, Rights::NONE, 0, 1), Err(Error::NoRights), "without the right to derive");
    assert_eq!(children(space, parent), 1);
    assert_eq!(children(space, child), 1, "refused derivations are not counted");
}

#[test]
fn what_has_no_parts_is_derived_whole_or_not_at_all() {
    let space = machine::space(0);
    let owner = machine::give(space, Kind::Space, space.reference().0, 4);
    assert_eq!(derive(space, owner, Rights::ALL, 0, 1), Err(Error::BadArgument));
    assert_eq!(derive(space, owner, Rights::ALL, 1, 0), Err(Error::BadArgument));
    let child = derive(space, owner, Rights::ALL, 0, 0).unwrap();
    let (_, found) = find(space, child).unwrap();
    assert!(!found.is_owner() && find(space, owner).unwrap().1.is_owner(), "the frames have one owner");
    for kind in [Kind::Watch, Kind::Interrupt, Kind::Tables] {
        let handle = machine::give(space, kind, 1, 1);
        assert_eq!(derive(space, handle, Rights::READ, 0, 1), Err(Error::WrongKind));
    }
}

#[test]
fn chains_are_as_deep_as_allowed_and_no_deeper() {
    let space = machine::space(0);
    let mut chain = vec![range(space, 0, 1)];
    for _ in 0..DERIVATION_DEPTH {
        chain.push(derive_all(space, *chain.last().unwrap()).unwrap());
    }
    assert!(chain.iter().all(|handle| opens(space, *handle)), "the deepest is valid too");
    let deepest = *chain.last().unwrap();
    assert_eq!(derive_all(space, deepest), Err(Error::TooDeep));
    assert_eq!(children(space, deepest), 0);
    find(space, chain[0]).unwrap().0.revoke();
    assert!(chain[1..].iter().all(|handle| !opens(space, *handle)), "and ends with the first");
}

#[test]
fn a_full_table_refuses_and_counts_nothing() {
    let space = machine::space(0);
    let parent = range(space, 0, 1);
    let made = std::iter::repeat_with(|| derive_all(space, parent)).take_while(Result::is_ok).count();
    assert_eq!(made, SLOTS_PER_FRAME - 1);
    assert!(space.is_full());
    assert_eq!(derive_all(space, parent), Err(Error::NoSlot));
    assert_eq!(children(space, parent), made as u64);
}

#[test]
fn a_child_of_a_revoked_time_does_not_lower_the_count_of_now() {
    let space = machine::space(0);
    let parent = range(space, 0, 1);
    let old = derive_all(space, parent).unwrap();
    let (_, old_child) = find(space, old).unwrap();
    assert!(find(space, parent).unwrap().0.revoke());
    assert_eq!(children(space, parent), 0);
    capabilities::leave_parent(&old_child);
    assert_eq!(children(space, parent), 0, "the count does not fall below none");
    let new = derive_all(space, parent).unwrap();
    capabilities::leave_parent(&old_child);
    assert_eq!(children(space, parent), 1);
    assert!(!opens(space, old) && opens(space, new));
    let (_, new_child) = find(space, new).unwrap();
    delete(space, new);
    assert_eq!(children(space, parent), 0);
    capabilities::leave_parent(&new_child);
    assert_eq!(children(space, parent), 0, "whoever leaves twice takes nothing with him");
    assert!(!find(space, parent).unwrap().0.revoke(), "there is nothing to revoke");
    assert!(opens(space, parent));
}

#[test]
fn a_child_that_was_forgotten_in_a_message_never_comes_back() {
    let space = machine::space(0);
    let parent = range(space, 0, 1);
    let (slot, child) = find(space, derive_all(space, parent).unwrap()).unwrap();
    let parked = capabilities::take(space, slot, &child).unwrap();
    let parent_slot = find(space, parent).unwrap().0;
    assert!(parent_slot.revoke());
    for _ in 0..1 << 16 {
        let child = derive_all(space, parent).unwrap();
        assert!(parent_slot.revoke());
        space.free_slot(Handle(child as u32).index());
    }
    assert!(!is_valid(&parked), "65,537 revocations later");
    let mut parent = parent;
    for _ in 0..1 << 16 {
        delete(space, parent);
        parent = range(space, 0, 1);
    }
    assert!(!is_valid(&parked), "65,536 uses of the slot later");
}

#[test]
fn a_slot_whose_stamp_has_run_out_is_retired() {
    let space = machine::space(0);
    let parent = range(space, 0, 1);
    let (slot, _) = find(space, parent).unwrap();
    slot.wear_out(1);
    let child = derive_all(space, parent).unwrap();
    assert!(slot.revoke() && !opens(space, child) && opens(space, parent));
    space.free_slot(Handle(child as u32).index());
    assert_eq!(derive_all(space, parent), Err(Error::NoSlot), "no child remembers the last stamp");
    delete(space, parent);
    let made = std::iter::repeat_with(|| capabilities::derive(space, range(space, 0, 1), Rights::ALL, 0, 1));
    assert!(made.take(SLOTS_PER_FRAME / 2 - 1).all(|made| made.is_ok_and(|made| made.index() != 0)));
}

#[test]
fn a_parent_slot_that_was_used_again_is_no_parent() {
    let space = machine::space(0);
    let parent = range(space, 0, 1);
    let child = derive_all(space, parent).unwrap();
    let (_, orphan) = find(space, child).unwrap();
    delete(space, parent);
    // Only the end of a space empties slots that have children, and says so.
    capabilities::note_invalidation();
    assert!(!opens(space, child));
    let successor = range(space, 0, 1);
    assert_eq!(Handle(successor as u32).index(), Handle(parent as u32).index());
    assert!(!is_valid(&orphan) && !opens(space, child));
    capabilities::leave_parent(&orphan);
    derive_all(space, successor).unwrap();
    capabilities::leave_parent(&orphan);
    assert_eq!(children(space, successor), 1);
}

#[test]
fn what_was_derived_in_a_space_ends_with_it() {
    let (space, other) = (machine::space(0), machine::space(0));
    let parent = range(space, 0, 1);
    let (slot, child) = find(space, derive_all(space, parent).unwrap()).unwrap();
    let taken = capabilities::take(space, slot, &child).unwrap();
    let moved = u64::from(capabilities::insert(other, &taken).unwrap().0);
    assert!(opens(other, moved));
    objects::end(space);
    capabilities::note_invalidation();
    assert!(!opens(other, moved));
}

#[test]
fn a_moved_child_is_revoked_where_it_is() {
    let (space, other) = (machine::space(0), machine::space(0));
    let parent = range(space, 0, 4);
    let (slot, child) = find(space, derive_all(space, parent).unwrap()).unwrap();
    let taken = capabilities::take(space, slot, &child).unwrap();
    let moved = u64::from(capabilities::insert(other, &taken).unwrap().0);
    let below = derive(other, moved, Rights::READ, 1, 1).unwrap();
    assert_eq!(children(space, parent), 1, "moving is not deleting");
    find(space, parent).unwrap().0.revoke();
    assert!(!opens(other, moved) && !opens(other, below));
}

#[test]
fn only_what_nothing_hangs_on_may_move() {
    let space = machine::space(0);
    let check = |handle: u64| {
        let (slot, capability) = find(space, handle).unwrap();
        check_movable(slot, &capability)
    };
    let parent = range(space, 0, 4);
    assert_eq!(check(parent), Ok(()));
    let kept = derive(space, parent, Rights(!Rights::MOVE.0), 0, 1).unwrap();
    assert_eq!(check(kept), Err(Error::NoRights));
    assert_eq!(check(parent), Err(Error::HasChildren));
    for kind in [Kind::Watch, Kind::Interrupt, Kind::Tables, Kind::Mailbox] {
        assert_eq!(check(machine::give(space, kind, 1, 0)), Err(Error::WrongKind));
    }
    assert_eq!(check(machine::give(space, Kind::Thread, 1, 2)), Err(Error::WrongKind), "an owner stays");
    let frames = machine::give(space, Kind::Frames, machine::frames(1), 1);
    let (slot, _) = find(space, frames).unwrap();
    slot.note_mapping(space.reference(), 16, 1).unwrap();
    assert_eq!(check(frames), Err(Error::StillMapped));
    slot.forget_mapping(slot.notes());
    assert_eq!(check(frames), Ok(()));
    slot.set_fallback(Some(Handle(5)));
    assert_eq!(check(frames), Err(Error::StillMapped));
}

#[test]
fn a_converted_slot_keeps_its_place_in_the_chain() {
    let space = machine::space(0);
    let first = machine::frames(2);
    let parent = machine::give(space, Kind::Frames, first, 2);
    let child = derive(space, parent, Rights::ALL, 0, 2).unwrap();
    let (slot, before) = find(space, child).unwrap();
    slot.note_mapping(space.reference(), 1, 1).unwrap();
    slot.convert(Kind::Thread, 77, 2);
    let (_, after) = find(space, child).unwrap();
    let expected = Capability { kind: Kind::Thread, object: 77, ..before };
    assert_eq!((after, slot.mapping(), after.is_owner()), (expected, None, true));
    find(space, parent).unwrap().0.revoke();
    assert!(!opens(space, child));
}

#[test]
fn a_capability_is_mapped_in_one_space_and_its_hull_grows() {
    let (space, other) = (machine::space(0), machine::space(0));
    let handle = machine::give(space, Kind::Frames, machine::frames(1), 1);
    let (slot, _) = find(space, handle).unwrap();
    slot.note_mapping(space.reference(), 100, 4).unwrap();
    slot.note_mapping(space.reference(), 50, 2).unwrap();
    slot.note_mapping(space.reference(), 60, 70).unwrap();
    assert_eq!(slot.mapping(), Some((space.reference(), 50, 130)));
    assert_eq!(slot.note_mapping(other.reference(), 1, 1), Err(Error::AlreadyMapped));
    assert_eq!(slot.mapping(), Some((space.reference(), 50, 130)));
}

#[test]
fn a_mapping_that_was_noted_meanwhile_is_not_forgotten() {
    let space = machine::space(0);
    let (slot, _) = find(space, machine::give(space, Kind::Frames, machine::frames(1), 1)).unwrap();
    slot.note_mapping(space.reference(), 100, 4).unwrap();
    let counted = slot.notes();
    slot.note_mapping(space.reference(), 100, 4).unwrap();
    slot.forget_mapping(counted);
    assert_eq!(slot.mapping(), Some((space.reference(), 100, 104)));
    slot.forget_mapping(slot.notes());
    assert_eq!(slot.mapping(), None);
}

/// A capability of the model.
#[derive(Clone, Copy)]
struct Modelled {
    handle: u64,
    parent: Option<usize>,
    alive: bool,
}

/// Whether `above` is above `node`.
fn descends(model: &[Modelled], node: usize, above: usize) -> bool {
    model[node].parent.is_some_and(|parent| parent == above || descends(model, parent, above))
}

fn depth(model: &[Modelled], node: usize) -> usize {
    model[node].parent.map_or(0, |parent| 1 + depth(model, parent))
}

proptest! {
    #![proptest_config(machine::cases(96))]

    /// A forest that grows and is revoked and deleted at random: exactly the model's capabilities open,
    /// and each counts exactly its living children.
    #[test]
    fn revoking_ends_what_is_below_and_nothing_beside(
        steps in prop::collection::vec((0u8..10, any::<prop::sample::Index>()), 1..200),
    ) {
        let space = machine::space(0);
        let mut model = vec![Modelled { handle: range(space, 0, 1), parent: None, alive: true }];
        for (what, which) in steps {
            let living: Vec<usize> = (0..model.len()).filter(|node| model[*node].alive).collect();
            let chosen = if living.is_empty() { 0 } else { living[which.index(living.len())] };
            let below: Vec<usize> = living.iter().copied().filter(|node| descends(&model, *node, chosen)).collect();
            match what {
                0 if model[chosen].alive => {
                    let found = find(space, model[chosen].handle).unwrap().0.revoke();
                    prop_assert_eq!(found, !below.is_empty());
                    for node in below {
                        // What the sweep does: the dead leave their slots.
                        let slot = space.slot(Handle(model[node].handle as u32).index()).unwrap();
                        capabilities::leave_parent(&slot.read().unwrap());
                        space.free_slot(space.index_of(slot));
                        model[node].alive = false;
                    }
                }
                1 if model[chosen].alive && below.is_empty() => {
                    delete(space, model[chosen].handle);
                    model[chosen].alive = false;
                }
                _ if model[chosen].alive && living.len() < SLOTS_PER_FRAME => {
                    let derived = derive_all(space, model[chosen].handle);
                    if depth(&model, chosen) == DERIVATION_DEPTH {
                        prop_assert_eq!(derived, Err(Error::TooDeep));
                    } else {
                        model.push(Modelled { handle: derived.unwrap(), parent: Some(chosen), alive: true });
                    }
                }
                _ if !model[chosen].alive => {
                    model.push(Modelled { handle: range(space, 0, 1), parent: None, alive: true });
                }
                _ => {}
            }
            for (node, modelled) in model.iter().enumerate() {
                prop_assert_eq!(opens(space, modelled.handle), modelled.alive, "capability {}", node);
                if modelled.alive {
                    let own = model.iter().filter(|other| other.alive && other.parent == Some(node)).count();
                    prop_assert_eq!(children(space, modelled.handle), own as u64);
                }
            }
        }
    }
}

/// The home core derives while other cores drop what was derived before.
#[test]
fn children_are_counted_right_whoever_lowers_the_count() {
    const CHILDREN: u32 = 60_000;
    const BURST: u32 = 30;
    let space = machine::space(0);
    let parent = range(space, 0, 1);
    let (slot, first) = find(space, derive_all(space, parent).unwrap()).unwrap();
    let child = capabilities::take(space, slot, &first).unwrap();
    // All children are alike; how many may still be dropped, and how many were. They are dropped in bursts,
    // so that not each is over before the next is derived.
    let (alive, dropped, patience) = (AtomicU32::new(0), AtomicU32::new(0), machine::Patience::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while dropped.load(Ordering::Relaxed) < CHILDREN {
                    let one =
                        alive.try_update(Ordering::AcqRel, Ordering::Relaxed, |alive| alive.checked_sub(1));
                    if one.is_ok() {
                        capabilities::leave_parent(&child);
                        dropped.fetch_add(1, Ordering::Relaxed);
                    } else {
                        patience.check();
                    }
                }
            });
        }
        let _shaken = machine::Shaken::begin();
        for number in 1..CHILDREN {
            let (slot, child) = find(space, derive_all(space, parent).unwrap()).unwrap();
            capabilities::take(space, slot, &child).unwrap();
            if number % BURST == BURST - 1 {
                alive.fetch_add(BURST, Ordering::AcqRel);
            }
        }
    });
    assert_eq!(children(space, parent), 0);
}

/// The home core fills, converts and clears a slot; another never sees half of two capabilities.
#[test]
fn a_slot_is_read_whole() {
    let space = machine::space(0);
    let (done, patience) = (AtomicBool::new(false), machine::Patience::new());
    let filled = |number: u64| Capability {
        kind: Kind::Ports,
        rights: Rights::ALL,
        object: number,
        length: number,
        parent: NO_PARENT,
        stamp: number,
    };
    let slot = space.slot(0).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Acquire) || seen == 0 {
                patience.check();
                if let Some(capability) = slot.read() {
                    let (number, kind) = (capability.stamp, capability.kind);
                    let expected = match kind {
                        Kind::Ports => filled(number),
                        _ => Capability {
                            kind: Kind::Cores,
                            object: !number,
                            length: !number,
                            ..filled(number)
                        },
                    };
                    assert_eq!(capability, expected, "half of two capabilities");
                    seen += 1;
                }
            }
        });
        for number in 0..300_000 {
            slot.fill(&filled(number));
            slot.convert(Kind::Cores, !number, !number);
            slot.clear();
        }
        slot.fill(&filled(1));
        done.store(true, Ordering::Release);
    });
}
