//! A mailbox as the kernel's: so many slots, nobody holds more than an eighth, whole messages, first in first out for
//! each sender, a sender that is stamped and can't be forged, keys with rights, notices with slots of their own.
//! `docs/mailboxes.md` has the promises; what can be checked here at every message is.

use crate::Random;
use fos_abi::key::{KeyRights, MailboxId};
use fos_abi::mailbox::SHARE;
use fos_abi::{Identity, Key};
use fos_messages::rpc::SendError;
use fos_runtime::port::{LENT_MAX, slots_taken};
use std::collections::{BTreeMap, VecDeque};

/// What lies in a mailbox.
#[derive(Debug)]
pub enum Letter {
    /// A message.
    Message {
        /// Stamped.
        from: Identity,
        /// The core it came from, which decides what taking it costs.
        core: u32,
        badge: u64,
        bytes: Vec<u8>,
        /// The how manieth of its sender to here.
        number: u64,
    },
    /// A watched mailbox has ended.
    Ended { cookie: u64 },
}

/// What a mailbox knows of a sender.
#[derive(Debug, Default)]
struct Sender {
    slots: u32,
    sent: u64,
    taken: u64,
    /// When its last message comes; a later one comes later.
    last_arrival: u64,
}

#[derive(Debug)]
struct KeyEntry {
    secret: [u64; 2],
    rights: KeyRights,
    badge: u64,
}

/// A mailbox.
#[derive(Debug)]
pub struct Mailbox {
    /// The process that receives.
    pub owner: usize,
    /// Who wants to hear of its end: response mailbox and cookie.
    pub watchers: Vec<(u64, u64)>,
    /// Refuses everything until then: a fault.
    pub full_until: u64,
    slots: u32,
    used: u32,
    /// For notices.
    reserved: u32,
    senders: BTreeMap<u64, Sender>,
    queue: VecDeque<Letter>,
    keys: Vec<KeyEntry>,
}

/// A message that has its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The how manieth of its sender to here.
    pub number: u64,
}

impl Mailbox {
    /// An empty one.
    pub fn new(owner: usize, slots: u32) -> Mailbox {
        let (watchers, senders, queue, keys) = Default::default();
        Mailbox { owner, watchers, full_until: 0, slots, used: 0, reserved: 0, senders, queue, keys }
    }

    /// Makes a key.
    pub fn key(&mut self, id: u64, rights: KeyRights, badge: u64, random: &mut Random) -> Key {
        let secret = [random.next(), random.next()];
        self.keys.push(KeyEntry { secret, rights, badge });
        Key { mailbox: MailboxId(id), entry: self.keys.len() as u32 - 1, machine: 0, secret }
    }

    /// The badge of a key that allows this.
    pub fn allows(&self, key: &Key, right: KeyRights) -> Result<u64, SendError> {
        let entry = self.keys.get(key.entry as usize).filter(|entry| entry.secret == key.secret);
        let entry = entry.filter(|entry| entry.rights.contains(right));
        entry.map(|entry| entry.badge).ok_or(SendError::Closed)
    }

    /// Slots that a sender may hold.
    pub fn share(&self) -> u32 {
        self.slots / SHARE as u32
    }

    /// Slots that notices never take.
    pub fn slots_for_messages(&self) -> u32 {
        self.slots - self.slots / 2
    }

    /// Takes slots for a message of this length, or refuses it and changes nothing.
    pub fn accept(&mut self, from: Identity, length: usize, now: u64) -> Result<Accepted, SendError> {
        if length > LENT_MAX {
            return Err(SendError::TooLong);
        }
        let slots = slots_taken(length) as u32;
        let held = self.senders.get(&from.0).map_or(0, |sender| sender.slots);
        let is_full = self.used + self.reserved + slots > self.slots || held + slots > self.share();
        if is_full || now < self.full_until {
            return Err(SendError::Full);
        }
        let sender = self.senders.entry(from.0).or_default();
        sender.slots += slots;
        sender.sent += 1;
        self.used += slots;
        Ok(Accepted { number: sender.sent })
    }

    /// When an accepted message of this sender comes, if it would come at `at`: never before an earlier one.
    pub fn arrival(&mut self, from: Identity, at: u64) -> u64 {
        let sender = self.senders.entry(from.0).or_default();
        sender.last_arrival = at.max(sender.last_arrival + 1);
        sender.last_arrival
    }

    /// Messages that this sender has sent here.
    pub fn sent_by(&self, from: Identity) -> u64 {
        self.senders.get(&from.0).map_or(0, |sender| sender.sent)
    }

    /// It is there to be taken.
    pub fn put(&mut self, letter: Letter) {
        self.queue.push_back(letter);
    }

    /// Takes what came first and frees its slots.
    pub fn take(&mut self) -> Option<Letter> {
        let letter = self.queue.pop_front()?;
        match &letter {
            Letter::Message { from, bytes, number, .. } => {
                let slots = slots_taken(bytes.len()) as u32;
                let sender = self.senders.get_mut(&from.0).expect("who sent something is known");
                sender.slots -= slots;
                sender.taken += 1;
                assert_eq!(sender.taken, *number, "messages of {from:?} are taken in their order, none lost");
                self.used -= slots;
            }
            Letter::Ended { .. } => self.reserved -= 1,
        }
        Some(letter)
    }

    /// Sets a slot aside for a notice; at most half of all.
    pub fn reserve(&mut self) -> Result<(), SendError> {
        if self.reserved >= self.slots / 2 || self.used + self.reserved >= self.slots {
            return Err(SendError::Full);
        }
        self.reserved += 1;
        Ok(())
    }

    /// Gives it back.
    pub fn release(&mut self) {
        self.reserved -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Identity = Identity(1);

    fn message(from: Identity, number: u64, length: usize) -> Letter {
        Letter::Message { from, core: 0, badge: 0, bytes: vec![0; length], number }
    }

    #[test]
    fn nobody_holds_more_than_an_eighth_and_taking_frees_it() {
        let mut mailbox = Mailbox::new(0, 64);
        for number in 1..=8 {
            assert_eq!(mailbox.accept(ONE, 10, 0), Ok(Accepted { number }));
            mailbox.put(message(ONE, number, 10));
        }
        assert_eq!(mailbox.accept(ONE, 10, 0), Err(SendError::Full));
        assert!(mailbox.accept(Identity(2), LENT_MAX, 0).is_ok());
        assert_eq!(mailbox.accept(Identity(3), LENT_MAX + 1, 0), Err(SendError::TooLong));
        assert!(mailbox.take().is_some());
        assert!(mailbox.accept(ONE, 10, 0).is_ok());
    }

    #[test]
    fn all_senders_together_leave_the_slots_of_notices() {
        let mut mailbox = Mailbox::new(64, 64);
        (0..32).for_each(|_| mailbox.reserve().unwrap());
        assert_eq!(mailbox.reserve(), Err(SendError::Full));
        let accepted = (1..100).filter(|sender| mailbox.accept(Identity(*sender), 10, 0).is_ok()).count();
        assert_eq!(accepted, 32);
        mailbox.put(Letter::Ended { cookie: 5 });
        assert!(matches!(mailbox.take(), Some(Letter::Ended { cookie: 5 })));
        assert!(mailbox.accept(ONE, 10, 0).is_ok());
    }

    #[test]
    fn a_full_mailbox_by_plan_is_full_for_its_time() {
        let mut mailbox = Mailbox::new(0, 64);
        mailbox.full_until = 10;
        assert_eq!(mailbox.accept(ONE, 1, 9), Err(SendError::Full));
        assert!(mailbox.accept(ONE, 1, 10).is_ok());
    }

    #[test]
    fn a_key_opens_what_it_says_and_a_guess_nothing() {
        let (mut mailbox, mut random) = (Mailbox::new(0, 64), Random::new(1));
        let key = mailbox.key(9, KeyRights::SEND, 77, &mut random);
        assert_eq!(mailbox.allows(&key, KeyRights::SEND), Ok(77));
        assert_eq!(mailbox.allows(&key, KeyRights::WATCH), Err(SendError::Closed));
        let guess = Key { secret: [key.secret[0], key.secret[1] ^ 1], ..key };
        assert_eq!(mailbox.allows(&guess, KeyRights::SEND), Err(SendError::Closed));
        assert_eq!(mailbox.allows(&Key { entry: 1, ..key }, KeyRights::SEND), Err(SendError::Closed));
    }

    #[test]
    fn a_later_message_comes_later_however_short_it_is() {
        let mut mailbox = Mailbox::new(0, 64);
        assert_eq!(mailbox.arrival(ONE, 100), 100);
        assert_eq!(mailbox.arrival(ONE, 50), 101);
        assert_eq!(mailbox.arrival(Identity(2), 50), 50);
    }
}
