//! How a process of a fleet is looked after, where its image has a `[[fleet]]` that says so; elsewhere it is not, and all of
//! this does nothing.

use crate::fleet::{Growth, Member};
use crate::port::Class;
use crate::{Minder, Names, Permitted, Runtime};
use alloc::rc::Rc;
use fos_messages::image::Policy;
use fos_messages::names::Path;
use fos_messages::programs::Order;
use fos_messages::watchdog::{Charge, WATCHDOG};

/// What it takes.
pub struct Care {
    /// The process's runtime.
    pub runtime: Runtime,
    /// Its way to naming.
    pub names: Rc<Names>,
    /// How it was started, and on which core.
    pub order: Order,
    /// How the image wants its fleet looked after.
    pub policy: Option<Policy>,
}

impl Care {
    /// Growth that the watchdog permits, if there is one.
    pub fn permitted(&self, growth: Rc<dyn Growth>) -> Rc<dyn Growth> {
        match (&self.policy, Path::new(WATCHDOG)) {
            (Some(policy), Ok(watchdog)) => Permitted::new(growth, &self.names, watchdog, policy.path()),
            _ => growth,
        }
    }

    /// From now on the member is looked after, if there is a watchdog.
    pub fn begin(&self, member: &Rc<Member>) -> Option<Rc<Minder>> {
        let of = member.clone();
        self.begin_with(move || of.figure().wait_nanoseconds)
    }

    /// The same for a process in which a new request would wait so many nanoseconds.
    pub fn begin_with(&self, wait: impl Fn() -> u64 + 'static) -> Option<Rc<Minder>> {
        let (policy, watchdog) = (self.policy.as_ref()?, Path::new(WATCHDOG).ok()?);
        let internal = self.runtime.port().address(Class::Internal);
        let charge = Charge { fleet: policy.path(), internal, order: self.order.clone() };
        Some(Minder::begin(&self.runtime, &self.names, watchdog, charge, policy.beat(), wait))
    }
}
