//! What is allocated: 2^order frames of 4 KiB that begin at a multiple of their number. So each block has one buddy, with which
//! it makes the block of the next order, and two blocks are one inside the other or have nothing in common.

use core::ops::Range;
use serde::{Deserialize, Serialize};

/// The largest order: 1 GiB in frames of 4 KiB.
pub const ORDER_MAX: u8 = 18;
/// Orders there are.
pub(crate) const ORDERS: usize = ORDER_MAX as usize + 1;
/// Frame numbers are below this: 2^52 bytes, as much as x86-64 can address physically.
pub const FRAMES_MAX: u64 = 1 << 40;

/// A block. Made by [`Block::new`] only, so it is aligned and in range; one that comes from elsewhere is checked as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u64, u8)", into = "(u64, u8)")]
pub struct Block {
    frame: u64,
    order: u8,
}

/// There is no such block: its order is too large, or it begins where no block of its order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBlock;

impl core::fmt::Display for NoBlock {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("no block has this order and begins at this frame")
    }
}

impl Block {
    /// The block of this order that begins at this frame.
    pub fn new(frame: u64, order: u8) -> Result<Block, NoBlock> {
        let is_one = order <= ORDER_MAX && frame < FRAMES_MAX && frame.trailing_zeros() >= u32::from(order);
        if is_one { Ok(Block { frame, order }) } else { Err(NoBlock) }
    }

    /// Its first frame.
    pub fn frame(self) -> u64 {
        self.frame
    }

    /// Its order.
    pub fn order(self) -> u8 {
        self.order
    }

    /// How many frames it has.
    pub fn frames(self) -> u64 {
        1 << self.order
    }

    /// All its frames.
    pub fn range(self) -> Range<u64> {
        self.frame..self.frame + self.frames()
    }

    /// The other half of its parent. The largest blocks have none.
    pub fn buddy(self) -> Option<Block> {
        (self.order < ORDER_MAX).then_some(Block { frame: self.frame ^ self.frames(), order: self.order })
    }

    /// The block that it is half of.
    pub fn parent(self) -> Option<Block> {
        (self.order < ORDER_MAX)
            .then_some(Block { frame: self.frame & !self.frames(), order: self.order + 1 })
    }

    /// Its halves, the lower first. A frame has none.
    pub fn halves(self) -> Option<(Block, Block)> {
        let order = self.order.checked_sub(1)?;
        let lower = Block { frame: self.frame, order };
        Some((lower, Block { frame: self.frame + lower.frames(), order }))
    }

    /// The largest block that begins at this frame and ends by the end of the range.
    pub(crate) fn first_of(range: &Range<u64>) -> Option<Block> {
        let length = range.end.min(FRAMES_MAX).checked_sub(range.start).filter(|length| *length > 0)?;
        let order = range.start.trailing_zeros().min(length.ilog2()).min(u32::from(ORDER_MAX)) as u8;
        Some(Block { frame: range.start, order })
    }
}

/// The fewest blocks that make up a range of frames.
pub fn blocks_of(range: Range<u64>) -> impl Iterator<Item = Block> {
    let mut rest = range;
    core::iter::from_fn(move || {
        let block = Block::first_of(&rest)?;
        rest.start += block.frames();
        Some(block)
    })
}

impl TryFrom<(u64, u8)> for Block {
    type Error = NoBlock;
    fn try_from((frame, order): (u64, u8)) -> Result<Block, NoBlock> {
        Block::new(frame, order)
    }
}

impl From<Block> for (u64, u8) {
    fn from(block: Block) -> (u64, u8) {
        (block.frame, block.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_aligned_blocks_in_range_exist() {
        assert!(Block::new(0, ORDER_MAX).is_ok());
        assert_eq!(Block::new(0, ORDER_MAX + 1), Err(NoBlock));
        assert_eq!(Block::new(2, 2), Err(NoBlock));
        assert_eq!(Block::new(FRAMES_MAX, 0), Err(NoBlock));
        assert_eq!(Block::try_from((u64::MAX, 0)), Err(NoBlock));
    }

    #[test]
    fn halves_are_buddies_with_one_parent() -> Result<(), NoBlock> {
        let block = Block::new(12, 2)?;
        let (lower, upper) = block.halves().ok_or(NoBlock)?;
        assert_eq!((lower.buddy(), upper.buddy()), (Some(upper), Some(lower)));
        assert_eq!((lower.parent(), upper.parent()), (Some(block), Some(block)));
        assert_eq!(Block::new(0, ORDER_MAX)?.buddy(), None);
        assert_eq!(Block::new(3, 0)?.halves(), None);
        Ok(())
    }

    #[test]
    fn a_range_is_the_fewest_blocks() {
        let made = |range: Range<u64>| blocks_of(range).map(<(u64, u8)>::from).collect::<std::vec::Vec<_>>();
        assert_eq!(made(3..12), [(3, 0), (4, 2), (8, 2)]);
        assert_eq!(made(5..5), []);
        assert_eq!(made(0..1 << 19), [(0, 18), (1 << 18, 18)]);
    }
}
