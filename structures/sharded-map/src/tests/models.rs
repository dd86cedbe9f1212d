//! Towns explored to closure: every order of deliveries, epochs, ends, ticks and wishes within their budgets.

use super::town::{Setup, Town, Wish};
use crate::{Consistency, Policy};
use fos_container::town::explore;
use std::vec;

fn closes(setup: Setup) {
    assert_eq!(explore::<Town>(&setup), None);
}

/// One shard at two members, parts of one entry.
pub const STRONG: Policy = Policy { consistency: Consistency::Strong, replicas: 2, shards: 1, batch: 1 };
/// The same, eventually.
pub const EVENTUAL: Policy = Policy { consistency: Consistency::Eventual, ..STRONG };

/// Three members, of whom two have the key; one writes, another reads twice.
pub fn write_and_read() -> Setup {
    let wishes = vec![Wish::Put(0, 0), Wish::Get(1, 0), Wish::Get(1, 0)];
    Setup { members: 3, keys: 0, wishes, deaths: 0, ticks: 0, policy: STRONG, room: usize::MAX, fault: None }
}

/// Two write one key.
pub fn two_writes() -> Setup {
    Setup { wishes: vec![Wish::Put(0, 0), Wish::Put(1, 0), Wish::Get(2, 0)], ..write_and_read() }
}

/// A write, and anyone may end.
pub fn write_and_a_death() -> Setup {
    Setup { wishes: vec![Wish::Put(0, 0)], deaths: 1, ..write_and_read() }
}

/// A write at the leader, a read elsewhere, and anyone may end.
pub fn write_read_and_a_death() -> Setup {
    Setup { wishes: vec![Wish::Put(1, 0), Wish::Get(0, 0)], deaths: 1, ..write_and_read() }
}

/// Two writes of one key, and anyone may end.
pub fn two_writes_and_a_death() -> Setup {
    Setup { wishes: vec![Wish::Put(0, 0), Wish::Put(1, 0)], deaths: 1, ..write_and_read() }
}

/// The same with three copies, at all three members.
pub fn three_copies_and_a_death() -> Setup {
    Setup { policy: Policy { replicas: 3, ..STRONG }, ..two_writes_and_a_death() }
}

/// A member comes while one writes: the shard may move to it.
pub fn join_and_a_write() -> Setup {
    let wishes = vec![Wish::Join, Wish::Put(0, 0), Wish::Get(1, 0)];
    Setup { members: 2, keys: 2, wishes, ..write_and_read() }
}

/// The same, and anyone may end.
pub fn join_a_write_and_a_death() -> Setup {
    let wishes = vec![Wish::Join, Wish::Put(0, 0)];
    Setup { members: 2, keys: 1, deaths: 1, wishes, ..write_and_read() }
}

/// A newcomer is to lead, while clients of the old leader write and read.
pub fn handed_to_a_newcomer() -> Setup {
    let wishes = vec![Wish::Join, Wish::Put(0, 0), Wish::Get(0, 0)];
    Setup { members: 1, keys: 1, wishes, ..write_and_read() }
}

/// A member leaves while one writes and one reads.
pub fn leave_and_a_write() -> Setup {
    let wishes = vec![Wish::Leave(0), Wish::Put(1, 0), Wish::Get(2, 0)];
    Setup { keys: 1, wishes, ..write_and_read() }
}

/// Another member does.
pub fn another_leaves_and_a_write() -> Setup {
    Setup { wishes: vec![Wish::Leave(1), Wish::Put(0, 0), Wish::Get(2, 0)], ..leave_and_a_write() }
}

/// The third does.
pub fn the_third_leaves_and_a_write() -> Setup {
    Setup { wishes: vec![Wish::Leave(2), Wish::Put(0, 0), Wish::Get(1, 0)], ..leave_and_a_write() }
}

/// A member leaves, and anyone may end.
pub fn leave_and_a_death() -> Setup {
    Setup { wishes: vec![Wish::Leave(1)], deaths: 1, ..leave_and_a_write() }
}

/// Two leave.
pub fn two_leave() -> Setup {
    Setup { wishes: vec![Wish::Leave(0), Wish::Leave(1)], ..leave_and_a_write() }
}

/// All leave, while one asks.
pub fn all_leave() -> Setup {
    let wishes = vec![Wish::Leave(0), Wish::Leave(1), Wish::Get(0, 0), Wish::Get(1, 0), Wish::Put(1, 0)];
    Setup { members: 2, keys: 1, wishes, policy: Policy { replicas: 1, ..STRONG }, ..write_and_read() }
}

/// Two write one key of an eventual map.
pub fn eventual_writes() -> Setup {
    let wishes = vec![Wish::Put(0, 0), Wish::Put(1, 0), Wish::Remove(2, 0)];
    Setup { wishes, ticks: 2, policy: EVENTUAL, ..write_and_read() }
}

/// A write, and anyone may end.
pub fn eventual_write_and_a_death() -> Setup {
    Setup { wishes: vec![Wish::Put(0, 0), Wish::Put(1, 0)], deaths: 1, ticks: 3, ..eventual_writes() }
}

/// A member comes while one writes.
pub fn eventual_join() -> Setup {
    Setup { members: 2, keys: 1, wishes: vec![Wish::Join, Wish::Put(0, 0)], ticks: 4, ..eventual_writes() }
}

/// A member leaves while one writes.
pub fn eventual_leave() -> Setup {
    Setup { keys: 1, wishes: vec![Wish::Leave(1), Wish::Put(0, 0)], ticks: 4, ..eventual_writes() }
}

/// A key is written and removed while something older is on its way, and then forgotten.
pub fn eventual_remove() -> Setup {
    let wishes = vec![Wish::Put(1, 0), Wish::Remove(0, 0)];
    Setup { wishes, ticks: 1, policy: Policy { replicas: 3, ..EVENTUAL }, ..write_and_read() }
}

/// The same, and anyone may end.
pub fn eventual_remove_and_a_death() -> Setup {
    let wishes = vec![Wish::Remove(0, 0)];
    Setup {
        keys: 1,
        wishes,
        deaths: 1,
        ticks: 2,
        policy: Policy { replicas: 3, ..EVENTUAL },
        ..write_and_read()
    }
}

/// The same, and another comes.
pub fn eventual_remove_and_a_newcomer() -> Setup {
    let wishes = vec![Wish::Remove(0, 0), Wish::Join];
    Setup { members: 2, keys: 1, wishes, ticks: 2, policy: EVENTUAL, ..write_and_read() }
}

macro_rules! models {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod closed {
            $(#[test] $(#[$attribute])* fn $name() { super::closes(super::$name()); })*
        }
    };
}

models! {
    write_and_read,
    two_writes,
    write_and_a_death,
    write_read_and_a_death,
    two_writes_and_a_death,
    three_copies_and_a_death,
    join_and_a_write,
    join_a_write_and_a_death,
    handed_to_a_newcomer,
    leave_and_a_write,
    another_leaves_and_a_write,
    the_third_leaves_and_a_write,
    leave_and_a_death,
    two_leave,
    all_leave,
    eventual_writes,
    eventual_write_and_a_death,
    eventual_join,
    eventual_leave,
    eventual_remove,
    eventual_remove_and_a_death,
    eventual_remove_and_a_newcomer,
}
