//! Which member of a fleet a lookup answers. Decided from what is known here and now; nobody is asked.

use fos_messages::names::{Entry, LoadFigure, Policy};
use fos_runtime::fleet::weight;

/// A member that may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What it registered.
    pub entry: &'a Entry,
    /// What it told last of its load.
    pub load: LoadFigure,
    /// A message from the asker to it and back, in nanoseconds.
    pub round_trip_nanoseconds: u32,
}

/// Who asks, as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker {
    /// What keeps a client with one member under [`Policy::Sticky`].
    pub hash: u64,
}

/// The place of the chosen one among the candidates, which are in a fixed order. None if there are none, or if somebody
/// else is to be asked. `turn` counts the choices made for this name.
pub fn choose(policy: &Policy, candidates: &[Candidate<'_>], asker: &Asker, turn: u64) -> Option<usize> {
    let least = |cost: &dyn Fn(&Candidate<'_>) -> u64| {
        let best = candidates.iter().map(cost).min()?;
        nth_of(candidates.len(), turn, |place| cost(&candidates[place]) == best)
    };
    match policy {
        Policy::LeastWait => least(&|candidate| wait(candidate)),
        Policy::ShortestQueue => least(&|candidate| u64::from(candidate.load.requests)),
        Policy::Closest => least(&|candidate| u64::from(candidate.round_trip_nanoseconds)),
        Policy::RoundRobin => (!candidates.is_empty()).then(|| (turn % candidates.len() as u64) as usize),
        Policy::Sticky => sticky(candidates, asker.hash),
        Policy::Ask(_) => None,
    }
}

/// How long until an answer, as far as one can tell.
fn wait(candidate: &Candidate<'_>) -> u64 {
    let before_us = u64::from(candidate.load.requests) + 1;
    before_us * u64::from(candidate.load.service_nanoseconds) + u64::from(candidate.round_trip_nanoseconds)
}

/// Of the places for which this holds, the one whose turn it is: equals are taken one after the other.
fn nth_of(count: usize, turn: u64, holds: impl Fn(usize) -> bool) -> Option<usize> {
    let equals = (0..count).filter(|place| holds(*place)).count();
    let skipped = turn.checked_rem(equals as u64)? as usize;
    (0..count).filter(|place| holds(*place)).nth(skipped)
}

/// The one with the highest weight: a member that goes moves only its own clients.
fn sticky(candidates: &[Candidate<'_>], hash: u64) -> Option<usize> {
    (0..candidates.len()).max_by_key(|place| weight(hash, candidates[*place].entry.address.identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use fos_abi::Identity;
    use fos_messages::rpc::Address;
    use proptest::prelude::*;

    fn entries(count: u64) -> Vec<Entry> {
        let entry = |number| Entry {
            address: Address { identity: Identity(number), ..Address::default() },
            machine: 0,
            core: number as u16,
            metadata: Vec::new(),
        };
        (1..=count).map(entry).collect()
    }

    fn candidates<'a>(entries: &'a [Entry], figures: &[(u32, u32, u32)]) -> Vec<Candidate<'a>> {
        let candidate = |(entry, &(requests, service_nanoseconds, round_trip_nanoseconds))| {
            let load = LoadFigure { requests, service_nanoseconds };
            Candidate { entry, load, round_trip_nanoseconds }
        };
        entries.iter().zip(figures).map(candidate).collect()
    }

    #[test]
    fn each_policy_has_its_favourite() {
        let entries = entries(3);
        let all = candidates(&entries, &[(4, 100, 10), (1, 900, 500), (2, 150, 400)]);
        let chosen = |policy| choose(&policy, &all, &Asker::default(), 0);
        assert_eq!(chosen(Policy::LeastWait), Some(0));
        assert_eq!(chosen(Policy::ShortestQueue), Some(1));
        assert_eq!(chosen(Policy::Closest), Some(0));
        assert_eq!(chosen(Policy::Ask(Address::default())), None);
        let turns: Vec<_> =
            (0..4).map(|turn| choose(&Policy::RoundRobin, &all, &Asker::default(), turn).unwrap()).collect();
        assert_eq!(turns, [0, 1, 2, 0]);
    }

    #[test]
    fn equals_take_turns() {
        let entries = entries(3);
        let all = candidates(&entries, &[(1, 100, 10), (5, 100, 10), (1, 100, 10)]);
        let turns: Vec<_> =
            (0..4).map(|turn| choose(&Policy::LeastWait, &all, &Asker::default(), turn).unwrap()).collect();
        assert_eq!(turns, [0, 2, 0, 2]);
    }

    #[test]
    fn nobody_can_not_be_chosen() {
        for policy in
            [Policy::LeastWait, Policy::RoundRobin, Policy::Closest, Policy::ShortestQueue, Policy::Sticky]
        {
            assert_eq!(choose(&policy, &[], &Asker::default(), 3), None);
        }
    }

    proptest! {
        #[test]
        fn sticky_moves_only_the_clients_of_who_left(count in 2u64..20, gone in 0usize..20, hash: u64) {
            let entries = entries(count);
            let figures: Vec<_> = entries.iter().map(|_| (0, 0, 0)).collect();
            let all = candidates(&entries, &figures);
            let before = choose(&Policy::Sticky, &all, &Asker { hash }, 0).unwrap();
            let gone = gone % all.len();
            let mut rest = all.clone();
            rest.remove(gone);
            let after = choose(&Policy::Sticky, &rest, &Asker { hash }, 1).unwrap();
            if gone != before {
                prop_assert_eq!(rest[after].entry, all[before].entry);
            }
        }

        #[test]
        fn sticky_spreads(start: u64) {
            let entries = entries(8);
            let all = candidates(&entries, &[(0, 0, 0); 8]);
            let mut counts = [0; 8];
            for hash in 0..800 {
                counts[choose(&Policy::Sticky, &all, &Asker { hash: start.wrapping_add(hash) }, 0).unwrap()] += 1;
            }
            prop_assert!(counts.iter().all(|count| (50..=160).contains(count)), "{:?}", counts);
        }
    }
}
