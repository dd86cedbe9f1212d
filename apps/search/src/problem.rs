//! Distances between cities, beginnings of round trips, and the shortest trip that begins so; also the shortest of all in another
//! way, with which the search is compared.

use alloc::vec;
use alloc::vec::Vec;
use fos_messages::rpc::wire::Scalar;
use serde::{Deserialize, Serialize};

/// Cities, at least and at most: a beginning has four bits for each.
pub const CITIES: core::ops::RangeInclusive<u8> = 3..=13;
/// The longest way between two cities.
const DISTANCE_MAX: u64 = 99;
/// Longer than any trip.
pub const NO_TRIP: u32 = u32::MAX;

/// Which cities: distances follow from the seed, the same there and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Scalar)]
pub struct Problem {
    /// Of the distances.
    pub seed: u64,
    /// How many cities.
    pub cities: u8,
    /// Beginnings of so many cities after the first are not lengthened any more: whoever has one tries all trips that begin so.
    pub split: u8,
}

/// A beginning of a trip of one search. Every trip begins and ends at city 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Beginning {
    /// The search's number.
    pub search: u16,
    /// The cities after city 0, four bits each, the last lowest, below a 1.
    pub path: u64,
}

impl Beginning {
    /// The one with which all trips begin.
    pub const fn of_all(search: u16) -> Beginning {
        Beginning { search, path: 1 }
    }

    /// Its cities after city 0.
    pub fn cities(self) -> Vec<u8> {
        let count = self.path.ilog2() / 4;
        (0..count).rev().map(|place| (self.path >> (4 * place) & 0xf) as u8).collect()
    }

    /// Those that are longer by one city.
    pub fn longer(self, problem: Problem) -> Vec<Beginning> {
        let visited = self.cities();
        let open = (1..problem.cities).filter(|city| !visited.contains(city));
        open.map(|city| Beginning { path: self.path << 4 | u64::from(city), ..self }).collect()
    }
}

/// A number that looks random (the finalizer of splitmix64, by Sebastiano Vigna, public domain).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Problem {
    /// Whether there is such a problem.
    pub fn is_one(self) -> bool {
        CITIES.contains(&self.cities) && (1..self.cities).contains(&self.split)
    }

    fn distance(self, from: u8, to: u8) -> u32 {
        let (low, high) = (from.min(to), from.max(to));
        1 + (mix(self.seed ^ u64::from(low) << 8 ^ u64::from(high)) % DISTANCE_MAX) as u32
    }

    fn distances(self) -> Vec<Vec<u32>> {
        let row = |from| (0..self.cities).map(|to| self.distance(from, to)).collect();
        (0..self.cities).map(row).collect()
    }

    /// Whether a beginning is not lengthened any more.
    pub fn is_long_enough(self, beginning: Beginning) -> bool {
        beginning.cities().len() >= usize::from(self.split)
    }

    /// The length of the shortest trip that begins so, if it is less than `best`; else `best`.
    pub fn shortest_from(self, beginning: Beginning, best: u32) -> u32 {
        let distances = self.distances();
        let (mut visited, mut length, mut at) = (1_u16, 0, 0);
        for city in beginning.cities() {
            length += distances[usize::from(at)][usize::from(city)];
            visited |= 1 << city;
            at = city;
        }
        let mut branch = Branch { distances: &distances, best };
        branch.go_on(usize::from(at), visited, length);
        branch.best
    }

    /// The length of the shortest trip, found alone: for each set of cities and each last one, the shortest way to it through them (Held and
    /// Karp, "A dynamic programming approach to sequencing problems", 1962).
    pub fn shortest(self) -> u32 {
        let (distances, others) = (self.distances(), usize::from(self.cities) - 1);
        let mut ways = vec![vec![NO_TRIP; others]; 1 << others];
        for (city, to) in (1..=others).enumerate() {
            ways[1 << city][city] = distances[0][to];
        }
        for visited in 1..1_usize << others {
            for last in (0..others).filter(|last| visited & 1 << last != 0) {
                let way = ways[visited][last];
                for next in (0..others).filter(|next| visited & 1 << next == 0) {
                    let longer = way.saturating_add(distances[last + 1][next + 1]);
                    let known = &mut ways[visited | 1 << next][next];
                    *known = longer.min(*known);
                }
            }
        }
        let back =
            (0..others).map(|last| ways[(1 << others) - 1][last].saturating_add(distances[last + 1][0]));
        back.min().unwrap_or(NO_TRIP)
    }
}

/// Branch and bound from one beginning on.
struct Branch<'a> {
    distances: &'a [Vec<u32>],
    best: u32,
}

impl Branch<'_> {
    fn go_on(&mut self, at: usize, visited: u16, length: u32) {
        let cities = self.distances.len();
        let left = cities as u32 - visited.count_ones();
        // Each way that is left, and the one back, has at least length 1.
        if length + left + 1 > self.best {
            return;
        }
        if left == 0 {
            self.best = self.best.min(length + self.distances[at][0]);
            return;
        }
        for city in (1..cities).filter(|city| visited & 1 << city == 0) {
            self.go_on(city, visited | 1 << city, length + self.distances[at][city]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_beginnings(problem: Problem, beginning: Beginning, best: u32) -> u32 {
        if problem.is_long_enough(beginning) {
            return problem.shortest_from(beginning, best);
        }
        beginning.longer(problem).into_iter().fold(best, |best, longer| by_beginnings(problem, longer, best))
    }

    #[test]
    fn beginnings_are_lengthened_by_every_city_that_is_left() {
        let problem = Problem { seed: 1, cities: 5, split: 2 };
        let first = Beginning::of_all(7).longer(problem);
        assert_eq!(first.iter().map(|one| one.cities()).collect::<Vec<_>>(), [[1], [2], [3], [4]]);
        let second = first[2].longer(problem);
        assert_eq!(second.iter().map(|one| one.cities()).collect::<Vec<_>>(), [[3, 1], [3, 2], [3, 4]]);
        assert!(problem.is_long_enough(second[0]) && !problem.is_long_enough(first[0]));
        assert!(second.iter().all(|one| one.search == 7));
    }

    #[test]
    fn what_is_no_problem_is_noticed() {
        let problem = Problem { seed: 1, cities: 5, split: 2 };
        assert!(problem.is_one());
        for (cities, split) in [(2, 1), (14, 3), (0, 0), (5, 0), (5, 5)] {
            assert!(!Problem { cities, split, ..problem }.is_one());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn both_ways_find_the_same(seed: u64, cities in 3..8_u8, split in 1..7_u8) {
            let problem = Problem { seed, cities, split: split.min(cities - 1) };
            prop_assert_eq!(by_beginnings(problem, Beginning::of_all(0), NO_TRIP), problem.shortest());
        }
    }
}
