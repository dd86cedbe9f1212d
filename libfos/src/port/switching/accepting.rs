//! The accepter's side: links that peers offered, requests that come over them, and answers that go back.

use fos_abi::Identity;
use fos_messages::rpc::{Address, Envelope, SendError};
use fos_runtime::port::{Class, Route};

use super::words::{Word, say};
use super::{Ground, PLACE_BITS, Switch, Taken};
use crate::port::transport::Transport;

/// A link that a peer offered.
pub(super) struct In<L> {
    pub(super) class: Class,
    pub(super) peer: Identity,
    pub(super) badge: u64,
    pub(super) number: u64,
    pub(super) reply: Address,
    pub(super) end: Option<L>,
    /// The switch has come.
    pub(super) is_taken_from: bool,
    /// Answers go over it.
    pub(super) is_answered_over: bool,
    /// Requests that came over it and are not answered yet: their answers find their way by this place.
    pub(super) unanswered: u32,
    /// What the peer has still to be told.
    pub(super) debt: Option<Word>,
    pub(super) uses: u32,
}

impl<G: Ground> Switch<G> {
    /// Sends an answer over the accepted link by which answers go to this address, if there is one.
    pub(super) fn answer_over(&mut self, to: &Address, message: &[u8]) -> bool {
        let is_it = |link: &In<G::Link>| link.is_answered_over && link.reply == *to;
        match self.ins.iter().position(is_it) {
            Some(place) => self.answer_over_found(place, message),
            None => false,
        }
    }

    /// Sends an answer over the accepted link by which answers go to its peer, or by mailbox if it does not take it.
    #[inline(always)]
    pub(super) fn answer_by(&mut self, place: usize, message: &[u8]) -> Result<(), SendError> {
        if self.answer_over_link(place, message) {
            return Ok(());
        }
        self.ground.send(&self.ins[place].reply.key, message)
    }

    #[inline(never)]
    fn answer_over_found(&mut self, place: usize, message: &[u8]) -> bool {
        self.answer_over_link(place, message)
    }

    /// Tries to send over an accepted link. Who finds it full closes its half.
    #[inline(always)]
    fn answer_over_link(&mut self, place: usize, message: &[u8]) -> bool {
        let link = &mut self.ins[place];
        let Some(end) = link.end.as_mut() else { return false };
        let (sent, rings) = match end.send(message) {
            Ok(sleeps) => (true, sleeps),
            Err(_) => {
                end.close();
                link.is_answered_over = false;
                (false, true)
            }
        };
        if rings {
            self.ground.ring(&link.reply.key);
        }
        sent
    }

    pub(super) fn heard_offer(
        &mut self,
        class: Class,
        badge: u64,
        number: u64,
        reply: Address,
        accept: impl FnOnce(&G) -> Option<G::Link>,
    ) {
        let has_room = self.has_room_for(reply.identity) || {
            self.look_for_the_dead();
            self.has_room_for(reply.identity)
        };
        let end = if has_room { accept(&self.ground) } else { None };
        let Some(end) = end else {
            // Who offers has set room aside; who has not keeps its offer until this process ends.
            let _ = self.ground.send(&reply.key, &say(Word::Refused, number));
            return;
        };
        let place = self.free_place();
        let link = In {
            class,
            peer: reply.identity,
            badge,
            number,
            reply,
            end: Some(end),
            is_taken_from: false,
            is_answered_over: false,
            unanswered: 0,
            debt: Some(Word::Accepted),
            uses: place.map_or(0, |place| self.ins[place].uses.wrapping_add(1) & (u32::MAX >> PLACE_BITS)),
        };
        match place {
            Some(place) => self.ins[place] = link,
            None => self.ins.push(link),
        }
        self.has_debts = true;
        self.pay_debts();
    }

    fn has_room_for(&self, peer: Identity) -> bool {
        let held = |link: &&In<G::Link>| !is_free(link);
        let of_peer = self.ins.iter().filter(held).filter(|link| link.peer == peer).count();
        let all = self.ins.iter().filter(held).count();
        of_peer < self.thresholds.accepted_per_peer && all < self.thresholds.accepted_max
    }

    /// Peers that were accepted and have not begun to send are told again, which those who live ignore.
    fn look_for_the_dead(&mut self) {
        for link in self.ins.iter_mut().filter(|link| link.end.is_some() && !link.is_taken_from) {
            link.debt = Some(Word::Accepted);
        }
        self.has_debts = true;
        self.pay_debts();
    }

    fn free_place(&self) -> Option<usize> {
        self.ins.iter().position(is_free)
    }

    /// Tells peers what they have not been told for want of room. With `Accepted` said, answers go over the link.
    #[inline]
    pub fn pay_debts(&mut self) {
        if self.has_debts {
            self.pay_what_can_be();
        }
    }

    #[inline(never)]
    fn pay_what_can_be(&mut self) {
        for place in 0..self.ins.len() {
            let Some(word) = self.ins[place].debt else { continue };
            let reply = self.ins[place].reply;
            let is_first = !self.ins.iter().any(|link| link.is_answered_over && link.reply == reply);
            let link = &mut self.ins[place];
            match self.ground.send(&reply.key, &say(word, link.number)) {
                Err(SendError::Full) => continue,
                // Answers go over one link to each mailbox, though it may have offered several.
                Ok(()) => link.is_answered_over |= word == Word::Accepted && is_first,
                // The peer has ended.
                Err(_) => {
                    link.is_answered_over = false;
                    link.end.take().into_iter().for_each(|end| self.ground.end(end));
                }
            }
            link.debt = None;
        }
        self.has_debts = self.ins.iter().any(|link| link.debt.is_some());
        self.look_again();
    }

    #[inline(always)]
    pub(super) fn take_request(
        &mut self,
        class: Class,
        only: Option<Identity>,
        buffer: &mut [u8],
    ) -> Option<Taken> {
        // The bit of whose turn it is comes first.
        let turn = self.turn;
        let mut places = self.listened[class as usize].rotate_right(turn);
        while places != 0 {
            let place = ((places.trailing_zeros() + turn) % u32::BITS) as usize;
            places &= places - 1;
            let Some(link) = self.ins.get_mut(place) else { continue };
            let Some(end) = &mut link.end else { continue };
            if only.is_some_and(|only| only != link.peer) {
                continue;
            }
            match end.receive(buffer) {
                Ok(Some(length)) => {
                    self.turn = (place as u32 + 1) % u32::BITS;
                    return Some(link.taken(place, &buffer[..length]));
                }
                Ok(None) => {}
                Err(_) => self.release(place),
            }
        }
        None
    }

    /// Nothing more will come over an accepted link: ends it. Requests that came over it are answered by mailbox.
    #[cold]
    fn release(&mut self, place: usize) {
        let link = &mut self.ins[place];
        let Some(mut end) = link.end.take() else { return };
        end.close();
        link.is_answered_over = false;
        link.debt = Some(Word::Released);
        self.has_debts = true;
        self.ground.end(end);
        self.pay_debts();
        self.look_again();
    }

    /// Ends what was accepted by keys with this badge.
    pub fn revoke(&mut self, class: Class, badge: u64) {
        for place in 0..self.ins.len() {
            if self.ins[place].class == class && self.ins[place].badge == badge {
                self.release(place);
            }
        }
    }
}

/// Whether a place may be used for another link.
fn is_free<L>(link: &In<L>) -> bool {
    link.end.is_none() && link.debt.is_none() && link.unanswered == 0
}

impl<L> In<L> {
    /// What was taken from here; a request is remembered until it is answered.
    fn taken(&mut self, place: usize, message: &[u8]) -> Taken {
        let route = if Envelope::wants_way_back(message) {
            self.unanswered += 1;
            Route(self.uses << PLACE_BITS | (place as u32 + 1))
        } else {
            Route::MAILBOX
        };
        Taken { sender: self.peer, badge: self.badge, route, length: message.len() }
    }
}
