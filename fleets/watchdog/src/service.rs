//! The two conversations of a member of the watchdog: with everybody, and with the other members.

use crate::book::{Book, Change, Event};
use alloc::rc::Rc;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_messages::names::Path;
use fos_messages::rpc::{Context, Instead, Never};
use fos_messages::watchdog::{
    Charge, FleetState, Incomplete, NotYet, Permit, WatchError, Watchdog, WatchdogPeers,
};
use fos_runtime::Names;

/// What everybody asks.
pub struct Service {
    /// The member.
    pub book: Rc<Book>,
    /// Where it looks whether who asks belongs to its fleet.
    pub names: Rc<Names>,
}

impl Watchdog for Service {
    async fn look_after(&self, context: Context, charge: Charge) -> Result<(), Instead<WatchError>> {
        self.book.server.borrow().check(context.sender, &charge)?;
        if self.book.server.borrow().knows(context.sender) && self.book.has_all() {
            return Ok(());
        }
        let members = charge.fleet.child("members").map_err(|_| WatchError::NoPolicy)?;
        match self.names.is_member(&members, context.sender).await {
            Ok(true) => {}
            Ok(false) => return Err(WatchError::NotRegistered.into()),
            Err(_) => return Err(Instead::NotNow),
        }
        // Others may have come while naming was asked.
        self.book.server.borrow().check(context.sender, &charge)?;
        if self.book.spread(Change::Keep(charge)).await { Ok(()) } else { Err(Instead::NotNow) }
    }

    fn beat(&self, context: Context, wait_nanoseconds: u64) {
        self.book.server.borrow_mut().beat(context.sender, wait_nanoseconds, self.book.now());
    }

    async fn dismiss(&self, context: Context) -> Result<(), Instead<Never>> {
        if self.book.spread(Change::Forget(context.sender)).await { Ok(()) } else { Err(Instead::NotNow) }
    }

    fn permit(&self, _: Context, fleet: Path) -> Result<Permit, Instead<NotYet>> {
        Ok(self.book.server.borrow().permit(&fleet, self.book.now())?)
    }

    fn poisoned(&self, context: Context) {
        let fleet = self.book.server.borrow_mut().poisoned(context.sender);
        if let Some(fleet) = fleet {
            self.book.tell(Event::Poisoned(fleet));
        }
    }

    fn state(&self, _: Context, fleet: Path) -> Result<FleetState, Instead<WatchError>> {
        Ok(self.book.server.borrow().state(&fleet, self.book.now())?)
    }
}

/// What the other members ask.
pub struct Members(pub Rc<Book>);

impl WatchdogPeers for Members {
    fn keep(&self, _: Context, charge: Charge) -> Result<(), Instead<Never>> {
        self.0.change(Change::Keep(charge));
        Ok(())
    }

    fn forget(&self, _: Context, identity: u64) -> Result<(), Instead<Never>> {
        self.0.change(Change::Forget(Identity(identity)));
        Ok(())
    }

    fn page(&self, _: Context, after: u64) -> Result<Vec<Charge>, Instead<Incomplete>> {
        if !self.0.has_all() {
            return Err(Incomplete.into());
        }
        Ok(self.0.server.borrow().page(after))
    }

    fn ends(&self, _: Context, fleet: u32) -> Result<Vec<u32>, Instead<Never>> {
        Ok(self.0.server.borrow().ends(fleet, self.0.now()))
    }
}
