//! Whom this runtime talks to, and how much room for answers each has been promised. Each peer is watched, so that the
//! calls under way to it end when it does.

use crate::port::{AnswerRoom, Port};
use alloc::collections::BTreeMap;
use fos_abi::mailbox::slots_for;
use fos_messages::rpc::{Address, CallError, ENVELOPE_SIZE, SendError};

/// Peers that are remembered and watched at once.
pub const PEERS_MAX: usize = 256;

struct Peer {
    cookie: u64,
    /// Slots of the response mailbox that its answers under way may take.
    promised: u32,
    /// Calls under way.
    calls: u32,
}

/// A runtime's peers, by mailbox.
#[derive(Default)]
pub struct Peers {
    by_mailbox: BTreeMap<u64, Peer>,
    by_cookie: BTreeMap<u64, u64>,
    last_cookie: u64,
    promised: u32,
}

/// Slots that an answer of at most this many body bytes takes.
pub fn answer_slots(answer_max: usize) -> u32 {
    slots_for(ENVELOPE_SIZE + answer_max) as u32
}

impl Peers {
    /// Sets room aside for an answer from there, and sees to it that the peer is watched.
    pub fn promise<E>(&mut self, port: &dyn Port, to: &Address, slots: u32) -> Result<(), CallError<E>> {
        let AnswerRoom { slots: all, slots_per_sender } = port.answer_room();
        let mailbox = to.key.mailbox.0;
        let held = self.by_mailbox.get(&mailbox).map_or(0, |peer| peer.promised);
        if self.promised + slots > all || held + slots > slots_per_sender {
            return Err(CallError::TooManyCalls);
        }
        if !self.by_mailbox.contains_key(&mailbox) {
            self.make_room(port)?;
            self.last_cookie += 1;
            let cookie = self.last_cookie;
            port.watch(to, cookie).map_err(CallError::NotSent)?;
            self.by_mailbox.insert(mailbox, Peer { cookie, promised: 0, calls: 0 });
            self.by_cookie.insert(cookie, mailbox);
        }
        if let Some(peer) = self.by_mailbox.get_mut(&mailbox) {
            peer.promised += slots;
            peer.calls += 1;
            self.promised += slots;
        }
        Ok(())
    }

    /// The answer came, or never will.
    pub fn release(&mut self, mailbox: u64, slots: u32) {
        self.promised = self.promised.saturating_sub(slots);
        if let Some(peer) = self.by_mailbox.get_mut(&mailbox) {
            peer.promised = peer.promised.saturating_sub(slots);
            peer.calls = peer.calls.saturating_sub(1);
        }
    }

    /// A watched mailbox has ended: which.
    pub fn ended(&mut self, cookie: u64) -> Option<u64> {
        let mailbox = self.by_cookie.remove(&cookie)?;
        self.by_mailbox.remove(&mailbox);
        Some(mailbox)
    }

    /// Forgets a peer without calls under way, if as many are remembered as may be.
    fn make_room<E>(&mut self, port: &dyn Port) -> Result<(), CallError<E>> {
        if self.by_mailbox.len() < PEERS_MAX {
            return Ok(());
        }
        let idle = self
            .by_mailbox
            .iter()
            .find(|(_, peer)| peer.calls == 0)
            .map(|(mailbox, peer)| (*mailbox, peer.cookie));
        let (mailbox, cookie) = idle.ok_or(CallError::NotSent(SendError::Full))?;
        port.unwatch(cookie);
        self.by_cookie.remove(&cookie);
        self.by_mailbox.remove(&mailbox);
        Ok(())
    }
}
