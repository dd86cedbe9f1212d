//! Channels on the machine: [`fos_channel`]'s ends, whose receiver sleeps on a mailbox that its sender rings.

pub use fos_channel::*;

use core::sync::atomic::AtomicU64;

use fos_abi::Error;

use crate::arch;
use crate::clock::Deadline;
use crate::mailbox::Mailbox;

/// How a receiver waits for messages.
pub trait Wait {
    /// Sleeps until the sender rings a bell of `mailbox`, or something else comes to it, or the deadline passes
    /// (`TimedOut`). Returns at once if a message is there. Takes the mailbox's bells.
    fn sleep(&mut self, mailbox: &Mailbox, deadline: Deadline) -> Result<(), Error>;

    /// As [`sleep`](Self::sleep), after polling for as long as `poller` advises. Tells it how long the wait was.
    fn wait(&mut self, poller: &mut Poller, mailbox: &Mailbox, deadline: Deadline) -> Result<(), Error>;
}

/// How a sender waits for room.
pub trait WaitForRoom {
    /// Sleeps until the receiver has made room and rings a bell of `mailbox`, or something else comes to it, or the deadline
    /// passes (`TimedOut`). Returns at once if there is room for a message of `length` bytes by now. Takes the mailbox's
    /// bells. The receiver has to ring when [`Receiver::must_ring`] says so; one that has ended rings nobody, so have a
    /// deadline, or watch it with this mailbox.
    fn sleep_until_room(&mut self, length: usize, mailbox: &Mailbox, deadline: Deadline)
    -> Result<(), Error>;
}

impl WaitForRoom for Sender<'_, AtomicU64> {
    fn sleep_until_room(
        &mut self,
        length: usize,
        mailbox: &Mailbox,
        deadline: Deadline,
    ) -> Result<(), Error> {
        if !self.prepare_to_wait(length) {
            return Ok(());
        }
        let waited = mailbox.wait(deadline);
        mailbox.take_bells();
        waited
    }
}

impl Wait for Receiver<'_, AtomicU64> {
    fn sleep(&mut self, mailbox: &Mailbox, deadline: Deadline) -> Result<(), Error> {
        if !self.prepare_to_sleep() {
            return Ok(());
        }
        let waited = mailbox.wait(deadline);
        mailbox.take_bells();
        self.wake();
        waited
    }

    fn wait(&mut self, poller: &mut Poller, mailbox: &Mailbox, deadline: Deadline) -> Result<(), Error> {
        let begin = arch::ticks();
        let waited = if poll(self, begin.saturating_add(poller.budget_ticks())) {
            Ok(())
        } else {
            self.sleep(mailbox, deadline)
        };
        poller.waited(arch::ticks().saturating_sub(begin));
        waited
    }
}

/// Polls until there is news, `true`, or until the clock passes `until`.
fn poll(receiver: &Receiver<'_>, until: u64) -> bool {
    loop {
        if receiver.has_news() {
            return true;
        }
        if arch::ticks() >= until {
            return false;
        }
        core::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests;
