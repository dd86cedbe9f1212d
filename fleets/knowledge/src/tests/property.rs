//! Whatever owners ask and say, in any order: no core is given to two while another is free, nobody is told to give its last core,
//! and what an owner has is what it was given and has not given back. And an owner whose work has a limit ends there, and stays.

use super::{at, packages};
use crate::arbiter::{Arbiter, Measure};
use crate::facts::Facts;
use core::time::Duration;
use fos_messages::arbiter::{Advice, ArbiterError, Claim};
use fos_messages::knowledge::Place;
use fos_messages::names::DirectoryKey;
use fos_runtime::Instant;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::vec::Vec;

const KEY: DirectoryKey = DirectoryKey([5, 6]);
const CORES: u16 = 5;
const OWNERS: u8 = 4;

#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    GiveBack(u8),
    Report(u8, u16),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..OWNERS).prop_map(Step::Ask),
        2 => (0..OWNERS).prop_map(Step::GiveBack),
        4 => (0..OWNERS, 0..1000_u16).prop_map(|(owner, busy)| Step::Report(owner, busy)),
        1 => (0..3000_u16).prop_map(Step::Wait),
    ]
}

fn claim(owner: &str, number: u32, wanted: Option<Place>) -> Claim {
    Claim { owner: owner.into(), key: KEY, number, least: 1, near: Vec::new(), wanted }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn grants_are_what_was_given(steps in proptest::collection::vec(step(), 0..80)) {
        let (mut arbiter, facts) = (Arbiter::default(), packages(1, CORES));
        let ranked = facts.nearest(&[], &[]);
        let mut twin = BTreeMap::<u8, BTreeSet<Place>>::new();
        let (mut now, mut number) = (Instant::default(), 0);
        for step in steps {
            match step {
                Step::Ask(owner) => {
                    number += 1;
                    let free = |at: &Place| twin.values().all(|has| !has.contains(at));
                    let is_free = (0..CORES).map(at).any(|place| free(&place));
                    match arbiter.ask(now, &claim(&format!("/{owner}"), number, None), &ranked) {
                        Ok(grant) => {
                            prop_assert!(grant.is_alone || !is_free, "{:?} is shared", grant.at);
                            prop_assert!(!grant.is_alone || free(&grant.at));
                            prop_assert!(twin.entry(owner).or_default().insert(grant.at), "it has it");
                        }
                        Err(ArbiterError::Yielding) => prop_assert!(!is_free),
                        Err(ArbiterError::NoCore) => {
                            prop_assert_eq!(twin.get(&owner).map_or(0, BTreeSet::len), usize::from(CORES));
                        }
                        Err(error) => prop_assert_eq!(error, ArbiterError::DidNotHelp),
                    }
                }
                Step::GiveBack(owner) => {
                    let has = twin.entry(owner).or_default();
                    let at = has.pop_first().unwrap_or(at(0));
                    arbiter.give_back(now, &format!("/{owner}"), KEY, at).unwrap();
                }
                Step::Report(owner, busy_permille) => {
                    let measure = Measure { busy_permille, ..Measure::default() };
                    let has = twin.entry(owner).or_default();
                    match arbiter.report(now, (&format!("/{owner}"), KEY), measure, &ranked) {
                        Ok(Advice::Keep) => {}
                        Ok(Advice::Undo(at) | Advice::Yield(at)) => {
                            prop_assert!(has.len() > 1 && has.contains(&at));
                        }
                        Ok(Advice::Join(from, to)) => {
                            prop_assert!(has.contains(&from) && !has.contains(&to) && to < from);
                        }
                        Ok(Advice::Part(from, to)) => {
                            prop_assert!(has.contains(&from));
                            prop_assert!(twin.values().all(|has| !has.contains(&to)));
                        }
                        Err(_) => prop_assert!(has.is_empty()),
                    }
                }
                Step::Wait(milliseconds) => {
                    now = now.after(Duration::from_millis(milliseconds.into()));
                    for granted in arbiter.expire(now) {
                        let owner = granted.owner[1..].parse::<u8>().unwrap();
                        prop_assert!(twin.entry(owner).or_default().remove(&granted.at));
                    }
                }
            }
            let known = arbiter.holdings(at(0), usize::MAX);
            let known: BTreeSet<(Place, u8)> =
                known.iter().map(|one| (one.at, one.owner[1..].parse().unwrap())).collect();
            let expected = twin.iter().flat_map(|(owner, has)| has.iter().map(|at| (*at, *owner)));
            prop_assert_eq!(known, expected.collect::<BTreeSet<_>>());
        }
    }

    /// A fleet that wants a core whenever its work waits, and whose work grows with cores only up to a limit.
    #[test]
    fn an_owner_ends_at_what_helps_it(limit in 1..CORES, demand in 2..200_u64) {
        let (mut arbiter, facts) = (Arbiter::default(), packages(1, CORES));
        let ranked = facts.nearest(&[], &[]);
        let mut has = Vec::from([arbiter.ask(Instant::default(), &claim("/a", 0, None), &ranked).unwrap().at]);
        let (mut changes, mut number) = (0, 0);
        for look in 0..600_u64 {
            let now = Instant::default().after(Duration::from_millis(100 * look));
            let able = 10 * (has.len() as u64).min(limit.into());
            let is_short = demand > able;
            let wait_nanoseconds = if is_short { (demand - able) * 1_000_000 } else { 1000 };
            let busy_permille = (demand.min(able) * 1000 / (10 * has.len() as u64)) as u16;
            let measure = Measure { work_per_second: demand.min(able), busy_permille, wait_nanoseconds };
            if let Ok(Advice::Undo(at)) = arbiter.report(now, ("/a", KEY), measure, &ranked) {
                arbiter.give_back(now, "/a", KEY, at).unwrap();
                has.retain(|place| *place != at);
                changes += 1;
            } else if is_short && look % 20 == 0 && has.len() < usize::from(CORES) {
                number += 1;
                if let Ok(grant) = arbiter.ask(now, &claim("/a", number, None), &ranked) {
                    has.push(grant.at);
                    changes += 1;
                }
            }
        }
        let needed = (demand.div_ceil(10) as usize).min(limit.into()).min(CORES.into());
        prop_assert!(has.len() >= needed && has.len() <= needed + 1, "{} cores for {needed}", has.len());
        // Up to the limit, one too many and back, and that again after half a minute.
        prop_assert!(changes <= needed + 6, "{changes} changes");
    }

    #[test]
    fn no_question_makes_it_panic(
        peers in proptest::collection::vec((any::<u64>(), any::<u32>()), 0..20),
        waits in proptest::collection::vec(any::<u32>(), 4),
        machine: u16, core: u16,
    ) {
        let mut facts: Facts = packages(2, 2);
        let odd = Place { machine, core };
        let told: Vec<_> = (0..).zip(&waits).map(|(core, wait)| fos_messages::knowledge::Fact::Load {
            at: at(core), busy_permille: u16::MAX, wait_nanoseconds: *wait,
        }).collect();
        facts.learn(&told).unwrap();
        let near: Vec<_> = peers.iter().map(|(process, messages_per_second)| {
            fos_messages::knowledge::Near { process: *process % 8, messages_per_second: *messages_per_second }
        }).collect();
        for process in 0..8 {
            facts.learn(&[fos_messages::knowledge::Fact::Process { process, at: odd }]).unwrap();
        }
        prop_assert_eq!(facts.nearest(&near, &[odd]).len() + usize::from(machine == 0 && core < 4), 4);
        facts.route(odd, at(0));
        facts.memory_near(odd);
    }
}
