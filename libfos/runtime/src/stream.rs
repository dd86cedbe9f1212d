//! Messages longer than a mailbox takes, and messages that must not be lost because a mailbox is full for a moment: cut
//! into fragments, sent in order, put together by the receiver. For conversations between members of a fleet, where each
//! side is trusted to end its messages; a sender that does not is bounded all the same. Not in lent pages, as long messages
//! of calls are: a stream waits for room, of which a port has four long messages, and goes on where nothing can be lent.

use crate::{Priority, Runtime};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_messages::rpc::{Address, Caller, ENVELOPE_SIZE, Operation, SendError, wire};

/// Bytes of the longest message.
pub const STREAM_MESSAGE_MAX: usize = 256 * 1024;
/// Fragments that wait for one destination; a message that would go over it is not taken.
pub const FRAGMENTS_WAITING_MAX: usize = 1024;
/// When a full destination is tried again.
const RETRY_AFTER: Duration = Duration::from_micros(200);

/// A fragment begins with how many follow it, and whether it is the first.
const HEAD: usize = 2;
const FIRST: u16 = 1 << 15;
/// Bytes that say how long a fragment is.
const LENGTH: usize = 2;
const FRAGMENT_MAX: usize = MESSAGE_MAX - ENVELOPE_SIZE - LENGTH - HEAD;
const _: () = assert!(STREAM_MESSAGE_MAX.div_ceil(FRAGMENT_MAX) < FIRST as usize);

fn fragments(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let count = message.len().div_ceil(FRAGMENT_MAX).max(1);
    (0..count).map(move |index| {
        let part = message.chunks(FRAGMENT_MAX).nth(index).unwrap_or_default();
        let head = (count - 1 - index) as u16 | if index == 0 { FIRST } else { 0 };
        [&head.to_le_bytes(), part].concat()
    })
}

/// A destination and the fragments for it.
type Queue = (Address, VecDeque<Vec<u8>>);

/// What waits for room at its destinations, in order for each.
pub struct Outbox {
    runtime: Runtime,
    operation: &'static Operation,
    waiting: RefCell<BTreeMap<u64, Queue>>,
    is_retrying: Cell<bool>,
}

impl Outbox {
    /// An outbox whose fragments are posts of this operation.
    pub fn new(runtime: Runtime, operation: &'static Operation) -> Rc<Outbox> {
        Rc::new(Outbox { runtime, operation, waiting: RefCell::default(), is_retrying: Cell::new(false) })
    }

    /// Sends a message now or as soon as there is room. What is still here when the destination ends is dropped.
    pub fn send(self: &Rc<Self>, to: &Address, message: &[u8]) -> Result<(), SendError> {
        if message.len() > STREAM_MESSAGE_MAX {
            return Err(SendError::TooLong);
        }
        let mut waiting = self.waiting.borrow_mut();
        let (_, queue) = waiting.entry(to.key.mailbox.0).or_insert_with(|| (*to, VecDeque::new()));
        if queue.len() + message.len().div_ceil(FRAGMENT_MAX) > FRAGMENTS_WAITING_MAX {
            return Err(SendError::Full);
        }
        queue.extend(fragments(message));
        let is_left = self.drain_one(to, queue);
        if !is_left {
            waiting.remove(&to.key.mailbox.0);
        }
        drop(waiting);
        self.retry_while_full();
        Ok(())
    }

    fn drain(&self) {
        self.waiting.borrow_mut().retain(|_, (to, queue)| self.drain_one(to, queue));
    }

    /// Sends what there is room for. Says whether something is left that may still find room.
    fn drain_one(&self, to: &Address, queue: &mut VecDeque<Vec<u8>>) -> bool {
        let caller = self.runtime.within(RETRY_AFTER);
        while let Some(fragment) = queue.front() {
            match caller.post(to, self.operation, &|bytes| wire::write(fragment, bytes)) {
                Ok(()) => drop(queue.pop_front()),
                Err(SendError::Full) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    fn retry_while_full(self: &Rc<Self>) {
        if self.waiting.borrow().is_empty() || self.is_retrying.replace(true) {
            return;
        }
        let outbox = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            while !outbox.waiting.borrow().is_empty() {
                outbox.runtime.sleep(RETRY_AFTER).await;
                outbox.drain();
            }
            outbox.is_retrying.set(false);
        });
    }
}

/// Puts fragments together, for each sender.
#[derive(Default)]
pub struct Inbox {
    begun: BTreeMap<u64, (u16, Vec<u8>)>,
}

impl Inbox {
    /// Takes a fragment: the message that it completes, if it does. What can't be is dropped, with what it belonged to.
    pub fn take(&mut self, sender: Identity, fragment: &[u8]) -> Option<Vec<u8>> {
        let (head, part) = fragment.split_first_chunk::<HEAD>()?;
        let head = u16::from_le_bytes(*head);
        let (is_first, left) = (head & FIRST != 0, head & !FIRST);
        let begun = self.begun.remove(&sender.0);
        let mut message = match begun {
            _ if is_first => Vec::new(),
            Some((expected, message)) if expected == left => message,
            _ => return None,
        };
        if message.len() + part.len() > STREAM_MESSAGE_MAX {
            return None;
        }
        message.extend_from_slice(part);
        if left == 0 {
            return Some(message);
        }
        self.begun.insert(sender.0, (left - 1, message));
        None
    }

    /// A sender has ended: forgets what it began.
    pub fn forget(&mut self, sender: Identity) {
        self.begun.remove(&sender.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_message_is_one_fragment() {
        assert_eq!(fragments(b"").count(), 1);
        assert_eq!(fragments(&[7; FRAGMENT_MAX]).count(), 1);
        assert_eq!(fragments(&[7; FRAGMENT_MAX + 1]).count(), 2);
    }

    proptest! {
        #[test]
        fn messages_of_two_senders_come_back_whole(first in proptest::collection::vec(any::<u8>(), 0..5000),
            second in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let mut inbox = Inbox::default();
            let (mut ones, mut twos) = (fragments(&first), fragments(&second));
            let mut whole = Vec::new();
            loop {
                let (one, two) = (ones.next(), twos.next());
                if one.is_none() && two.is_none() {
                    break;
                }
                whole.extend(one.and_then(|one| inbox.take(Identity(1), &one)));
                whole.extend(two.and_then(|two| inbox.take(Identity(2), &two)));
            }
            whole.sort();
            let mut expected = [first.clone(), second.clone()];
            expected.sort();
            prop_assert_eq!(whole, expected);
        }

        #[test]
        fn any_fragments_are_taken_or_dropped(fragments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..50)) {
            let mut inbox = Inbox::default();
            for fragment in &fragments {
                let _ = inbox.take(Identity(1), fragment);
            }
            let whole = [1, 0x80, 1];
            prop_assert_eq!(inbox.take(Identity(1), &whole), None);
            prop_assert_eq!(inbox.take(Identity(1), &[0, 0, 2]), Some([1, 2].into()));
        }
    }
}
