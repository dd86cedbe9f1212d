//! The table: every frame in custody is in exactly one row. Neighbours that are alike are one row.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use fos_messages::custody::{Range, Row, Run, Totals, With};

/// Rows at most; each operation adds two for each of its ranges.
const ROWS_MAX: usize = 8192;

#[derive(Debug)]
enum State<S> {
    Free {
        keeper: Option<u64>,
        is_clean: bool,
    },
    /// A lease is with a member that zeroes it: it counts as free.
    Held {
        by: u64,
        slot: S,
        handle: u32,
        is_lease: bool,
    },
}

#[derive(Debug)]
struct Extent<S> {
    count: u64,
    state: State<S>,
}

/// Which frames are with whom.
#[derive(Debug)]
pub struct Table<S> {
    extents: BTreeMap<u64, Extent<S>>,
    totals: Totals,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Table { extents: BTreeMap::new(), totals: Totals::default() }
    }
}

impl<S> Table<S> {
    pub fn add(&mut self, range: Range, is_clean: bool) {
        self.totals.frames += range.count;
        self.totals.free += range.count;
        self.totals.orphans += range.count;
        self.put(range, State::Free { keeper: None, is_clean });
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    pub fn rows(&self, from: u64) -> impl Iterator<Item = Row> + '_ {
        self.extents.range(from..).map(|(first, extent)| {
            let range = Range { first: *first, count: extent.count };
            match extent.state {
                State::Free { keeper, is_clean } => {
                    Row { range, with: keeper.map_or(With::Nobody, With::Keeper), is_clean }
                }
                State::Held { by, .. } => Row { range, with: With::Holder(by), is_clean: false },
            }
        })
    }

    /// What this member does not keep of a block of two to the `order` frames that nobody holds, cut to it: of all such blocks, of
    /// one where that has the fewest rows.
    pub fn block(&self, keeper: u64, order: u8) -> Vec<Row> {
        let Some(size) = 1u64.checked_shl(order.into()) else { return Vec::new() };
        let sums = self.sums(keeper);
        let starts = self.extents.iter().flat_map(|(first, extent)| {
            // The block that the row begins in, and the first that begins in the row: if there is room for another, that one is
            // whole in the row too.
            let within = first.checked_next_multiple_of(size);
            [Some(first & !(size - 1)), within.filter(|start| *start < first + extent.count)]
        });
        let blocks = starts.flatten().filter_map(|start| Some((lacking(&sums, start, size)?, start)));
        let best = blocks.min_by_key(|(rows, _)| *rows);
        best.map(|(_, start)| self.others_of(keeper, start, start + size)).unwrap_or_default()
    }

    /// For each row what those up to it come to, so that a block is looked at without going through its rows.
    fn sums(&self, keeper: u64) -> Vec<Sum> {
        let mut sum = Sum::default();
        let sums = self.extents.iter().map(|(&first, extent)| {
            let is_held = matches!(extent.state, State::Held { .. });
            let is_kept =
                matches!(extent.state, State::Free { keeper: Some(kept_by), .. } if kept_by == keeper);
            sum = Sum {
                first,
                end: first + extent.count,
                breaks: sum.breaks + usize::from(sum.end != first) + usize::from(is_held),
                is_held,
                lacking: sum.lacking + usize::from(!is_kept),
                is_kept,
            };
            sum
        });
        sums.collect()
    }

    /// The rows of these frames, which are all in the table, that this member does not keep, cut to them.
    fn others_of(&self, keeper: u64, start: u64, end: u64) -> Vec<Row> {
        let from = self.extents.range(..=start).next_back().map_or(start, |(first, _)| *first);
        let rows = self.rows(from).take_while(|row| row.range.first < end);
        let others = rows.filter(|row| row.with != With::Keeper(keeper));
        let cut = others.map(|row| {
            let first = row.range.first.max(start);
            let until = end.min(row.range.first + row.range.count);
            Row { range: Range { first, count: until - first }, ..row }
        });
        cut.collect()
    }

    /// The orders of the aligned blocks that free frames make, those of `order` and above, the largest first. What is held by
    /// who `is_member` counts as free.
    pub fn largest_blocks(&self, order: u8, is_member: impl Fn(u64) -> bool) -> impl Iterator<Item = u32> {
        let mut blocks = [0usize; u64::BITS as usize];
        let mut area = Range::default();
        for (&first, extent) in &self.extents {
            if matches!(extent.state, State::Held { by, .. } if !is_member(by)) {
                continue;
            }
            if area.first + area.count != first {
                count_blocks(&area, &mut blocks);
                area = Range { first, count: 0 };
            }
            area.count += extent.count;
        }
        count_blocks(&area, &mut blocks);
        let orders = (u32::from(order)..u64::BITS).rev();
        orders.flat_map(move |order| core::iter::repeat_n(order, blocks[order as usize]))
    }

    /// Whether so many ranges more may be told apart.
    pub fn has_room(&self, ranges: usize) -> bool {
        self.extents.len() + 2 * ranges <= ROWS_MAX
    }

    /// Whether a member keeps all of a range.
    pub fn is_kept(&self, by: u64, range: &Range) -> bool {
        let Some(end) = range.end() else { return false };
        let mut next = range.first;
        while next < end {
            let Some((first, extent)) = self.extents.range(..=next).next_back() else { return false };
            let is_kept = matches!(extent.state, State::Free { keeper: Some(keeper), .. } if keeper == by);
            if !is_kept || first + extent.count <= next {
                return false;
            }
            next = first + extent.count;
        }
        true
    }

    pub fn is_held(&self, first: u64, process: u64) -> bool {
        let extent = self.extents.get(&first);
        extent.is_some_and(|extent| matches!(extent.state, State::Held { by, .. } if by == process))
    }

    pub fn held_by(&self, process: u64) -> Vec<u64> {
        self.extents.keys().copied().filter(|first| self.is_held(*first, process)).collect()
    }

    /// What is held from this frame on.
    pub fn run(&self, first: u64) -> Option<Run> {
        let extent = self.extents.get(&first)?;
        let State::Held { handle, .. } = extent.state else { return None };
        Some(Run { handle, range: Range { first, count: extent.count } })
    }

    /// The first of what nobody has is this member's to keep.
    pub fn adopt(&mut self, by: u64, most: usize) -> Vec<Row> {
        if self.totals.orphans == 0 {
            return Vec::new();
        }
        let of_nobody = |row: &Row| row.with == With::Nobody;
        let adopted: Vec<Row> = self.rows(0).filter(of_nobody).take(most).collect();
        for Row { range, is_clean, .. } in &adopted {
            self.totals.orphans -= range.count;
            self.extents.remove(&range.first);
            self.put(*range, State::Free { keeper: Some(by), is_clean: *is_clean });
        }
        adopted.into_iter().map(|row| Row { with: With::Keeper(by), ..row }).collect()
    }

    /// What this member keeps is nobody's.
    pub fn orphan(&mut self, keeper: u64) {
        let kept = |row: &Row| row.with == With::Keeper(keeper);
        for Row { range, is_clean, .. } in self.rows(0).filter(kept).collect::<Vec<_>>() {
            self.totals.orphans += range.count;
            self.extents.remove(&range.first);
            self.put(range, State::Free { keeper: None, is_clean });
        }
    }

    /// A range that some member keeps is this one's.
    pub fn hand_over(&mut self, range: &Range, to: u64) {
        for (range, is_clean) in self.cut(range) {
            self.put(range, State::Free { keeper: Some(to), is_clean });
        }
    }

    /// A range that some member keeps is held by a process, or by that member itself.
    pub fn hold(&mut self, range: &Range, by: u64, slot: S, handle: u32, is_lease: bool) {
        self.cut(range);
        self.totals.free -= if is_lease { 0 } else { range.count };
        self.totals.holdings += 1;
        let state = State::Held { by, slot, handle, is_lease };
        self.extents.insert(range.first, Extent { count: range.count, state });
    }

    /// What is held from this frame on is kept by a member, or nobody's, if `take` can take it.
    pub fn take(
        &mut self,
        first: u64,
        take: impl FnOnce(&S) -> bool,
        keeper: Option<u64>,
        is_clean: bool,
    ) -> Option<Range> {
        let extent = self.extents.get(&first)?;
        let State::Held { slot, is_lease, .. } = &extent.state else { return None };
        let is_lease = *is_lease;
        if !take(slot) {
            return None;
        }
        let range = Range { first, count: extent.count };
        self.extents.remove(&first);
        self.totals.free += if is_lease { 0 } else { range.count };
        self.totals.holdings -= 1;
        if keeper.is_none() {
            self.totals.orphans += range.count;
        }
        self.put(range, State::Free { keeper, is_clean });
        Some(range)
    }

    /// Takes a free range out of the table; what is left of its rows stays. Its parts, each clean or not.
    fn cut(&mut self, range: &Range) -> Vec<(Range, bool)> {
        let (mut next, end) = (range.first, range.first + range.count);
        let mut parts = Vec::new();
        while next < end {
            let Some((&first, extent)) = self.extents.range(..=next).next_back() else { break };
            let (count, State::Free { keeper, is_clean }) = (extent.count, &extent.state) else { break };
            let (keeper, is_clean, row_end) = (*keeper, *is_clean, first + count);
            let until = row_end.min(end);
            debug_assert!(next < row_end, "whoever cuts has looked that the range is kept");
            self.extents.remove(&first);
            let rest = [(first, next), (until, row_end)];
            for (from, to) in rest.into_iter().filter(|(from, to)| from < to) {
                self.extents
                    .insert(from, Extent { count: to - from, state: State::Free { keeper, is_clean } });
            }
            parts.push((Range { first: next, count: until - next }, is_clean));
            next = until;
        }
        parts
    }

    /// Puts a row in, as one with its neighbours that are like it.
    fn put(&mut self, range: Range, state: State<S>) {
        let (mut first, mut end) = (range.first, range.first + range.count);
        let alike = |other: &Extent<S>| match (&state, &other.state) {
            (State::Free { keeper, is_clean }, State::Free { keeper: its, is_clean: is_its }) => {
                keeper == its && is_clean == is_its
            }
            _ => false,
        };
        let before = self.extents.range(..first).next_back();
        let before = before.filter(|(at, extent)| **at + extent.count == first && alike(extent));
        let before = before.map(|(at, _)| *at);
        let after = self.extents.get(&end).filter(|extent| alike(extent)).map(|extent| extent.count);
        if let Some(count) = after {
            self.extents.remove(&end);
            end += count;
        }
        if let Some(at) = before {
            self.extents.remove(&at);
            first = at;
        }
        self.extents.insert(first, Extent { count: end - first, state });
    }
}

/// A row, and what it and those before it come to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    first: u64,
    end: u64,
    /// Rows that a process holds, and gaps before rows.
    breaks: usize,
    is_held: bool,
    /// Rows that the asker does not keep.
    lacking: usize,
    is_kept: bool,
}

/// How many rows the asker lacks of a block; none if a process holds some of it, or not all of it is in the table.
fn lacking(sums: &[Sum], start: u64, size: u64) -> Option<usize> {
    let end = start.checked_add(size)?;
    let of = |frame: u64| sums.partition_point(|sum| sum.first <= frame).checked_sub(1);
    let (one, last) = (sums.get(of(start)?)?, sums.get(of(end - 1)?)?);
    let is_whole = start < one.end && end <= last.end && one.breaks == last.breaks && !one.is_held;
    is_whole.then(|| last.lacking - one.lacking + usize::from(!one.is_kept))
}

/// Counts the aligned blocks of an area, each as large as can be, by their orders.
fn count_blocks(area: &Range, blocks: &mut [usize; u64::BITS as usize]) {
    let (mut next, mut left) = (area.first, area.count);
    while left > 0 {
        let order = next.trailing_zeros().min(left.ilog2());
        blocks[order as usize] += 1;
        next += 1 << order;
        left -= 1 << order;
    }
}
