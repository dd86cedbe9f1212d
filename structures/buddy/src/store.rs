//! The free blocks of one member: put in, they merge with their buddies here; taken out, they are split. One map of bits for
//! each order of each gigabyte of which something is here. Every operation looks at each order once at most.

use crate::bits::Bits;
use crate::block::{Block, NoBlock, ORDER_MAX, ORDERS};
use alloc::collections::{BTreeMap, BTreeSet};

/// Some of a block that was put in is here already: it was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap;

type Region = [Bits; ORDERS];

/// Free blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    regions: BTreeMap<u64, Region>,
    /// Which regions have blocks of each order.
    stocked: [BTreeSet<u64>; ORDERS],
    frames: u64,
}

/// The gigabyte of a block, and its number among those of its order there.
fn place(block: Block) -> (u64, u32) {
    let within = block.frame() & ((1 << ORDER_MAX) - 1);
    (block.frame() >> ORDER_MAX, (within >> block.order()) as u32)
}

fn block_at(region: u64, order: u8, number: u32) -> Result<Block, NoBlock> {
    Block::new((region << ORDER_MAX) + (u64::from(number) << order), order)
}

impl Store {
    /// Frames that are free here.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The largest order of which a block is free here.
    pub fn largest(&self) -> Option<u8> {
        (0..=ORDER_MAX).rev().find(|order| !self.stocked[usize::from(*order)].is_empty())
    }

    /// Whether just this block is free here: neither split nor part of a larger one.
    pub fn contains(&self, block: Block) -> bool {
        let (region, number) = place(block);
        self.regions.get(&region).is_some_and(|bits| bits[usize::from(block.order())].contains(number))
    }

    /// Whether any frame of it is free here.
    pub fn touches(&self, block: Block) -> bool {
        let (region, _) = place(block);
        let Some(bits) = self.regions.get(&region) else { return false };
        let start = block.frame() & ((1 << ORDER_MAX) - 1);
        (0..=ORDER_MAX).any(|order| {
            let (first, last) = (start >> order, (start + block.frames() - 1) >> order);
            let found = bits[usize::from(order)].first_from(first as u32);
            found.is_some_and(|found| u64::from(found) <= last)
        })
    }

    /// Puts a block in, which merges with its buddy, and that with its own, as far as they are here. Answers the block that
    /// came of it.
    pub fn insert(&mut self, block: Block) -> Result<Block, Overlap> {
        if self.touches(block) {
            return Err(Overlap);
        }
        self.frames += block.frames();
        let mut whole = block;
        while let (Some(buddy), Some(parent)) = (whole.buddy(), whole.parent())
            && self.strike(buddy)
        {
            whole = parent;
        }
        self.set(whole);
        Ok(whole)
    }

    /// Takes out a block of this order, the one with the lowest frame among the smallest that will do; what is too much of it
    /// stays.
    pub fn take(&mut self, order: u8) -> Option<Block> {
        let fits = (order..=ORDER_MAX).find(|order| !self.stocked[usize::from(*order)].is_empty())?;
        let region = *self.stocked[usize::from(fits)].first()?;
        let number = self.regions.get(&region)?[usize::from(fits)].first_from(0)?;
        let mut block = block_at(region, fits, number).ok()?;
        self.strike(block);
        while block.order() > order
            && let Some((lower, upper)) = block.halves()
        {
            self.set(upper);
            block = lower;
        }
        self.frames -= block.frames();
        Some(block)
    }

    /// Takes out just this block, if it is free here, neither split nor part of a larger one.
    pub fn take_exactly(&mut self, block: Block) -> bool {
        let was_here = self.strike(block);
        if was_here {
            self.frames -= block.frames();
        }
        was_here
    }

    /// The first free block of this order that does not begin before this frame.
    pub fn first_from(&self, order: u8, frame: u64) -> Option<Block> {
        let (region, least) = (frame >> ORDER_MAX, frame & ((1 << ORDER_MAX) - 1));
        // Rounded up to where blocks of this order begin.
        let least = (least + (1 << order) - 1) >> order;
        let in_region = |region: u64, least: u64| {
            let bits = &self.regions.get(&region)?[usize::from(order)];
            block_at(region, order, bits.first_from(least as u32)?).ok()
        };
        in_region(region, least).or_else(|| {
            let next = self.stocked[usize::from(order)].range(region + 1..).next()?;
            in_region(*next, 0)
        })
    }

    /// All free blocks, the smallest first.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        (0..=ORDER_MAX).flat_map(move |order| {
            let first = self.first_from(order, 0);
            core::iter::successors(first, move |block| self.first_from(order, block.range().end))
        })
    }

    fn set(&mut self, block: Block) {
        let ((region, number), order) = (place(block), usize::from(block.order()));
        self.regions.entry(region).or_default()[order].insert(number);
        self.stocked[order].insert(region);
    }

    fn strike(&mut self, block: Block) -> bool {
        let ((region, number), order) = (place(block), usize::from(block.order()));
        let Some(bits) = self.regions.get_mut(&region) else { return false };
        let was_here = bits[order].remove(number);
        if bits[order].is_empty() {
            self.stocked[order].remove(&region);
        }
        if bits.iter().all(Bits::is_empty) {
            self.regions.remove(&region);
        }
        was_here
    }
}

// What is free is what counts, not how the maps grew.
impl core::hash::Hash for Store {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.frames.hash(state);
        self.blocks().for_each(|block| block.hash(state));
    }
}
