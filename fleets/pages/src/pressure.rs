//! How little is free, and who is told. A subscription is a lease with one member: who wants to go on hearing renews it, with
//! another member when that one has ended.

use crate::server::Server;
use alloc::collections::BTreeMap;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::custody::Totals;
use fos_messages::pages::{PagesNewsClient, Pressure, SUBSCRIBED_SECONDS};
use fos_messages::rpc::Address;
use fos_runtime::Instant;

/// Processes that one member tells.
const LISTENERS_MAX: usize = 256;

/// Who listens, and what they were told.
#[derive(Default)]
pub struct Listeners {
    level: Cell<Pressure>,
    leases: RefCell<BTreeMap<u64, (Address, Instant)>>,
}

/// The level, with so many frames free of all.
pub fn level(free: u64, frames: u64) -> Pressure {
    match free {
        free if free < frames / 32 => Pressure::Critical,
        free if free < frames / 8 => Pressure::Low,
        _ => Pressure::None,
    }
}

impl Server {
    /// Tells a process of changes for a while. Who does not fit is told the level and no more.
    pub(crate) fn subscribe(&self, process: Identity, news: Address) -> Pressure {
        let now = self.runtime.port().now();
        let mut leases = self.listeners.leases.borrow_mut();
        leases.retain(|_, (_, until)| *until > now);
        if leases.len() < LISTENERS_MAX || leases.contains_key(&process.0) {
            leases.insert(process.0, (news, now.after(Duration::from_secs(SUBSCRIBED_SECONDS))));
        }
        self.listeners.level.get()
    }

    pub(crate) fn know(&self, totals: Totals) {
        self.totals.set(totals);
        let level = level(totals.free, totals.frames);
        if self.listeners.level.replace(level) == level {
            return;
        }
        let now = self.runtime.port().now();
        for (news, _) in self.listeners.leases.borrow().values().filter(|(_, until)| *until > now) {
            // Who has no room asks, when it renews.
            let _ = PagesNewsClient::new(self.runtime.within(Duration::ZERO), *news).pressure(level);
        }
    }

    pub(crate) fn know_free(&self, free: u64) {
        self.know(Totals { free, ..self.totals.get() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_is_free_the_higher_it_is() {
        let levels: [Pressure; 4] = [320, 40, 39, 9].map(|free| level(free, 320));
        assert_eq!(levels, [Pressure::None, Pressure::None, Pressure::Low, Pressure::Critical]);
        assert!(Pressure::Critical > Pressure::Low);
    }
}
