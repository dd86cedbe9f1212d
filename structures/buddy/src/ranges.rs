//! Sets of frames as ranges: for what is compared as a whole, when it is looked for what ended members had.

use alloc::collections::BTreeMap;
use core::ops::Range;

/// Frames, as ranges of which no two touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ranges {
    /// Where each begins and ends.
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    /// No frames.
    pub const fn new() -> Ranges {
        Ranges { ends: BTreeMap::new() }
    }

    /// Puts these frames in; some may be in already.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        while let Some((first, last)) = self.last_by(end).filter(|(_, last)| *last >= start) {
            self.ends.remove(&first);
            start = start.min(first);
            end = end.max(last);
        }
        self.ends.insert(start, end);
    }

    /// Takes these frames out; some may be out already.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((first, last)) = self.last_by(range.end - 1).filter(|(_, last)| *last > range.start) {
            self.ends.remove(&first);
            if last > range.end {
                self.ends.insert(range.end, last);
            }
            if first < range.start {
                self.ends.insert(first, range.start);
            }
        }
    }

    /// The last range that begins by this frame.
    fn last_by(&self, frame: u64) -> Option<(u64, u64)> {
        self.ends.range(..=frame).next_back().map(|(first, last)| (*first, *last))
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ends.iter().map(|(first, last)| *first..*last)
    }

    /// How many frames.
    pub fn frames(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn ranges_are_a_set(steps in proptest::collection::vec((any::<bool>(), 0..60_u64, 0..20_u64), 0..40)) {
            let (mut ranges, mut twin) = (Ranges::new(), BTreeSet::new());
            for (inserts, start, length) in steps {
                if inserts {
                    ranges.insert(start..start + length);
                    twin.extend(start..start + length);
                } else {
                    ranges.remove(start..start + length);
                    (start..start + length).for_each(|frame| _ = twin.remove(&frame));
                }
                prop_assert!(ranges.iter().flatten().eq(twin.iter().copied()));
                prop_assert_eq!(ranges.frames(), twin.len() as u64);
                let ends: std::vec::Vec<_> = ranges.iter().collect();
                prop_assert!(ends.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
