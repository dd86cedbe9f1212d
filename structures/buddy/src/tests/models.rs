//! Towns explored to closure: every order of deliveries, epochs, notices, ends, ticks and wishes within their budgets.

use super::town::{Setup, Town, Wish};
use fos_container::town::explore;
use std::vec;

fn closes(setup: Setup) {
    assert_eq!(explore::<Town>(&setup), None);
}

/// Three members of whom one has two frames; another's client takes one.
pub fn take() -> Setup {
    let (stocks, wishes) = (vec![vec![], vec![(0, 1)], vec![]], vec![Wish::Take(0, 0)]);
    Setup { stocks, wishes, deaths: 0, ticks: 0, room: usize::MAX, fault: None }
}

/// The same, and anyone may end.
pub fn take_and_a_death() -> Setup {
    Setup { deaths: 1, ..take() }
}

/// Both others may end, one in the middle of looking for what the other had.
pub fn take_and_two_deaths() -> Setup {
    Setup { stocks: vec![vec![], vec![(0, 0)], vec![]], deaths: 2, ..take() }
}

/// Takers at two members, while what an ended one had is looked for.
pub fn takes_and_a_death() -> Setup {
    let wishes = vec![Wish::Take(0, 0), Wish::Take(1, 0)];
    Setup { stocks: vec![vec![], vec![(1, 0)], vec![(2, 0)]], wishes, deaths: 1, ..take() }
}

/// What was taken comes back at the other, while the first may end.
pub fn take_give_and_a_death() -> Setup {
    let wishes = vec![Wish::Take(0, 0), Wish::Give(1)];
    Setup { stocks: vec![vec![(0, 0)], vec![], vec![]], wishes, deaths: 1, ..take() }
}

/// Whoever is asked first may end, and had nothing.
pub fn take_past_the_dead() -> Setup {
    Setup { stocks: vec![vec![], vec![(1, 0)], vec![]], deaths: 1, ..take() }
}

/// Two halves at two members come together.
pub fn halves() -> Setup {
    Setup { stocks: vec![vec![(1, 0)], vec![(0, 0)]], wishes: vec![], ticks: 4, ..take() }
}

/// The same, while anyone may end.
pub fn halves_and_a_death() -> Setup {
    Setup { ticks: 2, deaths: 1, ..halves() }
}

/// Home is a third or one of the two, and anyone may end.
pub fn three_and_a_death() -> Setup {
    Setup { stocks: vec![vec![(1, 0)], vec![(0, 0)], vec![]], ticks: 2, deaths: 1, ..halves() }
}

/// A half moves on while home hears where it was.
pub fn halves_on_the_move() -> Setup {
    let stocks = vec![vec![(1, 0)], vec![(0, 0)], vec![]];
    Setup { stocks, wishes: vec![Wish::Take(2, 0), Wish::Give(2)], ticks: 4, ..halves() }
}

/// A half may be taken just before it is to be brought to the other.
pub fn halves_and_a_take() -> Setup {
    Setup { wishes: vec![Wish::Take(0, 0)], ticks: 3, ..halves() }
}

/// The half passes through a member that may end before its sender hears that it came.
pub fn passed_on_and_a_death() -> Setup {
    let wishes = vec![Wish::Take(2, 0), Wish::Take(0, 0)];
    Setup { stocks: vec![vec![], vec![(0, 4)], vec![]], wishes, deaths: 1, ..take() }
}

/// A block is on its way between two while the eldest, a third, looks for what a fourth had.
pub fn under_way_at_a_death() -> Setup {
    Setup {
        stocks: vec![vec![], vec![(1, 0)], vec![], vec![]],
        wishes: vec![Wish::Take(2, 0)],
        deaths: 1,
        ..take()
    }
}

/// A member leaves while another takes.
pub fn leave_and_take() -> Setup {
    let wishes = vec![Wish::Leave(0), Wish::Take(1, 0), Wish::Take(0, 0)];
    Setup { stocks: vec![vec![(1, 0)], vec![(2, 0)], vec![]], wishes, ..take() }
}

/// A member leaves while a half is brought to it.
pub fn leave_and_halves() -> Setup {
    Setup { wishes: vec![Wish::Leave(1)], ticks: 3, ..halves() }
}

/// A member leaves and anyone may end.
pub fn leave_and_a_death() -> Setup {
    let (stocks, wishes) = (vec![vec![(1, 0)], vec![(2, 0)], vec![]], vec![Wish::Leave(0)]);
    Setup { stocks, wishes, deaths: 1, ..take() }
}

/// Two leave at once, the eldest among them.
pub fn two_leave() -> Setup {
    let wishes = vec![Wish::Leave(0), Wish::Leave(1)];
    Setup { stocks: vec![vec![(1, 0)], vec![(2, 0)], vec![]], wishes, ..take() }
}

/// A member comes, takes, and another may end.
pub fn join_and_a_death() -> Setup {
    let wishes = vec![Wish::Join, Wish::Take(0, 0)];
    Setup { stocks: vec![vec![(1, 0)], vec![(2, 0)]], wishes, deaths: 1, ..take() }
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
    take_and_a_death,
    take_and_two_deaths,
    takes_and_a_death,
    take_give_and_a_death,
    take_past_the_dead,
    halves,
    halves_and_a_death,
    three_and_a_death,
    halves_and_a_take,
    halves_on_the_move,
    passed_on_and_a_death,
    under_way_at_a_death,
    leave_and_take,
    leave_and_halves,
    leave_and_a_death,
    two_leave,
    join_and_a_death,
}
