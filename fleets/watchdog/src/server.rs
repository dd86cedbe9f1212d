//! Who is looked after, and what is to be done now: a state machine without messages, clock and system calls.
//!
//! Every member of the watchdog hears every beat and knows every charge, so that any of them can go on alone. One of them acts
//! for a charge: of the members that live and are not silent themselves, whoever has the highest weight for it, and never
//! the charge itself. That members may disagree for a moment about who that is harms nobody, since asking, fencing and
//! forgetting twice is as once; and a member that was away forgives what it did not hear before it looks at anything.

use crate::pulse::Pulse;
use crate::restarts::Restarts;
use crate::thresholds::{AVOIDED_FOR, COMES_WITHIN, LOOK_LATE_AFTER};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::image::Policy;
use fos_messages::names::Path;
use fos_messages::programs::Order;
use fos_messages::watchdog::{
    AVOIDED_MAX, CHARGES_MAX, CHARGES_PER_PAGE, Charge, ENDS_TOLD_MAX, FleetState, NotYet, ORDER_BYTES_MAX,
    Permit, WatchError,
};
use fos_runtime::Instant;
use fos_runtime::fleet::weight;

/// What is to be done for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// It was silent for too long: ask whether it lives, for so long, and say [`Server::answered`] or [`Server::silent`].
    Ask(Charge, Duration),
    /// Nobody of a fleet is left: start a first member.
    Start(Order),
}

/// How far it is with a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is listened to.
    Beats,
    /// It is being asked whether it lives.
    Asked,
    /// It is being ended.
    Fenced,
}

/// A charge.
struct Looked {
    charge: Charge,
    fleet: usize,
    pulse: Pulse,
    stage: Stage,
}

/// A fleet of the image.
struct Fleet {
    policy: Policy,
    path: Path,
    restarts: Restarts,
    /// How a first member is started, while none is left; and not before when.
    gone: Option<(Order, Instant)>,
    counts: FleetState,
    /// Cores on which somebody was silent, and when.
    silent: Vec<(u16, Instant)>,
}

/// What one member of the watchdog knows.
pub struct Server {
    me: Identity,
    fleets: Vec<Fleet>,
    charges: BTreeMap<u64, Looked>,
    looked_at: Option<Instant>,
}

impl Server {
    /// A member that looks after nobody yet, with the policies of its image.
    pub fn new(me: Identity, policies: Vec<Policy>) -> Server {
        let fleets = policies.into_iter().map(Fleet::new).collect();
        Server { me, fleets, charges: BTreeMap::new(), looked_at: None }
    }

    /// Whether a process may be looked after so, as far as its own words say.
    pub fn check(&self, sender: Identity, charge: &Charge) -> Result<(), WatchError> {
        let Order { program, arguments, .. } = &charge.order;
        if charge.identity() != sender {
            return Err(WatchError::NotYours);
        }
        self.fleet(&charge.fleet).ok_or(WatchError::NoPolicy)?;
        if program.len() + arguments.iter().map(|word| word.len() + 1).sum::<usize>() > ORDER_BYTES_MAX {
            return Err(WatchError::TooLong);
        }
        if self.charges.len() >= CHARGES_MAX && !self.knows(sender) {
            return Err(WatchError::Full);
        }
        Ok(())
    }

    /// Whether a process is looked after.
    pub fn knows(&self, identity: Identity) -> bool {
        self.charges.contains_key(&identity.0)
    }

    /// Looks after a process. Whether it did not before.
    pub fn keep(&mut self, charge: Charge, now: Instant) -> bool {
        let Some(fleet) = self.fleet(&charge.fleet) else { return false };
        if self.knows(charge.identity()) || self.charges.len() >= CHARGES_MAX {
            return false;
        }
        self.fleets[fleet].gone = None;
        let pulse = Pulse::new(now, &self.fleets[fleet].policy);
        self.charges.insert(charge.identity().0, Looked { charge, fleet, pulse, stage: Stage::Beats });
        true
    }

    /// A process says that it lives.
    pub fn beat(&mut self, of: Identity, wait_nanoseconds: u64, now: Instant) {
        if let Some(looked) = self.charges.get_mut(&of.0) {
            looked.pulse.beat(now, wait_nanoseconds);
        }
    }

    /// A process ends as it should.
    pub fn forget(&mut self, identity: Identity) {
        self.charges.remove(&identity.0);
    }

    /// A process has ended.
    pub fn ended(&mut self, identity: Identity, now: Instant) {
        // Whoever had it ended, every member knows why, and none sends a successor there.
        let was_silent = self.is_overdue(identity.0, now);
        let Some(Looked { fleet: number, charge, .. }) = self.charges.remove(&identity.0) else { return };
        let is_last = self.charges.values().all(|looked| looked.fleet != number);
        let fleet = &mut self.fleets[number];
        fleet.counts.ended += 1;
        fleet.restarts.ended(now, &fleet.policy);
        if was_silent {
            fleet.was_silent_on(charge.order.core, now);
        }
        if is_last {
            fleet.gone = Some((charge.order, now));
        }
    }

    /// What has to be done, and is this member's to do.
    pub fn look(&mut self, now: Instant, living: &[Identity]) -> Vec<Task> {
        self.forgive(now);
        let overdue: Vec<u64> = self.charges.keys().copied().filter(|of| self.is_overdue(*of, now)).collect();
        let mut tasks = Vec::new();
        for identity in &overdue {
            if !self.is_mine(*identity, living, &overdue) {
                continue;
            }
            if let Some(looked) = self.charges.get_mut(identity)
                && looked.stage == Stage::Beats
            {
                looked.stage = Stage::Asked;
                let floor = self.fleets[looked.fleet].policy.silent_after_ms_min;
                tasks.push(Task::Ask(looked.charge.clone(), Duration::from_millis(floor.into())));
            }
        }
        for number in 0..self.fleets.len() {
            if self.is_mine(number as u64, living, &overdue) {
                tasks.extend(self.fleets[number].first(now).map(Task::Start));
            }
        }
        tasks
    }

    /// It lives after all.
    pub fn answered(&mut self, identity: Identity, now: Instant) {
        if let Some(looked) = self.charges.get_mut(&identity.0) {
            looked.stage = Stage::Beats;
            looked.pulse.answered(now);
        }
    }

    /// It did not answer either. Whether it is to be ended: not if it has said since that it lives.
    pub fn silent(&mut self, identity: Identity, now: Instant) -> bool {
        let is_overdue = self.is_overdue(identity.0, now);
        let Some(looked) = self.charges.get_mut(&identity.0) else { return false };
        if !is_overdue {
            looked.stage = Stage::Beats;
            return false;
        }
        looked.stage = Stage::Fenced;
        true
    }

    /// It was ended, or could not be: then it is asked again if it stays silent. That it has ended is said by
    /// [`Server::ended`] alone.
    pub fn fenced(&mut self, identity: Identity, is_done: bool) {
        let Some(looked) = self.charges.get_mut(&identity.0) else { return };
        if !is_done {
            looked.stage = Stage::Beats;
            return;
        }
        self.fleets[looked.fleet].counts.fenced += 1;
    }

    /// Whether a member of a fleet may be started. One of which the image says nothing may.
    pub fn permit(&self, fleet: &Path, now: Instant) -> Result<Permit, NotYet> {
        let Some(fleet) = self.fleet(fleet).and_then(|number| self.fleets.get(number)) else {
            return Ok(Permit::default());
        };
        fleet.restarts.may(now, &fleet.policy)?;
        Ok(Permit { avoid: self.silent_cores(now) })
    }

    /// How it is with a fleet.
    pub fn state(&self, path: &Path, now: Instant) -> Result<FleetState, WatchError> {
        let number = self.fleet(path).ok_or(WatchError::NoPolicy)?;
        let fleet = &self.fleets[number];
        let members = self.charges.values().filter(|looked| looked.fleet == number).count() as u32;
        let is_failing = fleet.restarts.is_failing(now, &fleet.policy);
        Ok(FleetState { members, is_failing, ..fleet.counts })
    }

    /// A charge refused a request at which two members had ended: which fleet's, if that is worth telling. Who lies often is
    /// told of each time after twice as many.
    pub fn poisoned(&mut self, identity: Identity) -> Option<Path> {
        let number = self.charges.get(&identity.0)?.fleet;
        let fleet = &mut self.fleets[number];
        fleet.counts.poisoned += 1;
        fleet.counts.poisoned.is_power_of_two().then(|| fleet.path.clone())
    }

    /// The charges after this process.
    pub fn page(&self, after: u64) -> Vec<Charge> {
        let range = self.charges.range((Bound::Excluded(after), Bound::Unbounded));
        range.take(CHARGES_PER_PAGE).map(|(_, looked)| looked.charge.clone()).collect()
    }

    /// How many milliseconds ago members of a fleet ended that still count.
    pub fn ends(&self, fleet: u32, now: Instant) -> Vec<u32> {
        let Some(fleet) = self.fleets.get(fleet as usize) else { return Vec::new() };
        let ages = fleet.restarts.ages(now, &fleet.policy).into_iter().take(ENDS_TOLD_MAX);
        ages.map(|age| u32::try_from(age.as_millis()).unwrap_or(u32::MAX)).collect()
    }

    /// So many milliseconds ago members of a fleet ended: what another member tells when this one comes.
    pub fn hear_ends(&mut self, fleet: u32, ages_ms: &[u32], now: Instant) {
        let Some(fleet) = self.fleets.get_mut(fleet as usize) else { return };
        for age in ages_ms.iter().take(ENDS_TOLD_MAX) {
            let nanoseconds = now.nanoseconds.saturating_sub(u64::from(*age) * 1_000_000);
            fleet.restarts.ended(Instant { nanoseconds }, &fleet.policy);
        }
    }

    /// How many fleets the image has.
    pub fn fleet_count(&self) -> u32 {
        self.fleets.len() as u32
    }

    /// The fleet of a charge.
    pub fn fleet_of(&self, identity: Identity) -> Option<Path> {
        Some(self.fleets[self.charges.get(&identity.0)?.fleet].path.clone())
    }

    fn fleet(&self, path: &Path) -> Option<usize> {
        self.fleets.iter().position(|fleet| fleet.path == *path)
    }

    fn forgive(&mut self, now: Instant) {
        let since = now.since(self.looked_at.replace(now).unwrap_or(now));
        if since > LOOK_LATE_AFTER {
            self.charges.values_mut().for_each(|looked| looked.pulse.forgive(since));
        }
    }

    fn is_overdue(&self, identity: u64, now: Instant) -> bool {
        let deadline = |looked: &Looked| looked.pulse.deadline(&self.fleets[looked.fleet].policy);
        self.charges.get(&identity).is_some_and(|looked| now > deadline(looked))
    }

    /// Whether it is this member that acts for what the number stands for.
    fn is_mine(&self, of: u64, living: &[Identity], overdue: &[u64]) -> bool {
        let acts = |member: &&Identity| {
            member.0 != of && (**member == self.me || overdue.binary_search(&member.0).is_err())
        };
        living.iter().filter(acts).max_by_key(|member| weight(of, **member)) == Some(&self.me)
    }

    fn silent_cores(&self, now: Instant) -> Vec<u16> {
        let silent = self.fleets.iter().flat_map(|fleet| &fleet.silent);
        let lately = silent.filter(|(_, at)| now.since(*at) < AVOIDED_FOR);
        let mut cores: Vec<u16> = lately.map(|(core, _)| *core).collect();
        cores.sort_unstable();
        cores.dedup();
        cores.truncate(AVOIDED_MAX);
        cores
    }
}

impl Fleet {
    fn new(policy: Policy) -> Fleet {
        let (restarts, gone, counts, silent) = Default::default();
        Fleet { path: policy.path(), policy, restarts, gone, counts, silent }
    }

    fn was_silent_on(&mut self, core: u16, now: Instant) {
        self.silent.retain(|(silent, _)| *silent != core);
        self.silent.truncate(AVOIDED_MAX - 1);
        self.silent.insert(0, (core, now));
    }

    /// The order for a first member, if none is left and one may be started.
    fn first(&mut self, now: Instant) -> Option<Order> {
        let (order, not_before) = self.gone.as_mut()?;
        if now < *not_before || self.restarts.may(now, &self.policy).is_err() {
            return None;
        }
        *not_before = now.after(COMES_WITHIN);
        // Perhaps it was the core: root takes the number modulo the cores that are up.
        order.core = order.core.wrapping_add(1);
        self.counts.started += 1;
        Some(order.clone())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use fos_messages::image::Lookup;
    use fos_messages::rpc::Address;

    pub fn policy(name: &str) -> Policy {
        Policy {
            name: name.to_string(),
            program: "p".to_string(),
            lookup: Lookup::default(),
            core: 0,
            members_min: 1,
            members_max: 4,
            shrink_below_us: 1,
            grow_above_us: 2,
            looks: 3,
            rest_ms: 200,
            beat_ms: 100,
            silent_after_ms_min: 300,
            silent_after_ms_max: 3000,
            restarts_max: 5,
            restarts_within_ms: 10_000,
        }
    }

    const MEMBERS: [Identity; 3] = [Identity(101), Identity(102), Identity(103)];

    fn at(milliseconds: u64) -> Instant {
        Instant::default().after(Duration::from_millis(milliseconds))
    }

    fn charge(fleet: &str, identity: u64) -> Charge {
        let order = Order { program: "p".to_string(), arguments: vec![], core: identity as u16 };
        let internal = Address { identity: Identity(identity), ..Address::default() };
        Charge { fleet: Path::new(fleet).unwrap(), internal, order }
    }

    /// Three members that look after each other, and after these.
    fn watchdog(charges: &[u64]) -> Vec<Server> {
        let begin = |me: &Identity| {
            let mut server = Server::new(*me, vec![policy("/watchdog"), policy("/a")]);
            MEMBERS.iter().for_each(|member| assert!(server.keep(charge("/watchdog", member.0), at(0))));
            charges.iter().for_each(|other| assert!(server.keep(charge("/a", *other), at(0))));
            server.look(at(0), &MEMBERS);
            server
        };
        MEMBERS.iter().map(begin).collect()
    }

    /// Looks every 10 ms until this time while all but those `silent` beat; what each that is not silent does.
    fn run(servers: &mut [Server], silent: &[u64], until: u64) -> Vec<Vec<Task>> {
        let mut done = vec![Vec::new(); servers.len()];
        for now in (10..=until).step_by(10).map(at) {
            for (server, done) in servers.iter_mut().zip(&mut done) {
                let beating: Vec<u64> =
                    server.charges.keys().copied().filter(|of| !silent.contains(of)).collect();
                if now.nanoseconds % 100_000_000 == 0 {
                    beating.iter().for_each(|of| server.beat(Identity(*of), 0, now));
                }
                if !silent.contains(&server.me.0) {
                    done.extend(server.look(now, &MEMBERS));
                }
            }
        }
        done
    }

    fn asked(tasks: &[Vec<Task>]) -> Vec<u64> {
        let ask = |task: &Task| match task {
            Task::Ask(charge, _) => Some(charge.identity().0),
            Task::Start(_) => None,
        };
        let mut asked: Vec<u64> = tasks.iter().flatten().filter_map(ask).collect();
        asked.sort_unstable();
        asked
    }

    #[test]
    fn who_beats_is_left_alone_and_who_is_silent_is_asked_by_one() {
        let charges: Vec<u64> = (1..20).collect();
        assert_eq!(asked(&run(&mut watchdog(&charges), &[], 5000)), []);
        for silent in charges.iter().copied().chain(MEMBERS.map(|member| member.0)) {
            assert_eq!(asked(&run(&mut watchdog(&charges), &[silent], 500)), [silent]);
        }
    }

    #[test]
    fn two_members_that_are_silent_together_are_asked_by_the_third() {
        for silent in [[101, 102], [101, 103], [102, 103]] {
            assert_eq!(asked(&run(&mut watchdog(&[]), &silent, 500)), silent);
        }
    }

    #[test]
    fn who_answers_is_not_ended_and_who_beats_meanwhile_is_not_either() {
        let mut server = watchdog(&[1]).remove(0);
        server.answered(Identity(1), at(1000));
        assert!(!server.silent(Identity(1), at(1100)), "it has answered");
        server.beat(Identity(1), 0, at(2000));
        assert!(!server.silent(Identity(1), at(2100)), "it has said that it lives");
        assert!(server.silent(Identity(1), at(6000)));
        assert!(!server.silent(Identity(77), at(6000)), "nobody looks after it");
    }

    #[test]
    fn no_member_sends_a_successor_to_where_somebody_was_silent() {
        let avoided = |server: &Server, now| server.permit(&Path::new("/a").unwrap(), at(now)).unwrap().avoid;
        for mut server in watchdog(&[1, 2]) {
            server.beat(Identity(2), 0, at(5900));
            server.ended(Identity(1), at(6000));
            server.ended(Identity(2), at(6000));
            assert_eq!(avoided(&server, 6100), [1], "the other one did not end of silence");
            assert_eq!(avoided(&server, 60_000), []);
        }
    }

    #[test]
    fn a_member_that_was_away_takes_nobody_for_silent() {
        let mut server = watchdog(&[1, 2, 3]).remove(0);
        assert_eq!(server.look(at(20_000), &MEMBERS), [], "it heard nothing for twenty seconds, nor looked");
        assert_eq!(server.look(at(20_010), &MEMBERS), []);
        let later: Vec<Task> =
            (20_020..24_000).step_by(10).flat_map(|now| server.look(at(now), &MEMBERS)).collect();
        assert!(!later.is_empty(), "but from then on it listens");
    }

    #[test]
    fn a_fleet_of_which_nobody_is_left_gets_a_first_member_from_one() {
        let mut servers = watchdog(&[1, 2]);
        for server in &mut servers {
            server.ended(Identity(1), at(10));
        }
        assert_eq!(run(&mut servers, &[], 200).concat(), [], "one is left, who can replace the other");
        for server in &mut servers {
            server.ended(Identity(2), at(200));
        }
        let started: Vec<Task> =
            servers.iter_mut().flat_map(|server| server.look(at(400), &MEMBERS)).collect();
        assert!(matches!(&started[..], [Task::Start(order)] if order.core == 3), "{started:?}");
        let again: Vec<Task> = servers.iter_mut().flat_map(|server| server.look(at(420), &MEMBERS)).collect();
        assert_eq!(again, [], "it gets time to come");
    }

    #[test]
    fn a_dismissed_member_is_no_death() {
        let mut server = watchdog(&[1]).remove(0);
        server.forget(Identity(1));
        server.ended(Identity(1), at(10));
        let state = server.state(&Path::new("/a").unwrap(), at(10)).unwrap();
        assert_eq!(state, FleetState::default());
        assert!((20..6000).step_by(10).all(|now| {
            MEMBERS.iter().for_each(|member| server.beat(*member, 0, at(now)));
            server.look(at(now), &MEMBERS).is_empty()
        }));
    }

    #[test]
    fn poison_is_told_of_less_and_less_often() {
        let mut server = watchdog(&[1]).remove(0);
        let told = (0..100).filter(|_| server.poisoned(Identity(1)).is_some()).count();
        assert_eq!((told, server.poisoned(Identity(9))), (7, None));
        assert_eq!(server.state(&Path::new("/a").unwrap(), at(0)).unwrap().poisoned, 100);
    }

    #[test]
    fn a_newcomer_hears_of_earlier_ends() {
        let (mut old, mut new) = (watchdog(&[1, 2, 3, 4, 5]).remove(0), watchdog(&[]).remove(1));
        (1..=5).for_each(|identity| old.ended(Identity(identity), at(1000 + identity)));
        new.hear_ends(1, &old.ends(1, at(2000)), at(2000));
        let a = Path::new("/a").unwrap();
        assert!(old.permit(&a, at(2000)).is_err_and(|not_yet| not_yet.is_failing));
        assert_eq!(new.permit(&a, at(2000)), old.permit(&a, at(2000)));
        assert_eq!(new.ends(7, at(2000)), [], "the image has no such fleet");
    }

    #[test]
    fn who_asks_for_another_or_says_too_much_is_refused() {
        let server = watchdog(&[1]).remove(0);
        let check = |sender: u64, charge: &Charge| server.check(Identity(sender), charge);
        assert_eq!(check(9, &charge("/a", 9)), Ok(()));
        assert_eq!(check(9, &charge("/a", 8)), Err(WatchError::NotYours));
        assert_eq!(check(9, &charge("/b", 9)), Err(WatchError::NoPolicy));
        let mut long = charge("/a", 9);
        long.order.arguments = vec!["x".repeat(ORDER_BYTES_MAX)];
        assert_eq!(check(9, &long), Err(WatchError::TooLong));
        let mut full = Server::new(MEMBERS[0], vec![policy("/a")]);
        for identity in 1..=CHARGES_MAX as u64 {
            assert!(full.keep(charge("/a", identity), at(0)));
        }
        assert_eq!(full.check(Identity(999), &charge("/a", 999)), Err(WatchError::Full));
        assert_eq!(full.check(Identity(1), &charge("/a", 1)), Ok(()), "it is looked after already");
        let pages: usize = (0..).map(|page| full.page(page * 4)).take_while(|page| !page.is_empty()).count();
        assert_eq!(pages, CHARGES_MAX / CHARGES_PER_PAGE);
    }
}
