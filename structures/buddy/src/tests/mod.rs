//! Tests of the protocol as a whole, over one town: members with their shares, the owner of the frames with its record, and
//! clients that take blocks and give them back. Explored in every order by a model checker, at random by proptest, and with an
//! end at every message. A list of broken rules shows that they notice. The store is compared with a set of frames.

mod kills;
mod models;
mod mutants;
mod property;
mod service;
mod store;
mod town;
mod units;
