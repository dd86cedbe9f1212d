//! How a member leaves: lets nobody in, sends clients to another, finishes what it has, hands on what others need, is counted out, and ends when nobody
//! has asked it anything for a while. Nothing that was begun is given up before the charter's time is over.

use super::admission::Door;
use super::charter::Event;
use super::member::{AGAIN_AFTER, Member};
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
            let is_busy = || member.admission.meter.requests() > 0 || member.has_errands();
            while is_busy() && member.now() < deadline {
                member.runtime.sleep(AGAIN_AFTER).await;
            }
            member.be_counted_out().await;
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

    /// Waits until no other member counts this one in. The last one of all just goes.
    async fn be_counted_out(self: &Rc<Self>) {
        let me = self.seat.identity();
        while !self.agreement.borrow().is_out() {
            let coordinator = self.agreement.borrow().coordinator();
            let is_alone = self.agreement.borrow().living().len() <= 1;
            match coordinator {
                _ if is_alone => return,
                Some(seat) if seat.identity() == me => {
                    self.going.borrow_mut().insert(me.0);
                    self.change_soon();
                }
                Some(seat) => {
                    let coordinator = FleetPeersClient::new(self.within(LEAVE_WITHIN), seat.internal);
                    if coordinator.leave().await.is_ok() {
                        return;
                    }
                }
                None => return,
            }
            self.runtime.sleep(AGAIN_AFTER).await;
        }
    }
}
