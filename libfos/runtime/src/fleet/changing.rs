//! How the membership changes: the coordinator proposes the next roster to everybody in the old and the new, and commits it
//! when all who live have promised. Whoever learns that an elder has ended looks whether it coordinates now, and goes on.

use super::charter::Event;
use super::member::{AGAIN_AFTER, Member};
use super::roster::{Epoch, Roster};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::fleet::{Behind, FleetPeersClient, SEATS_PER_PART, Seat};
use fos_messages::rpc::{Address, CallError, SendError, broadcast};

/// How long another member may take for an answer before it is asked again.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);

/// What one member says to a proposal or a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    Behind(Epoch),
    Ended,
    /// Nothing, or nothing of use: ask again.
    Nothing,
}

impl Member {
    /// Changes the membership if it is to be changed and this member coordinates.
    pub(super) fn change_soon(self: &Rc<Self>) {
        if self.is_changing.replace(true) {
            return;
        }
        self.spawn(|member| async move {
            while let Some((roster, audience)) = member.wanted() {
                if !member.change(roster, audience).await {
                    member.runtime.sleep(AGAIN_AFTER).await;
                }
            }
            member.is_changing.set(false);
        });
    }

    fn wanted(&self) -> Option<(Roster, Vec<Seat>)> {
        let agreement = self.agreement.borrow();
        let next =
            agreement.is_coordinator().then(|| agreement.next(&self.coming.borrow(), &self.going.borrow()));
        next.flatten().filter(|_| !self.is_over.get())
    }

    /// Whether it came about. If not, something has become known that the next try takes into account.
    async fn change(self: &Rc<Self>, roster: Roster, mut audience: Vec<Seat>) -> bool {
        let epoch = roster.epoch();
        if self.agreement.borrow_mut().promise(roster.clone()).is_err() {
            return false;
        }
        self.watch(&audience);
        audience.retain(|seat| seat.identity() != self.seat.identity());
        let said = self.ask(&audience, |peer| promise(peer, &roster)).await;
        for (seat, _) in audience.iter().zip(&said).filter(|(_, said)| **said == Said::Nothing) {
            self.leave_out(seat.identity());
        }
        if said.iter().any(|said| *said != Said::Yes) || self.commit(epoch).is_err() {
            return false;
        }
        self.tell_of(epoch, audience).await;
        true
    }

    /// Tells these that an epoch is in force, until all who live have heard it.
    async fn tell_of(self: &Rc<Self>, epoch: Epoch, mut left: Vec<Seat>) {
        while !left.is_empty() {
            let said = self.ask(&left, |peer| async move { said_of(peer.commit(epoch.0).await) }).await;
            let mut said = said.into_iter();
            left.retain(|_| said.next() == Some(Said::Nothing));
            if !left.is_empty() {
                self.runtime.sleep(AGAIN_AFTER).await;
            }
        }
    }

    /// Another puts an epoch in force here. If it is left out of it and this member coordinates from now on, that one may
    /// end before all have heard so: this one sees to it that they do.
    pub(super) fn hear_commit(self: &Rc<Self>, epoch: Epoch) -> Result<(), Behind> {
        if self.commit(epoch)? && self.is_coordinator() {
            self.spawn(|member| async move { member.tell_of(epoch, member.others()).await });
        }
        Ok(())
    }

    /// Who does not answer and is no member yet is not waited for: it may ask to join again.
    fn leave_out(&self, silent: Identity) {
        self.agreement.borrow_mut().leave_out(silent);
        self.coming.borrow_mut().retain(|seat| seat.identity() != silent);
    }

    /// Asks members the same at once, and learns what there is to learn from what they say.
    async fn ask<F: Future<Output = Said>>(
        self: &Rc<Self>,
        seats: &[Seat],
        question: impl Fn(FleetPeersClient<crate::Within>) -> F,
    ) -> Vec<Said> {
        let addresses: Vec<Address> = seats.iter().map(|seat| seat.internal).collect();
        let caller = self.runtime.within(ANSWER_WITHIN);
        let said = broadcast(&addresses, |to| question(FleetPeersClient::new(caller.clone(), to))).await;
        for (from, said) in &said {
            match said {
                Said::Behind(promised) => self.agreement.borrow_mut().hear_of(*promised),
                Said::Ended => self.ended(from.identity),
                Said::Yes | Said::Nothing => {}
            }
        }
        said.into_iter().map(|(_, said)| said).collect()
    }

    /// Puts the promised epoch in force here. Whether it was not before.
    pub(super) fn commit(self: &Rc<Self>, epoch: Epoch) -> Result<bool, Behind> {
        let has_begun = self.agreement.borrow_mut().commit(epoch)?;
        if has_begun {
            self.began();
        }
        Ok(has_begun)
    }

    /// An epoch has begun here.
    fn began(self: &Rc<Self>) {
        let (roster, coordinates) = {
            let agreement = self.agreement.borrow();
            (agreement.last().clone(), agreement.is_coordinator())
        };
        let seats = roster.seats();
        let is_in = |identity: u64| seats.iter().any(|seat| seat.identity().0 == identity);
        self.coming.borrow_mut().retain(|seat| !is_in(seat.identity().0));
        self.going.borrow_mut().retain(|identity| is_in(*identity));
        self.figures.borrow_mut().retain(|identity, _| is_in(*identity));
        self.leavers.borrow_mut().begin(is_in);
        let came = |awaited: &mut super::member::Awaited| awaited.identity.is_some_and(|one| is_in(one.0));
        let mut awaited = self.awaited.get();
        awaited.take_if(came);
        self.awaited.set(awaited);
        self.watch(seats);
        self.tell(Event::Began { epoch: roster.epoch(), members: seats.len(), coordinates });
    }

    /// Sees to it that the ends of these are heard of.
    pub(super) fn watch(self: &Rc<Self>, seats: &[Seat]) {
        for seat in seats.iter().filter(|seat| seat.identity() != self.seat.identity()) {
            if !self.watched.borrow_mut().insert(seat.identity().0) {
                continue;
            }
            let seat = *seat;
            self.spawn(|member| async move {
                member.runtime.outlive(&seat.internal).await;
                member.watched.borrow_mut().remove(&seat.identity().0);
                member.ended(seat.identity());
            });
        }
    }

    /// A process has ended, perhaps one that was a member.
    fn ended(self: &Rc<Self>, identity: Identity) {
        let was_in = self.agreement.borrow().living().iter().any(|seat| seat.identity() == identity);
        if !was_in {
            return;
        }
        self.agreement.borrow_mut().ended(identity);
        self.admission.forget(identity);
        self.coming.borrow_mut().retain(|seat| seat.identity() != identity);
        let figure = self.figures.borrow_mut().remove(&identity.0);
        let left =
            self.going.borrow_mut().remove(&identity.0) || figure.is_some_and(|figure| figure.is_leaving);
        let is_replaced = self.was_moving(identity);
        if !left && !is_replaced {
            self.lost.set(self.lost.get() + 1);
            self.tell(Event::Lost(identity));
        }
        self.change_soon();
    }
}

async fn promise(peer: FleetPeersClient<crate::Within>, roster: &Roster) -> Said {
    let parts: Vec<&[Seat]> = roster.seats().chunks(SEATS_PER_PART).collect();
    for (part, seats) in parts.iter().enumerate() {
        let (part, count) = (part as u16, parts.len() as u16);
        let said = said_of(peer.propose(roster.epoch().0, part, count, seats.to_vec()).await);
        if said != Said::Yes {
            return said;
        }
    }
    Said::Yes
}

fn said_of(answer: Result<(), CallError<Behind>>) -> Said {
    match answer {
        Ok(()) => Said::Yes,
        Err(CallError::Refused(Behind { promised })) => Said::Behind(Epoch(promised)),
        Err(CallError::PeerLost | CallError::NotSent(SendError::Closed)) => Said::Ended,
        Err(_) => Said::Nothing,
    }
}
