//! How a member leaves: lets nobody in, sends clients to another, finishes what it has, hands on what others need, is counted out,
//! and ends when nobody has asked it anything for a while. Requests that were begun are not given up before the charter's time is
//! over. What it alone has is not given up at all: who does not take it has ended, and is found to have, or takes it later.

use super::admission::Door;
use super::charter::Event;
use super::member::{AGAIN_AFTER, Member};
use crate::Instant;
use alloc::rc::Rc;
use core::time::Duration;
use fos_messages::fleet::FleetPeersClient;
use fos_messages::names::{NameError, Path};
use fos_messages::rpc::CallError;

/// How long one try to be counted out may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// No client has asked for so long: those that knew of this member have been sent elsewhere.
const QUIET: Duration = Duration::from_millis(20);
/// Tries to take a registration back. It goes with the process in any case.
const TRIES: usize = 3;

impl Member {
    /// Begins to leave. [`Member::last`] says when it has left.
    pub fn leave(self: &Rc<Self>) {
        if self.admission.door() == Door::Leaving {
            return;
        }
        self.admission.set_door(Door::Leaving);
        self.tell(Event::Leaves);
        self.report();
        self.spawn(|member| async move {
            let deadline = member.now().after(member.terms.charter.drain_within);
            member.unregister(&member.terms.charter.name).await;
            let is_busy = || member.admission.meter.requests() > 0 && member.now() < deadline;
            let mut company_until = None;
            loop {
                while is_busy() || member.has_errands() {
                    member.runtime.sleep(AGAIN_AFTER).await;
                }
                match member.counted_out(&mut company_until).await {
                    true => break,
                    false => member.runtime.sleep(AGAIN_AFTER).await,
                }
            }
            member.unregister(&member.terms.members).await;
            let is_asked = || {
                let meter = &member.admission.meter;
                member.now().since(meter.last_arrival()) < QUIET || meter.requests() > 0
            };
            while is_asked() && member.now() < deadline {
                member.runtime.sleep(AGAIN_AFTER).await;
            }
            member.is_over.set(true);
        });
    }

    async fn unregister(&self, path: &Path) {
        for _ in 0..TRIES {
            match self.names.unregister(path).await {
                Ok(()) | Err(CallError::Refused(NameError::NotFound)) => return,
                Err(_) => self.runtime.sleep(AGAIN_AFTER).await,
            }
        }
    }

    /// Whether no other member counts this one in. Who is alone and has something for others waits for one, as long as the charter
    /// says; then the last one of all just goes.
    async fn counted_out(self: &Rc<Self>, company_until: &mut Option<Instant>) -> bool {
        if self.agreement.borrow().is_out() {
            return true;
        }
        let me = self.seat.identity();
        let coordinator = self.agreement.borrow().coordinator();
        let is_alone = self.agreement.borrow().living().len() <= 1;
        let until = company_until.get_or_insert_with(|| self.now().after(self.terms.charter.drain_within));
        self.is_closed.set(is_alone && (!self.hands_on() || self.now() >= *until));
        if !is_alone {
            *company_until = None;
        }
        match coordinator {
            None => true,
            // Perhaps somebody comes in: then there is more to hand on.
            Some(seat) if seat.identity() == me && self.is_changing.get() => false,
            Some(_) if is_alone => self.is_closed.get(),
            Some(seat) if seat.identity() == me => {
                self.going.borrow_mut().insert(me.0);
                self.change_soon();
                false
            }
            Some(seat) => {
                let coordinator = FleetPeersClient::new(self.within(LEAVE_WITHIN), seat.internal);
                coordinator.leave().await.is_ok()
            }
        }
    }
}
