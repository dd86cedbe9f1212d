//! When a process ends, what it registered goes: one member of naming on its machine watches it, which one follows from
//! the epoch's members. If that member dies too, the next epoch's choice watches in its place, and a watch on what has
//! ended already is told at once, so no end is missed.

use crate::record::Place;
use crate::replication::{Event, Replication};
use crate::server::owners;
use alloc::collections::BTreeSet;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use fos_messages::rpc::Address;
use fos_replicated_map::{Identity, Operation, Outcome};
use fos_runtime::fleet::weight;
use fos_runtime::{Priority, Runtime};

/// When a removal that was refused is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);
/// Where the machine is in a process's identity.
const MACHINE_SHIFT: u32 = 48;

/// Watches processes for one member.
pub struct Keeper {
    runtime: Runtime,
    replication: Rc<Replication>,
    watched: RefCell<BTreeSet<u64>>,
}

impl Keeper {
    /// Begins to watch for this replica. It listens to the replica's events; `more` hears them too.
    pub fn begin(
        runtime: Runtime,
        replication: Rc<Replication>,
        more: impl Fn(Event<'_>) + 'static,
    ) -> Rc<Keeper> {
        let keeper =
            Rc::new(Keeper { runtime, replication: replication.clone(), watched: RefCell::default() });
        let listening = Rc::downgrade(&keeper);
        replication.tell(Rc::new(move |event| {
            if let Some(keeper) = listening.upgrade() {
                keeper.hear(event);
            }
            more(event);
        }));
        keeper.look_later(None);
        keeper
    }

    fn hear(self: &Rc<Self>, event: Event<'_>) {
        match event {
            Event::Changed(place, true, _) => self.look_later(Some(place.clone())),
            Event::Began => self.look_later(None),
            Event::Changed(..) | Event::Stopped => {}
        }
    }

    /// Looks at one place, or over the whole map, as soon as the replica's step is over.
    fn look_later(self: &Rc<Self>, place: Option<Place>) {
        let keeper: Weak<Keeper> = Rc::downgrade(self);
        self.runtime.spawn(Priority::Normal, async move {
            if let Some(keeper) = keeper.upgrade() {
                keeper.look(place.as_ref());
            }
        });
    }

    fn look(self: &Rc<Self>, place: Option<&Place>) {
        let new: Vec<Address> = match (self.replication.read(0), place) {
            (Ok(map), Some(place)) => map
                .get(place)
                .and_then(|entry| entry.value.owner())
                .filter(|address| self.is_to_watch(address))
                .into_iter()
                .collect(),
            (Ok(map), None) => owners(&map).filter(|address| self.is_to_watch(address)).collect(),
            (Err(_), _) => return,
        };
        new.into_iter().for_each(|address| self.watch(address));
    }

    fn is_to_watch(&self, address: &Address) -> bool {
        !self.watched.borrow().contains(&address.identity.0) && self.is_mine(address)
    }

    fn is_mine(&self, address: &Address) -> bool {
        let membership = self.replication.membership();
        let machine = (address.identity.0 >> MACHINE_SHIFT) as u16;
        let there = membership.members.iter().filter(|member| member.machine.0 == machine);
        let name = |number: u32| fos_abi::Identity(u64::from(number));
        let chosen = there.max_by_key(|member| weight(address.identity.0, name(member.number)));
        chosen == Some(&self.replication.me())
    }

    fn watch(self: &Rc<Self>, address: Address) {
        self.watched.borrow_mut().insert(address.identity.0);
        let keeper = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            keeper.runtime.outlive(&address).await;
            keeper.remove(Identity(address.identity.0)).await;
            keeper.watched.borrow_mut().remove(&address.identity.0);
        });
    }

    async fn remove(&self, owner: Identity) {
        while !self.replication.has_stopped() {
            match self.replication.own_update(Operation::RemoveOwner { owner }).await {
                Ok((_, Outcome::Done | Outcome::Ended)) => return,
                _ => self.runtime.sleep(AGAIN_AFTER).await,
            }
        }
    }
}
