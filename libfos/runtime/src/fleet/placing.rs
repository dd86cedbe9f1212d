//! What whoever places members has to know of a fleet, and may have it do: how it does as a whole, which clients a member has,
//! moving one and doing without one. [`placed`](crate::placed) asks the arbiter and follows its advice.

use super::admission::Door;
use super::member::Member;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::fleet::{Figure, FleetClient, FleetError, Seat};
use fos_messages::rpc::CallError;

/// How a fleet does, as its coordinator sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetMeasure {
    /// Requests answered in a second, as far as the figures tell.
    pub work_per_second: u64,
    /// How busy members are on average.
    pub busy_permille: u16,
    /// How long a new request waits on average, in nanoseconds.
    pub wait_nanoseconds: u64,
    /// The members' machines and cores.
    pub places: Vec<(u16, u16)>,
}

/// What members with these figures and places do together. Of a thousand moments a member was busy in as many as it had requests
/// under way, at most all; and each of those that it answered took it a service time.
fn measure(members: &[(Figure, (u16, u16))]) -> FleetMeasure {
    let busy = |figure: &Figure| u64::from(figure.requests_permille.min(1000));
    let work = |figure: &Figure| busy(figure).saturating_mul(1_000_000) / figure.service_nanoseconds.max(1);
    let count = (members.len() as u64).max(1);
    let sum = |of: &dyn Fn(&Figure) -> u64| {
        members.iter().map(|(figure, _)| of(figure)).fold(0, u64::saturating_add)
    };
    FleetMeasure {
        work_per_second: sum(&work),
        busy_permille: (sum(&busy) / count) as u16,
        wait_nanoseconds: sum(&|figure| figure.wait_nanoseconds) / count,
        places: members.iter().map(|(_, place)| *place).collect(),
    }
}

impl Member {
    /// Where it is: machine and core.
    pub fn place(&self) -> (u16, u16) {
        (self.seat.machine, self.seat.core)
    }

    /// Whether clients are let in.
    pub fn is_open(&self) -> bool {
        self.admission.door() == Door::Open
    }

    /// How the fleet does, if this is its coordinator and it is not about to leave.
    pub fn fleet_measure(&self) -> Option<FleetMeasure> {
        let coordinates = self.is_coordinator() && self.admission.door() != Door::Leaving;
        let roster = self.roster().filter(|_| coordinates)?;
        let member = |seat: &Seat| (self.figure_of(seat.identity()), (seat.machine, seat.core));
        Some(measure(&roster.seats().iter().map(member).collect::<Vec<_>>()))
    }

    /// Requests of each client since this was asked last.
    pub fn take_traffic(&self) -> Vec<(Identity, u32)> {
        self.admission.take_traffic()
    }

    /// As coordinator: does without the youngest member on a core, unless the fleet would have too few. Whether it was asked.
    pub fn give_up_core(self: &Rc<Self>, core: u16) -> bool {
        let Some(roster) = self.roster().filter(|_| self.is_coordinator()) else { return false };
        let seats = roster.seats();
        let youngest = seats.iter().filter(|seat| seat.core == core).max_by_key(|seat| seat.since);
        let Some(seat) = youngest.filter(|_| seats.len() > self.terms.charter.marks.members_min) else {
            return false;
        };
        self.tell(super::charter::Event::Shrinks(seat.identity()));
        self.drain(seat);
        true
    }

    /// As coordinator: moves the oldest member on a core to another.
    pub async fn change_core(self: &Rc<Self>, from: u16, to: u16) -> Result<(), FleetError> {
        let roster = self.roster().filter(|_| self.is_coordinator()).ok_or(FleetError::Busy)?;
        let on_core = roster.seats().iter().find(|seat| seat.core == from);
        self.relocate(on_core.ok_or(FleetError::NoMember)?.identity(), to).await
    }

    /// Has the fleet move this member to another core.
    pub async fn go_to(&self, core: u16, within: Duration) -> Result<(), CallError<FleetError>> {
        let Some(coordinator) = self.coordinator() else {
            return Err(CallError::Refused(FleetError::NoRoster));
        };
        let fleet = FleetClient::new(self.runtime.within(within), coordinator.external);
        fleet.relocate(self.terms.charter.key, self.seat.identity().0, core).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_does_what_its_members_do() {
        let busy = Figure {
            requests_permille: 4000,
            service_nanoseconds: 10_000,
            wait_nanoseconds: 40_000,
            ..Figure::default()
        };
        let half = Figure {
            requests_permille: 500,
            service_nanoseconds: 10_000,
            wait_nanoseconds: 0,
            ..Figure::default()
        };
        let measured = measure(&[(busy, (0, 3)), (half, (0, 5)), (Figure::default(), (1, 0))]);
        let expected = FleetMeasure {
            work_per_second: 150_000,
            busy_permille: 500,
            wait_nanoseconds: 13_333,
            places: [(0, 3), (0, 5), (1, 0)].into(),
        };
        assert_eq!(measured, expected);
        assert_eq!(measure(&[]), FleetMeasure::default());
    }
}
