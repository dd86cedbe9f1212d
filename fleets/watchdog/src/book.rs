//! The watchdog's table at every member, and what a member does about it: looks at the clock, asks who is silent, has root end
//! who does not answer, starts a first member where none is left.
//!
//! A charge is acknowledged when every member of an epoch in force has it, as in `apps/demo/src/notes.rs`; a newcomer fetches
//! the table from one that has all of it. Beats are not copied: they go to every member.

use crate::server::{Server, Task};
use crate::thresholds::{ASK_AGAIN_AFTER, FENCED_WITHIN, LOOK_EVERY};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::image::Policy;
use fos_messages::names::Path;
use fos_messages::programs::ProgramsClient;
use fos_messages::rpc::{Address, CallError, SendError, broadcast};
use fos_messages::watchdog::{Charge, Incomplete, MindedClient, WatchdogPeersClient};
use fos_runtime::fleet::{Member, Seat};
use fos_runtime::{Instant, Priority, Runtime, Within};

/// How long another member may take for a copy or a page.
const COPY_WITHIN: Duration = Duration::from_millis(500);
/// How long to wait before others are asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);
/// How often copies are tried before who asks is told to ask again.
const TRIES: usize = 100;

/// What a member of the watchdog tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process neither said that it lives nor answered: it is being ended.
    Silent(Charge),
    /// It has been ended.
    Fenced(Charge),
    /// Root did not end it.
    NotFenced(Charge),
    /// A fleet of which nobody was left has been given a first member.
    Started(Identity),
    /// So many members of a fleet have ended of late that it is given no more.
    Failing(Path),
    /// A fleet has refused a request at which two of its members had ended.
    Poisoned(Path),
}

/// One member of the watchdog.
pub struct Book {
    /// Its runtime.
    pub runtime: Runtime,
    /// As a member of its fleet.
    pub member: Rc<Member>,
    /// What it knows.
    pub server: RefCell<Server>,
    root: ProgramsClient<Within>,
    tell: Rc<dyn Fn(Event)>,
    has_all: Cell<bool>,
}

/// A change that all members are to hear.
#[derive(Clone, Debug)]
pub enum Change {
    /// One more is looked after.
    Keep(Charge),
    /// One is not any more.
    Forget(Identity),
}

impl Book {
    /// An empty one.
    pub fn new(
        runtime: &Runtime,
        member: &Rc<Member>,
        root: ProgramsClient<Within>,
        policies: Vec<Policy>,
        tell: Rc<dyn Fn(Event)>,
    ) -> Rc<Book> {
        let server = RefCell::new(Server::new(runtime.port().identity(), policies));
        let (runtime, member, has_all) = (runtime.clone(), member.clone(), Cell::default());
        Rc::new(Book { runtime, member, server, root, tell, has_all })
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.runtime.port().now()
    }

    /// Whether all are known that were acknowledged before this member came.
    pub fn has_all(&self) -> bool {
        self.has_all.get()
    }

    /// Tells.
    pub fn tell(&self, event: Event) {
        (self.tell)(event);
    }

    /// Makes a change here.
    pub fn change(self: &Rc<Self>, change: Change) {
        match change {
            Change::Keep(charge) => self.keep(charge),
            Change::Forget(identity) => self.server.borrow_mut().forget(identity),
        }
    }

    fn keep(self: &Rc<Self>, charge: Charge) {
        if !self.server.borrow_mut().keep(charge.clone(), self.now()) {
            return;
        }
        let book = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            book.runtime.outlive(&charge.internal).await;
            let path = book.server.borrow().fleet_of(charge.identity());
            book.server.borrow_mut().ended(charge.identity(), book.now());
            if let Some(path) = path {
                let state = book.server.borrow().state(&path, book.now());
                if state.is_ok_and(|state| state.is_failing) {
                    book.tell(Event::Failing(path));
                }
            }
        });
    }

    /// Makes a change at every member of an epoch. False: it is not certain that all know it.
    pub async fn spread(self: &Rc<Self>, change: Change) -> bool {
        self.change(change.clone());
        for _ in 0..TRIES {
            if self.tell_others(&change).await {
                return self.has_all.get();
            }
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        false
    }

    async fn tell_others(&self, change: &Change) -> bool {
        let Some(others) = self.others() else { return false };
        let caller = self.member.within(COPY_WITHIN);
        let told = broadcast(&others, |to| {
            let (peer, change) = (WatchdogPeersClient::new(caller.clone(), to), change.clone());
            async move {
                match change {
                    Change::Keep(charge) => peer.keep(charge).await,
                    Change::Forget(identity) => peer.forget(identity.0).await,
                }
            }
        });
        told.await.into_iter().all(|(_, told)| match told {
            // It has ended: it needs to know nothing.
            Ok(()) | Err(CallError::PeerLost | CallError::NotSent(SendError::Closed)) => true,
            Err(_) => false,
        })
    }

    /// The other members, if there is an epoch in force.
    fn others(&self) -> Option<Vec<Address>> {
        let (roster, me) = (self.member.roster()?, self.runtime.port().identity());
        let others = roster.seats().iter().filter(|seat| seat.identity() != me);
        Some(others.map(|seat| seat.internal).collect())
    }

    /// Gets the table from a member that has all of it. If none is left that does, none was acknowledged.
    pub async fn fetch(self: &Rc<Self>) {
        // Who was sent away before it had them needs none, and nobody tells it any.
        while !self.member.has_left() && !self.fetch_from_any().await {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        self.has_all.set(!self.member.has_left());
    }

    async fn fetch_from_any(self: &Rc<Self>) -> bool {
        let Some(others) = self.others() else { return false };
        let mut all_lack_some = true;
        for other in others {
            match self.fetch_from(other).await {
                Ok(()) => return true,
                Err(CallError::Refused(Incomplete)) => {}
                Err(_) => all_lack_some = false,
            }
        }
        all_lack_some && self.member.standing().coordinator == self.runtime.port().identity().0
    }

    async fn fetch_from(self: &Rc<Self>, other: Address) -> Result<(), CallError<Incomplete>> {
        let peer = || WatchdogPeersClient::new(self.member.within(COPY_WITHIN), other);
        let mut after = 0;
        loop {
            let page = peer().page(after).await?;
            let Some(last) = page.last() else { break };
            after = last.identity().0;
            page.into_iter().for_each(|charge| self.keep(charge));
        }
        let fleets = self.server.borrow().fleet_count();
        for fleet in 0..fleets {
            // Without them a fleet that fails is given a few members more.
            if let Ok(ages) = peer().ends(fleet).await {
                self.server.borrow_mut().hear_ends(fleet, &ages, self.now());
            }
        }
        Ok(())
    }

    /// Looks until the member has left.
    pub async fn look(self: Rc<Self>) {
        loop {
            let living: Vec<Identity> = self.member.living().iter().map(Seat::identity).collect();
            let tasks = self.server.borrow_mut().look(self.now(), &living);
            for task in tasks {
                let book = self.clone();
                self.runtime.spawn(Priority::Normal, async move { book.act(task).await });
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    async fn act(&self, task: Task) {
        match task {
            Task::Ask(charge, within) => self.ask(charge, within).await,
            Task::Start(order) => {
                // If root does not, another is started when this one should have come.
                if let Ok(started) = self.root.start(&order).await {
                    self.tell(Event::Started(Identity(started.identity)));
                }
            }
        }
    }

    async fn ask(&self, charge: Charge, within: Duration) {
        let (identity, deadline) = (charge.identity(), self.now().after(within));
        loop {
            let left = deadline.since(self.now());
            match MindedClient::new(self.runtime.within(left), charge.internal).ping().await {
                Ok(()) => return self.server.borrow_mut().answered(identity, self.now()),
                // It has ended, which its watch tells too: but one that began when its core had just failed may never do so.
                Err(CallError::PeerLost | CallError::NotSent(SendError::Closed)) => {
                    return self.server.borrow_mut().ended(identity, self.now());
                }
                Err(_) if self.now() >= deadline => break,
                Err(_) => self.runtime.sleep(ASK_AGAIN_AFTER).await,
            }
        }
        let is_to_end = self.server.borrow_mut().silent(identity, self.now());
        if is_to_end {
            self.fence(charge).await;
        }
    }

    async fn fence(&self, charge: Charge) {
        self.tell(Event::Silent(charge.clone()));
        let is_done = self.root.fence(charge.identity().0).await.is_ok();
        self.server.borrow_mut().fenced(charge.identity(), is_done);
        self.tell(if is_done { Event::Fenced(charge) } else { Event::NotFenced(charge) });
    }
}

/// Calls to root that may take as long as a core takes to be given up.
pub fn patient(runtime: &Runtime) -> Within {
    runtime.within(FENCED_WITHIN)
}
