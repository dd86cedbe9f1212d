//! The shared page: a channel in each half, second's messages in the first.

use libfos::channel::{ChannelError, Receiver, Sender, Shared, Wait, WaitForRoom};
use libfos::mailbox;
use libfos::memory::Mapping;

use crate::{Failure, Party};

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

    /// Sends a number over the page; rings the peer if it sleeps, and sleeps itself while there is no room.
    pub fn send(&mut self, party: &Party, peer: &mailbox::Sender, number: u32) -> Result<(), Failure> {
        let bytes = number.to_le_bytes();
        loop {
            match self.sender.send(&bytes) {
                Ok(true) => return Ok(peer.ring(1)?),
                Ok(false) => return Ok(()),
                Err(ChannelError::Full) => {
                    self.sender.sleep_until_room(bytes.len(), &party.mailbox, party.deadline)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Receives a number over the page, asleep until the peer rings; rings the peer if it waits for room.
    pub fn receive(&mut self, party: &Party, peer: &mailbox::Sender) -> Result<u32, Failure> {
        let mut bytes = [0; 4];
        loop {
            let received = self.receiver.receive(&mut bytes)?;
            if self.receiver.must_ring() {
                peer.ring(1)?;
            }
            match received {
                Some(4) => return Ok(u32::from_le_bytes(bytes)),
                Some(_) => return Err(Failure::Protocol),
                None => self.receiver.sleep(&party.mailbox, party.deadline)?,
            }
        }
    }
}
