//! The custodian: which frames are with whom. It does what members of `pages` ask by [`fos_messages::custody`] and decides
//! nothing but whether the asker may. The same code runs in root, over capabilities of the kernel, and in the simulator, over a
//! note of who has what: [`Hands`] is the seam.
//!
//! A range of the table is in one of three states, and never in two:
//!
//! ```text
//!            adopt                      give
//!   nobody ---------> kept by a member ------> held by a process
//!     ^                 |  ^      ^   hand_over     |   |
//!     |   its end,      |  |      +--(to another)   |   |
//!     +---release-------+  +-----------take_home----+   |
//!     +-------------------------------------its end-----+
//! ```

mod service;
mod table;

pub use service::Service;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::Debug;
use fos_abi::Identity;
use fos_messages::custody::{Account, Given, RANGES_MAX, Range, Refusal, Return, Returned, Row, Run, Totals};
use fos_messages::rpc::Address;
use table::Table;

/// Processes whose accounts are kept at once.
const ACCOUNTS_MAX: usize = 1024;

/// Why a process can't be given a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotGiven {
    /// No such process runs.
    NoProcess,
    /// Its own table is full.
    NoRoom,
    /// The custodian's is.
    TooMany,
}

/// What a custodian does to frames and processes, beside remembering it.
pub trait Hands: 'static {
    /// What it keeps of a range that is held.
    type Slot: Debug;

    /// Whether a process with this identity runs.
    fn is_running(&self, process: u64) -> bool;

    /// How many ranges more may be held: by a member that zeroes them (a lease), or by others, for whom fewer are there.
    fn room(&self, is_lease: bool) -> usize;

    /// How many ranges one process may hold, but for leases.
    fn share(&self) -> usize;

    /// Gives a process a capability of a range, as the handle that it then has.
    fn give(&mut self, range: Range, process: u64) -> Result<(Self::Slot, u32), NotGiven>;

    /// Whether nothing is left of what was given.
    fn is_home(&self, slot: &Self::Slot) -> bool;

    /// Ends whatever is left of it, and gives the slot up. False: that can't be done, and the range stays where it is.
    fn take(&mut self, slot: &Self::Slot) -> bool;

    /// Tells whoever subscribed that there are ranges that nobody has.
    fn tell(&mut self, news: &Address);
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Holding {
    account: Account,
    ranges: usize,
}

/// The frames that are in custody.
#[derive(Debug)]
pub struct Custodian<H: Hands> {
    /// What is done by.
    pub hands: H,
    table: Table<H::Slot>,
    accounts: BTreeMap<u64, Holding>,
    /// The firsts of what each process was given under each tag, as far as it still holds them.
    tags: BTreeMap<(u64, u64), Vec<u64>>,
    subscribers: BTreeMap<u64, Address>,
}

impl<H: Hands> Custodian<H> {
    /// Of no frames yet.
    pub fn new(hands: H) -> Custodian<H> {
        let (accounts, tags, subscribers) = Default::default();
        Custodian { hands, table: Table::default(), accounts, tags, subscribers }
    }

    /// Takes frames into custody, which nobody has. They read as zeros if they are clean.
    pub fn add(&mut self, range: Range, is_clean: bool) {
        self.table.add(range, is_clean);
        self.tell();
    }

    /// What all of it comes to.
    pub fn totals(&self) -> Totals {
        self.table.totals()
    }

    /// The rows from a frame on.
    pub fn rows(&self, from: u64) -> impl Iterator<Item = Row> + '_ {
        self.table.rows(from)
    }

    /// What a member lacks of a block of two to the `order` frames that no process holds.
    pub fn block(&self, keeper: u64, order: u8) -> Vec<Row> {
        let mut rows = self.table.block(keeper, order);
        rows.truncate(RANGES_MAX);
        rows
    }

    /// Whether so many frames could be given in blocks of at least two to the `order`, if all that is free were with one member.
    pub fn has_blocks(&self, frames: u64, order: u8) -> bool {
        let largest = self.table.largest_blocks(order, |holder| self.subscribers.contains_key(&holder));
        largest.take(RANGES_MAX).fold(0u64, |sum, order| sum.saturating_add(1 << order)) >= frames
    }

    /// What a process has.
    pub fn account(&self, process: u64) -> Account {
        self.holding(process).account
    }

    fn holding(&self, process: u64) -> Holding {
        let nothing = Holding { account: Account { frames: 0, limit: u64::MAX }, ranges: 0 };
        self.accounts.get(&process).copied().unwrap_or(nothing)
    }

    /// Whether a process may hold so many ranges more: frames are not all that it could take from everybody.
    fn has_room(&self, holding: &Holding, more: usize, is_lease: bool) -> bool {
        more <= self.hands.room(is_lease) && (is_lease || holding.ranges + more <= self.hands.share())
    }

    /// A process has ended: what it had is nobody's.
    pub fn ended(&mut self, process: Identity) {
        let process = process.0;
        self.subscribers.remove(&process);
        for first in self.table.held_by(process) {
            let hands = &mut self.hands;
            // What can't be taken stays in the name of a process that is no more: lost, and not handed out again.
            self.table.take(first, |slot| hands.take(slot), None, false);
        }
        self.accounts.remove(&process);
        self.tags.retain(|(holder, _), _| *holder != process);
        self.table.orphan(process);
        self.tell();
    }

    fn tell(&mut self) {
        if self.table.totals().orphans > 0 {
            let hands = &mut self.hands;
            self.subscribers.values().for_each(|news| hands.tell(news));
        }
    }

    fn subscribe(&mut self, member: u64, news: Address) {
        self.subscribers.insert(member, news);
        if self.table.totals().orphans > 0 {
            self.hands.tell(&news);
        }
    }

    fn adopt(&mut self, keeper: u64) -> Vec<Row> {
        self.table.adopt(keeper, RANGES_MAX)
    }

    fn release(&mut self, keeper: u64) {
        self.table.orphan(keeper);
        self.tell();
    }

    fn check(&self, keeper: u64, ranges: &[Range]) -> Result<(), Refusal> {
        if ranges.is_empty() || ranges.len() > RANGES_MAX || !are_apart(ranges) {
            return Err(Refusal::BadRange);
        }
        let is_kept = |range: &Range| self.table.is_kept(keeper, range);
        if !ranges.iter().all(is_kept) {
            return Err(Refusal::NotKept);
        }
        if !self.table.has_room(ranges.len()) {
            return Err(Refusal::TooMany);
        }
        Ok(())
    }

    fn hand_over(&mut self, keeper: u64, to: u64, ranges: &[Range]) -> Result<(), Refusal> {
        self.check(keeper, ranges)?;
        if !self.hands.is_running(to) {
            return Err(Refusal::NoProcess);
        }
        ranges.iter().for_each(|range| self.table.hand_over(range, to));
        Ok(())
    }

    fn give(
        &mut self,
        keeper: u64,
        (process, tag): (u64, u64),
        ranges: &[Range],
        limit: u64,
    ) -> Result<Given, Refusal> {
        if let Some(firsts) = self.tags.get(&(process, tag)) {
            let runs = firsts.iter().filter_map(|first| self.table.run(*first)).collect();
            return Ok(Given { runs, is_repeated: true, free: self.totals().free });
        }
        self.check(keeper, ranges)?;
        if !self.hands.is_running(process) {
            return Err(Refusal::NoProcess);
        }
        let (holding, is_lease) = (self.holding(process), process == keeper);
        let account = holding.account;
        let more: u64 = ranges.iter().map(|range| range.count).sum();
        let limit = if account.limit == u64::MAX { limit } else { account.limit };
        if account.frames.saturating_add(more) > limit {
            return Err(Refusal::OverLimit);
        }
        if !self.has_room(&holding, ranges.len(), is_lease) {
            return Err(Refusal::TooMany);
        }
        if !self.accounts.contains_key(&process) && self.accounts.len() >= ACCOUNTS_MAX {
            return Err(Refusal::TooMany);
        }
        let runs = self.give_all(process, ranges, is_lease)?;
        let account = Account { frames: account.frames + more, ..account };
        self.accounts.insert(process, Holding { account, ranges: holding.ranges + ranges.len() });
        self.tags.insert((process, tag), ranges.iter().map(|range| range.first).collect());
        Ok(Given { runs, is_repeated: false, free: self.totals().free })
    }

    /// All of them, or none.
    fn give_all(&mut self, process: u64, ranges: &[Range], is_lease: bool) -> Result<Vec<Run>, Refusal> {
        let mut given = Vec::with_capacity(ranges.len());
        for range in ranges {
            match self.hands.give(*range, process) {
                Ok((slot, handle)) => given.push((*range, slot, handle)),
                Err(why) => {
                    given.iter().for_each(|(_, slot, _)| _ = self.hands.take(slot));
                    return Err(match why {
                        NotGiven::NoProcess => Refusal::NoProcess,
                        NotGiven::NoRoom => Refusal::NoRoom,
                        NotGiven::TooMany => Refusal::TooMany,
                    });
                }
            }
        }
        let runs = given.iter().map(|(range, _, handle)| Run { handle: *handle, range: *range }).collect();
        for (range, slot, handle) in given {
            self.table.hold(&range, process, slot, handle, is_lease);
        }
        Ok(runs)
    }

    fn take_home(
        &mut self,
        keeper: u64,
        process: u64,
        firsts: &[u64],
        by_force: bool,
        is_clean: bool,
    ) -> Result<Returned, Refusal> {
        if firsts.len() > RANGES_MAX {
            return Err(Refusal::BadRange);
        }
        let is_clean = is_clean && process == keeper;
        let ranges =
            firsts.iter().map(|first| self.take_one(keeper, process, *first, by_force, is_clean)).collect();
        Ok(Returned { ranges, free: self.totals().free })
    }

    fn take_one(&mut self, keeper: u64, process: u64, first: u64, by_force: bool, is_clean: bool) -> Return {
        if !self.table.is_held(first, process) {
            return Return::NotHeld;
        }
        let hands = &mut self.hands;
        let take = |slot: &H::Slot| (by_force || hands.is_home(slot)) && hands.take(slot);
        let Some(range) = self.table.take(first, take, Some(keeper), is_clean) else {
            return Return::StillOut;
        };
        if let Some(Holding { account, ranges }) = self.accounts.get_mut(&process) {
            account.frames = account.frames.saturating_sub(range.count);
            *ranges = ranges.saturating_sub(1);
            if account.frames == 0 && account.limit == u64::MAX {
                self.accounts.remove(&process);
            }
        }
        self.forget_tag(process, first);
        Return::Home(range)
    }

    fn forget_tag(&mut self, process: u64, first: u64) {
        let of_process = self.tags.range_mut((process, 0)..=(process, u64::MAX));
        let emptied = of_process.filter_map(|(key, firsts)| {
            let before = firsts.len();
            firsts.retain(|known| *known != first);
            (firsts.len() < before && firsts.is_empty()).then_some(*key)
        });
        if let Some(key) = emptied.collect::<Vec<_>>().first() {
            self.tags.remove(key);
        }
    }

    fn set_limit(&mut self, process: u64, frames: u64) -> Result<(), Refusal> {
        if !self.hands.is_running(process) {
            return Err(Refusal::NoProcess);
        }
        if !self.accounts.contains_key(&process) && self.accounts.len() >= ACCOUNTS_MAX {
            return Err(Refusal::TooMany);
        }
        let Holding { account, ranges } = self.holding(process);
        self.accounts.insert(process, Holding { account: Account { limit: frames, ..account }, ranges });
        Ok(())
    }
}

/// No two of them have a frame in common, each has one, and none goes beyond all numbers.
fn are_apart(ranges: &[Range]) -> bool {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    sorted.iter().all(|range| range.count > 0 && range.end().is_some())
        && sorted.windows(2).all(|pair| pair[0].end().is_some_and(|end| end <= pair[1].first))
}

#[cfg(test)]
mod tests;
