//! Pools on one core of this host: the members' shares in turn, each its own only client, as fast as one thread runs them. So what
//! is measured is what a scheme costs in processor time for each element taken, with all that its members say to each other and
//! without what carries it; and how often a take waits, and how many messages there are, which are the same on every host.
//!
//! The first half of the members gives two in seven of what it takes back at the other half, so that it runs dry again and again.

use crate::bench::document::{Row, median};
use fos_container::{Container, Effect, Effects, Epoch, Member, Statistics, Ticket};
use fos_dpool::{Answer, Message, Policy, Pool, Request};
use fos_sim::scenarios::dpool::rates::SCHEMES;
use std::collections::VecDeque;
use std::time::Instant;

/// Members of a pool.
const MEMBERS: [usize; 3] = [1, 2, 16];
/// Turns of all members in one sample, and samples of each scheme, in turn with those of the others.
const TURNS: u64 = 100_000;
const ROUNDS: usize = 5;
/// A tick each so many turns of a member.
const TICK_EVERY: u64 = 64;
/// Elements of a member at first, and those that its client holds at most.
const STOCK: u64 = 64;
const HANDFUL: usize = 8;
/// Of so many elements that a client of the first half gives back, so many go to the other half.
const ELSEWHERE: (u64, u64) = (2, 7);
/// Whose answers are elements.
const TAKE: Ticket = Ticket(1);
const GIVE: Ticket = Ticket(0);

/// What one sample found: takes per second, stalls and messages for each element taken.
type Found = [f64; 3];

/// A row for each scheme, number of members and what was found.
pub fn rows() -> Vec<Row> {
    let cases: Vec<(usize, usize)> =
        (0..SCHEMES.len()).flat_map(|scheme| MEMBERS.map(|members| (scheme, members))).collect();
    let mut samples: Vec<Vec<Found>> = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (found, (scheme, members)) in samples.iter_mut().zip(&cases) {
            found.push(sample(SCHEMES[*scheme].1, *members));
        }
    }
    let rows = samples.iter().zip(cases).flat_map(|(found, (scheme, members))| {
        let how = format!("members in turn on one core of this host, median of {ROUNDS} samples");
        [("takes", "1/s"), ("stalls", "share"), ("messages", "messages")].into_iter().enumerate().map(
            move |(column, (what, unit))| {
                let value = median(found.iter().map(|sample| sample[column]).collect()).unwrap_or_default();
                let key = format!("dpool_native_{what}_{}_{members}_members", SCHEMES[scheme].0);
                Row::new(&key.replace('-', "_"), value, unit, &how)
            },
        )
    });
    rows.collect()
}

fn sample(policy: Policy, members: usize) -> Found {
    let mut town = Town::new(policy, members);
    let turns = TURNS / members as u64;
    // A quarter is over before the clock starts.
    (0..turns / 4).for_each(|turn| town.turn(turn));
    let (before, taken, began) = (town.statistics(), town.taken(), Instant::now());
    (0..turns).for_each(|turn| town.turn(turn));
    let seconds = began.elapsed().as_secs_f64();
    let (after, taken) = (town.statistics(), (town.taken() - taken).max(1) as f64);
    let each = |count: u64| count as f64 / taken;
    [taken / seconds, each(after.stalls - before.stalls), each(after.messages - before.messages)]
}

/// A member and its client.
struct Place {
    pool: Pool<u64>,
    heard: VecDeque<(Member, Message<u64>)>,
    held: Vec<u64>,
    /// A take that is not answered yet.
    is_waiting: bool,
    taken: u64,
    given: u64,
}

struct Town {
    places: Vec<Place>,
}

impl Town {
    fn new(policy: Policy, members: usize) -> Town {
        let all: Vec<Member> = (0..members).map(|number| Member(number as u64)).collect();
        let place = |me: &Member| Place {
            pool: Pool::new(*me, policy),
            heard: VecDeque::new(),
            held: Vec::new(),
            is_waiting: false,
            taken: 0,
            given: 0,
        };
        let mut town = Town { places: all.iter().map(place).collect() };
        for number in 0..members {
            town.step(number, |pool, effects| pool.epoch(Epoch(1), &all, effects));
            let stock = number as u64 * STOCK..(number as u64 + 1) * STOCK;
            town.step(number, |pool, effects| pool.ask(GIVE, Request::Add(stock.collect()), effects));
        }
        town
    }

    /// Each member hears what came for it, and its client does one thing.
    fn turn(&mut self, turn: u64) {
        for number in 0..self.places.len() {
            while let Some((from, message)) = self.places[number].heard.pop_front() {
                self.step(number, |pool, effects| pool.hear(from, message, effects));
            }
            if !self.places[number].is_waiting {
                self.act(number);
            }
            if turn.is_multiple_of(TICK_EVERY) && self.places[number].pool.wants_ticks() {
                self.step(number, Container::tick);
            }
        }
    }

    /// Takes a handful, one by one, and gives it back.
    fn act(&mut self, number: usize) {
        if self.places[number].held.len() < HANDFUL {
            self.places[number].is_waiting = true;
            let request = Request::Remove { least: 1, most: 1 };
            return self.step(number, |pool, effects| pool.ask(TAKE, request, effects));
        }
        let half = self.places.len() / 2;
        for element in std::mem::take(&mut self.places[number].held) {
            let given = self.places[number].given;
            self.places[number].given = given + 1;
            let is_elsewhere = number < half && given % ELSEWHERE.1 < ELSEWHERE.0;
            let to = if is_elsewhere { number + half } else { number };
            self.step(to, |pool, effects| pool.ask(GIVE, Request::Add(vec![element]), effects));
        }
    }

    fn step(&mut self, number: usize, step: impl FnOnce(&mut Pool<u64>, &mut Effects<Pool<u64>>)) {
        let mut effects = Vec::new();
        step(&mut self.places[number].pool, &mut effects);
        let me = Member(number as u64);
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.places[to.0 as usize].heard.push_back((me, message)),
                Effect::Answer { ticket: TAKE, answer } => {
                    let place = &mut self.places[number];
                    place.is_waiting = false;
                    if let Answer::Removed(elements) = answer {
                        place.taken += elements.len() as u64;
                        place.held.extend(elements);
                    }
                }
                // Nobody ends or leaves here, and what was added is in.
                Effect::Answer { .. } | Effect::Question(_) | Effect::Left | Effect::Stopped => {}
            }
        }
    }

    fn taken(&self) -> u64 {
        self.places.iter().map(|place| place.taken).sum()
    }

    fn statistics(&self) -> Statistics {
        self.places.iter().map(|place| place.pool.statistics()).sum()
    }
}
