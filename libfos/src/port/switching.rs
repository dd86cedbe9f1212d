//! Which way a message goes: through the kernel's mailbox, or over a link to the same receiver; and in which order what came
//! over both is taken, so that what one thread sends to one mailbox stays in order whatever way each message went.
//!
//! ```text
//!   offerer (sends requests)                      accepter (answers)
//!      offer, with the link's other end  ──mailbox──►   takes the end, or refuses
//!      ◄──mailbox──  accepted                           answers go over the link from now on
//!      switch  ──mailbox──►                             takes requests from the link from now on
//!      requests over the link from now on
//!      ...
//!      closes its half, after its last message          takes what is left, then closes the other half
//!      requests by mailbox from now on                  answers by mailbox from now on
//!      takes what is left; ends the link     ◄──mailbox──  released
//! ```
//!
//! *To the link*: the marker (`switch`, `accepted`) is the last message by the old way, and nothing is taken from the link
//! before it. *From the link*: all that was put there is there before the next message by mailbox is; so before a mailbox's
//! next message is taken, the links of its sender are emptied. That is bounded ([`DRAIN_MAX`]): one who sends by both ways
//! at once, from two threads, has no order to be kept and must not hold up others.
//!
//! A half of a link is closed by its sender alone. Either side may close its own at any time: who finds a link full closes
//! it and sends by mailbox, whose room is the same for everybody. Whether a link is worth having, the offerer decides.
//!
//! *Whom to believe.* The kernel stamps the offer with its sender, who is the sender of all that comes over the link, with
//! the badge of the key that the offer came by. An answer goes over a link only if its address is the very one of the offer,
//! secret and stamped identity included: an offer with somebody else's address gets nobody else's answers.

use alloc::vec::Vec;

use fos_abi::{Identity, Key};
use fos_messages::rpc::{ADDRESS_SIZE, Address, Envelope, SendError};
use fos_runtime::Instant;
use fos_runtime::port::{Class, Route};

mod accepting;
mod words;

use super::thresholds::{Frequency, Thresholds};
use super::transport::{LinkError, Transport};
use accepting::In;
use words::{Word, hear, say};
pub use words::{lent, say_lent};

/// Messages that are taken from a sender's links before its next message by mailbox, at most: more than a link holds.
pub const DRAIN_MAX: u32 = 512;
/// Destinations whose frequency is known: a bit each in a word, like the links that are accepted.
const COUNTED_MAX: usize = u32::BITS as usize;
const _: () = assert!(Thresholds::MACHINE.accepted_max <= u32::BITS as usize);
/// Bits of a route that say which place it has, plus one; the others tell its uses apart.
const PLACE_BITS: u32 = 8;
/// How soon what could not be said is tried again.
const RETRY: core::time::Duration = core::time::Duration::from_millis(1);

/// What the ways stand on: the kernel, or a test's world.
pub trait Ground {
    /// An end of a link.
    type Link: Transport;
    /// The time.
    fn now(&self) -> Instant;
    /// A random number.
    fn random(&self) -> u64;
    /// Sends by mailbox.
    fn send(&self, to: &Key, message: &[u8]) -> Result<(), SendError>;
    /// Wakes a receiver. One that can't be reached needs no waking.
    fn ring(&self, to: &Key);
    /// Makes a link, and sends `message` by mailbox with the other end of it.
    fn offer(&self, to: &Key, message: &[u8]) -> Result<Self::Link, SendError>;
    /// Ends an end of a link: the peer finds it closed.
    fn end(&self, link: Self::Link);
}

/// Where an offered link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The peer has not said anything yet.
    Offered,
    /// It accepted, and has not been told to look there yet, for want of room.
    Accepted,
    /// Requests go over it.
    Open,
    /// They no longer do; the peer empties it.
    Closing,
}

struct OutLink<L> {
    number: u64,
    end: L,
    stage: Stage,
    /// Nothing more will come over it.
    is_empty: bool,
    /// Something was sent over it since it was last asked.
    is_used: bool,
}

/// A destination.
struct Out<L> {
    to: Address,
    frequency: Frequency,
    link: Option<OutLink<L>>,
}

/// Where a message came from that was taken from a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its sender.
    pub sender: Identity,
    /// The badge that its messages have.
    pub badge: u64,
    /// The way back.
    pub route: Route,
    /// Its bytes, of the buffer.
    pub length: usize,
}

/// The ways of one port.
pub struct Switch<G: Ground> {
    /// What they stand on.
    pub ground: G,
    thresholds: Thresholds,
    /// Where answers to this port go.
    reply: Address,
    outs: Vec<Out<G::Link>>,
    ins: Vec<In<G::Link>>,
    /// The destination that was sent to last, as most often the next is.
    last_out: usize,
    /// Whose link is looked at first.
    turn: u32,
    /// Per class, the places of the links that messages may come from, a bit each: of `outs` for answers, otherwise of `ins`.
    listened: [u32; 3],
    /// Some accepted link's peer has still to be told something.
    has_debts: bool,
    /// When links without use are looked for next.
    idle_look: Instant,
    /// Per class, the ticket of the mailbox's next message, and how many messages may still be taken before it.
    drains: [(u32, u32); 3],
}

impl<G: Ground> Switch<G> {
    /// No links yet.
    pub fn new(ground: G, thresholds: Thresholds, reply: Address) -> Switch<G> {
        let idle_look = ground.now();
        let (outs, ins, drains) = (Vec::new(), Vec::new(), [(0, DRAIN_MAX); 3]);
        let (last_out, turn, listened, has_debts) = (0, 0, [0; 3], false);
        Switch {
            ground,
            thresholds,
            reply,
            outs,
            ins,
            last_out,
            turn,
            listened,
            has_debts,
            idle_look,
            drains,
        }
    }

    /// Sends a request, with the address for its answer unless it goes over a link. A link is offered only if the end of the
    /// destination would be told (`is_watched`).
    #[inline]
    pub fn ask(
        &mut self,
        to: &Address,
        request: &mut Vec<u8>,
        is_watched: impl Fn() -> bool,
    ) -> Result<(), SendError> {
        let place = self.out_to(to);
        if place.is_some_and(|place| self.send_over(place, to, request)) {
            return Ok(());
        }
        Envelope::add_reply(request, &self.reply);
        self.send_by_mailbox(place, to, request, is_watched)
    }

    /// Sends anything else: an answer to an address, or what wants none.
    pub fn send(
        &mut self,
        to: &Address,
        message: &[u8],
        is_watched: impl Fn() -> bool,
    ) -> Result<(), SendError> {
        if self.answer_over(to, message) {
            return Ok(());
        }
        let place = self.out_to(to);
        if place.is_some_and(|place| self.send_over(place, to, message)) {
            return Ok(());
        }
        self.send_by_mailbox(place, to, message, is_watched)
    }

    /// Sends through the kernel, and counts it: a destination that is sent to often is offered a link.
    #[inline(never)]
    fn send_by_mailbox(
        &mut self,
        place: Option<usize>,
        to: &Address,
        message: &[u8],
        is_watched: impl Fn() -> bool,
    ) -> Result<(), SendError> {
        self.ground.send(&to.key, message)?;
        let Some(place) = place else {
            if is_watched() {
                self.count_from_now(to);
            }
            return Ok(());
        };
        let (now, out) = (self.ground.now(), &mut self.outs[place]);
        if out.link.is_none() && out.frequency.sent(&self.thresholds, now) && is_watched() {
            out.to = *to;
            self.offer(place);
        }
        Ok(())
    }

    /// Where a destination is, if its frequency is known.
    #[inline(always)]
    fn out_to(&mut self, to: &Address) -> Option<usize> {
        let is_it = |out: &Out<G::Link>| out.to.key.mailbox == to.key.mailbox;
        if !self.outs.get(self.last_out).is_some_and(is_it) {
            self.last_out = self.outs.iter().position(is_it)?;
        }
        Some(self.last_out)
    }

    /// Sends an answer the way its request came.
    #[inline(always)]
    pub fn send_back(&mut self, route: Route, message: &[u8]) -> Result<(), SendError> {
        let place = (route.0 & ((1 << PLACE_BITS) - 1)).wrapping_sub(1) as usize;
        let uses = route.0 >> PLACE_BITS;
        let found = self.ins.get_mut(place).filter(|link| link.uses == uses).ok_or(SendError::Closed)?;
        found.unanswered = found.unanswered.saturating_sub(1);
        if found.is_answered_over {
            return self.answer_by(place, message);
        }
        // All answers to one mailbox go the same way.
        let reply = found.reply;
        if self.answer_over(&reply, message) { Ok(()) } else { self.ground.send(&reply.key, message) }
    }

    /// Whether messages to there go over a link now.
    pub fn has_way_back(&self, to: &Address) -> bool {
        self.outs.iter().any(|out| {
            out.to.key == to.key && out.link.as_ref().is_some_and(|link| link.stage == Stage::Open)
        })
    }

    /// Tries to send over a destination's link.
    #[inline(always)]
    fn send_over(&mut self, place: usize, to: &Address, message: &[u8]) -> bool {
        if self.outs[place].link.as_ref().is_some_and(|link| link.stage == Stage::Accepted) {
            self.begin_sending(place);
        }
        let out = &mut self.outs[place];
        let Some(link) = out.link.as_mut().filter(|link| link.stage == Stage::Open) else { return false };
        // With another key the message has another badge, or none that counts any more.
        let sent = if out.to.key == to.key { link.end.send(message) } else { Err(LinkError::Closed) };
        match sent {
            Ok(sleeps) => {
                link.is_used = true;
                if sleeps {
                    self.ground.ring(&to.key);
                }
                true
            }
            Err(error) => self.not_sent_over(place, error),
        }
    }

    #[cold]
    fn not_sent_over(&mut self, place: usize, error: LinkError) -> bool {
        if error == LinkError::Full {
            self.outs[place].frequency.discourage(&self.thresholds);
        }
        self.close_out(place);
        false
    }

    /// Tells a peer that accepted to look there.
    #[cold]
    fn begin_sending(&mut self, place: usize) {
        let out = &mut self.outs[place];
        let Some(link) = out.link.as_mut().filter(|link| link.stage == Stage::Accepted) else { return };
        if self.ground.send(&out.to.key, &say(Word::Switch, link.number)).is_ok() {
            link.stage = Stage::Open;
        }
    }

    /// From now on by mailbox again. The link ends when the peer has emptied it.
    fn close_out(&mut self, place: usize) {
        // The peer takes nothing from it before it is told to, so it would not see the end either.
        self.begin_sending(place);
        let out = &mut self.outs[place];
        let Some(link) = out.link.as_mut().filter(|link| link.stage == Stage::Open) else { return };
        link.end.close();
        link.stage = Stage::Closing;
        out.frequency.restart();
        self.ground.ring(&out.to.key);
    }

    fn count_from_now(&mut self, to: &Address) {
        if self.outs.len() >= COUNTED_MAX {
            let Some(unused) = self.outs.iter().position(|out| out.link.is_none()) else { return };
            self.outs.remove(unused);
            self.look_again();
        }
        let mut frequency = Frequency::new(&self.thresholds, self.ground.now());
        frequency.sent(&self.thresholds, self.ground.now());
        self.outs.push(Out { to: *to, frequency, link: None });
    }

    fn offer(&mut self, place: usize) {
        if self.outs.iter().filter(|out| out.link.is_some()).count() >= self.thresholds.offered_max {
            return self.make_room();
        }
        let number = self.ground.random();
        let mut message = say(Word::Offer, number).to_vec();
        message.extend_from_slice(&self.reply.to_bytes());
        let out = &mut self.outs[place];
        match self.ground.offer(&out.to.key, &message) {
            Ok(end) => {
                out.link =
                    Some(OutLink { number, end, stage: Stage::Offered, is_empty: false, is_used: true })
            }
            Err(_) => out.frequency.discourage(&self.thresholds),
        }
    }

    /// Closes a link that was not used of late, so that another may be had.
    fn make_room(&mut self) {
        let is_unused = |link: &OutLink<G::Link>| link.stage == Stage::Open && !link.is_used;
        let unused = self.outs.iter().position(|out| out.link.as_ref().is_some_and(is_unused));
        match unused {
            Some(place) => self.close_out(place),
            None => {
                self.outs.iter_mut().filter_map(|out| out.link.as_mut()).for_each(|link| link.is_used = false)
            }
        }
    }

    /// Closes every link that was offered.
    pub fn close_all(&mut self) {
        (0..self.outs.len()).for_each(|place| self.close_out(place));
    }

    /// Whether a link leads there.
    pub fn has_link(&self, mailbox: u64) -> bool {
        self.outs.iter().any(|out| out.to.key.mailbox.0 == mailbox && out.link.is_some())
    }

    /// Closes the link that leads there.
    pub fn close(&mut self, mailbox: u64) {
        if let Some(place) = self.outs.iter().position(|out| out.to.key.mailbox.0 == mailbox) {
            self.close_out(place);
        }
    }

    /// A mailbox has ended, and all that came from there was taken.
    pub fn peer_ended(&mut self, mailbox: u64) {
        let Some(place) = self.outs.iter().position(|out| out.to.key.mailbox.0 == mailbox) else { return };
        if let Some(link) = self.outs.swap_remove(place).link {
            self.ground.end(link.end);
        }
        self.look_again();
    }

    /// A message that came by mailbox. Whether it was one of this conversation, and has been dealt with; `accept` takes the
    /// end of a link that came with it.
    pub fn hear(
        &mut self,
        class: Class,
        (sender, badge): (Identity, u64),
        bytes: &[u8],
        accept: impl FnOnce(&G) -> Option<G::Link>,
    ) -> bool {
        let Some((word, number, rest)) = hear(bytes) else { return false };
        match (class, word) {
            (Class::Response, Word::Accepted | Word::Refused | Word::Released) => {
                self.heard_back(word, number, sender)
            }
            (Class::Internal | Class::External, Word::Offer) => {
                if let Some(reply) = rest.first_chunk::<ADDRESS_SIZE>() {
                    let reply = Address { identity: sender, ..Address::from_bytes(reply) };
                    self.heard_offer(class, badge, number, reply, accept);
                }
            }
            (Class::Internal | Class::External, Word::Switch) => {
                let is_it = |link: &&mut In<G::Link>| link.peer == sender && link.number == number;
                if let Some(link) = self.ins.iter_mut().find(is_it) {
                    link.is_taken_from = true;
                }
            }
            _ => {}
        }
        self.look_again();
        true
    }

    fn heard_back(&mut self, word: Word, number: u64, sender: Identity) {
        let is_it = |out: &Out<G::Link>| {
            out.to.identity == sender && out.link.as_ref().is_some_and(|link| link.number == number)
        };
        let Some(place) = self.outs.iter().position(is_it) else { return };
        let out = &mut self.outs[place];
        let Some(link) = &mut out.link else { return };
        if word == Word::Accepted {
            if link.stage == Stage::Offered {
                link.stage = Stage::Accepted;
                self.begin_sending(place);
            }
            return;
        }
        if (word == Word::Refused) != (link.stage == Stage::Offered) {
            return;
        }
        if link.stage != Stage::Closing {
            out.frequency.discourage(&self.thresholds);
        }
        if let Some(link) = out.link.take() {
            self.ground.end(link.end);
        }
    }

    /// Whether messages of a class may come over links at all.
    #[inline(always)]
    pub fn listens(&self, class: Class) -> bool {
        self.listened[class as usize] != 0
    }

    /// Links were made, opened, emptied or ended: which are listened to now.
    fn look_again(&mut self) {
        self.listened = [0; 3];
        for (place, out) in self.outs.iter().enumerate() {
            let is_listened_to = out.link.as_ref().is_some_and(is_listened_to);
            self.listened[Class::Response as usize] |= u32::from(is_listened_to) << place;
        }
        for (place, link) in self.ins.iter().enumerate() {
            let is_listened_to = link.is_taken_from && link.end.is_some();
            self.listened[link.class as usize] |= u32::from(is_listened_to) << place;
        }
    }

    /// Takes the next message of a class from a link, of one sender only if one is named.
    #[inline(always)]
    pub fn take(&mut self, class: Class, only: Option<Identity>, buffer: &mut [u8]) -> Option<Taken> {
        if class == Class::Response {
            self.take_answer(only, buffer)
        } else {
            self.take_request(class, only, buffer)
        }
    }

    /// Takes what is to be taken before a mailbox's next message, which has this ticket and sender.
    pub fn take_before(
        &mut self,
        class: Class,
        (ticket, sender): (u32, Identity),
        buffer: &mut [u8],
    ) -> Option<Taken> {
        let (known, left) = self.drains[class as usize];
        let left = if known == ticket { left } else { DRAIN_MAX };
        if left == 0 {
            return None;
        }
        self.drains[class as usize] = (ticket, left - 1);
        self.take(class, Some(sender), buffer)
    }

    /// Who receives in a mailbox, if a link leads there.
    pub fn receiver(&self, mailbox: u64) -> Option<Identity> {
        self.outs.iter().find(|out| out.to.key.mailbox.0 == mailbox).map(|out| out.to.identity)
    }

    #[inline(always)]
    fn take_answer(&mut self, only: Option<Identity>, buffer: &mut [u8]) -> Option<Taken> {
        let mut places = self.listened[Class::Response as usize];
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            places &= places - 1;
            let Some(Out { to, link: Some(link), .. }) = self.outs.get_mut(place) else { continue };
            let sender = to.identity;
            if only.is_some_and(|only| only != sender) {
                continue;
            }
            match link.end.receive(buffer) {
                Ok(Some(length)) => {
                    return Some(Taken { sender, badge: 0, route: Route::MAILBOX, length });
                }
                Ok(None) => {}
                Err(_) => self.emptied(place),
            }
        }
        None
    }

    /// Nothing more will come over an offered link.
    #[cold]
    fn emptied(&mut self, place: usize) {
        if let Some(link) = &mut self.outs[place].link {
            link.is_empty = true;
        }
        self.close_out(place);
        self.look_again();
    }

    /// The ends that something may come from.
    fn listened(&mut self) -> impl Iterator<Item = &mut G::Link> {
        let outs = self.outs.iter_mut().filter_map(|out| out.link.as_mut());
        let answers = outs.filter(|link| is_listened_to(link)).map(|link| &mut link.end);
        let ins = self.ins.iter_mut().filter(|link| link.is_taken_from);
        answers.chain(ins.filter_map(|link| link.end.as_mut()))
    }

    /// Whether something came over a link.
    pub fn has_news(&mut self) -> bool {
        self.listened().any(|end| end.has_news())
    }

    /// Says to all peers that this side is about to sleep. `false`: something has come, do not sleep.
    pub fn prepare_to_sleep(&mut self) -> bool {
        let may_sleep = self.listened().all(|end| end.prepare_to_sleep());
        if !may_sleep {
            self.wake();
        }
        may_sleep
    }

    /// Says that this side is awake.
    pub fn wake(&mut self) {
        self.listened().for_each(|end| end.wake());
    }

    /// Closes links that were not used for a while. When to look again, if there is anything to look for.
    pub fn close_idle(&mut self) -> Option<Instant> {
        let now = self.ground.now();
        if now >= self.idle_look {
            self.idle_look = now.after(self.thresholds.idle);
            for place in 0..self.outs.len() {
                let Some(link) = &mut self.outs[place].link else { continue };
                if !core::mem::take(&mut link.is_used) && link.stage == Stage::Open {
                    self.close_out(place);
                }
            }
        }
        let has_links =
            self.outs.iter().any(|out| out.link.as_ref().is_some_and(|link| link.stage == Stage::Open));
        match (self.has_debts, has_links) {
            (true, _) => Some(now.after(RETRY)),
            (false, true) => Some(self.idle_look),
            (false, false) => None,
        }
    }
}

/// Whether answers may come over an offered link.
fn is_listened_to<L>(link: &OutLink<L>) -> bool {
    link.stage != Stage::Offered && !link.is_empty
}

#[cfg(test)]
mod tests;
