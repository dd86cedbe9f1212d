//! Tests of the protocol as a whole, over one town: members with their pools, the owner of the elements with its records, and
//! clients that take elements and give them back. Explored in every order by a model checker, at random by proptest, and with an
//! end at every message. A list of broken rules shows that they notice.

mod bulk;
mod kills;
mod models;
mod mutants;
mod property;
mod town;
mod units;
