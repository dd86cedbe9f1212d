//! How blocks change hands. The sender keeps a note of them, which are not at its disposal, until the receiver says that it
//! took or declined them; the receiver has them at its disposal as soon as they come. So a block is at one member's disposal at
//! most, and a sender that hears nothing more of the receiver still knows what was on its way.
//!
//! That a transfer was taken goes with the next message to its sender; if there is none within a period, by itself; and before
//! half a window of them are open.

use crate::fault::Fault;
use crate::limits::{EXTRA_ORDERS, WINDOW};
use crate::peers::Peer;
use crate::share::{Buddy, Doing};
use crate::{Block, Body, Header, ORDER_MAX};
use alloc::vec::Vec;
use fos_container::Member;

impl Buddy {
    /// Whether one more transfer to this member may be open.
    pub(crate) fn has_room_for(&self, to: Member) -> bool {
        let is_open = |peer: &Peer| peer.takes_part() && peer.departing.len() < WINDOW && !peer.is_crowded;
        self.peers.get(&to).is_some_and(is_open)
    }

    /// Makes these blocks, which are out of the store already, another's.
    pub(crate) fn transfer(&mut self, to: Member, blocks: Vec<Block>, wanted: bool, effects: &mut Doing) {
        self.merge.has_changed();
        let Some(peer) = self.peers.get_mut(&to) else { return self.gain_all(blocks) };
        let frames: u64 = blocks.iter().map(|block| block.frames()).sum();
        peer.sent += 1;
        peer.header.frames += frames;
        let number = peer.sent;
        peer.departing.push_back((number, blocks.clone()));
        self.counts.moved += frames;
        self.send(to, Body::Transfer { number, wanted, blocks }, effects);
    }

    /// Blocks have come.
    pub(crate) fn transferred(
        &mut self,
        from: Member,
        number: u64,
        wanted: bool,
        blocks: Vec<Block>,
        effects: &mut Doing,
    ) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.taken = number;
        let leaves = peer.is_leaving;
        if wanted {
            self.given(from);
        }
        let declines = !self.is_serving();
        if let Some(peer) = self.peers.get_mut(&from)
            && (!declines || self.faults.has(Fault::KeepsDeclined))
        {
            peer.kept = number;
        }
        if !declines || self.faults.has(Fault::TakesDeclined) {
            self.gain_all(blocks);
        }
        if declines {
            self.send(from, Body::Decline { number }, effects);
        } else if leaves {
            // Who leaves waits for this.
            self.send(from, Body::Tell, effects);
        }
    }

    /// A transfer came back.
    pub(crate) fn declined(&mut self, from: Member, number: u64) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        // Who asked for them leaves.
        peer.is_leaving = true;
        let Some(place) = peer.departing.iter().position(|(sent, _)| *sent == number) else { return };
        if let Some((_, blocks)) = peer.departing.remove(place)
            && !self.faults.has(Fault::DropsDeclined)
        {
            self.gain_all(blocks);
        }
    }

    /// Learns from what goes with every message.
    pub(crate) fn note_header(&mut self, from: Member, header: Header) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        while peer.departing.pop_front_if(|(number, _)| *number <= header.taken).is_some() {}
        let under_way = peer.departing.iter().flat_map(|(_, blocks)| blocks);
        let under_way: u64 = under_way.map(|block| block.frames()).sum();
        peer.header = Header { frames: header.frames + under_way, ..header };
    }

    /// Somebody wants a block. What is left after a step is of no use to those that wait here.
    pub(crate) fn wanted(&mut self, from: Member, order: u8, effects: &mut Doing) {
        match self.spare(order) {
            Some(block) => self.transfer(from, [block].into(), true, effects),
            None => self.send(from, Body::Nothing, effects),
        }
    }

    /// A block of this order, or a larger one if as much as that stays.
    fn spare(&mut self, order: u8) -> Option<Block> {
        let largest = self.store.largest()?;
        let most = order.saturating_add(EXTRA_ORDERS).min(ORDER_MAX).min(largest.saturating_sub(1));
        self.store.take(most.max(order))
    }

    /// Whether somebody waits to be told that its transfers were taken.
    pub(crate) fn owes_confirmation(&self) -> bool {
        self.peers.values().any(|peer| !peer.is_dead && peer.taken > peer.told)
    }

    /// Tells those who have half a window open.
    pub(crate) fn confirm_many(&mut self, effects: &mut Doing) {
        self.confirm(WINDOW as u64 / 2, effects);
    }

    /// Tells everybody who does not know it yet.
    pub(crate) fn confirm_all(&mut self, effects: &mut Doing) {
        self.confirm(1, effects);
    }

    fn confirm(&mut self, least: u64, effects: &mut Doing) {
        let owed = self.peers.iter().filter(|(_, peer)| peer.taken - peer.told >= least);
        let owed: Vec<Member> = owed.map(|(member, _)| *member).collect();
        owed.into_iter().for_each(|member| self.send(member, Body::Tell, effects));
    }
}
