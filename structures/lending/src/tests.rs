//! Three members that lend numbers, of whom one ends with some in its hands.

use crate::{Book, Hands, Lending};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_carrier::Switchboard;
use fos_carrier::harness::{Process, Processes};
use fos_container::{Epoch, Member};
use fos_dpool::{Coming, Policy, Scheme};
use fos_messages::lending::PAGE;
use fos_runtime::Priority;
use fos_runtime::port::Class;

const ALL: u64 = 100;

/// All numbers are inside by it; so many times it can't be read.
struct Open {
    unreadable: Cell<u32>,
}

impl Book<u64> for Open {
    fn inside(&self) -> Coming<Option<Vec<u64>>> {
        let can_be_read = self.unreadable.get() == 0;
        self.unreadable.set(self.unreadable.get().saturating_sub(1));
        Box::pin(core::future::ready(can_be_read.then(|| (1..=ALL).collect())))
    }
}

struct Place {
    process: Process,
    lending: Rc<Lending<u64>>,
    taken: Rc<RefCell<Vec<u64>>>,
}

impl Place {
    fn take(&self, count: usize) {
        let (lending, taken) = (self.lending.clone(), self.taken.clone());
        self.process.runtime.spawn(Priority::Normal, async move {
            let numbers = lending.pool().remove(count, count).await.unwrap_or_default();
            taken.borrow_mut().extend(numbers);
        });
    }

    fn stock(&self) -> Vec<u64> {
        self.lending.pool().carrier().container().stock().to_vec()
    }
}

fn begin(epoch: Epoch, places: &[&Place]) {
    let seat = |place: &&Place| (Member(place.process.identity.0), place.process.address(Class::Internal));
    let seats: Vec<_> = places.iter().map(seat).collect();
    places.iter().for_each(|place| place.lending.pool().carrier().begin(epoch, &seats));
}

/// The first has what is left; the second has more than a page in its hands, the third ends with some in its hands.
fn one_has_ended(world: &Processes, unreadable: u32) -> Vec<Place> {
    let book = Rc::new(Open { unreadable: Cell::new(unreadable) });
    let place = |_| {
        let process = world.start();
        let hands = Hands::new(&process.runtime);
        let switchboard = Switchboard::new(&process.runtime);
        let policy = Policy::distributed(Scheme::OnDemand);
        let lending = Lending::new(&hands, &switchboard, 1, policy, book.clone());
        Place { process, lending, taken: Rc::default() }
    };
    let mut places: Vec<Place> = (0..3).map(place).collect();
    begin(Epoch(1), &places.iter().collect::<Vec<_>>());
    let first = places[0].lending.clone();
    places[0].process.runtime.spawn(Priority::Normal, async move {
        let added = first.pool().add((1..=ALL).collect()).await;
        assert_eq!(added, Ok(()));
    });
    world.run_for(Duration::from_millis(5));
    places[1].take(PAGE + 8);
    places[2].take(25);
    world.run_for(Duration::from_millis(50));
    assert_eq!([0, 1, 2].map(|place: usize| places[place].taken.borrow().len()), [0, PAGE + 8, 25]);
    let ended = places.remove(2);
    world.end(&ended.process);
    places
}

/// What is with a member, and nobody has twice.
fn check(places: &[Place], expected: usize) {
    let stocks: Vec<u64> = places.iter().flat_map(Place::stock).collect();
    let held: BTreeSet<u64> = places.iter().flat_map(|place| place.taken.borrow().clone()).collect();
    assert_eq!(stocks.len(), expected);
    assert_eq!(stocks.iter().collect::<BTreeSet<_>>().len(), expected, "nothing is there twice");
    assert!(stocks.iter().all(|one| !held.contains(one)), "nothing is in the pool that is in a hand");
}

#[test]
fn what_was_in_the_hands_of_who_ended_is_found_and_what_others_hold_is_not() {
    for unreadable in [0, 3] {
        let world = Processes::default();
        let places = one_has_ended(&world, unreadable);
        begin(Epoch(2), &places.iter().collect::<Vec<_>>());
        world.run_for(Duration::from_millis(100));
        check(&places, ALL as usize - (PAGE + 8));
        assert!(places.iter().all(|place| place.lending.looks() >= 2));
        assert!(places[0].lending.is_empty_handed() && !places[1].lending.is_empty_handed());
    }
}

#[test]
fn nothing_is_found_while_one_does_not_say_what_it_holds() {
    let world = Processes::default();
    let places = one_has_ended(&world, 0);
    begin(Epoch(2), &places.iter().collect::<Vec<_>>());
    places[1].process.hang(true);
    world.run_for(Duration::from_secs(2));
    check(&places, ALL as usize - (PAGE + 8) - 25);
    places[1].process.hang(false);
    world.run_for(Duration::from_secs(2));
    check(&places, ALL as usize - (PAGE + 8));
}
