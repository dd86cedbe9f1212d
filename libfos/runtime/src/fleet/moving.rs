//! How a member is moved: one is started on the other core, and when it serves, the one in whose favour it came is asked to
//! leave, as by shrinking, until it does. While that is under way the fleet may have one member more than its charter allows, and
//! is not regulated. A coordinator that ends takes its moves with it: the next one finds a member too many and does without the
//! one that has least to do; whoever wanted the move asks again.

use super::charter::Event;
use super::member::Member;
use crate::Instant;
use alloc::rc::Rc;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::fleet::FleetError;

/// How long a member may take to come, to fetch what it needs, and to serve, and the other to begin to leave.
const MOVES_WITHIN: Duration = Duration::from_secs(20);
/// How often the one that is to leave is asked to, when the other serves, and how long it has for an answer.
const TRIES_MAX: u32 = 10;
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// A move under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    leaver: Identity,
    /// None until it is known.
    newcomer: Option<Identity>,
    until: Instant,
    /// How often the leaver was asked to leave.
    tries: u32,
    /// When it is asked next.
    next: Instant,
}

impl Member {
    /// As coordinator: has a member started on that core, in whose favour another is to leave.
    pub(super) async fn relocate(self: &Rc<Self>, leaver: Identity, core: u16) -> Result<(), FleetError> {
        if !self.agreement.borrow().counts_in(leaver) {
            return Err(FleetError::NoMember);
        }
        match self.moving.get() {
            Some(moving) if moving.leaver == leaver => return Ok(()),
            None if self.awaited.get().is_none() => {}
            _ => return Err(FleetError::Busy),
        }
        let (next, until) = (self.now(), self.now().after(MOVES_WITHIN));
        let moving = Move { leaver, newcomer: None, until, tries: 0, next };
        self.moving.set(Some(moving));
        let grown = self.grow(Some(core)).await;
        // The leaver may have ended meanwhile: then the newcomer is what replaces it.
        let is_wanted = self.moving.get().is_some_and(|moving| moving.leaver == leaver);
        if is_wanted {
            self.moving.set(grown.ok().map(|newcomer| Move { newcomer: Some(newcomer), ..moving }));
        }
        grown.map(|_| ())
    }

    /// Whether a member is being moved: looks how far that is.
    pub(super) fn goes_on_moving(self: &Rc<Self>, now: Instant) -> bool {
        let Some(moving) = self.moving.get() else { return false };
        let roster = self.roster().unwrap_or_default();
        let Some(newcomer) = moving.newcomer else { return true };
        let is_lost = self.awaited.get().is_none() && roster.find(newcomer).is_none();
        let leaver = roster.find(moving.leaver).copied();
        let leaver = leaver.filter(|leaver| !self.figure_of(leaver.identity()).is_leaving);
        let Some(seat) = leaver.filter(|_| !is_lost && now < moving.until && moving.tries < TRIES_MAX) else {
            self.moving.set(None);
            return false;
        };
        if self.figure_of(newcomer).is_open && now >= moving.next {
            if moving.tries == 0 {
                self.tell(Event::Moves { from: moving.leaver, to: newcomer });
            }
            let (tries, next) = (moving.tries + 1, now.after(ASKED_EVERY));
            self.moving.set(Some(Move { tries, next, ..moving }));
            self.drain(&seat);
        }
        true
    }

    /// A process has ended: whether it was being moved, so that who replaces it has been started.
    pub(super) fn was_moving(&self, ended: Identity) -> bool {
        let moving = self.moving.get().filter(|moving| moving.leaver == ended);
        self.moving.set(self.moving.get().filter(|moving| moving.leaver != ended));
        moving.is_some()
    }
}
