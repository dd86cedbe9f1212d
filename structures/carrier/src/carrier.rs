//! One data structure of one process: takes what is asked and said to its container, and does what that wants done.

use crate::switchboard::{Hears, Switchboard};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, Ref, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use fos_abi::Identity;
use fos_container::{Container, Effect, Effects, Epoch, Heard, Member, Roll, Statistics, Ticket};
use fos_messages::rpc::{Address, wire};
use fos_runtime::{Priority, Runtime};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A member and where it is written to by members.
pub type Seat = (Member, Address);

/// The structure answers nothing any more: this member was left out, or could not go on. Its process should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl core::fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("this member's data structure has stopped: the others have gone on without it")
    }
}

impl core::error::Error for Stopped {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Serving,
    Left,
    Stopped,
}

enum Waiting<A> {
    For(Option<Waker>),
    Got(A),
    /// Whoever asked waits no more.
    Abandoned,
}

type Owner<C> = Box<dyn Fn(<C as Container>::Question)>;
type Heir<C> = Box<dyn Fn(<C as Container>::Answer)>;
type Witness<C> = Box<dyn Fn(&<C as Container>::Answer)>;

/// One data structure of one process.
pub struct Carrier<C: Container> {
    switchboard: Rc<Switchboard>,
    number: u16,
    period: Duration,
    container: RefCell<C>,
    roll: RefCell<Roll<C::Message>>,
    addresses: RefCell<BTreeMap<Member, Address>>,
    /// Members of which the container knows that they are crowded.
    crowded: RefCell<BTreeSet<Member>>,
    waiting: RefCell<BTreeMap<Ticket, Waiting<C::Answer>>>,
    last_ticket: Cell<u64>,
    owner: RefCell<Option<Owner<C>>>,
    heir: RefCell<Option<Heir<C>>>,
    witness: RefCell<Option<Witness<C>>>,
    standing: Cell<Standing>,
    is_ticking: Cell<bool>,
}

impl<C: Container + 'static> Carrier<C>
where
    C::Message: Serialize + DeserializeOwned,
{
    /// Runs a container under a number that is its own in this process and the same at all members, with this period of its
    /// timer.
    pub fn new(switchboard: &Rc<Switchboard>, number: u16, period: Duration, container: C) -> Rc<Carrier<C>> {
        let carrier = Rc::new(Carrier {
            switchboard: switchboard.clone(),
            number,
            period,
            container: RefCell::new(container),
            roll: RefCell::default(),
            addresses: RefCell::default(),
            crowded: RefCell::default(),
            waiting: RefCell::default(),
            last_ticket: Cell::new(0),
            owner: RefCell::default(),
            heir: RefCell::default(),
            witness: RefCell::default(),
            standing: Cell::new(Standing::Serving),
            is_ticking: Cell::default(),
        });
        let hears: Rc<dyn Hears> = carrier.clone();
        switchboard.connect(number, Rc::downgrade(&hears));
        carrier
    }

    /// Who is asked what only the owner of the contents knows. It answers by a request, at once or later.
    pub fn set_owner(&self, owner: impl Fn(C::Question) + 'static) {
        *self.owner.borrow_mut() = Some(Box::new(owner));
    }

    /// Who gets an answer for which nobody waits any more, lest what it hands out be lost.
    pub fn set_heir(&self, heir: impl Fn(C::Answer) + 'static) {
        *self.heir.borrow_mut() = Some(Box::new(heir));
    }

    /// Who sees each answer in the very step that gives it: whoever asked runs later, and meanwhile others may be heard.
    pub fn set_witness(&self, witness: impl Fn(&C::Answer) + 'static) {
        *self.witness.borrow_mut() = Some(Box::new(witness));
    }

    /// The container. It must not be held while anything is awaited.
    pub fn container(&self) -> Ref<'_, C> {
        self.container.borrow()
    }

    /// What the container has done so far.
    pub fn statistics(&self) -> Statistics {
        self.container.borrow().statistics()
    }

    /// The epoch that has begun here, and its members.
    pub fn seats(&self) -> (Epoch, Vec<Seat>) {
        let seats = self.addresses.borrow().iter().map(|(member, address)| (*member, *address)).collect();
        (self.roll.borrow().epoch(), seats)
    }

    /// What it runs in.
    pub fn runtime(&self) -> &Runtime {
        self.switchboard.runtime()
    }

    /// Asks the container, and waits for its answer.
    pub async fn ask(self: &Rc<Self>, request: C::Request) -> Result<C::Answer, Stopped> {
        let ticket = self.tell(request)?;
        Answered { carrier: self, ticket }.await
    }

    /// Tells the container something for whose answer nobody waits.
    pub fn post(self: &Rc<Self>, request: C::Request) -> Result<(), Stopped> {
        let ticket = self.tell(request)?;
        self.abandon(ticket);
        Ok(())
    }

    fn tell(self: &Rc<Self>, request: C::Request) -> Result<Ticket, Stopped> {
        if self.has_stopped() {
            return Err(Stopped);
        }
        let ticket = Ticket(self.last_ticket.get() + 1);
        self.last_ticket.set(ticket.0);
        self.waiting.borrow_mut().insert(ticket, Waiting::For(None));
        self.step(|container, effects| container.ask(ticket, request, effects));
        Ok(ticket)
    }

    /// An epoch has begun with these members, whoever has been one longest first.
    pub fn begin(self: &Rc<Self>, epoch: Epoch, seats: &[Seat]) {
        let members: Vec<Member> = seats.iter().map(|(member, _)| *member).collect();
        if !self.roll.borrow_mut().begin(epoch, &members) {
            return;
        }
        let me = self.container.borrow().me();
        let before = self.addresses.replace(seats.iter().copied().collect());
        for (member, address) in seats.iter().filter(|(member, _)| *member != me) {
            if !before.contains_key(member) {
                self.watch(*member, *address);
            }
        }
        self.crowded.borrow_mut().retain(|member| members.contains(member));
        self.step(|container, effects| container.epoch(epoch, &members, effects));
        let released = self.roll.borrow_mut().released();
        for (from, message) in released {
            self.step(|container, effects| container.hear(from, message, effects));
        }
    }

    fn watch(self: &Rc<Self>, member: Member, address: Address) {
        let carrier = self.clone();
        self.runtime().spawn(Priority::Normal, async move {
            carrier.runtime().outlive(&address).await;
            carrier.switchboard.forget(address.identity);
            carrier.step(|container, effects| container.died(member, effects));
        });
    }

    /// Gives up everything that the others can have. [`Carrier::has_left`] says when that is done.
    pub fn leave(self: &Rc<Self>) {
        self.step(Container::leave);
    }

    /// Whether nothing here is missed when the process ends.
    pub fn has_left(&self) -> bool {
        self.standing.get() != Standing::Serving
    }

    /// Whether the others have gone on without it.
    pub fn has_stopped(&self) -> bool {
        self.standing.get() == Standing::Stopped
    }

    /// Whether an epoch has begun without this member. If it stopped and was not left out, it could not go on by itself.
    pub fn was_left_out(&self) -> bool {
        let me = self.container.borrow().me();
        self.roll.borrow().epoch() > Epoch(0) && !self.addresses.borrow().contains_key(&me)
    }

    fn step(self: &Rc<Self>, step: impl FnOnce(&mut C, &mut Effects<C>)) {
        if self.has_stopped() {
            return;
        }
        let mut effects = Vec::new();
        step(&mut self.container.borrow_mut(), &mut effects);
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.send(to, message),
                Effect::Answer { ticket, answer } => self.answer(ticket, answer),
                Effect::Question(question) => {
                    if let Some(owner) = &*self.owner.borrow() {
                        owner(question);
                    }
                }
                Effect::Left => self.standing.set(Standing::Left),
                Effect::Returned => self.standing.set(Standing::Serving),
                Effect::Stopped => self.stop(),
            }
        }
        self.tell_of_crowds();
        self.tick_while_wanted();
    }

    /// Tells the container who is crowded and who is not any more: after what a step wanted done, never in between.
    fn tell_of_crowds(self: &Rc<Self>) {
        let changed = |(member, address): (&Member, &Address)| {
            let is_crowded = self.switchboard.is_crowded(address);
            (is_crowded != self.crowded.borrow().contains(member)).then_some((*member, is_crowded))
        };
        if self.switchboard.held() == 0 && self.crowded.borrow().is_empty() {
            return;
        }
        let changed: Vec<(Member, bool)> = self.addresses.borrow().iter().filter_map(changed).collect();
        for (member, is_crowded) in changed {
            match is_crowded {
                true => _ = self.crowded.borrow_mut().insert(member),
                false => _ = self.crowded.borrow_mut().remove(&member),
            }
            self.step(|container, effects| container.crowded(member, is_crowded, effects));
        }
    }

    /// To who has ended nothing is sent; who has no room is waited for, by the message and nothing else.
    fn send(&self, to: Member, message: C::Message) {
        let address = self.addresses.borrow().get(&to).copied();
        let Some(address) = address else { return };
        let epoch = self.roll.borrow().epoch();
        if self.switchboard.send(self.number, &address, &(epoch, message)).is_err() {
            // Too long for any member, or unwritable: one that went on would have others wait for what it never says.
            self.stop();
        }
    }

    fn stop(&self) {
        self.standing.set(Standing::Stopped);
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        for waiting in waiting.into_values() {
            if let Waiting::For(Some(waker)) = waiting {
                waker.wake();
            }
        }
    }

    fn answer(&self, ticket: Ticket, answer: C::Answer) {
        if let Some(witness) = &*self.witness.borrow() {
            witness(&answer);
        }
        let mut waiting = self.waiting.borrow_mut();
        match waiting.get_mut(&ticket) {
            Some(Waiting::For(waker)) => {
                let waker = waker.take();
                waiting.insert(ticket, Waiting::Got(answer));
                waker.into_iter().for_each(Waker::wake);
            }
            Some(Waiting::Abandoned) => {
                waiting.remove(&ticket);
                drop(waiting);
                self.inherit(answer);
            }
            Some(Waiting::Got(_)) | None => {}
        }
    }

    fn tick_while_wanted(self: &Rc<Self>) {
        let is_wanted = |carrier: &Self| !carrier.has_stopped() && carrier.container.borrow().wants_ticks();
        if self.is_ticking.get() || !is_wanted(self) {
            return;
        }
        self.is_ticking.set(true);
        let carrier = self.clone();
        self.runtime().spawn(Priority::Normal, async move {
            while is_wanted(&carrier) {
                carrier.runtime().sleep(carrier.period).await;
                carrier.step(Container::tick);
            }
            carrier.is_ticking.set(false);
        });
    }
}

impl<C: Container + 'static> Hears for Carrier<C>
where
    C::Message: Serialize + DeserializeOwned,
{
    fn hear(self: Rc<Self>, from: Identity, message: &[u8]) {
        let read = wire::whole(message, wire::read::<(Epoch, C::Message)>);
        let Some((sent, message)) = read else { return };
        let from = Member(from.0);
        let heard = self.roll.borrow_mut().hear(from, sent, message);
        match heard {
            Heard::Now(message) => self.step(|container, effects| container.hear(from, message, effects)),
            Heard::Later | Heard::Never => {}
            Heard::Overrun => self.stop(),
        }
    }

    fn has_room(self: Rc<Self>) {
        self.tell_of_crowds();
    }
}

/// An answer on its way.
struct Answered<'a, C: Container> {
    carrier: &'a Carrier<C>,
    ticket: Ticket,
}

impl<C: Container> Future for Answered<'_, C> {
    type Output = Result<C::Answer, Stopped>;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = self.carrier.waiting.borrow_mut();
        match waiting.get_mut(&self.ticket) {
            Some(Waiting::For(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => match waiting.remove(&self.ticket) {
                Some(Waiting::Got(answer)) => Poll::Ready(Ok(answer)),
                // Taken away when the structure stopped.
                _ => Poll::Ready(Err(Stopped)),
            },
        }
    }
}

impl<C: Container> Drop for Answered<'_, C> {
    fn drop(&mut self) {
        self.carrier.abandon(self.ticket);
    }
}

impl<C: Container> Carrier<C> {
    /// Nobody waits for this answer any more. None is left if it was taken.
    fn abandon(&self, ticket: Ticket) {
        let mut waiting = self.waiting.borrow_mut();
        match waiting.remove(&ticket) {
            Some(Waiting::For(_)) => _ = waiting.insert(ticket, Waiting::Abandoned),
            Some(Waiting::Got(answer)) => {
                drop(waiting);
                self.inherit(answer);
            }
            Some(Waiting::Abandoned) | None => {}
        }
    }

    fn inherit(&self, answer: C::Answer) {
        if let Some(heir) = &*self.heir.borrow() {
            heir(answer);
        }
    }
}
