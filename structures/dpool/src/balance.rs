//! What is done in the background, a little in each period, so that removes find something where they come.

use crate::peers::Peer;
use crate::pool::{Doing, Pool};
use crate::thresholds::REST_DOUBLINGS_MAX;
use crate::{Body, Element, Scheme};
use alloc::vec::Vec;
use fos_container::Member;

/// Where the background is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Balance {
    /// Whose turn it is.
    turn: usize,
    /// Times in a row that background pull was given nothing, and periods for which it rests now.
    misses: u32,
    rest: u32,
}

impl<T: Element> Pool<T> {
    /// Whether the background has something to do.
    pub(crate) fn wants_balance(&self) -> bool {
        let (stock, numbers) = (self.stock.len(), &self.policy.thresholds);
        let has_company = self.peers.values().any(|peer| peer.takes_part());
        has_company
            && match self.policy.scheme() {
                None | Some(Scheme::OnDemand | Scheme::Bulk) => false,
                Some(Scheme::Pull) => stock < numbers.low,
                Some(Scheme::Push) => stock > numbers.high,
                Some(Scheme::Estimate) => self.poorest().is_some() || self.untold().next().is_some(),
            }
    }

    /// One period's worth.
    pub(crate) fn balance(&mut self, effects: &mut Doing<T>) {
        match self.policy.scheme() {
            None | Some(Scheme::OnDemand | Scheme::Bulk) => {}
            Some(Scheme::Pull) => self.pull(effects),
            Some(Scheme::Push) => self.push(effects),
            Some(Scheme::Estimate) => {
                self.push_by_estimate(effects);
                self.tell(effects);
            }
        }
    }

    fn pull(&mut self, effects: &mut Doing<T>) {
        let Balance { rest, .. } = &mut self.balance;
        if self.stock.len() >= self.policy.thresholds.low || self.gather.asked.is_some() {
            return;
        }
        if *rest > 0 {
            *rest -= 1;
            return;
        }
        if let Some(member) = self.next_in_turn() {
            let most = u32::try_from(self.policy.thresholds.block).unwrap_or(u32::MAX);
            self.gather.asked = Some(member);
            self.send(member, Body::Want { least: 0, most }, effects);
        }
    }

    /// Who was given nothing asks less and less often: perhaps nobody has anything.
    pub(crate) fn rest_after(&mut self, gave: bool) {
        let Balance { misses, rest, .. } = &mut self.balance;
        *misses = if gave { 0 } else { (*misses + 1).min(REST_DOUBLINGS_MAX) };
        *rest = (1 << *misses) - 1;
    }

    fn push(&mut self, effects: &mut Doing<T>) {
        let surplus = self.stock.len().saturating_sub(self.policy.thresholds.high);
        if surplus > 0
            && let Some(member) = self.next_in_turn()
            && self.has_room_for(member)
        {
            self.offer(member, surplus.min(self.policy.thresholds.block), false, effects);
        }
    }

    /// Who has least by so much that it is worth a transfer, and how many it should get.
    fn poorest(&self) -> Option<(Member, usize)> {
        let open = self.peers.iter().filter(|(member, _)| self.has_room_for(**member));
        let (member, peer) = open.min_by_key(|(_, peer)| peer.estimate)?;
        let gap = self.stock.len().saturating_sub(peer.estimate);
        (gap > self.policy.thresholds.margin).then_some((*member, gap / 2))
    }

    fn push_by_estimate(&mut self, effects: &mut Doing<T>) {
        for _ in 0..self.policy.thresholds.fan {
            let Some((member, count)) = self.poorest() else { return };
            self.offer(member, count.clamp(1, self.policy.thresholds.block), false, effects);
        }
    }

    /// Those who believe that this member has much more or less than it has.
    fn untold(&self) -> impl Iterator<Item = Member> + '_ {
        let stock = self.stock.len();
        let numbers = self.policy.thresholds;
        let is_wrong = move |told: usize| stock.abs_diff(told) > (numbers.margin / 2).max(told / 2);
        let is_open = |peer: &Peer<T>| !peer.is_dead && !peer.is_crowded;
        let wrong = self.peers.iter().filter(move |(_, peer)| is_open(peer) && is_wrong(peer.told_stock));
        wrong.map(|(member, _)| *member)
    }

    fn tell(&mut self, effects: &mut Doing<T>) {
        let untold: Vec<Member> = self.untold().collect();
        let count = untold.len();
        // Those after whoever was told last come first.
        for place in 0..count.min(self.policy.thresholds.fan) {
            let member = untold[(self.balance.turn + place) % count];
            self.send(member, Body::Tell, effects);
        }
        self.balance.turn = self.balance.turn.wrapping_add(self.policy.thresholds.fan);
    }

    fn next_in_turn(&mut self) -> Option<Member> {
        let open = self.peers.iter().filter(|(_, peer)| peer.takes_part());
        let open: Vec<Member> = open.map(|(member, _)| *member).collect();
        let member = *open.get(self.balance.turn % open.len().max(1))?;
        self.balance.turn = self.balance.turn.wrapping_add(1);
        Some(member)
    }
}
