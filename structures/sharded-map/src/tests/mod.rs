//! Tests of the protocol as a whole, over one town: members with their shares of a map, and clients that read and write. Explored in
//! every order by a model checker, at random by proptest, and with an end at every message. What clients of a strong map were told
//! must be what one map could have told them one after the other; members of an eventual one must agree when nothing is left to
//! happen. A list of broken rules shows that the tests notice.

mod history;
mod kills;
mod models;
mod mutants;
mod property;
mod town;
mod units;
