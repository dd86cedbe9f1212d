//! Root as the custodian of frames that are in custody: the capabilities from which everything that `pages` gives out
//! derives are in root's own table. A range that is given has a slot of its own here, of which the holder's capability is the
//! only child: that it has none any more is how root sees that the holder has given it up, or has ended.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use core::cell::RefCell;
use fos_abi::boot::ROOT_TABLE_FRAMES;
use fos_abi::capability::{Handle, Rights};
use fos_abi::limits::SLOTS_PER_FRAME;
use fos_abi::mailbox::SHARE;
use fos_abi::{Error, Identity};
use fos_messages::custody::{CustodyDispatcher, CustodyInterface, CustodyNewsClient, RANGES_MAX, Range};
use fos_messages::rpc::wire::Unwritable;
use fos_messages::rpc::{
    Address, AnswerBody, Answered, CallError, Caller, Context, Envelope, Interface, Kind, Operation,
    Outgoing, Received, SendError, Serve, Served, Status, WriteBody,
};
use fos_root::custody::{Custodian, Hands, NotGiven, Service};
use libfos::calls;
use libfos::mailbox::Sender;

use crate::program::{PROGRAMS_MAX, SLOTS_PER_PROGRAM};

/// Ranges that may be held at once: each takes a slot of root's table. Programs need theirs, and root some of its own.
const GIVEN_MAX: usize =
    ROOT_TABLE_FRAMES * SLOTS_PER_FRAME - PROGRAMS_MAX * SLOTS_PER_PROGRAM - SLOTS_OF_ROOT;
/// Of these, what is kept for members of `pages`, who hold [`RANGES_MAX`] at a time, and as many again, while they zero them.
const LEASED: usize = 16 * RANGES_MAX;
/// Of the others, what one process may hold: as of the slots of a mailbox.
const SHARE_MAX: usize = (GIVEN_MAX - LEASED) / SHARE;
/// What root was given at boot, its mailboxes, and what it derives for a moment.
const SLOTS_OF_ROOT: usize = 64;

/// Frames in custody, with the capability of all of them.
#[derive(Debug)]
struct Part {
    range: Range,
    whole: Handle,
}

/// What root does for the custodian's table.
#[derive(Debug, Default)]
pub struct KernelHands {
    parts: Vec<Part>,
    /// The spaces of the processes that run, by identity.
    spaces: BTreeMap<u64, Handle>,
    given: usize,
}

impl KernelHands {
    /// A process that root started may be given frames.
    pub fn runs(&mut self, process: u64, space: Handle) {
        self.spaces.insert(process, space);
    }

    /// It has ended.
    pub fn ended(&mut self, process: u64) {
        self.spaces.remove(&process);
    }

    /// A slot for a range, and a capability of it in root's own table.
    fn derive(&self, range: Range) -> Result<(Handle, Handle), Error> {
        let holds = |part: &&Part| {
            part.range.first <= range.first
                && range.end().is_some_and(|end| part.range.end().is_some_and(|all| end <= all))
        };
        let part = self.parts.iter().find(holds).ok_or(Error::BadArgument)?;
        let slot = calls::cap_derive(part.whole, Rights::ALL, range.first - part.range.first, range.count)?;
        match calls::cap_derive(slot, Rights::ALL, 0, range.count) {
            Ok(child) => Ok((slot, child)),
            Err(error) => {
                calls::cap_delete(slot)?;
                Err(error)
            }
        }
    }
}

impl Hands for KernelHands {
    type Slot = Handle;

    fn is_running(&self, process: u64) -> bool {
        self.spaces.contains_key(&process)
    }

    fn room(&self, is_lease: bool) -> usize {
        let kept = if is_lease { 0 } else { LEASED };
        (GIVEN_MAX - kept).saturating_sub(self.given)
    }

    fn share(&self) -> usize {
        SHARE_MAX
    }

    fn give(&mut self, range: Range, process: u64) -> Result<(Handle, u32), NotGiven> {
        let space = *self.spaces.get(&process).ok_or(NotGiven::NoProcess)?;
        let (slot, child) = self.derive(range).map_err(|_| NotGiven::TooMany)?;
        match calls::cap_give(space, child) {
            Ok(there) => {
                self.given += 1;
                Ok((slot, there.0))
            }
            Err(error) => {
                // Neither has children, and nothing is mapped: both go.
                let _ = calls::cap_delete(child);
                let _ = calls::cap_delete(slot);
                Err(if error == Error::NoSlot { NotGiven::NoRoom } else { NotGiven::NoProcess })
            }
        }
    }

    fn is_home(&self, slot: &Handle) -> bool {
        calls::cap_read(*slot).is_ok_and(|info| info.children == 0)
    }

    fn take(&mut self, slot: &Handle) -> bool {
        let is_home = self.is_home(slot) || calls::cap_revoke(*slot).is_ok();
        let is_gone = is_home && calls::cap_delete(*slot).is_ok();
        self.given -= usize::from(is_gone);
        is_gone
    }

    fn tell(&mut self, news: &Address) {
        // Who has no room looks by itself.
        let _ = CustodyNewsClient::new(Poster, *news).orphans();
    }
}

/// Tells by mailbox; asks nobody, since root waits for no program.
struct Poster;

impl Caller for Poster {
    async fn call<T>(
        &self,
        _: &Address,
        _: &Operation,
        _: WriteBody<'_>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> T {
        read(Err(CallError::NotSent(SendError::Closed)))
    }

    fn post(&self, to: &Address, operation: &Operation, body: WriteBody<'_>) -> Result<(), SendError> {
        let mut message = Outgoing::default();
        body(message.end()).map_err(|Unwritable| SendError::Unwritable)?;
        let envelope = Envelope::to_ask(operation, Kind::Post);
        let sent = Sender::new(to.key).send(message.sealed(envelope.to_bytes()));
        sent.map(drop).map_err(|_| SendError::Closed)
    }
}

/// The custodian, and how it is asked.
pub struct Keeping {
    /// Which frames are with whom.
    pub custodian: Rc<RefCell<Custodian<KernelHands>>>,
    service: Rc<dyn Serve>,
}

impl core::fmt::Debug for Keeping {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.custodian.fmt(formatter)
    }
}

impl Keeping {
    /// Of these frames, never used before, each range with the capability of all of it.
    pub fn new(frames: Vec<(Range, Handle)>) -> Keeping {
        let ranges: Vec<Range> = frames.iter().map(|(range, _)| *range).collect();
        let parts = frames.into_iter().map(|(range, whole)| Part { range, whole }).collect();
        let mut custodian = Custodian::new(KernelHands { parts, ..KernelHands::default() });
        ranges.into_iter().for_each(|range| custodian.add(range, true));
        let custodian = Rc::new(RefCell::new(custodian));
        let service = CustodyDispatcher::new(Rc::new(Service(custodian.clone())));
        Keeping { custodian, service }
    }

    /// A process that root started may be given frames from now on.
    pub fn runs(&self, process: u64, space: Handle) {
        self.custodian.borrow_mut().hands.runs(process, space);
    }

    /// A process has ended, and its space with it.
    pub fn ended(&self, process: u64) {
        let mut custodian = self.custodian.borrow_mut();
        custodian.hands.ended(process);
        custodian.ended(Identity(process));
    }

    /// Does what a message asks, and answers it if it can be answered.
    pub fn asked(&self, sender: Identity, bytes: &[u8]) {
        let Some(Received { envelope, body, reply: Some(reply) }) = Envelope::read(bytes) else { return };
        if envelope.kind != Kind::Request {
            return;
        }
        let (status, mut body) = self.answer(sender, &envelope, body);
        let answer = Envelope { kind: Kind::Answer, status, version: CustodyInterface::VERSION, ..envelope };
        // Who asks has set room aside for the answer; who has not, goes without.
        let _ = Sender::new(Address::from_bytes(reply).key).send(body.sealed(answer.to_bytes()));
    }

    fn answer(&self, sender: Identity, envelope: &Envelope, body: &[u8]) -> (Status, Outgoing) {
        let nothing = Outgoing::default;
        if envelope.interface != CustodyInterface::ID {
            return (Status::Unknown, nothing());
        }
        if envelope.version != CustodyInterface::VERSION {
            return (Status::OtherVersion, nothing());
        }
        let context = Context { sender, badge: 0, epoch: 0 };
        match self.service.clone().serve(envelope.operation, context, body, nothing()) {
            Served::Answer(AnswerBody::Done(body)) => (Status::Done, body),
            Served::Answer(AnswerBody::Refused(body)) => (Status::Refused, body),
            Served::Answer(AnswerBody::Unsendable) => (Status::Unsendable, nothing()),
            Served::Unknown => (Status::Unknown, nothing()),
            Served::Malformed => (Status::Malformed, nothing()),
            // No operation of the interface redirects or waits.
            Served::Answer(AnswerBody::NotNow | AnswerBody::Redirected(_)) | Served::Task(_) => {
                (Status::NotNow, nothing())
            }
        }
    }
}
