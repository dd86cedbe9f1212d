//! One member of a fleet: what it knows, and the tasks that keep it one. Its life is in the files beside this one: `entering`,
//! `changing` the membership, `regulating` the fleet's size, `moving`, `leaving`; `service` is what it is asked meanwhile.

use super::admission::{Admission, Admitted};
use super::agreement::Agreement;
use super::charter::{Charter, CharterError, Event, Terms};
use super::gate::Gated;
use super::growth::Growth;
use super::leavers::Leavers;
use super::meter::Waiting;
use super::moving::Move;
use super::roster::Roster;
use super::service::{Inside, Outside, Proposal};
use crate::load::Histogram;
use crate::port::Class;
use crate::{Instant, Names, Priority, Runtime, Within};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::fleet::{Figure, FleetDispatcher, FleetPeersDispatcher, Seat, Standing};
use fos_messages::names::{Entry, NameError};
use fos_messages::rpc::{Address, CallError, Interface, Serve};

/// How long to wait before something is looked at or tried again.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// A member that was started and has not come yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    /// None until it is known.
    pub identity: Option<Identity>,
    /// Until when it is waited for.
    pub until: Instant,
}

type Errand = alloc::boxed::Box<dyn Fn() -> bool>;

/// A process as a member of its fleet. See the module.
pub struct Member {
    pub(super) runtime: Runtime,
    pub(super) names: Rc<Names>,
    pub(super) terms: Terms,
    pub(super) seat: Seat,
    pub(super) growth: Rc<dyn Growth>,
    pub(super) admission: Rc<Admission>,
    pub(super) agreement: Rc<RefCell<Agreement>>,
    /// What is being proposed to it.
    pub(super) proposal: RefCell<Proposal>,
    /// What each member said last, this one included.
    pub(super) figures: RefCell<BTreeMap<u64, Figure>>,
    pub(super) watched: RefCell<BTreeSet<u64>>,
    pub(super) coming: RefCell<Vec<Seat>>,
    pub(super) going: RefCell<BTreeSet<u64>>,
    pub(super) leavers: RefCell<Leavers>,
    pub(super) is_changing: Cell<bool>,
    pub(super) awaited: Cell<Option<Awaited>>,
    /// Members that ended and are to be replaced.
    pub(super) lost: Cell<usize>,
    pub(super) moving: Cell<Option<Move>>,
    pub(super) is_over: Cell<bool>,
    /// It goes, and takes nobody in: what it has is not theirs.
    pub(super) is_closed: Cell<bool>,
    /// What is to be done before it leaves: each says whether there is still something.
    errands: RefCell<Vec<Errand>>,
    tell: alloc::boxed::Box<dyn Fn(Event)>,
}

impl Member {
    /// A process that is to be a member, at this place: machine and core. It is served from now on what a fleet is asked;
    /// [`Member::serve`] adds its service, [`Member::enter`] makes it a member, [`Member::open`] lets clients in.
    pub fn new(
        runtime: &Runtime,
        names: &Rc<Names>,
        charter: Charter,
        (machine, core): (u16, u16),
        growth: Rc<dyn Growth>,
        tell: impl Fn(Event) + 'static,
    ) -> Result<Rc<Member>, CharterError> {
        let terms = Terms::of(charter)?;
        let port = runtime.port();
        let (internal, external) = (port.address(Class::Internal), port.address(Class::External));
        let agreement = Rc::new(RefCell::new(Agreement::new(port.identity())));
        let member = Rc::new(Member {
            runtime: runtime.clone(),
            names: names.clone(),
            terms,
            seat: Seat { internal, external, machine, core, since: 0 },
            growth,
            admission: Rc::default(),
            agreement,
            proposal: RefCell::default(),
            figures: RefCell::default(),
            watched: RefCell::default(),
            coming: RefCell::default(),
            going: RefCell::default(),
            leavers: RefCell::default(),
            is_changing: Cell::default(),
            awaited: Cell::default(),
            lost: Cell::default(),
            moving: Cell::default(),
            is_over: Cell::default(),
            is_closed: Cell::default(),
            errands: RefCell::default(),
            tell: alloc::boxed::Box::new(tell),
        });
        runtime.serve(Class::External, FleetDispatcher::new(Rc::new(Outside(member.clone()))));
        runtime.serve(Class::Internal, FleetPeersDispatcher::new(Rc::new(Inside(member.clone()))));
        Ok(member)
    }

    /// Serves an interface to clients, behind the fleet's door.
    pub fn serve<I: Interface + 'static>(&self, service: Rc<dyn Serve>) {
        let admitted = Admitted::<I>::new(self.admission.clone(), self.runtime.clone(), service);
        self.runtime.serve(Class::External, admitted);
    }

    /// Serves an interface to the other members, behind the fleet's gate: it hears members of the epoch in force, who send
    /// under it, and nobody else.
    pub fn serve_members(&self, service: Rc<dyn Serve>) {
        self.runtime.serve(Class::Internal, Rc::new(Gated { agreement: self.agreement.clone(), service }));
    }

    /// The roster in which this member may act now. None while it is none, and while the members change.
    pub fn roster(&self) -> Option<Roster> {
        self.agreement.borrow().roster().cloned()
    }

    /// Those who are members or may be, and live as far as this member knows, itself included: also while the members change.
    pub fn living(&self) -> Vec<Seat> {
        self.agreement.borrow().living()
    }

    /// Calls to other members, under the epoch in force: those who have gone on, or are not there yet, say `NotNow`.
    pub fn within(&self, time: Duration) -> Within {
        let epoch = self.agreement.borrow().roster().map_or(0, |roster| roster.epoch().0);
        self.runtime.within(time).under(epoch)
    }

    /// A request that this member has let in waits for others until the answer is dropped: that is no load of this member's.
    pub fn waits(&self) -> Waiting {
        self.admission.meter.waits(&self.runtime)
    }

    /// Where clients find who has what this number stands for, for [`Redirected`](fos_messages::rpc::Instead::Redirected);
    /// none if it is this member, or not known now.
    pub fn owner_elsewhere(&self, of: u64) -> Option<Address> {
        let agreement = self.agreement.borrow();
        let owner = agreement.roster()?.owner(of)?;
        (owner.identity() != self.seat.identity()).then_some(owner.external)
    }

    /// Who coordinates the fleet, as far as is known here.
    pub fn coordinator(&self) -> Option<Seat> {
        self.agreement.borrow().coordinator()
    }

    /// How the fleet stands.
    pub fn standing(&self) -> Standing {
        let agreement = self.agreement.borrow();
        let coordinator = agreement.coordinator().map_or(0, |seat| seat.identity().0);
        match agreement.roster() {
            Some(roster) => {
                let (epoch, members) = (roster.epoch().0, roster.seats().len() as u32);
                Standing { epoch, members, coordinator }
            }
            None => Standing { epoch: 0, members: 0, coordinator },
        }
    }

    /// What this member measured last of itself.
    pub fn figure(&self) -> Figure {
        self.figures.borrow().get(&self.seat.identity().0).copied().unwrap_or_default()
    }

    /// How many requests took how long.
    pub fn histogram(&self) -> Histogram {
        self.admission.meter.histogram()
    }

    /// When it leaves, it goes on being a member as long as this is so, however long that is: for what it has to hand on to the
    /// others, who may first have to find that one of them has ended.
    pub fn stay_while(&self, is_needed: impl Fn() -> bool + 'static) {
        self.errands.borrow_mut().push(alloc::boxed::Box::new(is_needed));
    }

    /// Whether it may have something for the others when it leaves.
    pub(super) fn hands_on(&self) -> bool {
        !self.errands.borrow().is_empty()
    }

    pub(super) fn has_errands(&self) -> bool {
        self.errands.borrow().iter().any(|is_needed| is_needed())
    }

    /// Whether this member has left: also before it let clients in, when the fleet did not need it any more.
    pub fn has_left(&self) -> bool {
        self.is_over.get()
    }

    /// Waits until this member has left.
    pub async fn last(&self) {
        while !self.has_left() {
            self.runtime.sleep(AGAIN_AFTER * 5).await;
        }
    }

    pub(super) async fn register(
        &self,
        path: &fos_messages::names::Path,
    ) -> Result<(), CallError<NameError>> {
        let Seat { external: address, machine, core, .. } = self.seat;
        let entry = Entry { address, machine, core, metadata: Vec::new() };
        match self.names.register(path, self.terms.charter.key, &entry).await {
            // An earlier try was done after all.
            Ok(()) | Err(CallError::Refused(NameError::Exists)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.runtime.port().now()
    }

    pub(super) fn tell(&self, event: Event) {
        (self.tell)(event);
    }

    /// Adds a task that ends with this member.
    pub(super) fn spawn<F: Future<Output = ()> + 'static>(self: &Rc<Self>, task: impl FnOnce(Rc<Self>) -> F) {
        self.runtime.spawn(Priority::Normal, task(self.clone()));
    }

    /// The other members of the epoch in force.
    pub fn others(&self) -> Vec<Seat> {
        let agreement = self.agreement.borrow();
        let seats = agreement.roster().map(Roster::seats).unwrap_or_default();
        seats.iter().filter(|seat| seat.identity() != self.seat.identity()).copied().collect()
    }

    pub(super) fn is_coordinator(&self) -> bool {
        self.agreement.borrow().is_coordinator()
    }
}
