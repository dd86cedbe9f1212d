//! How elements change hands. The sender keeps a copy that is not at its disposal until the receiver says that it took or
//! declined them; the receiver has them at its disposal as soon as they come. So an element is at one member's disposal at most,
//! and a sender that hears nothing more of the receiver still knows what was on its way. What it does not know is whether the
//! receiver took and handed out some: that is the owner's to say (recovery.rs).
//!
//! That a transfer was taken goes with the next message to its sender; if there is none within a period, by itself; and before
//! half a window of them are open.

use crate::fault::Fault;
use crate::peers::Peer;
use crate::pool::{Doing, Pool, Standing};
use crate::thresholds::part_of;
use crate::{Body, Element, Header};
use alloc::vec::Vec;
use fos_container::Member;

impl<T: Element> Pool<T> {
    /// Whether one more transfer to this member may be open.
    pub(crate) fn has_room_for(&self, to: Member) -> bool {
        let window = self.policy.thresholds.window;
        let is_open = |peer: &Peer<T>| peer.takes_part() && peer.departing.len() < window && !peer.is_crowded;
        self.peers.get(&to).is_some_and(is_open)
    }

    /// Makes so many of the own elements another's, or as many as a message takes.
    pub(crate) fn offer(&mut self, to: Member, count: usize, wanted: bool, effects: &mut Doing<T>) {
        let rest = self.stock.len().saturating_sub(count.min(part_of::<T>()));
        let elements = self.stock.split_off(rest);
        let Some(peer) = self.peers.get_mut(&to) else { return self.stock.extend(elements) };
        peer.sent += 1;
        peer.estimate += elements.len();
        let number = peer.sent;
        if !self.faults.has(Fault::ForgetsSent) {
            peer.departing.push_back((number, elements.clone()));
        }
        self.counts.moved += elements.len() as u64;
        self.send(to, Body::Offer { number, wanted, elements }, effects);
    }

    /// Elements have come.
    pub(crate) fn offered(
        &mut self,
        from: Member,
        number: u64,
        wanted: bool,
        elements: Vec<T>,
        effects: &mut Doing<T>,
    ) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.taken = number;
        let declines = matches!(self.standing, Standing::Leaving | Standing::Left | Standing::Stopped);
        if declines {
            peer.declined.push(number);
            if self.faults.has(Fault::TakesDeclined) {
                self.stock.extend(elements);
            }
            return self.send(from, Body::Decline { number }, effects);
        }
        self.stock.extend(elements);
        if wanted {
            self.given(from);
        }
        // Who leaves waits for this.
        if self.peers.get(&from).is_some_and(|peer| peer.is_leaving) {
            self.send(from, Body::Tell, effects);
        }
    }

    /// A transfer came back.
    pub(crate) fn declined(&mut self, from: Member, number: u64) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let Some(place) = peer.departing.iter().position(|(sent, _)| *sent == number) else { return };
        if let Some((_, elements)) = peer.departing.remove(place)
            && !self.faults.has(Fault::DropsDeclined)
        {
            self.stock.extend(elements);
        }
        // Who asked for them leaves.
        peer.is_leaving = true;
    }

    /// Learns from what goes with every message.
    pub(crate) fn note_header(&mut self, from: Member, header: Header) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let mut arrived = Vec::new();
        while let Some(transfer) = peer.departing.pop_front_if(|(number, _)| *number <= header.taken) {
            arrived.push(transfer);
        }
        let under_way: usize = peer.departing.iter().map(|(_, elements)| elements.len()).sum();
        peer.estimate = header.stock as usize + under_way;
        for (number, elements) in arrived {
            self.recovery.note_arrived(from, number, &elements, self.faults);
        }
    }

    /// Somebody wants elements.
    pub(crate) fn wanted(&mut self, from: Member, least: usize, most: usize, effects: &mut Doing<T>) {
        let here = self.stock.len();
        let count = match () {
            // What is here is missed here, or is handed on anyway.
            () if !self.gather.waiting.is_empty() || self.standing != Standing::Member => 0,
            () if least == 0 => most.min(here.saturating_sub(self.policy.thresholds.low) / 2),
            () => least.max(most.min(here / 2)).min(here),
        };
        if count > 0 && self.has_room_for(from) {
            self.offer(from, count, true, effects);
        } else {
            self.send(from, Body::Nothing, effects);
        }
    }

    /// Sends everything to who has everything.
    pub(crate) fn ship(&mut self, effects: &mut Doing<T>) {
        let Some(holder) = self.holder().filter(|holder| *holder != self.me) else { return };
        // What removes wait for has been asked for, and is not sent back.
        if !self.gather.waiting.is_empty() {
            return;
        }
        while !self.stock.is_empty() && self.has_room_for(holder) {
            self.offer(holder, self.stock.len(), false, effects);
        }
    }

    /// Whether somebody waits to be told that its transfers were taken.
    pub(crate) fn owes_confirmation(&self) -> bool {
        self.peers.values().any(|peer| !peer.is_dead && peer.taken > peer.told_taken)
    }

    /// Tells those who have half a window open.
    pub(crate) fn confirm_many(&mut self, effects: &mut Doing<T>) {
        self.confirm((self.policy.thresholds.window as u64 / 2).max(1), effects);
    }

    /// Tells everybody who does not know it yet.
    pub(crate) fn confirm_all(&mut self, effects: &mut Doing<T>) {
        self.confirm(1, effects);
    }

    fn confirm(&mut self, least: u64, effects: &mut Doing<T>) {
        let owed = self.peers.iter().filter(|(_, peer)| peer.taken - peer.told_taken >= least);
        let owed: Vec<Member> = owed.map(|(member, _)| *member).collect();
        owed.into_iter().for_each(|member| self.send(member, Body::Tell, effects));
    }
}
