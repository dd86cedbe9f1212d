//! Tests of the protocol as a whole, over one world of replicas, wires and clients: explored in every order by a model
//! checker, at random by proptest, and with a death at every message. A list of broken rules shows that they notice.

mod checks;
mod kills;
mod models;
mod mutants;
mod property;
mod twin;
mod units;
mod world;
