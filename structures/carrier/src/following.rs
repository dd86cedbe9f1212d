//! A structure's epochs are its fleet's. Whoever makes the member calls [`Carrier::follow`] with each event that it is told, and
//! has the member stay while the structure has something to hand on:
//!
//! ```text
//! let tell = move |event| if let Some(member) = place.get() { carrier.follow(member, event) };
//! let member = Member::new(&runtime, &names, charter, seat, growth, tell)?;
//! member.stay_while(move || !carrier.has_left());
//! ```

use crate::carrier::{Carrier, Seat};
use alloc::rc::Rc;
use alloc::vec::Vec;
use fos_container::{Container, Epoch, Member};
use fos_runtime::fleet::{self, Event};
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<C: Container + 'static> Carrier<C>
where
    C::Message: Serialize + DeserializeOwned,
{
    /// Something has happened in the fleet.
    pub fn follow(self: &Rc<Self>, member: &fleet::Member, event: Event) {
        match event {
            Event::Began { epoch, .. } => {
                // Whoever was left out is told of an epoch without itself.
                let seats = member.roster().map(|roster| by_age(&roster)).unwrap_or_default();
                self.begin(Epoch(epoch.0), &seats);
            }
            Event::Leaves => self.leave(),
            // What else happens comes with an epoch, if it is the structure's business.
            _ => {}
        }
    }
}

/// The members, whoever has been one longest first.
fn by_age(roster: &fleet::Roster) -> Vec<Seat> {
    let mut seats = roster.seats().to_vec();
    seats.sort_by_key(|seat| (seat.since, seat.identity().0));
    seats.iter().map(|seat| (Member(seat.identity().0), seat.internal)).collect()
}
