//! What one step or a few do.

use super::models::{EVENTUAL, STRONG};
use crate::fault::Fault;
use crate::policy::{COPYING_MAX, PENDING_MAX};
use crate::{Answer, Body, Cell, Map, Message, Operation, Policy, Version};
use fos_container::{Container, Effect, Effects, Epoch, Member, Ticket};
use std::vec;
use std::vec::Vec;

type Done = Effects<Map<u8, u8>>;

const ONE: Member = Member(1);
const TWO: Member = Member(2);

/// One of two members.
fn share(policy: Policy) -> Map<u8, u8> {
    let mut share = Map::new(ONE, policy);
    share.epoch(Epoch(1), &[TWO, ONE], &mut Vec::new());
    share
}

fn ask(share: &mut Map<u8, u8>, operation: Operation<u8, u8>) -> Done {
    let mut effects = Vec::new();
    share.ask(Ticket(1), operation, &mut effects);
    effects
}

fn hear(share: &mut Map<u8, u8>, body: Body<u8, u8>) -> Done {
    let mut effects = Vec::new();
    share.hear(TWO, Message { epoch: Epoch(1), clock: 0, body }, &mut effects);
    effects
}

fn answers(effects: &Done) -> Vec<Answer<u8>> {
    let answer = |effect: &Effect<_, Answer<u8>, _>| match effect {
        Effect::Answer { answer, .. } => Some(answer.clone()),
        _ => None,
    };
    effects.iter().filter_map(answer).collect()
}

fn cell(counter: u64, member: Member, value: Option<u8>) -> Cell<u8> {
    Cell { version: Version { counter, member }, value }
}

#[test]
fn an_eventual_map_answers_at_once() {
    let mut share = share(EVENTUAL);
    assert_eq!(answers(&ask(&mut share, Operation::Put(0, 7))), [Answer::Written(None)]);
    assert_eq!(answers(&ask(&mut share, Operation::Get(0))), [Answer::Value(Some(7))]);
    assert_eq!(answers(&ask(&mut share, Operation::Remove(0))), [Answer::Written(None)]);
    assert_eq!(answers(&ask(&mut share, Operation::Get(0))), [Answer::Value(None)]);
}

/// Two members say everything that they have to say to each other.
fn talk(one: &mut Map<u8, u8>, two: &mut Map<u8, u8>, mut said: Vec<(Member, Done)>) {
    while let Some((from, effects)) = said.pop() {
        for effect in effects {
            let Effect::Send { message, .. } = effect else { continue };
            let mut effects = Vec::new();
            let to = if from == ONE { &mut *two } else { &mut *one };
            to.hear(from, message, &mut effects);
            said.insert(0, (to.me(), effects));
        }
    }
}

/// While messages to a member wait for room, writes add none: so a member that hangs costs the others nothing, however many there
/// are. When there is room, it gets what it lacks, also what was written while the two compared.
pub fn who_was_crowded_has_everything_in_the_end(fault: Option<Fault>) -> bool {
    let (mut one, mut two) = (Map::new(ONE, EVENTUAL), Map::new(TWO, EVENTUAL));
    one.faults.planted = fault;
    let begin = |map: &mut Map<u8, u8>| map.epoch(Epoch(1), &[ONE, TWO], &mut Vec::new());
    begin(&mut one);
    begin(&mut two);
    let first = ask(&mut one, Operation::Put(0, 1));
    talk(&mut one, &mut two, vec![(ONE, first)]);
    let mut digest = Vec::new();
    one.tick(&mut digest);
    one.crowded(TWO, true, &mut Vec::new());
    for number in 0..5_000_u32 {
        let done = ask(&mut one, Operation::Put((number % 256) as u8, (number / 256) as u8));
        assert!(!done.iter().any(|effect| matches!(effect, Effect::Send { .. })), "{done:?}");
    }
    talk(&mut one, &mut two, vec![(ONE, digest)]);
    let mut told = Vec::new();
    one.crowded(TWO, false, &mut told);
    talk(&mut one, &mut two, vec![(ONE, told)]);
    while one.wants_ticks() {
        let mut effects = Vec::new();
        one.tick(&mut effects);
        talk(&mut one, &mut two, vec![(ONE, effects)]);
    }
    one.eventual.shards == two.eventual.shards
}

#[test]
fn a_crowded_member_is_looked_after_later() {
    assert!(who_was_crowded_has_everything_in_the_end(None));
}

/// However many shards there are, a newcomer has all of them in the end.
pub fn every_shard_is_copied(fault: Option<Fault>) -> bool {
    let policy = Policy { shards: 5 * COPYING_MAX as u16, ..STRONG };
    let (mut one, mut two) = (Map::new(ONE, policy), Map::new(TWO, policy));
    (one.faults.planted, two.faults.planted) = (fault, fault);
    one.epoch(Epoch(1), &[ONE], &mut Vec::new());
    let (mut first, mut second) = (Vec::new(), Vec::new());
    one.epoch(Epoch(2), &[ONE, TWO], &mut first);
    two.epoch(Epoch(2), &[ONE, TWO], &mut second);
    talk(&mut one, &mut two, [(TWO, second), (ONE, first)].into());
    let whole = |map: &Map<u8, u8>| map.strong.replicas.values().filter(|replica| replica.is_whole).count();
    (whole(&one), whole(&two)) == (policy.shards.into(), policy.shards.into())
}

/// The later version wins, whichever comes last.
pub fn the_last_writer_wins(fault: Option<Fault>) -> bool {
    let mut share = share(EVENTUAL);
    share.faults.planted = fault;
    hear(&mut share, Body::Update { key: 0, cell: cell(5, TWO, Some(5)) });
    hear(&mut share, Body::Update { key: 0, cell: cell(5, ONE, Some(4)) });
    hear(&mut share, Body::Update { key: 0, cell: cell(4, TWO, None) });
    answers(&ask(&mut share, Operation::Get(0))) == [Answer::Value(Some(5))]
}

/// What was written after something was seen is later than that.
pub fn writers_heed_what_they_saw(fault: Option<Fault>) -> bool {
    let mut share = share(EVENTUAL);
    share.faults.planted = fault;
    hear(&mut share, Body::Update { key: 0, cell: cell(5, TWO, Some(5)) });
    ask(&mut share, Operation::Put(0, 6));
    answers(&ask(&mut share, Operation::Get(0))) == [Answer::Value(Some(6))]
}

/// An older value does not bring back what was removed.
pub fn what_is_removed_stays_so(fault: Option<Fault>) -> bool {
    let mut share = share(EVENTUAL);
    share.faults.planted = fault;
    hear(&mut share, Body::Update { key: 0, cell: cell(5, TWO, None) });
    hear(&mut share, Body::Update { key: 0, cell: cell(4, TWO, Some(4)) });
    answers(&ask(&mut share, Operation::Get(0))) == [Answer::Value(None)]
}

/// What was said in an older epoch has no effect.
pub fn older_epochs_are_not_obeyed(fault: Option<Fault>) -> bool {
    let mut share = share(EVENTUAL);
    share.faults.planted = fault;
    let mut effects = Vec::new();
    share.epoch(Epoch(2), &[TWO, ONE], &mut effects);
    hear(&mut share, Body::Update { key: 0, cell: cell(5, TWO, Some(5)) });
    share.is_empty()
}

/// A member that hears of an epoch without itself answers nothing any more.
pub fn who_is_out_serves_nobody(fault: Option<Fault>) -> bool {
    let mut share = share(EVENTUAL);
    share.faults.planted = fault;
    let mut effects = Vec::new();
    share.epoch(Epoch(2), &[TWO], &mut effects);
    effects.contains(&Effect::Stopped) && answers(&ask(&mut share, Operation::Get(0))) == [Answer::NotServing]
}

/// Somebody may bring a leaver something before it heard.
pub fn who_leaves_waits_until_all_know(fault: Option<Fault>) -> bool {
    let mut share = share(EVENTUAL);
    share.faults.planted = fault;
    let mut effects = Vec::new();
    share.leave(&mut effects);
    let waited = !effects.contains(&Effect::Left);
    waited && hear(&mut share, Body::Heard).contains(&Effect::Left)
}

/// Who has nothing of a shard and hears that a removal in it is being forgotten takes nothing older.
pub fn what_is_past_is_not_taken(fault: Option<Fault>) -> bool {
    let mut share = share(EVENTUAL);
    share.faults.planted = fault;
    let version = Version { counter: 5, member: TWO };
    hear(&mut share, Body::Bury { number: 1, removed: [(0, version)].into() });
    hear(&mut share, Body::Update { key: 0, cell: cell(4, ONE, Some(4)) });
    share.eventual.shards.is_empty()
}

/// One that knows of a removal and begins to forget it.
fn forgetful(fault: Option<Fault>) -> (Map<u8, u8>, Done) {
    let mut share = share(EVENTUAL);
    share.faults.planted = fault;
    ask(&mut share, Operation::Remove(0));
    let mut effects = Vec::new();
    while !share.eventual.burials.has_begun(ONE) && share.wants_ticks() {
        share.tick(&mut effects);
    }
    (share, effects)
}

fn tells_to_forget(effects: &Done) -> bool {
    let is_it = |effect: &_| {
        matches!(effect, Effect::Send { message: Message { body: Body::Forget { .. }, .. }, .. })
    };
    effects.iter().any(is_it)
}

/// Others are told to forget when all have confirmed, and not before.
pub fn all_agree_before_anything_is_forgotten(fault: Option<Fault>) -> bool {
    let (mut share, effects) = forgetful(fault);
    !tells_to_forget(&effects) && tells_to_forget(&hear(&mut share, Body::Buried { number: 1 }))
}

/// A removal is kept in mind until the other has said that nothing older comes.
pub fn what_is_on_its_way_comes_before_it_is_forgotten(fault: Option<Fault>) -> bool {
    let (mut share, _) = forgetful(fault);
    hear(&mut share, Body::Buried { number: 1 });
    hear(&mut share, Body::Update { key: 0, cell: cell(0, TWO, Some(4)) });
    share.removed() == 1 && answers(&ask(&mut share, Operation::Get(0))) == [Answer::Value(None)]
}

#[test]
fn removals_are_forgotten_when_all_have_said_that_nothing_older_comes() {
    let mut share = share(EVENTUAL);
    ask(&mut share, Operation::Put(0, 7));
    ask(&mut share, Operation::Remove(0));
    assert!(share.removed() == 1 && share.wants_ticks());
    // It is begun by who comes first for the shard, or later by this one.
    while !share.eventual.burials.has_begun(ONE) {
        share.tick(&mut Vec::new());
    }
    hear(&mut share, Body::Buried { number: 1 });
    assert_eq!(share.removed(), 1);
    hear(&mut share, Body::Past { of: ONE, number: 1 });
    assert!(share.removed() == 0 && share.is_empty() && !share.eventual.burials.has_begun(ONE));
}

#[test]
fn a_key_that_is_written_again_meanwhile_stays() {
    let mut share = share(EVENTUAL);
    ask(&mut share, Operation::Remove(0));
    let version = Version { counter: 1, member: ONE };
    hear(&mut share, Body::Bury { number: 3, removed: [(0, version)].into() });
    ask(&mut share, Operation::Put(0, 8));
    hear(&mut share, Body::Forget { number: 3 });
    hear(&mut share, Body::Past { of: TWO, number: 3 });
    assert_eq!(answers(&ask(&mut share, Operation::Get(0))), [Answer::Value(Some(8))]);
}

#[test]
fn versions_epochs_ends_and_leavers_are_heeded() {
    assert!(every_shard_is_copied(None));
    assert!(the_last_writer_wins(None));
    assert!(writers_heed_what_they_saw(None));
    assert!(what_is_removed_stays_so(None));
    assert!(what_is_past_is_not_taken(None));
    assert!(all_agree_before_anything_is_forgotten(None));
    assert!(what_is_on_its_way_comes_before_it_is_forgotten(None));
    assert!(older_epochs_are_not_obeyed(None));
    assert!(who_is_out_serves_nobody(None));
    assert!(who_leaves_waits_until_all_know(None));
}

#[test]
fn a_strong_map_waits_until_all_have_reported() {
    let mut share = share(STRONG);
    assert_eq!(ask(&mut share, Operation::Get(0)), []);
    let effects = hear(&mut share, Body::Report { copies: vec![], is_new: true });
    assert!(!effects.is_empty(), "it asks the leader, or is answered");
}

#[test]
fn too_many_are_refused() {
    let mut share = share(STRONG);
    for _ in 0..PENDING_MAX {
        assert_eq!(answers(&ask(&mut share, Operation::Get(0))), []);
    }
    assert_eq!(answers(&ask(&mut share, Operation::Get(0))), [Answer::Busy]);
}

#[test]
fn who_is_left_out_says_so_to_who_waits() {
    let mut share = share(STRONG);
    ask(&mut share, Operation::Put(0, 1));
    let mut effects = Vec::new();
    share.epoch(Epoch(2), &[TWO], &mut effects);
    assert_eq!(answers(&effects), [Answer::Interrupted]);
}

#[test]
fn a_shard_that_nobody_has_any_more_is_counted_as_lost() {
    let mut share = share(STRONG);
    hear(&mut share, Body::Report { copies: vec![], is_new: true });
    assert_eq!(share.lost(), 0, "a new map");
    let mut late = Map::<u8, u8>::new(ONE, STRONG);
    late.epoch(Epoch(4), &[TWO, ONE], &mut Vec::new());
    let report = Body::Report { copies: vec![], is_new: false };
    late.hear(TWO, Message { epoch: Epoch(4), clock: 0, body: report }, &mut Vec::new());
    let leads = late.leader_of(0) == Some(ONE);
    assert_eq!(late.lost(), u64::from(leads));
}

#[test]
fn who_left_alone_hands_on_to_who_comes_after_all() {
    let mut share = Map::<u8, u8>::new(ONE, STRONG);
    share.epoch(Epoch(1), &[ONE], &mut Vec::new());
    let mut effects = Vec::new();
    share.leave(&mut effects);
    assert!(effects.contains(&Effect::Left), "nobody stays");
    effects.clear();
    share.epoch(Epoch(2), &[ONE, TWO], &mut effects);
    assert!(effects.contains(&Effect::Returned) && !effects.contains(&Effect::Left), "{effects:?}");
}
