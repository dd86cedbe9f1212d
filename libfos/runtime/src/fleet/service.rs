//! What a member is asked as one of a fleet: by everybody, and by the other members.

use super::gate::is_heard;
use super::member::{AGAIN_AFTER, Member};
use super::roster::{Epoch, Roster};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::fleet::{Behind, Figure, Fleet, FleetError, FleetPeers, Seat, Standing};
use fos_messages::names::DirectoryKey;
use fos_messages::rpc::{Context, Instead, Never};

/// How long a change of the membership may take before who asked for it is told to ask again.
const CHANGE_WITHIN: Duration = Duration::from_secs(4);

/// Parts of a proposal: a fleet has at most 128 members.
const PARTS_MAX: u16 = 16;

/// A roster that comes in parts.
#[derive(Default)]
pub struct Proposal {
    /// From whom, for which epoch, in how many parts.
    of: (Identity, u32, u16),
    parts: BTreeMap<u16, Vec<Seat>>,
}

/// What everybody asks.
pub struct Outside(pub Rc<Member>);

impl Fleet for Outside {
    async fn join(&self, context: Context, seat: Seat) -> Result<(), Instead<FleetError>> {
        let member = &self.0;
        if seat.internal.identity != context.sender || seat.external.identity != context.sender {
            return Err(FleetError::NotYours.into());
        }
        member.coordinates().map_err(elsewhere)?;
        let is_registered = member.names.is_member(&member.terms.members, context.sender).await;
        if !is_registered.map_err(|_| Instead::NotNow)? {
            return Err(FleetError::NotRegistered.into());
        }
        // It may have come, or others may have ended, meanwhile.
        member.coordinates().map_err(elsewhere)?;
        if member.is_closed.get() {
            return Err(Instead::NotNow);
        }
        if !member.counts_in(context.sender) {
            if !member.has_room_for(context.sender) {
                return Err(FleetError::Full.into());
            }
            member.coming.borrow_mut().retain(|known| known.identity() != context.sender);
            member.coming.borrow_mut().push(seat);
            member.change_soon();
        }
        member.until(|member| member.counts_in(context.sender)).await
    }

    fn standing(&self, _: Context) -> Result<Standing, Instead<Never>> {
        Ok(self.0.standing())
    }

    async fn relocate(
        &self,
        _: Context,
        key: DirectoryKey,
        member: u64,
        core: u16,
    ) -> Result<(), Instead<FleetError>> {
        if !self.0.terms.charter.key.opens(&key) {
            return Err(FleetError::BadKey.into());
        }
        self.0.coordinates().map_err(elsewhere)?;
        Ok(self.0.relocate(Identity(member), core).await?)
    }
}

/// Where clients are sent who ask for what the coordinator does.
fn elsewhere(coordinator: Option<Seat>) -> Instead<FleetError> {
    coordinator.map_or(FleetError::NoRoster.into(), |seat| Instead::Redirected(seat.external))
}

/// What members ask each other.
pub struct Inside(pub Rc<Member>);

impl FleetPeers for Inside {
    fn propose(
        &self,
        context: Context,
        epoch: u32,
        part: u16,
        parts: u16,
        seats: Vec<Seat>,
    ) -> Result<(), Instead<Behind>> {
        let member = &self.0;
        if member.is_over.get() || !member.takes_proposals_of(context.sender) {
            return Err(Instead::NotNow);
        }
        if let Some(seats) = member.gather((context.sender, epoch, parts), part, seats) {
            let roster = Roster::new(Epoch(epoch), seats);
            member.watch(roster.seats());
            member.agreement.borrow_mut().promise(roster)?;
        }
        Ok(())
    }

    fn commit(&self, context: Context, epoch: u32) -> Result<(), Instead<Behind>> {
        if !self.0.takes_proposals_of(context.sender) {
            return Err(Instead::NotNow);
        }
        Ok(self.0.hear_commit(Epoch(epoch))?)
    }

    async fn leave(&self, context: Context) -> Result<(), Instead<Never>> {
        let member = &self.0;
        member.check_heard(&context)?;
        let coordinator = |seat: Seat| Instead::Redirected(seat.internal);
        member.coordinates().map_err(|other| other.map_or(Instead::NotNow, coordinator))?;
        member.going.borrow_mut().insert(context.sender.0);
        member.change_soon();
        member.until(|member| !member.counts_in(context.sender)).await
    }

    fn drain(&self, context: Context) -> Result<(), Instead<Never>> {
        self.0.check_heard(&context)?;
        self.0.leave();
        Ok(())
    }

    fn report(&self, context: Context, figure: Figure) {
        if self.0.check_heard(&context).is_ok() {
            self.0.hear_figure(context.sender, figure);
        }
    }
}

impl Member {
    fn check_heard(&self, context: &Context) -> Result<(), Instead<Never>> {
        if is_heard(&self.agreement.borrow(), context) { Ok(()) } else { Err(Instead::NotNow) }
    }

    /// Whether this member coordinates. If not: who does, unless this is no member.
    fn coordinates(&self) -> Result<(), Option<Seat>> {
        match self.agreement.borrow().coordinator() {
            Some(seat) if seat.identity() == self.seat.identity() => Ok(()),
            other => Err(other),
        }
    }

    /// Whether a proposal of this process is looked at: one of a member, or anybody's who was told where this process is
    /// written to by members, while it is none.
    fn takes_proposals_of(&self, sender: Identity) -> bool {
        let agreement = self.agreement.borrow();
        !agreement.is_member() || agreement.living().iter().any(|seat| seat.identity() == sender)
    }

    fn counts_in(&self, identity: Identity) -> bool {
        self.agreement.borrow().counts_in(identity)
    }

    fn has_room_for(&self, process: Identity) -> bool {
        let members_max = self.terms.charter.marks.members_max + usize::from(self.moving.get().is_some());
        self.agreement.borrow().has_room_for(process, &self.coming.borrow(), members_max)
    }

    /// Waits until this is so; in vain when it takes too long or another coordinates.
    async fn until<E>(&self, is_so: impl Fn(&Member) -> bool) -> Result<(), Instead<E>> {
        let deadline = self.now().after(CHANGE_WITHIN);
        while !is_so(self) {
            if self.now() > deadline || !self.is_coordinator() {
                return Err(Instead::NotNow);
            }
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        Ok(())
    }

    /// Takes a part of a proposal, of whom, for which epoch, and in how many parts: all seats, once they are there.
    fn gather(&self, of: (Identity, u32, u16), part: u16, seats: Vec<Seat>) -> Option<Vec<Seat>> {
        let mut proposal = self.proposal.borrow_mut();
        if proposal.of != of {
            *proposal = Proposal { of, parts: BTreeMap::new() };
        }
        if part >= of.2.min(PARTS_MAX) {
            return None;
        }
        proposal.parts.insert(part, seats);
        let is_whole = proposal.parts.len() == usize::from(of.2);
        is_whole.then(|| proposal.parts.values().flatten().copied().collect())
    }
}
