//! A mailbox's key table: forged bits, chains of derivation, revocation by chunks beside a slow model of
//! it, and keys that change while others look.

use super::machine;
use crate::keys::KeyTable;
use fos_abi::Error;
use fos_abi::key::KeyRights;
use fos_abi::limits::CHUNK_STEPS;
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

const SECRET: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

fn table(keys: usize) -> KeyTable<'static> {
    machine::mailbox(machine::space(0), 64, keys).keys()
}

/// Makes a key in the first free entry of the whole table.
fn create(
    table: KeyTable,
    parent: Option<u32>,
    rights: KeyRights,
    badge: u64,
    secret: [u64; 2],
) -> Option<u32> {
    (0..table.0.len()).step_by(CHUNK_STEPS).find_map(|from| table.create(from, parent, rights, badge, secret))
}

#[test]
fn a_key_opens_with_its_rights_and_badge() {
    let table = table(16);
    let rights = KeyRights::SEND.with(KeyRights::RING);
    let entry = create(table, None, rights, 77, SECRET).unwrap();
    assert_eq!(table.check(u64::from(entry), SECRET), Ok((rights, 77)));
}

#[test]
fn every_forged_bit_is_refused() {
    let table = table(16);
    let entry = u64::from(create(table, None, KeyRights::ALL, 0, SECRET).unwrap());
    for bit in 0..128 {
        let mut forged = SECRET;
        forged[bit / 64] ^= 1 << (bit % 64);
        assert_eq!(table.check(entry, forged), Err(Error::BadKey), "bit {bit}");
    }
}

#[test]
fn other_entries_and_entries_outside_the_table_are_refused() {
    let table = table(16);
    let entry = u64::from(create(table, None, KeyRights::ALL, 0, SECRET).unwrap());
    for other in (0..32).chain([u64::from(u32::MAX), 1 << 32 | entry, u64::MAX]).filter(|at| *at != entry) {
        assert_eq!(table.check(other, SECRET), Err(Error::BadKey), "entry {other}");
        assert_eq!(table.check(other, [0; 2]), Err(Error::BadKey), "entry {other}");
    }
}

#[test]
fn a_table_holds_as_many_keys_as_it_has_entries() {
    let table = table(128);
    for made in 0..128 {
        assert_eq!(create(table, None, KeyRights::SEND, made, SECRET), Some(made as u32));
    }
    assert_eq!(create(table, None, KeyRights::SEND, 0, SECRET), None);
    assert_eq!(table.create(128, None, KeyRights::SEND, 0, SECRET), None, "a chunk past the end is empty");
}

/// What `key_revoke` does with the table: marks until a pass finds nothing, then ends.
fn revoke(table: KeyTable, root: u32, spared: Option<u32>) {
    let chunks = || (0..table.0.len()).step_by(CHUNK_STEPS);
    table.doom(root);
    while chunks().fold(false, |found, from| table.doom_children(from) | found) {}
    chunks().for_each(|from| table.end_doomed(from, spared));
}

/// A key as the model has it: its secret and its parent.
type Modelled = Option<([u64; 2], Option<usize>)>;

/// Whether `root` is above `entry`, by walking up.
fn descends(model: &[Modelled], entry: usize, root: usize) -> bool {
    let mut parent = model[entry].and_then(|(_, parent)| parent);
    while let Some(up) = parent {
        if up == root {
            return true;
        }
        parent = model[up].and_then(|(_, parent)| parent);
    }
    false
}

proptest! {
    #![proptest_config(machine::cases(48))]

    /// Keys are made, derived and revoked at random; a key opens exactly while the model has it.
    #[test]
    fn keys_live_as_the_model_says(steps in prop::collection::vec((0u8..8, any::<prop::sample::Index>(), any::<bool>()), 1..400)) {
        let table = table(256);
        let mut model: Vec<Modelled> = vec![None; 256];
        for (number, (what, which, spare)) in steps.into_iter().enumerate() {
            let living: Vec<usize> = (0..256).filter(|entry| model[*entry].is_some()).collect();
            let chosen = (!living.is_empty()).then(|| living[which.index(living.len())]);
            let secret = [number as u64 + 1, !(number as u64)];
            match (what, chosen) {
                (0, Some(root)) => {
                    revoke(table, root as u32, spare.then_some(root as u32));
                    let ended: Vec<usize> =
                        living.iter().copied().filter(|entry| descends(&model, *entry, root)).collect();
                    ended.into_iter().for_each(|entry| model[entry] = None);
                    if !spare {
                        model[root] = None;
                    }
                }
                (1..=5, parent @ Some(_)) | (_, parent @ None) | (_, parent) => {
                    let parent = if what == 7 { None } else { parent };
                    let free = model.iter().position(Option::is_none);
                    let made = create(table, parent.map(|up| up as u32), KeyRights::ALL, 0, secret);
                    prop_assert_eq!(made, free.map(|entry| entry as u32));
                    if let Some(entry) = free {
                        model[entry] = Some((secret, parent));
                    }
                }
            }
            for (entry, modelled) in model.iter().enumerate() {
                let secret = modelled.map_or([0; 2], |(secret, _)| secret);
                prop_assert_eq!(table.check(entry as u64, secret).is_ok(), modelled.is_some(), "entry {}", entry);
            }
        }
    }
}

/// How often the keys of the race change, and how many cores try them.
const CHANGES: usize = 1_000_000;
const READERS: usize = 2;

/// One core ends and makes keys in the same entry; others try both, and mixtures of the two.
#[test]
fn a_key_never_opens_with_what_belongs_to_its_predecessor() {
    let table = table(16);
    let (done, patience) = (AtomicBool::new(false), machine::Patience::new());
    let keys = [(KeyRights::ALL, 10, [1, 2]), (KeyRights::SEND, 20, [3, 4])];
    let check_both = || {
        for (rights, badge, secret) in keys {
            let opened = table.check(0, secret);
            assert!(opened.is_err() || opened == Ok((rights, badge)), "{secret:?} opened with {opened:?}");
        }
    };
    let read = || {
        let _shaken = machine::Shaken::begin();
        while !done.load(Ordering::Acquire) {
            patience.check();
            (0..1000).for_each(|_| check_both());
            for forged in [[1, 4], [3, 2], [0, 0], [1, 0], [0, 4]] {
                assert_eq!(table.check(0, forged), Err(Error::BadKey));
            }
        }
    };
    std::thread::scope(|scope| {
        (0..READERS).for_each(|_| drop(scope.spawn(read)));
        for (rights, badge, secret) in keys.into_iter().cycle().take(CHANGES) {
            let entry = table.create(0, None, rights, badge, secret).unwrap();
            table.doom(entry);
            table.end_doomed(0, None);
        }
        done.store(true, Ordering::Release);
    });
}
