//! Who holds how many slots of a mailbox, exactly: a table of (process, slots) pairs, charged before slots are
//! taken, and lowered when what the receiver has freed is given back. A process has one pair at a time, however
//! many cores send for it at once.

use super::{Mailbox, TRIES};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use fos_abi::Error;

/// Pairs looked at for one sender.
const HOLDER_WINDOW: usize = 64;
/// The count of a pair that is being made: more than any share.
const MAKING: u64 = 0xffff;

impl Mailbox {
    #[inline(always)]
    pub(super) fn payer(&self, ticket: u32) -> &AtomicU32 {
        // SAFETY: one per slot, laid out by `create`.
        unsafe { &*self.payers.add((ticket & self.mask) as usize) }
    }
    #[inline(always)]
    pub(super) fn holder(&self, index: usize) -> &AtomicU64 {
        // SAFETY: two per slot, laid out by `create`; the index is reduced to that.
        unsafe { &*self.holders.add(index & self.holder_mask) }
    }

    /// Gives back what the receiver has freed.
    pub(super) fn reclaim(&self) {
        let mut reclaimed = self.reclaimed.load(Ordering::Relaxed);
        for _ in 0..self.slots() {
            let head = self.control().head.load(Ordering::Acquire);
            let freed = head.wrapping_sub(reclaimed);
            if freed == 0 || freed > self.tail.load(Ordering::Relaxed).wrapping_sub(reclaimed) {
                return;
            }
            // Slots in a row for which the same sender pays go back together.
            let payer = self.payer(reclaimed).load(Ordering::Relaxed);
            let mut next = reclaimed;
            while next != head && self.payer(next).load(Ordering::Relaxed) == payer {
                self.attachment(next).drop_unaccepted(next);
                next = next.wrapping_add(1);
            }
            match self.reclaimed.compare_exchange(reclaimed, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    if payer != 0 {
                        let slots = u64::from(next.wrapping_sub(reclaimed));
                        self.holder(payer as usize - 1).fetch_sub(slots, Ordering::AcqRel);
                    }
                    reclaimed = next;
                }
                Err(now) => reclaimed = now,
            }
        }
    }

    /// Where a sender's pair is looked for first.
    #[inline(always)]
    fn first_place(&self, sender: u64) -> usize {
        (sender as usize).wrapping_mul(0x9e37_79b1) >> 7 & self.holder_mask
    }

    /// Charges slots to a sender whose pair is at its first place: which pair pays, plus one.
    #[inline(always)]
    pub(super) fn charge(&self, sender: u64, slots: u32) -> Option<u32> {
        let place = self.first_place(sender);
        let pair = self.holder(place);
        let value = pair.load(Ordering::Acquire);
        // Of another process's pair, the difference is far beyond any share.
        let next = value.wrapping_add(u64::from(slots));
        let fits = next.wrapping_sub(sender << 16) <= self.share;
        let charged = fits && pair.compare_exchange(value, next, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        charged.then_some(place as u32 + 1)
    }

    /// As `charge`, with a pair that is not at its first place, or not there yet.
    #[inline(never)]
    pub(super) fn charge_slowly(&self, sender: u64, slots: u32) -> Result<u32, Error> {
        let (tag, start) = (sender << 16, self.first_place(sender));
        for _ in 0..TRIES {
            let mut free = None;
            let mut own = None;
            for step in 0..HOLDER_WINDOW {
                let value = self.holder(start + step).load(Ordering::Acquire);
                if value & !0xffff == tag {
                    own = Some((start + step, value));
                    break;
                }
                if value & 0xffff == 0 && free.is_none() {
                    free = Some((start + step, value));
                }
            }
            let (index, value) = match (own, free) {
                // Another core is making this very pair.
                (Some((_, value)), _) if value & MAKING == MAKING => continue,
                (Some(own), _) => own,
                (None, Some((index, value))) if self.make_pair(tag, start, index, value) => (index, tag),
                (None, Some(_)) => continue,
                (None, None) => return Err(Error::Full),
            };
            let next = value + u64::from(slots);
            if next - tag > self.share {
                return Err(Error::Full);
            }
            if self.holder(index).compare_exchange(value, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Ok((index & self.holder_mask) as u32 + 1);
            }
        }
        Err(Error::Full)
    }

    /// Makes a pair for a process in a free place: not if another core has made one, or is about to, in its window.
    /// Nobody charges to it before that is sure.
    fn make_pair(&self, tag: u64, start: usize, own: usize, free: u64) -> bool {
        let pair = self.holder(own);
        if pair.compare_exchange(free, tag | MAKING, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return false;
        }
        let has_other = (start..start + HOLDER_WINDOW)
            .any(|index| index != own && self.holder(index).load(Ordering::SeqCst) & !MAKING == tag);
        // Not what was there: its process may have made another pair meanwhile.
        pair.store(if has_other { 0 } else { tag }, Ordering::Release);
        !has_other
    }
}
