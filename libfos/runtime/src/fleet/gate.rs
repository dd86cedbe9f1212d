//! The gate between members: a message is heard if it was sent under the epoch in force, by a member of it. Whoever sends
//! under another epoch is told `NotNow`, and asks again when it knows better; nothing was done.

use super::agreement::Agreement;
use alloc::rc::Rc;
use core::cell::RefCell;
use fos_messages::rpc::{AnswerBody, Context, Outgoing, Serve, Served};

/// Whether a message between members counts.
pub fn is_heard(agreement: &Agreement, context: &Context) -> bool {
    let is_of =
        |roster: &super::Roster| roster.epoch().0 == context.epoch && roster.find(context.sender).is_some();
    agreement.roster().is_some_and(is_of)
}

/// A service behind the gate.
pub struct Gated {
    /// What this member knows.
    pub agreement: Rc<RefCell<Agreement>>,
    /// What is asked.
    pub service: Rc<dyn Serve>,
}

impl Serve for Gated {
    fn speaks(&self) -> (u16, u8) {
        self.service.speaks()
    }

    fn serve(self: Rc<Self>, operation: u16, context: Context, body: &[u8], room: Outgoing) -> Served {
        if !is_heard(&self.agreement.borrow(), &context) {
            return Served::Answer(AnswerBody::NotNow);
        }
        self.service.clone().serve(operation, context, body, room)
    }
}
