//! Pools on one core of this host: the members' shares in turn, and the calls of their clients, as fast as one thread runs them. So
//! what is measured is what a scheme costs in processor time for each element taken, with all that members say to each other and
//! without what carries it; and how often a take waits, and how many messages there are, which are the same on every host.
//!
//! The load is the simulated one (`dpool::rates`), but for who gives to which of the first quarter: in turn, not by chance.

use crate::bench::document::Row;
use fos_container::{Container, Effect, Effects, Epoch, Member, Statistics, Ticket};
use fos_dpool::{Answer, Message, Policy, Pool, Request};
use fos_sim::scenarios::dpool::rates::{
    CLIENTS, ELSEWHERE, GETTERS, HANDFUL, OUTSTANDING, PER_MEMBER, SCHEMES, home,
};
use std::collections::VecDeque;

/// What calls do in one sample, takes and gives, in all and each of them at least, after a third as many before the clock starts.
const DEEDS: u64 = 60_000;
const DEEDS_OF_A_CALL: u64 = 300;
/// Samples of each case, all cases in turn. The quickest counts, by the processor time of the thread: other programs only make one
/// slower.
const ROUNDS: usize = 3;
/// A tick each so many turns of all.
const TICK_EVERY: u64 = 64;
/// Whose answers are not elements; those of calls have their numbers.
const GIVE: Ticket = Ticket(u64::MAX);

/// Scheme, members and clients.
type Case = (usize, u32, u32);
/// What one sample found: takes per second, stalls and messages for each element taken.
type Found = [f64; 3];

/// What is found, as keys have it, and its unit.
pub const FOUND: [(&str, &str); 3] = [("takes", "1/s"), ("stalls", "share"), ("messages", "messages")];

/// A row for each scheme, number of members and of clients, and what was found.
pub fn rows(members: &[u32]) -> Vec<Row> {
    let by_clients = |scheme: usize, members: u32| CLIENTS.map(|clients| (scheme, members, clients));
    let by_members = |scheme| members.iter().flat_map(move |members| by_clients(scheme, *members));
    let cases: Vec<Case> = (0..SCHEMES.len()).flat_map(by_members).collect();
    let mut samples: Vec<Vec<Found>> = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (found, case) in samples.iter_mut().zip(&cases) {
            found.push(sample(*case));
        }
    }
    samples.iter().zip(cases).flat_map(|(found, case)| rows_of(found, case)).collect()
}

fn rows_of(found: &[Found], (scheme, members, clients): Case) -> Vec<Row> {
    let how = format!("members in turn on one core of this host, the quickest of {ROUNDS} samples");
    let quickest = found.iter().copied().reduce(|one, other| if one[0] < other[0] { other } else { one });
    let row = |(column, (what, unit)): (usize, &(&str, &str))| {
        let value = quickest.map_or(0.0, |quickest| quickest[column]);
        Row::new(&key(what, SCHEMES[scheme].0, members, clients), value, unit, &how)
    };
    FOUND.iter().enumerate().map(row).collect()
}

/// What a row is called.
pub fn key(what: &str, scheme: &str, members: u32, clients: u32) -> String {
    format!("dpool_native_{what}_{scheme}_{members}_members_{clients}_clients").replace('-', "_")
}

fn sample((scheme, members, clients): Case) -> Found {
    let mut town = Town::new(SCHEMES[scheme].1, members, clients * OUTSTANDING);
    let deeds = DEEDS.max(DEEDS_OF_A_CALL * town.calls.len() as u64);
    town.run(deeds / 3);
    let (before, taken, began) = (town.statistics(), town.taken, processor_time());
    town.run(deeds);
    let seconds = (processor_time() - began).max(1e-9);
    let (after, taken) = (town.statistics(), (town.taken - taken).max(1) as f64);
    let each = |count: u64| count as f64 / taken;
    [taken / seconds, each(after.stalls - before.stalls), each(after.messages - before.messages)]
}

/// Seconds that this thread has run.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Place {
    pool: Pool<u64>,
    heard: VecDeque<(Member, Message<u64>)>,
}

/// One of a client's calls.
struct Call {
    home: usize,
    held: Vec<u64>,
    /// A take that is not answered yet.
    is_waiting: bool,
    /// It gives back what it holds before it takes more.
    is_giving: bool,
}

struct Town {
    places: Vec<Place>,
    calls: Vec<Call>,
    turns: u64,
    deeds: u64,
    taken: u64,
    given: u64,
}

impl Town {
    fn new(policy: Policy, members: u32, calls: u32) -> Town {
        let all: Vec<Member> = (0..members).map(|number| Member(u64::from(number))).collect();
        let place = |me: &Member| Place { pool: Pool::new(*me, policy), heard: VecDeque::new() };
        let call = |number| Call {
            home: home((number, calls), members) as usize,
            held: Vec::new(),
            is_waiting: false,
            is_giving: false,
        };
        let (turns, deeds, taken, given) = Default::default();
        let mut town = Town {
            places: all.iter().map(place).collect(),
            calls: (0..calls).map(call).collect(),
            turns,
            deeds,
            taken,
            given,
        };
        let each = PER_MEMBER + u64::from(calls) * HANDFUL as u64 / u64::from(members);
        for (number, me) in all.iter().enumerate() {
            town.step(number, |pool, effects| pool.epoch(Epoch(1), &all, effects));
            let stock = (me.0 * each..(me.0 + 1) * each).collect();
            town.step(number, |pool, effects| pool.ask(GIVE, Request::Add(stock), effects));
        }
        town
    }

    fn run(&mut self, deeds: u64) {
        let end = self.deeds + deeds;
        while self.deeds < end {
            self.turn();
        }
    }

    /// Each member hears what came for it, and each call does one thing.
    fn turn(&mut self) {
        self.turns += 1;
        for number in 0..self.places.len() {
            while let Some((from, message)) = self.places[number].heard.pop_front() {
                self.step(number, |pool, effects| pool.hear(from, message, effects));
            }
            if self.turns.is_multiple_of(TICK_EVERY) && self.places[number].pool.wants_ticks() {
                self.step(number, Container::tick);
            }
        }
        for number in 0..self.calls.len() {
            if !self.calls[number].is_waiting {
                self.act(number);
            }
        }
    }

    /// Takes a handful, one by one, and gives it back, one by one.
    fn act(&mut self, number: usize) {
        self.deeds += 1;
        let call = &mut self.calls[number];
        call.is_giving = !call.held.is_empty() && (call.is_giving || call.held.len() >= HANDFUL);
        let home = call.home;
        if let Some(element) = call.held.pop_if(|_| call.is_giving) {
            let to = self.place_to_give(home);
            return self.step(to, |pool, effects| pool.ask(GIVE, Request::Add(vec![element]), effects));
        }
        call.is_waiting = true;
        let request = Request::Remove { least: 1, most: 1 };
        self.step(home, |pool, effects| pool.ask(Ticket(number as u64), request, effects));
    }

    fn place_to_give(&mut self, home: usize) -> usize {
        self.given += 1;
        let (of, all) = ELSEWHERE;
        let getters = self.places.len().div_ceil(GETTERS as usize) as u64;
        let (round, turn) = (self.given / all, self.given % all);
        if turn < of { ((round + turn * getters / of) % getters) as usize } else { home }
    }

    fn step(&mut self, number: usize, step: impl FnOnce(&mut Pool<u64>, &mut Effects<Pool<u64>>)) {
        let mut effects = Vec::new();
        step(&mut self.places[number].pool, &mut effects);
        let me = Member(number as u64);
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.places[to.0 as usize].heard.push_back((me, message)),
                Effect::Answer { ticket, answer } if ticket != GIVE => {
                    let call = &mut self.calls[ticket.0 as usize];
                    call.is_waiting = false;
                    if let Answer::Removed(elements) = answer {
                        self.taken += elements.len() as u64;
                        call.held.extend(elements);
                    }
                }
                // Nobody ends or leaves here, and what was added is in.
                Effect::Answer { .. } | Effect::Question(_) => {}
                Effect::Left | Effect::Returned | Effect::Stopped => {}
            }
        }
    }

    fn statistics(&self) -> Statistics {
        self.places.iter().map(|place| place.pool.statistics()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_go_on_and_no_element_is_twice_in_any_scheme() {
        for (name, policy) in SCHEMES {
            let mut town = Town::new(policy, 16, 256);
            town.run(20_000);
            assert!(town.taken > 5_000, "{name}: {}", town.taken);
            let mut held: Vec<u64> = town.calls.iter().flat_map(|call| call.held.clone()).collect();
            held.extend(town.places.iter().flat_map(|place| place.pool.stock().to_vec()));
            let count = held.len();
            held.sort_unstable();
            held.dedup();
            assert_eq!(held.len(), count, "{name}: an element is twice");
        }
    }
}
