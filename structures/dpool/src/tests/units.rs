//! What one step or a few do, with the numbers of a real pool.

use super::models::take;
use super::town::{Setup, Town, Wish, member};
use crate::fault::Fault;
use crate::{Answer, Body, Placement, Policy, Pool, Request, Scheme, Thresholds};
use fos_container::town::Town as _;
use fos_container::{Container, Effect, Effects, Epoch, Member, Ticket};
use std::vec;
use std::vec::Vec;

type Done = Effects<Pool<u8>>;

const ONE: Member = Member(1);
const TWO: Member = Member(2);

/// A member of two with this stock.
fn pool(policy: Policy, stock: Vec<u8>) -> Pool<u8> {
    let mut pool = Pool::new(ONE, policy);
    let mut effects = Vec::new();
    pool.epoch(Epoch(1), &[ONE, TWO], &mut effects);
    pool.ask(Ticket(0), Request::Add(stock), &mut effects);
    pool
}

fn ask(pool: &mut Pool<u8>, request: Request<u8>) -> Done {
    let mut effects = Vec::new();
    pool.ask(Ticket(1), request, &mut effects);
    effects
}

fn answers(effects: &Done) -> Vec<Answer<u8>> {
    let answer = |effect: &Effect<_, Answer<u8>, _>| match effect {
        Effect::Answer { answer, .. } => Some(answer.clone()),
        _ => None,
    };
    effects.iter().filter_map(answer).collect()
}

fn bodies(effects: &Done) -> Vec<Body<u8>> {
    let body = |effect: &Effect<crate::Message<u8>, _, _>| match effect {
        Effect::Send { message, .. } => Some(message.body.clone()),
        _ => None,
    };
    effects.iter().filter_map(body).collect()
}

#[test]
fn what_is_here_is_handed_out_at_once() {
    let mut pool = pool(Policy::distributed(Scheme::OnDemand), vec![1, 2, 3]);
    let effects = ask(&mut pool, Request::Remove { least: 1, most: 2 });
    assert_eq!((answers(&effects), bodies(&effects)), (vec![Answer::Removed(vec![2, 3])], vec![]));
    assert_eq!(pool.statistics().stalls, 0);
}

#[test]
fn what_is_missing_is_asked_for_as_the_scheme_says() {
    let block = Thresholds::DEFAULT.block as u32;
    for (scheme, most) in [(Scheme::OnDemand, 2), (Scheme::Bulk, block), (Scheme::Push, block)] {
        let mut pool = pool(Policy::distributed(scheme), vec![1]);
        let effects = ask(&mut pool, Request::Remove { least: 3, most: 3 });
        assert_eq!((answers(&effects), bodies(&effects)), (vec![], vec![Body::Want { least: 2, most }]));
    }
}

#[test]
fn nothing_and_less_than_nothing_count_as_one() {
    let mut pool = pool(Policy::distributed(Scheme::OnDemand), vec![1, 2]);
    let effects = ask(&mut pool, Request::Remove { least: 0, most: 0 });
    assert_eq!(answers(&effects), [Answer::Removed(vec![2])]);
}

#[test]
fn a_single_location_is_sent_everything() {
    let policy = Policy::SINGLE;
    let mut pool = Pool::new(TWO, policy);
    let mut effects = Vec::new();
    pool.epoch(Epoch(1), &[ONE, TWO], &mut effects);
    pool.ask(Ticket(1), Request::Add(vec![7]), &mut effects);
    assert_eq!(bodies(&effects), [Body::Offer { number: 1, wanted: false, elements: vec![7] }]);
    assert_eq!((pool.policy.placement, pool.stock()), (Placement::Single, [].as_slice()));
}

#[test]
fn who_gave_keeps_what_it_gave_until_it_is_taken() {
    let mut pool = pool(Policy::distributed(Scheme::OnDemand), vec![1, 2]);
    let mut effects = Vec::new();
    let header = crate::Header::default();
    let want = Body::Want { least: 1, most: 1 };
    pool.hear(TWO, crate::Message { header, body: want }, &mut effects);
    assert_eq!((pool.stock().to_vec(), pool.departing().copied().collect()), (vec![1], vec![2]));
    let taken = crate::Message { header: crate::Header { stock: 1, taken: 1 }, body: Body::Tell };
    pool.hear(TWO, taken, &mut effects);
    assert_eq!(pool.departing().count(), 0);
}

#[test]
fn schemes_that_do_nothing_in_the_background_want_no_ticks() {
    for scheme in [Scheme::OnDemand, Scheme::Bulk] {
        assert!(!pool(Policy::distributed(scheme), (0..200).collect()).wants_ticks());
    }
    assert!(pool(Policy::distributed(Scheme::Push), (0..200).collect()).wants_ticks());
    assert!(pool(Policy::distributed(Scheme::Estimate), (0..200).collect()).wants_ticks());
    assert!(!pool(Policy::distributed(Scheme::Pull), (0..200).collect()).wants_ticks());
    assert!(pool(Policy::distributed(Scheme::Pull), vec![]).wants_ticks());
}

/// Estimation comes to rest where the two have about as many, and does not send back what came.
#[test]
fn estimation_evens_out_and_rests() {
    let policy = Policy::distributed(Scheme::Estimate);
    let stocks = vec![(0..200).collect(), vec![], vec![]];
    let setup = Setup { stocks, wishes: vec![], policy, ..take() };
    let mut town = Town::new(&setup);
    town.drain(&setup);
    assert_eq!(town.flaw(&setup), None);
    let stocks: Vec<usize> = town.world.places.values().map(|place| place.container.stock().len()).collect();
    let (least, most) = (stocks.iter().min().unwrap(), stocks.iter().max().unwrap());
    assert!(most - least <= 2 * policy.thresholds.margin, "{stocks:?}");
    assert!(town.world.places.values().all(|place| !place.container.wants_ticks()));
    assert!(town.statistics().moved < 200, "{}", town.statistics().moved);
}

/// Background pull fills who runs low, and leaves the giver what it needs itself.
#[test]
fn pull_fills_who_runs_low() {
    let policy = Policy::distributed(Scheme::Pull);
    let setup = Setup { stocks: vec![(0..100).collect(), vec![]], wishes: vec![], policy, ..take() };
    let mut town = Town::new(&setup);
    town.drain(&setup);
    let stocks: Vec<usize> = town.world.places.values().map(|place| place.container.stock().len()).collect();
    assert!(stocks.iter().all(|stock| *stock >= policy.thresholds.low), "{stocks:?}");
}

/// A remove finds what any member has, wherever it is asked and however it is spread.
pub fn removes_find_what_is_anywhere(fault: Option<Fault>) -> bool {
    let stocks = vec![vec![], vec![], vec![1], vec![2], vec![3]];
    let wishes = vec![Wish::Take(0, 3)];
    let policy = Policy::distributed(Scheme::OnDemand);
    let setup = Setup { stocks, wishes, policy, fault, ..take() };
    let mut town = Town::new(&setup);
    town.drain(&setup);
    town.flaw(&setup).is_none() && town.outside.len() == 3
}

/// A member that hears of an epoch without itself hands out nothing any more.
pub fn who_is_out_serves_nobody(fault: Option<Fault>) -> bool {
    let mut pool = pool(Policy::distributed(Scheme::OnDemand), vec![1]);
    pool.faults.planted = fault;
    let mut effects = Vec::new();
    pool.epoch(Epoch(2), &[TWO], &mut effects);
    pool.ask(Ticket(2), Request::Remove { least: 1, most: 1 }, &mut effects);
    effects.contains(&Effect::Stopped) && answers(&effects) == [Answer::NotServing(vec![])]
}

/// Somebody may have sent a leaver something before it heard.
pub fn who_leaves_waits_until_all_know(fault: Option<Fault>) -> bool {
    let mut pool = pool(Policy::distributed(Scheme::OnDemand), vec![]);
    pool.faults.planted = fault;
    let mut effects = Vec::new();
    pool.leave(&mut effects);
    let waited = !effects.contains(&Effect::Left);
    let header = crate::Header::default();
    pool.hear(TWO, crate::Message { header, body: Body::Heard }, &mut effects);
    waited && effects.contains(&Effect::Left)
}

/// The eldest looks for what an ended member had. The second says that 7 was on its way to the third by its first transfer, which
/// the third says it had taken, or had declined: what the eldest has in the end.
fn found_of_one_on_its_way(fault: Option<Fault>, was_declined: bool) -> Option<Vec<u8>> {
    let (three, header) = (Member(3), crate::Header::default());
    let mut pool = Pool::new(ONE, Policy::distributed(Scheme::OnDemand));
    pool.faults.planted = fault;
    let mut effects = Vec::new();
    pool.epoch(Epoch(1), &[ONE, TWO, three, Member(4)], &mut effects);
    pool.epoch(Epoch(2), &[ONE, TWO, three], &mut effects);
    let epoch = Epoch(2);
    let mut say = |from, body| pool.hear(from, crate::Message { header, body }, &mut effects);
    let fenced = |taken: &[(Member, u64)], declined: &[(Member, u64)]| {
        let (taken, declined) = (taken.to_vec(), declined.to_vec());
        Body::Fenced { epoch, dead: vec![], doubtful: vec![], last: true, taken, declined }
    };
    // Once that they are in the epoch, once that they remember.
    for _ in 0..2 {
        say(TWO, fenced(&[], &[]));
        say(three, fenced(&[(TWO, 1)], if was_declined { &[(TWO, 1)] } else { &[] }));
    }
    pool.ask(Ticket(1), Request::Found { epoch, elements: vec![7] }, &mut effects);
    let mut say = |from, body| pool.hear(from, crate::Message { header, body }, &mut effects);
    say(TWO, Body::Claims { epoch, part: 0, elements: vec![], open: vec![(7, three, 1)] });
    say(three, Body::Claims { epoch, part: 0, elements: vec![], open: vec![] });
    (!pool.is_recovering()).then(|| pool.stock().to_vec())
}

/// What a leaver declined before the fence, and its sender has not heard of yet, is not found a second time.
pub fn what_is_declined_is_still_the_senders(fault: Option<Fault>) -> bool {
    found_of_one_on_its_way(fault, true) == Some(vec![])
}

/// What had been taken, and is nobody's, was sent on to who ended: it is found.
pub fn what_was_taken_is_not_the_senders(fault: Option<Fault>) -> bool {
    found_of_one_on_its_way(fault, false) == Some(vec![7])
}

#[test]
fn removes_search_and_the_excluded_stop() {
    assert!(removes_find_what_is_anywhere(None));
    assert!(who_is_out_serves_nobody(None));
    assert!(what_is_declined_is_still_the_senders(None));
    assert!(what_was_taken_is_not_the_senders(None));
    assert!(who_leaves_waits_until_all_know(None));
}

#[test]
fn what_a_leaver_is_given_comes_back() {
    let mut pool = pool(Policy::distributed(Scheme::Push), vec![1]);
    let mut effects = Vec::new();
    pool.leave(&mut effects);
    let refused = ask(&mut pool, Request::Add(vec![9]));
    assert_eq!(answers(&refused), [Answer::NotServing(vec![9])]);
    assert!(bodies(&effects).contains(&Body::Leaving));
}

#[test]
fn the_last_of_all_goes_with_what_it_has() {
    let mut pool = Pool::new(ONE, Policy::distributed(Scheme::Estimate));
    let mut effects = Vec::new();
    pool.epoch(Epoch(1), &[ONE], &mut effects);
    pool.ask(Ticket(0), Request::Add(vec![1]), &mut effects);
    pool.leave(&mut effects);
    assert!(effects.contains(&Effect::Left));
    assert_eq!(pool.rest(), Some([1].as_slice()));
}

#[test]
fn members_are_numbered_by_place() {
    assert_eq!((member(0), member(1)), (ONE, TWO));
}
