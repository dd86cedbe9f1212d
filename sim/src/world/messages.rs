//! What processes do to each other, and what it costs whom: the sender its copy, its trap and the interrupt that wakes a
//! sleeper, the receiver the lines that it fetches.

use super::{Inner, lines};
use crate::Distance;
use crate::events::Event;
use crate::faults::When;
use crate::mailbox::Letter;
use crate::trace::What;
use fos_abi::key::KeyRights;
use fos_messages::rpc::{Address, SendError};
use fos_runtime::port::{AnswerRoom, Class};
use std::rc::Rc;

impl Inner {
    /// See [`fos_runtime::port::Port::send`].
    pub fn send(&mut self, process: usize, to: &Address, message: &[u8]) -> Result<(), SendError> {
        if self.members[process].runtime.is_none() {
            return Err(SendError::Closed);
        }
        let (id, from) = (to.key.mailbox.0, self.members[process].identity);
        let accepted = match self.mailboxes.get_mut(&id) {
            None => Err(SendError::Closed),
            Some(mailbox) => mailbox.allows(&to.key, KeyRights::SEND).and_then(|badge| {
                mailbox.accept(from, message.len(), self.now).map(|accepted| (badge, accepted.number))
            }),
        };
        self.charge_send(process, id, message.len());
        match accepted {
            Ok((badge, number)) => {
                let core = self.members[process].core;
                let letter = Letter::Message { from, core, badge, bytes: message.to_vec(), number };
                self.accepted(process, id, message);
                match &mut self.step {
                    Some(step) => step.outgoing.push((id, letter)),
                    None => self.leave(id, letter, self.now),
                }
                Ok(())
            }
            Err(error) => {
                self.refused(process, id, error);
                Err(error)
            }
        }
    }

    pub(super) fn accepted(&mut self, process: usize, id: u64, bytes: &[u8]) {
        self.counts.messages += 1;
        let number = self.counts.messages;
        let (from, (to, class)) = (self.members[process].name.clone(), self.receiver(id));
        self.record(What::Sent { number, from: &from, to: &to, class, bytes });
        for fault in 0..self.plan.0.len() {
            if self.plan.0[fault].when == When::Message(number) {
                self.fault(fault);
            }
        }
    }

    pub(super) fn refused(&mut self, process: usize, id: u64, error: SendError) {
        self.counts.refused += 1;
        let (from, (to, _)) = (self.members[process].name.clone(), self.receiver(id));
        self.record(What::Refused { from: &from, to: &to, error });
    }

    fn receiver(&self, id: u64) -> (Rc<str>, Class) {
        let Some(owner) = self.mailboxes.get(&id).map(|mailbox| mailbox.owner) else {
            return ("nobody".into(), Class::External);
        };
        let member = &self.members[owner];
        let classes = [Class::Response, Class::Internal, Class::External];
        let class = classes.into_iter().find(|class| member.addresses[*class as usize].key.mailbox.0 == id);
        (member.name.clone(), class.unwrap_or(Class::External))
    }

    /// A send costs its copy; a trap, until the sender has sent there so often that a channel would have been set up;
    /// an interrupt, if the receiver's core sleeps.
    fn charge_send(&mut self, process: usize, id: u64, length: usize) {
        let costs = self.costs.clone();
        let (mut cost, from) = (lines(length) * costs.machine("copy_line"), self.members[process].identity);
        let mailbox = self.mailboxes.get(&id);
        if mailbox.is_none_or(|mailbox| mailbox.sent_by(from) <= costs.choice("channel_after_messages")) {
            cost += costs.machine("trap");
        }
        let receiver = mailbox.map(|mailbox| self.members[mailbox.owner].core);
        if receiver.is_some_and(|core| self.cores[core as usize].sleeps(self.now, costs.choice("poll"))) {
            cost += costs.machine("ipi");
            self.members[process].account.waking += costs.machine("ipi");
        }
        if let Some(step) = &mut self.step {
            step.nanoseconds += cost;
        }
    }

    /// See [`fos_runtime::port::Port::take`]. The receiver pays for fetching the lines.
    pub fn take(&mut self, process: usize, class: Class) -> Option<Letter> {
        let id = self.members[process].addresses[class as usize].key.mailbox.0;
        let letter = self.mailboxes.get_mut(&id)?.take()?;
        if let (Letter::Message { core, bytes, .. }, Some(step)) = (&letter, &mut self.step) {
            let distance = self.costs.topology.distance(*core, self.members[process].core);
            self.counts.taken += 1;
            self.counts.far += u64::from(distance > Distance::Hops(1));
            step.nanoseconds += lines(bytes.len()) * self.costs.transfer(distance);
        }
        Some(letter)
    }

    /// See [`fos_runtime::port::Port::watch`].
    pub fn watch(&mut self, process: usize, peer: &Address, cookie: u64) -> Result<(), SendError> {
        let own = self.members[process].addresses[Class::Response as usize].key.mailbox.0;
        let peer_id = peer.key.mailbox.0;
        let watched = self.mailboxes.get(&peer_id).ok_or(SendError::Closed)?;
        watched.allows(&peer.key, KeyRights::WATCH)?;
        self.mailboxes.get_mut(&own).ok_or(SendError::Closed)?.reserve()?;
        if let Some(watched) = self.mailboxes.get_mut(&peer_id) {
            watched.watchers.push((own, cookie));
        }
        self.members[process].watches.insert(cookie, peer_id);
        self.charge("trap");
        Ok(())
    }

    /// See [`fos_runtime::port::Port::unwatch`].
    pub fn unwatch(&mut self, process: usize, cookie: u64) {
        let Some(peer) = self.members[process].watches.remove(&cookie) else { return };
        let own = self.members[process].addresses[Class::Response as usize].key.mailbox.0;
        if let Some(watched) = self.mailboxes.get_mut(&peer) {
            watched.watchers.retain(|watcher| *watcher != (own, cookie));
            if let Some(mailbox) = self.mailboxes.get_mut(&own) {
                mailbox.release();
            }
        }
        self.charge("trap");
    }

    fn charge(&mut self, key: &str) {
        self.charge_times(key, 1);
    }

    pub(super) fn charge_times(&mut self, key: &str, times: u64) {
        let cost = self.costs.machine(key) * times;
        if let Some(step) = &mut self.step {
            step.nanoseconds += cost;
        }
    }

    /// See [`fos_runtime::port::Port::answer_room`].
    pub fn answer_room(&self, process: usize) -> AnswerRoom {
        let id = self.members[process].addresses[Class::Response as usize].key.mailbox.0;
        match self.mailboxes.get(&id) {
            Some(mailbox) => {
                AnswerRoom { slots: mailbox.slots_for_messages(), slots_per_sender: mailbox.share() }
            }
            None => AnswerRoom { slots: 0, slots_per_sender: 0 },
        }
    }

    /// A message, or a notice, is on its way.
    pub(super) fn leave(&mut self, id: u64, letter: Letter, at: u64) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let to = self.members[mailbox.owner].core;
        let at = match &letter {
            Letter::Message { from, core, .. } => {
                let flight = match self.costs.topology.distance(*core, to) {
                    Distance::Network => self.costs.machine("network_round_trip") / 2,
                    Distance::Hops(_) => 0,
                };
                mailbox.arrival(*from, at + flight)
            }
            Letter::Ended { .. } => at,
        };
        self.events.push(at, Event::Arrive { mailbox: id, letter });
    }
}
