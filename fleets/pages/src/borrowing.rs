//! What a member lacks it gets from the others: blocks, of which the custodian notes that another keeps them before anybody may
//! give them out. First each is asked for at most a quarter of what it has, the one that had some last before all others, so that no
//! member is stripped while another has plenty; when none had any, for whatever there is. When none has a block as large as is
//! wanted, the custodian says where the parts of one are, and those who keep them are asked for these very parts: so blocks merge that
//! were divided among members.

use crate::server::Server;
use alloc::vec::Vec;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::custody::With;
use fos_messages::pages::{Lent, PagesPeersClient, Range};

/// How long another member may take.
const LEND_WITHIN: Duration = Duration::from_millis(500);
/// Frames that are asked for at least, 2 MiB: the next requests need not ask again.
const BATCH: u64 = 512;

impl Server {
    /// Gets frames from other members, in blocks of at least this order. False: none has any.
    pub(crate) async fn borrow(&self, frames: u64, order: u8) -> bool {
        let Some(roster) = self.member.roster() else { return false };
        let me = Identity(self.identity());
        let others: Vec<_> = roster.seats().iter().filter(|seat| seat.identity() != me).collect();
        let from = others.iter().position(|seat| seat.identity() == self.lender.get()).unwrap_or(0);
        for is_last in [false, true] {
            for seat in others.iter().cycle().skip(from).take(others.len()) {
                let most = if is_last { frames } else { frames.max(BATCH) };
                let peer = PagesPeersClient::new(self.member.within(LEND_WITHIN), seat.internal);
                let count = self.counts();
                match peer.lend(most, order, is_last).await {
                    Ok(lent) if lent.is_empty() => {}
                    Ok(lent) => {
                        self.take_in(&lent, count);
                        self.lender.set(seat.identity());
                        return true;
                    }
                    Err(error) if error.nothing_was_done() => {}
                    // Perhaps they are this member's already.
                    Err(_) => self.doubt(),
                }
            }
        }
        false
    }

    /// Blocks that another member gave. If the custodian was asked meanwhile what is kept here, its answer may have had them.
    fn take_in(&self, lent: &[Lent], count: u64) {
        if self.counts() != count {
            return self.doubt();
        }
        self.count(|figures| figures.borrowed += lent.len() as u64);
        let mut stock = self.stock.borrow_mut();
        lent.iter().for_each(|lent| stock.add(lent.range, lent.is_clean));
    }

    /// Gets the parts of a block of this order together, whoever keeps them, if the custodian knows of one that no process has
    /// any of. False: there is none, or nothing of it was got.
    pub(crate) async fn assemble(&self, order: u8) -> bool {
        let Ok(rows) = self.custody.block(order).await else { return false };
        let Some(roster) = self.member.roster() else { return false };
        let mut is_changed = rows.iter().any(|row| row.with == With::Nobody) && self.adopt().await > 0;
        for seat in roster.seats() {
            let keeper = seat.identity();
            let of_keeper = rows.iter().filter(|row| row.with == With::Keeper(keeper.0));
            let ranges: Vec<Range> = of_keeper.map(|row| row.range).collect();
            if ranges.is_empty() || keeper.0 == self.identity() {
                continue;
            }
            let peer = PagesPeersClient::new(self.member.within(LEND_WITHIN), seat.internal);
            let count = self.counts();
            match peer.cede(ranges).await {
                Ok(ceded) => {
                    is_changed |= !ceded.is_empty();
                    self.take_in(&ceded, count);
                }
                Err(error) if error.nothing_was_done() => {}
                Err(_) => self.doubt(),
            }
        }
        is_changed
    }

    /// Gives blocks to another member.
    pub(crate) async fn lend(&self, to: Identity, frames: u64, order: u8, is_last: bool) -> Vec<Lent> {
        let _step = self.begin().await;
        if !self.yields_to(to) {
            return Vec::new();
        }
        let lent = self.stock.borrow_mut().lend(frames, order, is_last);
        self.hand_over(to, lent).await
    }

    /// Gives another member the very ranges that it asks for.
    pub(crate) async fn cede(&self, to: Identity, ranges: &[Range]) -> Vec<Lent> {
        let _step = self.begin().await;
        if !self.yields_to(to) {
            return Vec::new();
        }
        let ceded = self.stock.borrow_mut().cede(ranges);
        self.hand_over(to, ceded).await
    }

    /// Has the custodian note that what was taken out of the stock is another's.
    async fn hand_over(&self, to: Identity, lent: Vec<Lent>) -> Vec<Lent> {
        if lent.is_empty() {
            return lent;
        }
        let ranges: Vec<Range> = lent.iter().map(|lent| lent.range).collect();
        match self.custody.hand_over(to.0, ranges).await {
            Ok(()) => lent,
            Err(error) => {
                lent.iter().for_each(|lent| self.keep_unless_uncertain(&error, &[lent.range], lent.is_clean));
                Vec::new()
            }
        }
    }
}
