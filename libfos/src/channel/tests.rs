//! Channels keep what messages promise, over memory of the host's.

use super::*;
use alloc::boxed::Box;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_messages::rpc::SendError;
use fos_runtime::promises::{Came, PROMISES, Side, Way};

/// A channel each way.
struct Both {
    shared: [Shared<'static>; 2],
    senders: [Sender<'static>; 2],
    receivers: [Receiver<'static>; 2],
    has_ended: bool,
    is_told: bool,
}

impl Both {
    /// In pages of this many slots each way, that stay for the rest of the test's process.
    fn new(slots: usize) -> Both {
        let words: Vec<AtomicU64> = (0..2 * (slots + 2) * LINE_WORDS).map(|_| AtomicU64::new(0)).collect();
        let (there, back) = Shared::halves(Box::leak(words.into_boxed_slice())).unwrap();
        there.open();
        back.open();
        let (senders, receivers) = ([there, back].map(Sender::new), [back, there].map(Receiver::new));
        Both { shared: [there, back], senders, receivers, has_ended: false, is_told: false }
    }
}

impl Way for Both {
    fn send(&mut self, from: Side, message: &[u8]) -> Result<(), SendError> {
        match self.senders[from as usize].send(message) {
            Ok(_) => Ok(()),
            Err(ChannelError::Full) => Err(SendError::Full),
            Err(ChannelError::TooLong) => Err(SendError::TooLong),
            Err(_) => Err(SendError::Closed),
        }
    }
    fn send_guessing(&mut self, _: &[u8]) -> Option<Result<(), SendError>> {
        None
    }
    fn take(&mut self, at: Side) -> Option<Came> {
        let mut buffer = [0; MESSAGE_MAX];
        match self.receivers[at as usize].receive(&mut buffer) {
            Ok(Some(length)) => Some(Came::Message(self.identity(at.other()), buffer[..length].to_vec())),
            Ok(None) => None,
            // A channel says so whenever it is asked.
            Err(_) => (self.has_ended && !core::mem::replace(&mut self.is_told, true)).then_some(Came::Ended),
        }
    }
    fn progress(&mut self) -> bool {
        false
    }
    fn identity(&self, side: Side) -> Identity {
        Identity(side as u64 + 1)
    }
    fn longest(&self) -> usize {
        MESSAGE_MAX
    }
    fn end_second(&mut self) {
        self.has_ended = true;
        self.shared.iter().for_each(Shared::close);
    }
}

#[test]
fn messages_keep_their_promises() {
    for slots in [18, 30, 126] {
        for (promise, check) in PROMISES {
            assert_eq!(check(&mut Both::new(slots)), Ok(()), "{promise}, with {slots} slots");
        }
    }
}
