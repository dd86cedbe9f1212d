//! What a member does in each beat: measures itself, tells the others and naming when there is something new, and looks where
//! clients would be better off. The coordinator also looks at everybody's figures, and has the fleet grow and shrink.

use super::admission::Door;
use super::charter::Event;
use super::member::{Awaited, Member};
use super::regulator::{Advice, Regulator};
use crate::{Instant, Priority};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::fleet::{Figure, FleetError, FleetPeersClient, Seat};
use fos_messages::names::LoadFigure;

/// How often a member looks at itself.
const BEAT: Duration = Duration::from_millis(20);
/// How long a figure that has not changed is good for.
const REPORT_AT_LATEST: Duration = Duration::from_millis(500);
/// How long a member that was started may take to come.
const COMES_WITHIN: Duration = Duration::from_secs(5);
/// How long a post or a request to leave may take.
const TELL_WITHIN: Duration = Duration::from_millis(100);

/// How long messages lie before they are looked at: as long as a task of idle priority waits for its turn.
#[derive(Default)]
struct Lag {
    asked: Cell<Option<Instant>>,
    last: Cell<Duration>,
}

impl Lag {
    /// What the last probe found, or how long this one has waited already. Sends the next.
    fn look(self: &Rc<Self>, member: &Member) -> Duration {
        let now = member.now();
        if let Some(asked) = self.asked.get() {
            return now.since(asked);
        }
        self.asked.set(Some(now));
        let (lag, runtime) = (self.clone(), member.runtime.clone());
        member.runtime.spawn(Priority::Idle, async move {
            lag.last.set(runtime.port().now().since(now));
            lag.asked.set(None);
        });
        self.last.get()
    }
}

/// What was last told, and when.
#[derive(Clone, Copy, Default)]
struct Told {
    figure: Figure,
    at: Instant,
}

impl Told {
    /// Whether there is something new: another state, a wait that is another by a quarter and more than a beat's noise, or a
    /// figure that is too old.
    fn is_stale(&self, figure: &Figure, now: Instant) -> bool {
        let (old, new) = (self.figure.wait_nanoseconds, figure.wait_nanoseconds);
        let noise = BEAT.as_nanos() as u64 / 100;
        now.since(self.at) >= REPORT_AT_LATEST
            || (figure.is_open, figure.is_leaving) != (self.figure.is_open, self.figure.is_leaving)
            || old.abs_diff(new) > (old / 4).max(noise)
    }
}

impl Member {
    /// Beats until the member has left.
    pub(super) async fn regulate(self: Rc<Self>) {
        let mut regulator = self.terms.regulator;
        let (lag, mut told) = (Rc::<Lag>::default(), Told::default());
        while !self.is_over.get() {
            self.runtime.sleep(BEAT).await;
            let now = self.now();
            self.measure(now, lag.look(&self));
            let figure = self.figure();
            if told.is_stale(&figure, now) {
                told = Told { figure, at: now };
                self.report();
            }
            if self.looks_after_all() && self.roster().is_some() {
                self.look(&mut regulator, now);
            } else if !self.is_coordinator() {
                self.lost.set(0);
            }
        }
    }

    /// Whether it is this member that has the fleet grow and shrink. One that leaves is not, unless nobody else is there to whom it
    /// could hand on.
    fn looks_after_all(&self) -> bool {
        let is_last = || self.hands_on() && !self.is_closed.get() && self.living().len() <= 1;
        self.is_coordinator() && (self.admission.door() != Door::Leaving || is_last())
    }

    fn measure(&self, now: Instant, lag: Duration) {
        let own = Figure {
            is_open: self.admission.door() == Door::Open,
            is_leaving: self.admission.door() == Door::Leaving,
            ..self.admission.meter.figure(now, lag)
        };
        self.figures.borrow_mut().insert(self.seat.identity().0, own);
        self.steer();
    }

    /// Looks where clients would be better off.
    fn steer(&self) {
        let others: Vec<(Seat, Figure)> =
            self.others().into_iter().map(|seat| (seat, self.figure_of(seat.identity()))).collect();
        self.admission.steer(&self.figure(), &others, self.terms.charter.redirect_above);
    }

    pub(super) fn figure_of(&self, identity: Identity) -> Figure {
        self.figures.borrow().get(&identity.0).copied().unwrap_or_default()
    }

    /// Tells the others and naming how loaded this member is. What finds no room is lost: the next figure is newer.
    pub(super) fn report(&self) {
        let figure = Figure {
            is_open: self.admission.door() == Door::Open,
            is_leaving: self.admission.door() == Door::Leaving,
            ..self.figure()
        };
        let caller = self.within(TELL_WITHIN);
        for seat in self.others() {
            let _ = FleetPeersClient::new(caller.clone(), seat.internal).report(figure);
        }
        let Figure { wait_nanoseconds, service_nanoseconds, .. } = figure;
        let service = service_nanoseconds.max(1);
        let bounded = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let requests = bounded(wait_nanoseconds / service);
        self.names.report(LoadFigure { requests, service_nanoseconds: bounded(service) });
    }

    /// What another member says of itself.
    pub(super) fn hear_figure(&self, of: Identity, figure: Figure) {
        let before = self.figures.borrow_mut().insert(of.0, figure).unwrap_or_default();
        self.leavers.borrow_mut().heard_of(of);
        let has_opened = figure.is_open && !before.is_open;
        if let Some(roster) = self.roster().filter(|_| has_opened)
            && let Some(seat) = roster.find(of).copied()
            && seat.since > self.since()
        {
            self.admission.welcome(seat, roster, self.now());
        }
        if figure.is_leaving {
            self.admission.forget(of);
            self.steer();
        }
    }

    fn since(&self) -> u32 {
        let agreement = self.agreement.borrow();
        agreement.roster().and_then(|roster| roster.find(self.seat.identity())).map_or(0, |seat| seat.since)
    }

    /// As coordinator: looks at everybody's figures.
    fn look(self: &Rc<Self>, regulator: &mut Regulator, now: Instant) {
        if let Some(awaited) = self.awaited.get() {
            return self.wait_for(awaited, now);
        }
        if self.goes_on_moving(now) {
            return;
        }
        let roster = self.roster().unwrap_or_default();
        let is_staying = |seat: &&Seat| {
            !self.going.borrow().contains(&seat.identity().0) && !self.figure_of(seat.identity()).is_leaving
        };
        let staying: Vec<&Seat> = roster.seats().iter().filter(is_staying).collect();
        let figures: Vec<Figure> = staying.iter().map(|seat| self.figure_of(seat.identity())).collect();
        if staying.len() >= self.terms.charter.marks.members_max {
            // There is nobody to replace: what was lost was one too many, or another has come.
            self.lost.set(0);
        }
        let is_to_replace = self.lost.get() > 0;
        let advice = if is_to_replace { regulator.lost(now) } else { regulator.look(now, &figures) };
        match advice {
            Advice::Grow => {
                self.lost.set(self.lost.get().saturating_sub(1));
                self.spawn(|member| async move { _ = member.grow(None).await });
            }
            Advice::Shrink => self.shrink(&staying),
            Advice::Stay => {}
        }
    }

    fn wait_for(self: &Rc<Self>, awaited: Awaited, now: Instant) {
        if now < awaited.until {
            return;
        }
        self.awaited.set(None);
        self.tell(Event::DidNotGrow);
        if let Some(identity) = awaited.identity {
            self.spawn(|member| async move { member.growth.give_up(identity).await });
        }
    }

    /// Has one more member started.
    pub(super) async fn grow(self: &Rc<Self>, core: Option<u16>) -> Result<Identity, FleetError> {
        let until = self.now().after(COMES_WITHIN);
        self.awaited.set(Some(Awaited { identity: None, until }));
        let taken = self.agreement.borrow().living().iter().map(|seat| seat.core).collect();
        let Ok(identity) = self.growth.grow(core, taken).await else {
            self.awaited.set(None);
            self.tell(Event::DidNotGrow);
            return Err(FleetError::NotStarted);
        };
        self.tell(Event::Grows(identity));
        if !self.agreement.borrow().counts_in(identity) {
            self.awaited.set(Some(Awaited { identity: Some(identity), until }));
        } else {
            self.awaited.set(None);
        }
        self.spawn(|member| async move {
            member.growth.outlive(identity).await;
            // Only if it has not come: its end is then nobody else's to notice.
            if member.awaited.get().is_some_and(|awaited| awaited.identity == Some(identity)) {
                member.awaited.set(None);
                member.tell(Event::DidNotGrow);
            }
        });
        Ok(identity)
    }

    /// Has one of these leave, if one may be asked.
    fn shrink(self: &Rc<Self>, staying: &[&Seat]) {
        let figure = |seat: &&Seat| (seat.identity(), self.figure_of(seat.identity()));
        let figures: Vec<(Identity, Figure)> = staying.iter().map(figure).collect();
        let members_min = self.terms.charter.marks.members_min;
        let chosen = self.leavers.borrow().choose(&figures, members_min);
        if let Some(seat) = staying.iter().find(|seat| Some(seat.identity()) == chosen) {
            self.tell(Event::Shrinks(seat.identity()));
            self.drain(seat);
        }
    }

    /// Asks a member to leave, or leaves.
    pub(super) fn drain(self: &Rc<Self>, seat: &Seat) {
        let (identity, to) = (seat.identity(), seat.internal);
        if identity == self.seat.identity() {
            return self.leave();
        }
        self.leavers.borrow_mut().ask(identity);
        let caller = self.within(TELL_WITHIN);
        self.spawn(|member| async move {
            match FleetPeersClient::new(caller, to).drain().await {
                Ok(()) => member.leavers.borrow_mut().answered(identity, true),
                Err(error) if error.nothing_was_done() => {
                    member.leavers.borrow_mut().answered(identity, false);
                }
                // It may have heard it, or hear it late.
                Err(_) => {}
            }
        });
    }
}
