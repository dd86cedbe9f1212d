//! The replica among its peers: what it wants sent goes out as messages, what it answers wakes whoever asked, and the
//! deaths of its peers are told to it. Nobody here waits for a peer: what finds no room waits in an outbox, in order,
//! until there is some or the peer has ended.

use crate::record::{Map, Place, Record, peer, peers};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, Ref, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use fos_messages::names::NamePeersInterface;
use fos_messages::rpc::{Address, Interface, Operation, wire};
use fos_replicated_map::{
    Answer, Identity, Input, Limits, Member, Membership, Message, Operation as Change, Outcome, Output,
    Refusal, Replica, Request, Stop, Update, Version,
};
use fos_runtime::stream::{Inbox, Outbox};
use fos_runtime::{Priority, Runtime};

/// How often a member looks over a piece of its map, and the maps are compared though nothing changes.
pub const AUDIT_EVERY: Duration = Duration::from_secs(1);
/// A replica's tick.
pub const TICK: Duration = Duration::from_millis(25);
/// A change that changes nothing: nobody is this member.
const NOTHING: Change<Place, Record> = Change::Remove { key: Place::Peer(u16::MAX, u32::MAX), version: None };
/// The operation by which members write to each other.
const SAY: &Operation = &NamePeersInterface::OPERATIONS[0];

/// What a replica tells its own server.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// This place has, or has no longer, a record, since this version.
    Changed(&'a Place, bool, Version),
    /// An epoch began.
    Began,
    /// This member is none any more and answers nothing: its process should end, so that the others need not wait for it.
    Stopped,
}

/// Who is told of events, in the middle of a step: it must not ask the replica for anything at once.
pub type Listener = dyn Fn(Event<'_>);

enum Waiting {
    For(Option<Waker>),
    Got(Answer<Record>),
}

impl Waiting {
    /// The first answer counts.
    fn get(&mut self, answer: &Answer<Record>) {
        if let Waiting::For(waker) = self {
            let waker = waker.take();
            *self = Waiting::Got(answer.clone());
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// One member's replica.
pub struct Replication {
    runtime: Runtime,
    outbox: Rc<Outbox>,
    inbox: RefCell<Inbox>,
    replica: RefCell<Replica<Place, Record>>,
    /// Members that introduced themselves and are not in the map yet.
    introduced: RefCell<BTreeMap<Member, Address>>,
    watched: RefCell<Vec<Member>>,
    /// Who waits for what came of a change. A client that asks again while the first try waits has two tickets for one.
    waiting: RefCell<BTreeMap<(Identity, Request, u64), Waiting>>,
    last_ticket: Cell<u64>,
    next_own_request: Cell<u64>,
    listener: RefCell<Option<Rc<Listener>>>,
    has_stopped: Cell<bool>,
    has_diverged: Cell<bool>,
    is_ticking: Cell<bool>,
    is_auditing: Cell<bool>,
}

impl Replication {
    /// The first member of a fleet.
    pub fn first(runtime: Runtime, me: Member, limits: Limits) -> Rc<Replication> {
        let membership = Membership::first([me].into(), me.machine);
        Replication::new(runtime, Replica::new(me, membership, limits))
    }

    /// A member that joins others, whose addresses it was given.
    pub fn joining(
        runtime: Runtime,
        me: Member,
        sponsors: &[(Member, Address)],
        limits: Limits,
    ) -> Rc<Replication> {
        let names: Vec<Member> = sponsors.iter().map(|sponsor| sponsor.0).collect();
        let mut outputs = Vec::new();
        let replication = Replication::new(runtime, Replica::join(me, &names, limits, &mut outputs));
        sponsors.iter().for_each(|(member, address)| replication.introduce(*member, *address));
        replication.perform(outputs);
        replication.tick_while_wanted();
        replication
    }

    fn new(runtime: Runtime, replica: Replica<Place, Record>) -> Rc<Replication> {
        Rc::new(Replication {
            outbox: Outbox::new(runtime.clone(), SAY),
            runtime,
            inbox: RefCell::default(),
            replica: RefCell::new(replica),
            introduced: RefCell::default(),
            watched: RefCell::default(),
            waiting: RefCell::default(),
            last_ticket: Cell::new(0),
            next_own_request: Cell::new(1),
            listener: RefCell::default(),
            has_stopped: Cell::new(false),
            has_diverged: Cell::new(false),
            is_ticking: Cell::new(false),
            is_auditing: Cell::new(false),
        })
    }

    /// Who is told of events from now on.
    pub fn tell(&self, listener: Rc<Listener>) {
        *self.listener.borrow_mut() = Some(listener);
    }

    /// What it runs in.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Its own member name.
    pub fn me(&self) -> Member {
        self.replica.borrow().me()
    }

    /// The map, if a client that has seen `seen` may be answered from it.
    pub fn read(&self, seen: u64) -> Result<Ref<'_, Map>, Refusal> {
        if self.has_stopped() {
            return Err(Refusal::Stopped);
        }
        let replica = self.replica.borrow();
        replica.may_read(Version(seen))?;
        Ok(Ref::map(replica, Replica::store))
    }

    /// The epoch's members.
    pub fn membership(&self) -> Membership {
        self.replica.borrow().membership().clone()
    }

    /// Whether the others went on without this member: its process should end.
    pub fn has_stopped(&self) -> bool {
        self.has_stopped.get()
    }

    /// Whether it stopped because its map is not the others'.
    pub fn has_diverged(&self) -> bool {
        self.has_diverged.get()
    }

    /// A member that may write and be written to although it is not in the map yet.
    pub fn introduce(self: &Rc<Self>, member: Member, address: Address) {
        self.introduced.borrow_mut().insert(member, address);
        self.watch(member, address);
    }

    /// A fragment of what a member says. Who it is follows from the identity that is stamped on it, and strangers are
    /// not heard: nothing is kept of what they send.
    pub fn hear(self: &Rc<Self>, sender: fos_abi::Identity, fragment: &[u8]) {
        let Some(from) = self.member_of(sender) else { return };
        let whole = self.inbox.borrow_mut().take(sender, fragment);
        if let Some(message) =
            whole.and_then(|bytes| wire::whole(&bytes, wire::read::<Message<Place, Record>>))
        {
            self.input(Input::Message { from, message });
        }
    }

    fn member_of(&self, sender: fos_abi::Identity) -> Option<Member> {
        let introduced =
            self.introduced.borrow().iter().find(|(_, at)| at.identity == sender).map(|found| *found.0);
        introduced.or_else(|| {
            let replica = self.replica.borrow();
            let found = peers(replica.store()).find(|peer| peer.address.identity == sender)?;
            Some(Member::new(found.machine, found.number))
        })
    }

    /// Where a member is written to.
    pub fn address_of(&self, member: Member) -> Option<Address> {
        let known = self.introduced.borrow().get(&member).copied();
        known.or_else(|| peer(self.replica.borrow().store(), member.machine.0, member.number))
    }

    /// Asks for a change and waits until every member has it, or it is certain that it will not come about.
    pub async fn update(
        self: &Rc<Self>,
        client: Identity,
        request: Request,
        operation: Change<Place, Record>,
    ) -> Result<(Version, Outcome), Refusal> {
        if self.has_stopped() {
            return Err(Refusal::Stopped);
        }
        let ticket = self.last_ticket.get() + 1;
        self.last_ticket.set(ticket);
        let who = (client, request, ticket);
        self.waiting.borrow_mut().insert(who, Waiting::For(None));
        let answered = Answered { replication: self, who };
        self.input(Input::Update(Update { client, request, operation }));
        match answered.await {
            Answer::Updated { version, outcome } => Ok((version, outcome)),
            Answer::Refused(refusal) => Err(refusal),
            Answer::Found { .. } => Err(Refusal::NotServing),
        }
    }

    /// A change of the member's own making, under its own identity.
    pub async fn own_update(
        self: &Rc<Self>,
        operation: Change<Place, Record>,
    ) -> Result<(Version, Outcome), Refusal> {
        let request = self.next_own_request.replace(self.next_own_request.get() + 1);
        let me = Identity(self.runtime.port().identity().0);
        self.update(me, Request(request), operation).await
    }

    fn input(self: &Rc<Self>, input: Input<Place, Record>) {
        if self.has_stopped() {
            return;
        }
        let mut outputs = Vec::new();
        self.replica.borrow_mut().step(input, &mut outputs);
        self.perform(outputs);
        self.tick_while_wanted();
    }

    fn perform(self: &Rc<Self>, outputs: Vec<Output<Place, Record>>) {
        for output in outputs {
            match output {
                Output::Send { to, message } => self.send(to, message),
                Output::Answer { client, request, answer } => self.answer((client, request), answer),
                Output::Changed { version, key, present } => {
                    self.notify(Event::Changed(&key, present, version));
                }
                Output::Began(membership) => self.began(&membership),
                Output::Stopped(why) => {
                    self.has_diverged.set(why == Stop::Diverged);
                    self.stop();
                }
            }
        }
    }

    fn send(&self, to: Member, message: Message<Place, Record>) {
        let Some(address) = self.address_of(to) else { return };
        let mut bytes = Vec::new();
        let is_written = wire::write(&message, &mut bytes).is_ok();
        if !is_written || self.outbox.send(&address, &bytes).is_err() {
            // What is lost can't be said again: a member that went on would have others wait for what it never says.
            self.stop();
        }
    }

    /// Answers nothing any more, and whoever waits is told to ask another member.
    fn stop(&self) {
        if self.has_stopped.replace(true) {
            return;
        }
        for waiting in self.waiting.borrow_mut().values_mut() {
            waiting.get(&Answer::Refused(Refusal::Stopped));
        }
        self.notify(Event::Stopped);
    }

    fn answer(&self, (client, request): (Identity, Request), answer: Answer<Record>) {
        let tickets = (client, request, 0)..=(client, request, u64::MAX);
        for (_, waiting) in self.waiting.borrow_mut().range_mut(tickets) {
            waiting.get(&answer);
        }
    }

    fn notify(&self, event: Event<'_>) {
        let listener = self.listener.borrow().clone();
        if let Some(listener) = listener {
            listener(event);
        }
    }

    /// Watches the members of a new epoch that live on this machine; the others' deaths are the proxy's to tell.
    fn began(self: &Rc<Self>, membership: &Membership) {
        let me = self.replica.borrow().me();
        for member in
            membership.members.iter().filter(|member| **member != me && member.machine == me.machine)
        {
            if let Some(address) = self.address_of(*member) {
                self.watch(*member, address);
            }
        }
        self.notify(Event::Began);
        self.audit_while_in_company();
    }

    /// A member with others looks over its own map again and again; the first of them sees to it that all maps are
    /// compared though nothing changes.
    fn audit_while_in_company(self: &Rc<Self>) {
        if self.is_auditing.replace(true) {
            return;
        }
        let replication = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            let mut compared = Version(0);
            while !replication.has_stopped() && replication.membership().members.len() > 1 {
                replication.runtime.sleep(AUDIT_EVERY).await;
                replication.input(Input::Audit);
                let version = replication.replica.borrow().store().version();
                let is_first = replication.membership().members.first() == Some(&replication.me());
                if is_first && version == compared {
                    // What comes of it does not matter: votes for it carry the digests.
                    let _ = replication.own_update(NOTHING).await;
                }
                compared = replication.replica.borrow().store().version();
            }
            replication.is_auditing.set(false);
        });
    }

    fn watch(self: &Rc<Self>, member: Member, address: Address) {
        if self.watched.borrow().contains(&member) {
            return;
        }
        self.watched.borrow_mut().push(member);
        let replication = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            replication.runtime.outlive(&address).await;
            replication.watched.borrow_mut().retain(|watched| *watched != member);
            replication.introduced.borrow_mut().remove(&member);
            replication.inbox.borrow_mut().forget(address.identity);
            replication.input(Input::Died(member));
        });
    }

    fn tick_while_wanted(self: &Rc<Self>) {
        if self.is_ticking.get() || !self.replica.borrow().wants_ticks() {
            return;
        }
        self.is_ticking.set(true);
        let replication = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            while replication.replica.borrow().wants_ticks() && !replication.has_stopped() {
                replication.runtime.sleep(TICK).await;
                let mut outputs = Vec::new();
                replication.replica.borrow_mut().step(Input::Tick, &mut outputs);
                replication.perform(outputs);
            }
            replication.is_ticking.set(false);
        });
    }
}

/// An answer on its way.
struct Answered<'a> {
    replication: &'a Rc<Replication>,
    who: (Identity, Request, u64),
}

impl Future for Answered<'_> {
    type Output = Answer<Record>;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer<Record>> {
        let mut waiting = self.replication.waiting.borrow_mut();
        match waiting.get_mut(&self.who) {
            Some(Waiting::For(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => match waiting.remove(&self.who) {
                Some(Waiting::Got(answer)) => Poll::Ready(answer),
                _ => Poll::Ready(Answer::Refused(Refusal::NotServing)),
            },
        }
    }
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        self.replication.waiting.borrow_mut().remove(&self.who);
    }
}
