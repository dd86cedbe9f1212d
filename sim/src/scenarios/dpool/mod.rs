//! Pools of numbers: `rates` measures the schemes against each other, `ends` has members end, come and leave.

mod ends;
mod numbers;
pub mod rates;

pub(crate) use ends::SCENARIO;
#[cfg(test)]
pub(crate) use ends::{Dress, begin_with};
#[cfg(test)]
pub(crate) use numbers::Owner;

use fos_dpool::Service;
use std::rc::Rc;

/// What is at the members' disposal.
fn stocks<'a>(pools: impl IntoIterator<Item = &'a Rc<Service<u64>>>) -> Vec<u64> {
    let stock = |pool: &'a Rc<Service<u64>>| pool.carrier().container().stock().to_vec();
    pools.into_iter().flat_map(stock).collect()
}

/// What is on its way to others, as far as members know.
fn departing<'a>(pools: impl IntoIterator<Item = &'a Rc<Service<u64>>>) -> Vec<u64> {
    let departing =
        |pool: &'a Rc<Service<u64>>| pool.carrier().container().departing().copied().collect::<Vec<u64>>();
    pools.into_iter().flat_map(departing).collect()
}
