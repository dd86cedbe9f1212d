//! A client: wants memory and gives it back at random. One is a hog, which takes what it can get before it gives anything back;
//! one has a quota; one takes single frames and does not say when it has given them up, so that the custodian has to remember more and
//! more ranges; the others ask now and then for what is not their own, and must not get it.

use super::hands::{Ledger, SHARE_MAX};
use super::{FRAMES, KEY, LOOK_EVERY, PATIENCE, Seen};
use crate::Random;
use crate::world::{Process, World};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::pages::{Freed, NAME, PagesClient, PagesError, RUNS_MAX, Run, Wanted};
use fos_messages::rpc::{Address, CallError};
use fos_runtime::{Named, Names, Priority};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The hog among the clients, the one with a quota, and the one with many ranges.
const HOG: u32 = 0;
const LIMITED: u32 = 1;
const HOARDER: u32 = 2;
/// Single frames that the hoarder takes in a round.
const HOARDED: u64 = 2;
/// The quota, in frames.
const QUOTA: u64 = 200;
/// The longest pause between two rounds.
const PAUSE_US_MAX: u64 = 3000;
/// The hog holds its memory for so many of its rounds.
const HOG_ROUNDS: u64 = 24;

/// A client.
#[derive(Clone)]
pub struct Client(Rc<State>);

struct State {
    world: World,
    process: Process,
    number: u32,
    pages: PagesClient<Named>,
    ledger: Rc<Ledger>,
    seen: Rc<Seen>,
    random: RefCell<Random>,
    held: RefCell<Vec<Run>>,
    last_tag: Cell<u64>,
    is_finished: Cell<bool>,
}

impl Client {
    pub fn start(
        world: &World,
        number: u32,
        core: u32,
        naming: &[Address],
        rounds: u64,
        ledger: Rc<Ledger>,
        seen: Rc<Seen>,
    ) -> Client {
        let process = world.start(&format!("client-{number}"), core);
        let names = Names::new(process.runtime.clone(), naming.to_vec(), (0, core as u16));
        let path = Path::new(NAME).expect("the fleet's name is a name");
        let pages = PagesClient::new(names.at(path, PATIENCE), Address::default());
        let (held, last_tag, is_finished) = Default::default();
        let random = RefCell::new(world.random());
        let world = world.clone();
        let state = Rc::new(State {
            world,
            process,
            number,
            pages,
            ledger,
            seen,
            random,
            held,
            last_tag,
            is_finished,
        });
        let own = state.clone();
        state.process.spawn(Priority::Normal, async move {
            own.run(rounds).await;
            own.is_finished.set(true);
        });
        Client(state)
    }

    pub fn process(&self) -> &Process {
        &self.0.process
    }

    pub fn identity(&self) -> u64 {
        self.0.process.identity.0
    }

    /// Whether nothing more is to be expected of it.
    pub fn is_through(&self) -> bool {
        self.0.is_finished.get() || !self.0.process.is_running()
    }

    /// Whether its core stands still, and it has not ended.
    pub fn is_stuck(&self) -> bool {
        self.0.process.is_alive() && !self.0.process.is_running()
    }
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl State {
    fn below(&self, end: u64) -> u64 {
        self.random.borrow_mut().below(end)
    }

    async fn run(&self, rounds: u64) {
        while !self.seen.may_begin.get() {
            self.process.runtime.sleep(LOOK_EVERY).await;
        }
        if self.number == LIMITED {
            while self.pages.set_quota(KEY, self.process.identity.0, QUOTA).await.is_err() {
                self.process.runtime.sleep(LOOK_EVERY).await;
            }
        }
        for round in 0..rounds {
            match self.number {
                HOG => self.grab(round).await,
                HOARDER => self.hoard().await,
                _ => self.one_round().await,
            }
            self.process.runtime.sleep(Duration::from_micros(self.below(PAUSE_US_MAX))).await;
            if self.number != HOARDER && self.below(8) == 0 {
                self.ask_for_what_is_not_its_own().await;
            }
        }
        while !self.held.borrow().is_empty() {
            self.give_back_some(RUNS_MAX).await;
        }
    }

    /// Takes memory in large pieces, and gives all of it back from time to time.
    async fn grab(&self, round: u64) {
        self.allocate(16 << self.below(4), 0).await;
        if round % HOG_ROUNDS == HOG_ROUNDS - 1 {
            while !self.held.borrow().is_empty() {
                self.give_back_some(RUNS_MAX).await;
            }
        }
    }

    /// Takes single frames and deletes what it has of them; that they could come home it says at its end alone.
    async fn hoard(&self) {
        for _ in 0..HOARDED {
            self.allocate(1, 0).await;
        }
        let process = self.process.identity.0;
        self.held.borrow().iter().for_each(|run| self.ledger.delete(process, run.handle));
    }

    async fn one_round(&self) {
        if self.below(2) == 0 {
            let order = self.below(4);
            self.allocate((1 + self.below(8)) << order, order as u8).await;
        } else {
            self.give_back_some(1 + self.below(4) as usize).await;
        }
    }

    async fn allocate(&self, frames: u64, order: u8) {
        let (process, tag) = (self.process.identity.0, self.last_tag.get() + 1);
        self.last_tag.set(tag);
        let wanted = Wanted { tag, frames: frames as u32, order };
        self.ledger.begins(process);
        let answer = loop {
            match self.pages.allocate(wanted).await {
                Ok(runs) => break Ok(runs),
                Err(CallError::Refused(why)) => break Err(why),
                // The same tag: what an earlier member gave is not given twice.
                Err(_) => self.process.runtime.sleep(LOOK_EVERY).await,
            }
        };
        match answer {
            Ok(runs) => {
                count(&self.seen.allocations);
                self.look_at(&runs, frames, order);
                runs.iter().for_each(|run| self.ledger.uses(process, run));
                self.held.borrow_mut().extend(runs);
                let held: u64 = self.held.borrow().iter().map(|run| run.range.count).sum();
                if self.number == LIMITED && held > QUOTA {
                    self.world
                        .broken(format!("process {process} holds {held} frames with a quota of {QUOTA}"));
                }
            }
            Err(PagesError::OutOfMemory) => {
                count(&self.seen.out_of_memory);
                if order == 0 && frames <= RUNS_MAX as u64 {
                    self.ledger.refused(process, frames);
                }
            }
            Err(PagesError::OverQuota) => {
                count(&self.seen.over_quota);
                let held: u64 = self.held.borrow().iter().map(|run| run.range.count).sum();
                if self.number != LIMITED && held + frames <= FRAMES - FRAMES / 8 {
                    self.world.broken(format!(
                        "process {process} has {held} frames, and {frames} were over its quota"
                    ));
                }
            }
            Err(PagesError::TooManyRuns) => {
                count(&self.seen.too_many_runs);
                let held = self.held.borrow().len();
                if held + RUNS_MAX <= SHARE_MAX {
                    self.world
                        .broken(format!("process {process} has {held} ranges, and one more was too many"));
                }
            }
            Err(why) => {
                self.world.broken(format!("process {process} wanted {wanted:?}, and was refused: {why}"))
            }
        }
    }

    fn look_at(&self, runs: &[Run], frames: u64, order: u8) {
        let sum: u64 = runs.iter().map(|run| run.range.count).sum();
        let size = 1u64 << order;
        let is_whole =
            |run: &Run| run.range.first.is_multiple_of(size) && run.range.count.is_multiple_of(size);
        if sum != frames || !runs.iter().all(is_whole) || runs.len() > RUNS_MAX {
            self.world.broken(format!("{frames} frames in blocks of {size} were wanted, and {runs:?} given"));
        }
    }

    /// Gives back some runs, whatever member is asked: who is not certain whether it was done asks again.
    async fn give_back_some(&self, most: usize) {
        let mut given_up: Vec<Run> = Vec::new();
        {
            let mut held = self.held.borrow_mut();
            while !held.is_empty() && given_up.len() < most.min(RUNS_MAX) {
                let place = self.below(held.len() as u64) as usize;
                given_up.push(held.swap_remove(place));
            }
        }
        let process = self.process.identity.0;
        given_up.iter().for_each(|run| self.ledger.delete(process, run.handle));
        let firsts: Vec<u64> = given_up.iter().map(|run| run.range.first).collect();
        let mut is_repeated = false;
        loop {
            match self.pages.give_back(firsts.clone()).await {
                Ok(freed) => {
                    let is_well =
                        |freed: &Freed| *freed == Freed::Done || is_repeated && *freed == Freed::NotYours;
                    if freed.len() != firsts.len() || !freed.iter().all(is_well) {
                        self.world
                            .broken(format!("process {process} gave back {given_up:?}, and heard {freed:?}"));
                    }
                    return;
                }
                Err(CallError::Refused(why)) => {
                    return self.world.broken(format!("process {process} could not give back: {why}"));
                }
                Err(_) => is_repeated = true,
            }
            self.process.runtime.sleep(LOOK_EVERY).await;
        }
    }

    /// A frame of anybody's, one of its own that it still has, a request that can't be met, a key that is guessed.
    async fn ask_for_what_is_not_its_own(&self) {
        let own: Vec<Run> = self.held.borrow().clone();
        let any = super::FIRST_FRAME + self.below(super::FRAMES);
        let is_own = |first: u64| own.iter().any(|run| run.range.first == first);
        let firsts = [any, u64::MAX, own.first().map_or(0, |run| run.range.first)];
        if let Ok(freed) = self.pages.give_back(firsts.to_vec()).await {
            for (first, freed) in firsts.into_iter().zip(freed) {
                let expected = if is_own(first) { Freed::InUse } else { Freed::NotYours };
                if freed != expected {
                    self.world
                        .broken(format!("a frame that is not given up, {first}, was answered {freed:?}"));
                }
            }
            count(&self.seen.refused);
        }
        let tag = u64::MAX;
        for (frames, order) in [(0, 0), (3, 1), (1, 40)] {
            let refused = self.pages.allocate(Wanted { tag, frames, order }).await;
            if matches!(refused, Ok(_) | Err(CallError::Refused(PagesError::OutOfMemory))) {
                self.world.broken(format!("{frames} frames of order {order} came to {refused:?}"));
            }
        }
        let guessed = DirectoryKey([1, 2]);
        if self.pages.set_quota(guessed, self.process.identity.0, u64::MAX - 1).await.is_ok() {
            self.world.broken("a quota was set with a key that is not the fleet's");
        }
    }
}
