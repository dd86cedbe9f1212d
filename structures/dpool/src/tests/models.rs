//! Towns explored to closure: every order of deliveries, epochs, notices, ends, ticks and wishes within their budgets.

use super::town::{Setup, Town, Wish};
use crate::{Policy, Scheme, Thresholds};
use fos_container::town::explore;
use std::vec;

fn closes(setup: Setup) {
    assert_eq!(explore::<Town>(&setup), None);
}

/// So small that two elements are a block and one is few.
pub const SMALL: Thresholds =
    Thresholds { low: 1, high: 1, block: 2, margin: 1, fan: 1, window: 2, ..Thresholds::DEFAULT };

/// A scheme with small numbers.
pub fn small(scheme: Scheme) -> Policy {
    Policy { thresholds: SMALL, ..Policy::distributed(scheme) }
}

/// Three members of whom one has both elements; another's client takes one.
pub fn take() -> Setup {
    Setup {
        stocks: vec![vec![], vec![1, 2], vec![]],
        wishes: vec![Wish::Take(0, 1)],
        deaths: 0,
        ticks: 0,
        policy: small(Scheme::OnDemand),
        is_exact: false,
        room: usize::MAX,
        fault: None,
    }
}

/// Two are wanted at once, and each other member has one.
pub fn take_two() -> Setup {
    Setup { stocks: vec![vec![], vec![1], vec![2]], wishes: vec![Wish::Take(0, 2)], ..take() }
}

/// The first one, and anyone may end.
pub fn take_and_a_death() -> Setup {
    Setup { deaths: 1, ..take() }
}

/// The owner names no more than it must.
pub fn take_and_a_death_exactly() -> Setup {
    Setup { is_exact: true, ..take_and_a_death() }
}

/// Two members; what was taken comes back at the other while the first may end.
pub fn take_give_and_a_death() -> Setup {
    let wishes = vec![Wish::Take(0, 1), Wish::Give(1)];
    Setup { stocks: vec![vec![], vec![1, 2]], wishes, deaths: 1, ..take() }
}

/// Takers at two members, while what an ended one had is looked for.
pub fn takes_and_a_death() -> Setup {
    let wishes = vec![Wish::Take(0, 1), Wish::Take(1, 1)];
    Setup { stocks: vec![vec![], vec![1], vec![2]], wishes, deaths: 1, ..take() }
}

/// Both others may end, one in the middle of looking for what the other had.
pub fn take_and_two_deaths() -> Setup {
    Setup { stocks: vec![vec![], vec![1], vec![]], deaths: 2, ..take() }
}

/// Whoever is asked first may end, and had nothing.
pub fn take_past_the_dead() -> Setup {
    Setup { stocks: vec![vec![], vec![], vec![1]], deaths: 1, ..take() }
}

/// A block is pushed in the background, and anyone may end.
pub fn push_and_a_death() -> Setup {
    let wishes = vec![Wish::Take(1, 1)];
    let policy = small(Scheme::Push);
    Setup { stocks: vec![vec![1, 2, 3], vec![]], wishes, deaths: 1, ticks: 2, policy, ..take() }
}

/// Something is on its way between two while a third looks for what a fourth had.
pub fn take_beside_a_death() -> Setup {
    Setup {
        stocks: vec![vec![], vec![1], vec![], vec![]],
        wishes: vec![Wish::Take(2, 1)],
        deaths: 1,
        ..take()
    }
}

/// What one took of another is passed on to a third, who may end before the first hears that it was taken.
pub fn passed_on_and_a_death() -> Setup {
    let policy = Policy { thresholds: Thresholds { high: 0, ..SMALL }, ..small(Scheme::Push) };
    let stocks = vec![vec![1], vec![], vec![]];
    Setup { stocks, wishes: vec![], deaths: 1, ticks: 3, policy, ..take() }
}

/// Pushed to whoever is believed to have less.
pub fn estimate_and_a_death() -> Setup {
    Setup { policy: small(Scheme::Estimate), ..push_and_a_death() }
}

/// Pulled in the background.
pub fn pull_and_a_death() -> Setup {
    let policy = small(Scheme::Pull);
    Setup { stocks: vec![vec![], vec![1, 2, 3]], policy, ..push_and_a_death() }
}

/// One location.
pub fn single_and_a_death() -> Setup {
    let wishes = vec![Wish::Take(1, 1), Wish::Give(1)];
    let policy = Policy { thresholds: SMALL, ..Policy::SINGLE };
    Setup { stocks: vec![vec![1], vec![]], wishes, deaths: 1, ticks: 1, policy, ..take() }
}

/// A member leaves while another takes.
pub fn leave_and_take() -> Setup {
    let wishes = vec![Wish::Leave(0), Wish::Take(1, 1), Wish::Take(0, 1)];
    Setup { stocks: vec![vec![1], vec![2], vec![]], wishes, ..take() }
}

/// A member leaves while another sends it something.
pub fn leave_and_push() -> Setup {
    let wishes = vec![Wish::Leave(1)];
    Setup { stocks: vec![vec![1, 2, 3], vec![4]], wishes, ticks: 2, policy: small(Scheme::Push), ..take() }
}

/// A member leaves and anyone may end.
pub fn leave_and_a_death() -> Setup {
    let wishes = vec![Wish::Leave(0)];
    Setup { stocks: vec![vec![1], vec![2], vec![]], wishes, deaths: 1, ..take() }
}

/// The same, and the owner names no more than it must.
pub fn leave_and_a_death_exactly() -> Setup {
    Setup { is_exact: true, ..leave_and_a_death() }
}

/// Two leave at once, the eldest among them, and a third takes.
pub fn two_leave() -> Setup {
    let wishes = vec![Wish::Leave(0), Wish::Leave(1)];
    Setup { stocks: vec![vec![1], vec![], vec![]], wishes, ticks: 1, ..take() }
}

/// The same, and anyone may end.
pub fn two_leave_and_a_death() -> Setup {
    Setup { deaths: 1, ticks: 0, ..two_leave() }
}

/// Two leave one after the other; who stays may have missed that the first left nothing behind.
pub fn leave_in_turn() -> Setup {
    let wishes = vec![Wish::Leave(0), Wish::Leave(2)];
    Setup { stocks: vec![vec![1], vec![], vec![2]], wishes, ticks: 2, ..take() }
}

/// A member comes, takes, and another may end.
pub fn join_take_and_a_death() -> Setup {
    let wishes = vec![Wish::Join, Wish::Take(2, 1)];
    Setup { stocks: vec![vec![1], vec![2]], wishes, deaths: 1, ..take() }
}

macro_rules! models {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod closed {
            $(#[test] $(#[$attribute])* fn $name() { super::closes(super::$name()); })*
        }
    };
}

models! {
    take,
    take_two,
    take_and_a_death,
    take_and_a_death_exactly,
    take_give_and_a_death,
    takes_and_a_death,
    take_and_two_deaths,
    take_past_the_dead,
    push_and_a_death,
    take_beside_a_death,
    passed_on_and_a_death,
    estimate_and_a_death,
    pull_and_a_death,
    single_and_a_death,
    leave_and_take,
    leave_and_push,
    leave_and_a_death,
    leave_and_a_death_exactly,
    two_leave,
    two_leave_and_a_death,
    leave_in_turn,
    join_take_and_a_death,
}
