//! Keeps a naming fleet at so many members: starts them, and another for each that has ended. It is the starter's, which knows
//! the key of `/` and introduces newcomers; naming's own members can't have a successor started, because those that start members
//! of other fleets agree on it by names.
//!
//! Only an end that the kernel tells of makes room for another: who hangs is replaced when the watchdog has had it ended.

use crate::starter::Starter;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::names::{NAMING, Path};
use fos_runtime::fleet::Growth;
use fos_runtime::{Names, Priority, Runtime};

/// How long one that was started may take to serve, on a slow machine: it copies the whole map.
const SERVES_WITHIN: Duration = Duration::from_secs(10);
/// How often is looked whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long before another is started for one that did not come.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What happens in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A member has ended.
    Ended(Identity),
    /// Another serves in its place.
    Replaced(Identity),
    /// None could be started, or it did not come.
    NotReplaced,
}

/// Whoever starts members of naming.
pub struct Nursery {
    runtime: Runtime,
    starter: Rc<Starter>,
    hear: fn(Event),
}

impl Nursery {
    /// One that has started nobody yet, and tells what happens.
    pub fn new(runtime: &Runtime, starter: &Rc<Starter>, hear: fn(Event)) -> Rc<Nursery> {
        Rc::new(Nursery { runtime: runtime.clone(), starter: starter.clone(), hear })
    }

    /// Has a member started, on this core or on the best beside those that are taken, and waits until it serves. One that does not
    /// come in ten seconds is given up.
    pub async fn start(&self, growth: &dyn Growth, core: Option<u16>, taken: Vec<u16>) -> Option<Identity> {
        let identity = growth.grow(core, taken).await.ok()?;
        self.starter.expect(identity);
        let deadline = self.runtime.port().now().after(SERVES_WITHIN);
        while !self.starter.has_serving(identity) {
            if self.runtime.port().now() > deadline {
                self.starter.forget(identity);
                growth.give_up(identity).await;
                return None;
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
        Some(identity)
    }

    /// From now on each of these members that serve, and each that comes in the place of one, is replaced when it has ended; and as
    /// many more are started as are lacking to so many.
    pub fn keep(
        self: &Rc<Self>,
        growth: &Rc<dyn Growth>,
        names: &Rc<Names>,
        members: Vec<Identity>,
        wanted: usize,
    ) {
        let lacking = wanted.saturating_sub(members.len());
        for member in members.into_iter().map(Some).chain(core::iter::repeat_n(None, lacking)) {
            let (nursery, growth, names) = (self.clone(), growth.clone(), names.clone());
            self.runtime.spawn(Priority::Normal, async move { nursery.hold(growth, names, member).await });
        }
    }

    async fn hold(&self, growth: Rc<dyn Growth>, names: Rc<Names>, mut member: Option<Identity>) {
        loop {
            if let Some(member) = member {
                if let Some(internal) = self.starter.internal(member) {
                    self.runtime.outlive(&internal).await;
                }
                self.starter.forget(member);
                (self.hear)(Event::Ended(member));
            }
            let next = loop {
                if let Some(next) = self.start(&*growth, None, taken(&names).await).await {
                    break next;
                }
                (self.hear)(Event::NotReplaced);
                self.runtime.sleep(AGAIN_AFTER).await;
            };
            (self.hear)(Event::Replaced(next));
            member = Some(next);
        }
    }
}

/// The members' cores.
async fn taken(names: &Names) -> Vec<u16> {
    let Ok(path) = Path::new(NAMING) else { return Vec::new() };
    let members = names.members(&path).await.unwrap_or_default();
    members.iter().map(|entry| entry.core).collect()
}
