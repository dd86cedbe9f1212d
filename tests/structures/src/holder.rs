//! A client that takes handles, looks behind them and gives them back, and compares each answer with a table of its own. What all
//! clients of a run must find together is with their [`Eye`].

use crate::handing::{HandingClient, HandingError};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_handles::Handle;
use fos_messages::names::Path;
use fos_messages::rpc::{Address, CallError};
use fos_runtime::{Named, Names, Runtime};

/// Handles that one client has at most.
const HELD_MAX: usize = 6;
/// How long it waits after a call that was not answered, or when all handles are out.
const REST: Duration = Duration::from_millis(1);
/// When so many looks in a row find no handle out, none is.
const EMPTY_LOOKS: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the clients of a run have seen together.
#[derive(Default)]
pub struct Eye {
    /// Every handle that was ever handed out.
    ever: RefCell<BTreeSet<u64>>,
    /// Whose number nobody else may have.
    held: RefCell<BTreeMap<u32, u64>>,
    /// Handles that are being given back: whoever likes may try too.
    leaving: RefCell<Vec<u64>>,
    /// Of those that were given back, whether somebody was told that it was.
    given_back: RefCell<BTreeMap<u64, bool>>,
    wrong: RefCell<Option<String>>,
    answered: Cell<u64>,
    refused: Cell<u64>,
}

impl Eye {
    /// What was not as it should be, if anything was.
    pub fn wrong(&self) -> Option<String> {
        self.wrong.borrow().clone()
    }

    /// Calls that were answered, and those of them that were refused because the handle was stale.
    pub fn counts(&self) -> (u64, u64) {
        (self.answered.get(), self.refused.get())
    }

    fn is_wrong(&self, what: String) {
        self.wrong.borrow_mut().get_or_insert(what);
    }

    fn was_taken(&self, handle: u64) {
        let number = Handle::from_bits(handle).number;
        if !self.ever.borrow_mut().insert(handle) {
            self.is_wrong(format!("handle {} was handed out twice", Handle::from_bits(handle)));
        }
        if let Some(other) = self.held.borrow_mut().insert(number, handle) {
            let (one, two) = (Handle::from_bits(other), Handle::from_bits(handle));
            self.is_wrong(format!("handles {one} and {two} are out at once"));
        }
    }

    fn leaves(&self, handle: u64) {
        self.held.borrow_mut().remove(&Handle::from_bits(handle).number);
        self.leaving.borrow_mut().push(handle);
        self.given_back.borrow_mut().entry(handle).or_insert(false);
    }

    /// Somebody was told that it gave this one back.
    fn was_given_back(&self, handle: u64) {
        if self.given_back.borrow_mut().insert(handle, true) == Some(true) {
            self.is_wrong(format!("handle {} was taken back twice", Handle::from_bits(handle)));
        }
    }

    fn has_left(&self, handle: u64) {
        self.leaving.borrow_mut().retain(|other| *other != handle);
    }
}

/// A client.
pub struct Holder {
    /// Its runtime.
    pub runtime: Runtime,
    /// Its way to naming.
    pub names: Rc<Names>,
    /// The fleet's name.
    pub fleet: Path,
    /// How long one call may take.
    pub patience: Duration,
    /// What it shares with others.
    pub eye: Rc<Eye>,
}

/// What became of a call: refused by the fleet, or without an answer.
type Answer = Result<u64, Option<HandingError>>;

fn answer(answer: Result<u64, CallError<HandingError>>) -> Answer {
    answer.map_err(|error| match error {
        CallError::Refused(refusal) => Some(refusal),
        _ => None,
    })
}

impl Holder {
    fn client(&self) -> HandingClient<Named> {
        HandingClient::new(self.names.at(self.fleet.clone(), self.patience), Address::default())
    }

    /// Makes so many calls, then gives back what it has. `draw` answers a number below the one it is given.
    pub async fn work(&self, calls: u64, mut draw: impl FnMut(u64) -> u64) {
        let mut held: Vec<(u64, u64)> = Vec::new();
        let mut past: Vec<u64> = Vec::new();
        for _ in 0..calls {
            let which = (draw(1 << 16) as usize, draw(8));
            match which {
                (_, 0..=2) if held.len() < HELD_MAX => self.take(draw(1 << 62), &mut held).await,
                (at, 3..=4) if !held.is_empty() => self.look(held[at % held.len()]).await,
                (at, 5..=6) if !held.is_empty() => {
                    let (handle, value) = held.swap_remove(at % held.len());
                    self.give_back(handle, value).await;
                    past.push(handle);
                }
                (at, 7) if !past.is_empty() => self.misuse(past[at % past.len()]).await,
                (at, _) => self.rival(at).await,
            }
        }
        for (handle, value) in held {
            self.give_back(handle, value).await;
        }
    }

    async fn take(&self, value: u64, held: &mut Vec<(u64, u64)>) {
        match answer(self.client().take(value).await) {
            Ok(handle) => {
                self.answered();
                self.eye.was_taken(handle);
                held.push((handle, value));
            }
            Err(Some(HandingError::Stale)) => self.eye.is_wrong("taking one is stale".into()),
            Err(_) => self.runtime.sleep(REST).await,
        }
    }

    async fn look(&self, (handle, value): (u64, u64)) {
        match answer(self.client().get(handle).await) {
            Ok(found) if found == value => self.answered(),
            Err(None) => self.runtime.sleep(REST).await,
            other => self.eye.is_wrong(format!(
                "behind handle {} stands {other:?}, not {value}",
                Handle::from_bits(handle)
            )),
        }
    }

    /// Until it is answered, since the handle would be out for ever.
    async fn give_back(&self, handle: u64, value: u64) {
        self.eye.leaves(handle);
        loop {
            match answer(self.client().give_back(handle).await) {
                Ok(found) => {
                    self.eye.was_given_back(handle);
                    if found != value {
                        self.eye.is_wrong(format!(
                            "behind handle {} stood {found}, not {value}",
                            Handle::from_bits(handle)
                        ));
                    }
                    break;
                }
                // A rival was quicker, or a call of which nothing was heard.
                Err(Some(HandingError::Stale)) => break,
                Err(_) => self.runtime.sleep(REST).await,
            }
        }
        self.answered();
        self.eye.has_left(handle);
    }

    /// What was given back is refused, whoever has its number by now.
    async fn misuse(&self, handle: u64) {
        let looked = answer(self.client().get(handle).await);
        let given = answer(self.client().give_back(handle).await);
        for answer in [looked, given] {
            match answer {
                Err(Some(HandingError::Stale)) => {
                    self.answered();
                    self.eye.refused.set(self.eye.refused.get() + 1);
                }
                Err(None) => self.runtime.sleep(REST).await,
                other => self.eye.is_wrong(format!(
                    "handle {} was given back, and is answered {other:?}",
                    Handle::from_bits(handle)
                )),
            }
        }
    }

    /// Gives back what another is giving back: one of them is told that it did.
    async fn rival(&self, at: usize) {
        let handle = {
            let leaving = self.eye.leaving.borrow();
            if leaving.is_empty() { None } else { Some(leaving[at % leaving.len()]) }
        };
        let Some(handle) = handle else { return self.runtime.sleep(REST).await };
        if answer(self.client().give_back(handle).await).is_ok() {
            self.answered();
            self.eye.was_given_back(handle);
        }
    }

    /// Gives back what is out and nobody was told of, until nothing is.
    pub async fn clear(&self) {
        let mut empty = 0;
        while empty < EMPTY_LOOKS {
            match self.client().out().await {
                Ok(out) if out.is_empty() => empty += 1,
                Ok(out) => {
                    empty = 0;
                    for handle in out {
                        let _ = self.client().give_back(handle).await;
                    }
                }
                Err(_) => empty = 0,
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    fn answered(&self) {
        self.eye.answered.set(self.eye.answered.get() + 1);
    }
}
