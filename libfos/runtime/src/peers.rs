//! Whom this runtime talks to, and how much room for answers each has been promised. Each peer is watched, so that the
//! calls under way to it end when it does.

use crate::port::{AnswerRoom, Port};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use fos_abi::mailbox::{MESSAGE_MAX, slots_for};
use fos_messages::rpc::{Address, CallError, ENVELOPE_SIZE, SendError};

/// Peers that are remembered and watched at once.
pub const PEERS_MAX: usize = 256;
/// Bits of a cookie that say which place its peer has; the others tell its uses apart.
const PLACE_BITS: u32 = 8;
const _: () = assert!(PEERS_MAX == 1 << PLACE_BITS);

/// Where a peer is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerPlace(u32);

#[derive(Default)]
struct Peer {
    mailbox: u64,
    cookie: u64,
    /// Slots of the response mailbox that its answers under way may take: some for each.
    promised: u32,
}

/// A runtime's peers, by mailbox.
#[derive(Default)]
pub struct Peers {
    peers: Vec<Peer>,
    free: Vec<PeerPlace>,
    by_mailbox: BTreeMap<u64, PeerPlace>,
    /// Who was called last, as most often who is called next.
    last: PeerPlace,
    room: AnswerRoom,
    uses: u64,
    promised: u32,
}

/// Slots that an answer of at most this many body bytes takes at most: a longer one than a mailbox takes, in lent pages,
/// takes fewer than the longest of the others.
pub fn answer_slots(answer_max: usize) -> u32 {
    slots_for((ENVELOPE_SIZE + answer_max).min(MESSAGE_MAX)) as u32
}

impl Peers {
    /// Sets room aside for an answer from there, and sees to it that the peer is watched.
    #[inline]
    pub fn promise<E>(
        &mut self,
        port: &dyn Port,
        to: &Address,
        slots: u32,
    ) -> Result<PeerPlace, CallError<E>> {
        let mailbox = to.key.mailbox.0;
        let is_it = |peer: &Peer| peer.mailbox == mailbox && peer.cookie != 0;
        if !self.peers.get(self.last.0 as usize).is_some_and(is_it) {
            self.last = match self.by_mailbox.get(&mailbox) {
                Some(place) => *place,
                None => self.add(port, to)?,
            };
        }
        let peer = &mut self.peers[self.last.0 as usize];
        if self.promised + slots > self.room.slots || peer.promised + slots > self.room.slots_per_sender {
            return Err(CallError::TooManyCalls);
        }
        peer.promised += slots;
        self.promised += slots;
        Ok(self.last)
    }

    /// The answer came, or never will.
    #[inline]
    pub fn release(&mut self, place: PeerPlace, slots: u32) {
        self.promised -= slots;
        let peer = &mut self.peers[place.0 as usize];
        peer.promised -= slots;
    }

    /// A watched mailbox has ended: whose. Once the calls to it have ended, it is to be [forgotten](Self::forget).
    pub fn ended(&mut self, cookie: u64) -> Option<PeerPlace> {
        let place = PeerPlace(cookie as u32 & (PEERS_MAX as u32 - 1));
        let is_it = self.peers.get(place.0 as usize).is_some_and(|peer| peer.cookie == cookie && cookie != 0);
        is_it.then_some(place)
    }

    /// Forgets a peer without calls under way.
    pub fn forget(&mut self, place: PeerPlace) {
        let peer = core::mem::take(&mut self.peers[place.0 as usize]);
        self.by_mailbox.remove(&peer.mailbox);
        self.free.push(place);
    }

    #[inline(never)]
    fn add<E>(&mut self, port: &dyn Port, to: &Address) -> Result<PeerPlace, CallError<E>> {
        self.room = port.answer_room();
        let place = self.make_room(port)?;
        self.uses += 1;
        let (mailbox, cookie) = (to.key.mailbox.0, self.uses << PLACE_BITS | u64::from(place.0));
        if let Err(error) = port.watch(to, cookie) {
            self.free.push(place);
            return Err(CallError::NotSent(error));
        }
        self.peers[place.0 as usize] = Peer { mailbox, cookie, promised: 0 };
        self.by_mailbox.insert(mailbox, place);
        Ok(place)
    }

    /// A free place. If as many peers are remembered as may be, one without calls under way is forgotten.
    fn make_room<E>(&mut self, port: &dyn Port) -> Result<PeerPlace, CallError<E>> {
        if let Some(place) = self.free.pop() {
            return Ok(place);
        }
        if self.peers.len() < PEERS_MAX {
            self.peers.push(Peer::default());
            return Ok(PeerPlace(self.peers.len() as u32 - 1));
        }
        let idle = self.by_mailbox.values().find(|place| self.peers[place.0 as usize].promised == 0).copied();
        let place = idle.ok_or(CallError::NotSent(SendError::Full))?;
        port.unwatch(self.peers[place.0 as usize].cookie);
        self.forget(place);
        self.free.pop().ok_or(CallError::NotSent(SendError::Full))
    }
}
