//! What a faster way than the kernel's mailboxes has to be able to do. libfos's own is a pair of channels in shared pages;
//! hardware that carries messages (a queue per core, a network card's ring) would be another.
//!
//! A [`Transport`] is one end of a *link*: a way to one peer and back, which both have set up. It decides nothing about when
//! it is used, and promises: messages arrive whole and in order; none twice; a full link says so at once; what was sent
//! before `close` can be received after it. It need not be honest: what it says is not trusted with more than its own
//! messages. The smallest one:
//!
//! ```
//! use libfos::port::transport::{LinkError, Transport};
//! use std::{cell::RefCell, collections::VecDeque, rc::Rc};
//!
//! #[derive(Default)]
//! struct Way {
//!     messages: VecDeque<Vec<u8>>,
//!     is_closed: bool,
//! }
//!
//! /// One end of two queues.
//! struct Queues {
//!     out: Rc<RefCell<Way>>,
//!     back: Rc<RefCell<Way>>,
//! }
//!
//! impl Transport for Queues {
//!     fn send(&mut self, message: &[u8]) -> Result<bool, LinkError> {
//!         let mut out = self.out.borrow_mut();
//!         if out.messages.len() == 8 {
//!             return Err(LinkError::Full);
//!         }
//!         out.messages.push_back(message.to_vec());
//!         Ok(true) // Its receiver never says that it is awake, so it is always rung.
//!     }
//!     fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, LinkError> {
//!         let mut back = self.back.borrow_mut();
//!         let Some(message) = back.messages.pop_front() else {
//!             return if back.is_closed { Err(LinkError::Closed) } else { Ok(None) };
//!         };
//!         buffer[..message.len()].copy_from_slice(&message);
//!         Ok(Some(message.len()))
//!     }
//!     fn has_news(&self) -> bool {
//!         !self.back.borrow().messages.is_empty() || self.back.borrow().is_closed
//!     }
//!     fn prepare_to_sleep(&mut self) -> bool {
//!         !self.has_news()
//!     }
//!     fn wake(&mut self) {}
//!     fn close(&mut self) {
//!         self.out.borrow_mut().is_closed = true;
//!     }
//! }
//!
//! let (one, other) = (Rc::<RefCell<Way>>::default(), Rc::<RefCell<Way>>::default());
//! let mut here = Queues { out: one.clone(), back: other.clone() };
//! let mut there = Queues { out: other, back: one };
//! assert_eq!(here.send(b"a message"), Ok(true));
//! here.close();
//! let mut buffer = [0; 16];
//! assert_eq!(there.receive(&mut buffer), Ok(Some(9)));
//! assert_eq!(there.receive(&mut buffer), Err(LinkError::Closed));
//! ```

/// Why a link does not carry a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// No room now.
    Full,
    /// Longer than it can carry.
    TooLong,
    /// The peer has closed its end, has ended, or can't be trusted any more. Nothing more will come.
    Closed,
}

/// One end of a way to a peer and back.
pub trait Transport {
    /// Sends a message, whole or not at all. `true`: its receiver sleeps, and is to be rung.
    fn send(&mut self, message: &[u8]) -> Result<bool, LinkError>;

    /// Copies the next message and frees its room. `Ok(None)`: there is none now.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, LinkError>;

    /// Whether [`receive`](Self::receive) would answer something else than "none now".
    fn has_news(&self) -> bool;

    /// Says that this end is about to sleep until it is rung. `false`: something has come meanwhile, do not sleep.
    fn prepare_to_sleep(&mut self) -> bool;

    /// Says that this end is awake again.
    fn wake(&mut self);

    /// Nothing more will be sent from here.
    fn close(&mut self);
}
