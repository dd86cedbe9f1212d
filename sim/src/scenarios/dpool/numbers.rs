//! What the pools of scenarios hold, and how clients ask for it: numbers, and an owner that knows which are outside.

use crate::world::World;
use fos_dpool::{Coming, Question, Records, RemoveError, Service};
use fos_messages::rpc::{Context, Instead, Never, interface};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Numbers from a pool.
#[interface(id = 0x7f41, version = 1)]
pub trait Numbers {
    /// Takes so many. Fewer than none of them: then none are left.
    #[operation(answer_max = 900)]
    async fn take(&self, count: u32) -> Vec<u64>;

    /// Gives some back. Those that are not outside were given back before.
    #[operation(idempotent)]
    async fn give(&self, numbers: Vec<u64>);
}

/// The owner's records.
pub struct Owner {
    world: World,
    pub universe: u64,
    pub outside: RefCell<BTreeSet<u64>>,
    named: fn(&Owner) -> Vec<u64>,
}

impl Owner {
    /// An owner of the numbers below `universe`, who names these when it is asked.
    pub fn new(world: &World, universe: u64, named: fn(&Owner) -> Vec<u64>) -> Rc<Owner> {
        Rc::new(Owner { world: world.clone(), universe, outside: RefCell::default(), named })
    }

    /// Everything that is not outside.
    pub fn inside(&self) -> Vec<u64> {
        let outside = self.outside.borrow();
        (0..self.universe).filter(|number| !outside.contains(number)).collect()
    }

    /// Each number is outside, at exactly one member's disposal, or on its way: nowhere else, and nowhere twice.
    pub fn check_moving(&self, stocks: &[u64], departing: &[u64]) -> Result<(), String> {
        let mut seen = self.outside.borrow().clone();
        for number in stocks {
            if !seen.insert(*number) {
                return Err(format!("number {number} is at two members' disposal, or outside as well"));
            }
        }
        seen.extend(departing);
        let lost: Vec<u64> = (0..self.universe).filter(|number| !seen.contains(number)).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("{} numbers are lost: {lost:?}", lost.len())) }
    }
}

impl Records<u64> for Owner {
    fn handed_out(&self, numbers: &[u64]) {
        for number in numbers {
            if !self.outside.borrow_mut().insert(*number) {
                self.world.broken(format!("number {number} was handed out twice"));
            }
        }
    }

    fn given_back(&self, numbers: &[u64]) {
        numbers.iter().for_each(|number| _ = self.outside.borrow_mut().remove(number));
    }

    /// It may name what members have: they claim it.
    fn left_by(&self, _: &Question<u64>) -> Coming<Vec<u64>> {
        Box::pin(std::future::ready((self.named)(self)))
    }
}

/// A member's server.
pub struct Server {
    pub pool: Rc<Service<u64>>,
    pub owner: Rc<Owner>,
}

impl Numbers for Server {
    async fn take(&self, _: Context, count: u32) -> Result<Vec<u64>, Instead<Never>> {
        match self.pool.remove(count as usize, count as usize).await {
            Ok(numbers) => Ok(numbers),
            Err(RemoveError::Exhausted) => Ok(Vec::new()),
            Err(RemoveError::Busy | RemoveError::NotServing) => Err(Instead::NotNow),
        }
    }

    async fn give(&self, _: Context, mut numbers: Vec<u64>) -> Result<(), Instead<Never>> {
        numbers.retain(|number| self.owner.outside.borrow().contains(number));
        self.pool.add(numbers).await.map_err(|_| Instead::NotNow)
    }
}
