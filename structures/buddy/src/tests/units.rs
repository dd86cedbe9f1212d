//! What one step or a few do.

use super::town::{Setup, Town, block};
use crate::fault::Fault;
use crate::limits::WAITING_MAX;
use crate::{Answer, Block, Body, Buddy, Header, Message, ORDER_MAX, Request};
use fos_container::town::Town as _;
use fos_container::{Container, Effect, Effects, Epoch, Member, Ticket};
use std::vec;
use std::vec::Vec;

type Done = Effects<Buddy>;

const ONE: Member = Member(1);
const TWO: Member = Member(2);

/// The younger of two, with these blocks.
fn share(blocks: &[(u64, u8)]) -> Buddy {
    let mut share = Buddy::new(ONE);
    let mut effects = Vec::new();
    share.epoch(Epoch(1), &[TWO, ONE], &mut effects);
    blocks.iter().for_each(|one| share.ask(Ticket(0), Request::Free(block(*one)), &mut effects));
    share
}

fn ask(share: &mut Buddy, request: Request) -> Done {
    let mut effects = Vec::new();
    share.ask(Ticket(1), request, &mut effects);
    effects
}

fn hear(share: &mut Buddy, body: Body) -> Done {
    let mut effects = Vec::new();
    share.hear(TWO, Message { header: Header::default(), body }, &mut effects);
    effects
}

fn answers(effects: &Done) -> Vec<Answer> {
    let answer = |effect: &Effect<_, Answer, _>| match effect {
        Effect::Answer { answer, .. } => Some(*answer),
        _ => None,
    };
    effects.iter().filter_map(answer).collect()
}

fn bodies(effects: &Done) -> Vec<Body> {
    let body = |effect: &Effect<Message, _, _>| match effect {
        Effect::Send { message, .. } => Some(message.body.clone()),
        _ => None,
    };
    effects.iter().filter_map(body).collect()
}

#[test]
fn what_is_here_is_split_and_handed_out_at_once() {
    let mut share = share(&[(8, 3)]);
    let effects = ask(&mut share, Request::Allocate { order: 1 });
    assert_eq!((answers(&effects), bodies(&effects)), (vec![Answer::Allocated(block((8, 1)))], vec![]));
    assert_eq!(share.store().blocks().collect::<Vec<Block>>(), [block((10, 1)), block((12, 2))]);
}

#[test]
fn what_is_freed_merges() {
    let mut share = share(&[(9, 0), (10, 1), (12, 2)]);
    assert_eq!(answers(&ask(&mut share, Request::Free(block((8, 0))))), [Answer::Freed(block((8, 0)))]);
    assert_eq!(share.store().blocks().collect::<Vec<Block>>(), [block((8, 3))]);
}

#[test]
fn what_is_freed_twice_is_refused() {
    let mut share = share(&[(8, 3)]);
    for twice in [(8, 3), (8, 0), (12, 2), (0, 4)] {
        let twice = block(twice);
        assert_eq!(answers(&ask(&mut share, Request::Free(twice))), [Answer::Overlap(twice)]);
    }
    assert_eq!(share.store().frames(), 8);
}

#[test]
fn what_is_missing_is_asked_for() {
    let mut share = share(&[(8, 3)]);
    let effects = ask(&mut share, Request::Allocate { order: 4 });
    assert_eq!((answers(&effects), bodies(&effects)), (vec![], vec![Body::Want { order: 4 }]));
    assert_eq!(answers(&hear(&mut share, Body::Nothing)), [Answer::Exhausted]);
}

#[test]
fn a_small_one_does_not_wait_behind_a_large_one() {
    let mut share = share(&[(8, 3)]);
    ask(&mut share, Request::Allocate { order: 4 });
    assert_eq!(answers(&ask(&mut share, Request::Allocate { order: 3 })), [Answer::Allocated(block((8, 3)))]);
}

#[test]
fn who_has_no_large_one_may_have_a_small_one() {
    let mut share = share(&[]);
    let mut effects = Vec::new();
    ask(&mut share, Request::Allocate { order: 4 });
    share.ask(Ticket(2), Request::Allocate { order: 0 }, &mut effects);
    share.ask(Ticket(3), Request::Free(block((16, 4))), &mut effects);
    assert_eq!(answers(&effects), [Answer::Freed(block((16, 4))), Answer::Allocated(block((16, 4)))]);
    assert_eq!(bodies(&hear(&mut share, Body::Nothing)), [Body::Want { order: 0 }]);
}

#[test]
fn orders_that_there_are_not_and_too_many_are_refused() {
    let mut share = share(&[]);
    assert_eq!(answers(&ask(&mut share, Request::Allocate { order: ORDER_MAX + 1 })), [Answer::TooLarge]);
    for _ in 0..WAITING_MAX {
        assert_eq!(answers(&ask(&mut share, Request::Allocate { order: 0 })), []);
    }
    assert_eq!(answers(&ask(&mut share, Request::Allocate { order: 0 })), [Answer::Busy]);
}

#[test]
fn who_asks_gets_more_if_as_much_stays() {
    let mut share = share(&[(64, 6)]);
    let given = Body::Transfer { number: 1, wanted: true, blocks: vec![block((64, 4))] };
    assert_eq!(bodies(&hear(&mut share, Body::Want { order: 0 })), [given]);
    assert_eq!(bodies(&hear(&mut share, Body::Want { order: 6 })), [Body::Nothing]);
}

#[test]
fn a_half_is_brought_to_the_other() {
    let mut share = share(&[(9, 0)]);
    let brought = Body::Transfer { number: 1, wanted: false, blocks: vec![block((9, 0))] };
    assert_eq!(bodies(&hear(&mut share, Body::Bring { half: block((9, 0)), to: TWO })), [brought]);
    assert_eq!(
        bodies(&hear(&mut share, Body::Bring { half: block((9, 0)), to: TWO })),
        [Body::Lacks(block((9, 0)))]
    );
}

/// A member that hears of an epoch without itself hands out nothing any more.
pub fn who_is_out_serves_nobody(fault: Option<Fault>) -> bool {
    let mut share = share(&[(0, 0)]);
    share.faults.planted = fault;
    let mut effects = Vec::new();
    share.epoch(Epoch(2), &[TWO], &mut effects);
    share.ask(Ticket(2), Request::Allocate { order: 0 }, &mut effects);
    effects.contains(&Effect::Stopped) && answers(&effects) == [Answer::NotServing(None)]
}

/// Somebody may have sent a leaver something before it heard.
pub fn who_leaves_waits_until_all_know(fault: Option<Fault>) -> bool {
    let mut share = share(&[]);
    share.faults.planted = fault;
    let mut effects = Vec::new();
    share.leave(&mut effects);
    let waited = !effects.contains(&Effect::Left);
    waited && hear(&mut share, Body::Heard).contains(&Effect::Left)
}

/// What is handed on is a leaver's until it was taken.
pub fn who_leaves_waits_until_all_was_taken(fault: Option<Fault>) -> bool {
    let mut share = share(&[(0, 0)]);
    share.faults.planted = fault;
    let mut effects = Vec::new();
    share.leave(&mut effects);
    let waited = !hear(&mut share, Body::Heard).contains(&Effect::Left);
    let header = Header { taken: 1, ..Header::default() };
    share.hear(TWO, Message { header, body: Body::Tell }, &mut effects);
    waited && effects.contains(&Effect::Left)
}

/// What a leaver declines is the sender's again.
pub fn what_is_declined_comes_back(fault: Option<Fault>) -> bool {
    let mut share = share(&[(9, 0)]);
    share.faults.planted = fault;
    hear(&mut share, Body::Bring { half: block((9, 0)), to: TWO });
    let mut effects = Vec::new();
    let header = Header { taken: 1, ..Header::default() };
    share.hear(TWO, Message { header, body: Body::Decline { number: 1 } }, &mut effects);
    share.store().contains(block((9, 0)))
}

/// At the fence a leaver does not speak of what it declined as taken: its sender claims it.
pub fn what_is_declined_was_not_taken(fault: Option<Fault>) -> bool {
    let mut share = share(&[]);
    share.faults.planted = fault;
    hear(&mut share, Body::Transfer { number: 1, wanted: false, blocks: vec![block((8, 0))] });
    let mut effects = Vec::new();
    share.leave(&mut effects);
    hear(&mut share, Body::Transfer { number: 2, wanted: false, blocks: vec![block((16, 0))] });
    let fenced = Body::Fenced { epoch: Epoch(1), taken: vec![(TWO, 1)] };
    bodies(&hear(&mut share, Body::Fence { epoch: Epoch(1) })) == [fenced]
}

/// What home keeps in mind was old: it asks everybody.
pub fn home_asks_again(fault: Option<Fault>) -> bool {
    let mut share = share(&[]);
    share.faults.planted = fault;
    bodies(&hear(&mut share, Body::Lacks(block((9, 0))))) == [Body::Name { parent: block((8, 1)) }]
}

/// The eldest may never have been in an epoch with somebody who ended.
pub fn the_eldest_is_told_of_ends(fault: Option<Fault>) -> bool {
    let mut share = share(&[]);
    share.faults.planted = fault;
    let mut effects = Vec::new();
    share.epoch(Epoch(2), &[TWO, ONE, Member(3)], &mut effects);
    share.epoch(Epoch(3), &[TWO, ONE], &mut effects);
    bodies(&effects) == [Body::Mourn { epoch: Epoch(3) }]
}

/// An allocation finds what any member has, wherever it is asked.
pub fn allocations_find_what_is_anywhere(fault: Option<Fault>) -> bool {
    let setup = Setup { fault, ..super::models::take() };
    let mut town = Town::new(&setup);
    town.drain(&setup);
    town.flaw(&setup).is_none() && town.outside.len() == 1
}

#[test]
fn declined_blocks_come_back_and_all_are_asked_and_told() {
    assert!(what_is_declined_comes_back(None));
    assert!(what_is_declined_was_not_taken(None));
    assert!(home_asks_again(None));
    assert!(the_eldest_is_told_of_ends(None));
    assert!(allocations_find_what_is_anywhere(None));
}

#[test]
fn the_excluded_stop_and_leavers_wait() {
    assert!(who_is_out_serves_nobody(None));
    assert!(who_leaves_waits_until_all_know(None));
    assert!(who_leaves_waits_until_all_was_taken(None));
}
