//! The shared page: a channel in each half, second's messages in the first.

use libfos::channel::{ChannelError, Receiver, Sender, Shared, Wait};
use libfos::clock;
use libfos::mailbox;
use libfos::memory::Mapping;

use crate::{Failure, Party};

/// How long to sleep when the ring is full.
const RETRY_AFTER: core::time::Duration = core::time::Duration::from_micros(50);

/// Opens both channels of a cleared page.
pub fn open(page: &Mapping) -> Result<(), Failure> {
    let (first, second) = Shared::halves(page.words()).ok_or(Failure::Protocol)?;
    first.open();
    second.open();
    Ok(())
}

/// Checks that a page that was received holds two channels.
pub fn check(page: &Mapping) -> Result<(), Failure> {
    Shared::halves(page.words()).map(|_| ()).ok_or(Failure::Protocol)
}

/// One party's ends of the two channels.
pub struct Side<'a> {
    sender: Sender<'a>,
    receiver: Receiver<'a>,
}

impl<'a> Side<'a> {
    /// The ends of whoever shared the page (`owner`), or of the other.
    pub fn new(page: &'a Mapping, owner: bool) -> Result<Side<'a>, Failure> {
        let (first, second) = Shared::halves(page.words()).ok_or(Failure::Protocol)?;
        let (to_peer, from_peer) = if owner { (first, second) } else { (second, first) };
        Ok(Side { sender: Sender::new(to_peer), receiver: Receiver::new(from_peer) })
    }

    /// Sends a number over the page; rings the peer if it sleeps.
    pub fn send(&mut self, party: &Party, peer: &mailbox::Sender, number: u32) -> Result<(), Failure> {
        loop {
            match self.sender.send(&number.to_le_bytes()) {
                Ok(true) => return Ok(peer.ring(1)?),
                Ok(false) => return Ok(()),
                Err(ChannelError::Full) if !party.deadline.has_passed() => {
                    clock::sleep_until(party.clock.after(RETRY_AFTER));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Receives a number over the page, asleep until the peer rings.
    pub fn receive(&mut self, party: &Party) -> Result<u32, Failure> {
        let mut bytes = [0; 4];
        loop {
            match self.receiver.receive(&mut bytes)? {
                Some(4) => return Ok(u32::from_le_bytes(bytes)),
                Some(_) => return Err(Failure::Protocol),
                None => self.receiver.sleep(&party.mailbox, party.deadline)?,
            }
        }
    }
}
