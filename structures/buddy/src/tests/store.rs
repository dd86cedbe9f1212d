//! The store beside its twin: a set of single frames, and blocks looked for by trying every place.

use super::town::block;
use crate::{Block, ORDER_MAX, Overlap, Store};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

/// Frames of the twin, over two gigabytes' border.
const BASE: u64 = (1 << ORDER_MAX) - 32;
const FRAMES: u64 = 64;

#[derive(Default)]
struct Twin(BTreeSet<u64>);

impl Twin {
    fn all(order: u8) -> impl Iterator<Item = Block> {
        (BASE..BASE + FRAMES).filter_map(move |frame| Block::new(frame, order).ok())
    }

    fn has(&self, block: Block) -> bool {
        block.range().all(|frame| self.0.contains(&frame))
    }

    /// The blocks that are free when everything has merged.
    fn blocks(&self) -> Vec<Block> {
        let is_whole = |one: &Block| self.has(*one) && one.parent().is_none_or(|parent| !self.has(parent));
        (0..=ORDER_MAX).flat_map(Twin::all).filter(is_whole).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_set_of_frames(
        steps in proptest::collection::vec((0..3_u8, 0..FRAMES, 0..5_u8), 0..120),
    ) {
        let (mut store, mut twin) = (Store::default(), Twin::default());
        for (what, offset, order) in steps {
            let frame = (BASE + offset) >> order << order;
            let Ok(one) = Block::new(frame, order) else { continue };
            match what {
                0 => {
                    let overlaps = one.range().any(|frame| twin.0.contains(&frame));
                    prop_assert_eq!(store.insert(one).is_err(), overlaps);
                    if !overlaps {
                        twin.0.extend(one.range());
                    }
                }
                1 => {
                    let before = twin.blocks();
                    let taken = store.take(order);
                    // The lowest of the smallest that will do.
                    let fits = before.iter().find(|block| block.order() >= order);
                    prop_assert_eq!(taken.map(Block::frame), fits.map(|block| block.frame()));
                    if let Some(taken) = taken {
                        prop_assert_eq!(taken.order(), order);
                        taken.range().for_each(|frame| _ = twin.0.remove(&frame));
                    }
                }
                _ => {
                    let is_free = twin.blocks().contains(&one);
                    prop_assert_eq!(store.contains(one), is_free);
                    prop_assert_eq!(store.take_exactly(one), is_free);
                    if is_free {
                        one.range().for_each(|frame| _ = twin.0.remove(&frame));
                    }
                }
            }
            prop_assert_eq!(store.blocks().collect::<Vec<_>>(), twin.blocks());
            prop_assert_eq!(store.frames(), twin.0.len() as u64);
            prop_assert_eq!(store.largest(), twin.blocks().iter().map(|block| block.order()).max());
            prop_assert_eq!(store.touches(one), one.range().any(|frame| twin.0.contains(&frame)));
        }
    }
}

#[test]
fn a_gigabyte_comes_apart_and_together() -> Result<(), Overlap> {
    let mut store = Store::default();
    let whole = block((1 << ORDER_MAX, ORDER_MAX));
    store.insert(whole)?;
    let frames: Vec<Block> = core::iter::from_fn(|| store.take(0)).collect();
    assert_eq!((frames.len(), store.frames(), store.largest()), (1 << ORDER_MAX, 0, None));
    for frame in frames {
        store.insert(frame)?;
    }
    assert_eq!(store.blocks().collect::<Vec<_>>(), [whole]);
    assert_eq!(store.insert(block((1 << ORDER_MAX, 0))), Err(Overlap));
    Ok(())
}
