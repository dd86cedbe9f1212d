//! Rules that are easier to see one at a time: bounds, refusals, digests, the wire format.

use super::models::{one_machine, small};
use crate::fault::Fault;
use crate::{
    Answer, Body, Epoch, Identity, Input, Limit, Limits, Logged, Machine, Member, Membership, Message,
    Operation, Outcome, Output, Proposal, Refusal, Replica, Request, Stop, Update, Version,
};
use std::vec;
use std::vec::Vec;

type TestReplica = Replica<u8, u8>;

const ME: Member = Member::new(0, 1);
const OTHER: Member = Member::new(0, 2);

fn membership(epoch: u64, members: Vec<Member>) -> Membership {
    Membership { epoch: Epoch(epoch), ..Membership::first(members, Machine(0)) }
}

fn alone(limits: Limits) -> TestReplica {
    Replica::new(ME, membership(1, vec![ME]), limits)
}

fn step(replica: &mut TestReplica, input: Input<u8, u8>) -> Vec<Output<u8, u8>> {
    let mut outputs = Vec::new();
    replica.step(input, &mut outputs);
    outputs
}

fn update(client: u64, request: u64, operation: Operation<u8, u8>) -> Update<u8, u8> {
    Update { client: Identity(client), request: Request(request), operation }
}

fn insert(key: u8, owner: u64) -> Operation<u8, u8> {
    Operation::Insert { key, value: key, owner: Identity(owner) }
}

/// The answer to an update of a map with one member.
fn ask(replica: &mut TestReplica, client: u64, request: u64, operation: Operation<u8, u8>) -> Answer<u8> {
    let outputs = step(replica, Input::Update(update(client, request, operation)));
    let mut answers = outputs.into_iter().filter_map(|output| match output {
        Output::Answer { answer, .. } => Some(answer),
        _ => None,
    });
    answers.next_back().expect("a member on its own answers at once")
}

fn outcome(answer: Answer<u8>) -> Outcome {
    match answer {
        Answer::Updated { outcome, .. } => outcome,
        other => panic!("no update: {other:?}"),
    }
}

/// Whether a proposal of an older epoch gets no vote.
pub fn older_epochs_are_refused(fault: Option<Fault>) -> bool {
    let mut replica = Replica::new(ME, membership(2, vec![ME, OTHER]), small());
    replica.faults.planted = fault;
    let updates = vec![Logged { origin: OTHER, update: update(7, 0, insert(1, 7)) }];
    let body = Body::Prepare(Proposal { coordinator: OTHER, base: Version(0), updates });
    step(&mut replica, Input::Message { from: OTHER, message: Message { epoch: Epoch(1), body } }).is_empty()
}

#[test]
fn operations_do_what_they_say() {
    let mut map = alone(small());
    let mut ask = |request, operation| outcome(ask(&mut map, 7, request, operation));
    assert_eq!(ask(0, insert(1, 8)), Outcome::Done);
    assert_eq!(ask(1, insert(1, 9)), Outcome::Exists(Version(1)));
    let replace = |version| Operation::Replace { key: 1, value: 5, version: Version(version) };
    assert_eq!(ask(2, replace(2)), Outcome::Changed(Version(1)));
    assert_eq!(ask(3, replace(1)), Outcome::Done);
    assert_eq!(ask(4, Operation::Remove { key: 1, version: Some(Version(1)) }), Outcome::Changed(Version(4)));
    assert_eq!(ask(5, Operation::Remove { key: 2, version: None }), Outcome::Absent);
    assert_eq!(ask(6, Operation::RemoveOwner { owner: Identity(8) }), Outcome::Done);
    assert_eq!(ask(7, Operation::Remove { key: 1, version: None }), Outcome::Absent);
    assert_eq!(ask(8, insert(1, 8)), Outcome::Ended);
    // Asked again, each is answered as before.
    assert_eq!(ask(8, insert(1, 8)), Outcome::Ended);
    assert_eq!(ask(3, replace(1)), Outcome::Done);
    assert_eq!(map.store().version(), Version(9));
}

#[test]
fn every_bound_is_full() {
    let limits = Limits { entries_max: 3, owned_max: 2, clients_max: 1, requests_kept: 2, ..small() };
    let mut map = alone(limits);
    let mut full = |client, request, key, owner| outcome(ask(&mut map, client, request, insert(key, owner)));
    assert_eq!(full(7, 0, 0, 1), Outcome::Done);
    assert_eq!(full(7, 1, 1, 1), Outcome::Done);
    assert_eq!(full(7, 2, 2, 1), Outcome::Full(Limit::Owned));
    assert_eq!(full(7, 3, 2, 2), Outcome::Done);
    assert_eq!(full(7, 4, 3, 3), Outcome::Full(Limit::Entries));
    assert_eq!(full(8, 0, 3, 3), Outcome::Full(Limit::Clients));
    assert_eq!(ask(&mut map, 7, 0, insert(0, 1)), Answer::Refused(Refusal::Forgotten));
}

#[test]
fn queue_and_parked_reads_are_bounded() {
    let limits = Limits { queue_max: 2, parked_max: 1, ..small() };
    let mut map = Replica::new(ME, membership(1, vec![ME, OTHER]), limits);
    let full = |outputs: &[Output<u8, u8>], limit| {
        let refused = Answer::Refused(Refusal::Full(limit));
        outputs.iter().any(|output| matches!(output, Output::Answer { answer, .. } if *answer == refused))
    };
    // The first is proposed at once, two wait.
    for request in 0..3 {
        let outputs = step(&mut map, Input::Update(update(7, request, insert(1, 1))));
        assert!(!full(&outputs, Limit::Queue));
    }
    assert!(full(&step(&mut map, Input::Update(update(7, 3, insert(1, 1)))), Limit::Queue));
    let read =
        |request| Input::Read { client: Identity(7), request: Request(request), key: 1, seen: Version(9) };
    assert_eq!(step(&mut map, read(4)), []);
    assert!(full(&step(&mut map, read(5)), Limit::Parked));
    assert_eq!(map.may_read(Version(9)), Err(Refusal::Behind(Version(0))));
    // It waits a few ticks, then its client is sent elsewhere.
    let outputs = (0..=limits.parked_ticks).flat_map(|_| step(&mut map, Input::Tick));
    let behind = Answer::Refused(Refusal::Behind(Version(0)));
    assert!(
        outputs.into_iter().any(|output| matches!(output, Output::Answer { answer, .. } if answer == behind))
    );
}

#[test]
fn messages_of_older_epochs_get_no_vote_and_newer_ones_a_question() {
    assert!(older_epochs_are_refused(None));
    let mut replica = Replica::new(ME, membership(2, vec![ME, OTHER]), small());
    let message = Message { epoch: Epoch(3), body: Body::Vote { base: Version(0), digest: 0 } };
    let outputs = step(&mut replica, Input::Message { from: OTHER, message });
    assert!(matches!(&outputs[..], [Output::Send { to: OTHER, message }] if message.body == Body::Ask));
}

/// Members that talk to each other until nobody has anything to say; answers who stopped, and why.
struct Group(Vec<TestReplica>);

impl Group {
    fn of(count: u32) -> Group {
        let members = one_machine(count);
        let limits = Limits { audited_max: 2, ..small() };
        Group(members.iter().map(|me| Replica::new(*me, membership(1, members.clone()), limits)).collect())
    }

    fn input(&mut self, to: usize, input: Input<u8, u8>) -> Vec<(usize, Stop)> {
        let mut stopped = Vec::new();
        let mut wire = vec![(to, input)];
        while let Some((to, input)) = wire.pop() {
            let from = self.0[to].me();
            for output in step(&mut self.0[to], input) {
                match output {
                    Output::Send { to, message } => {
                        wire.insert(0, (to.number as usize - 1, Input::Message { from, message }));
                    }
                    Output::Stopped(stop) => stopped.push((to, stop)),
                    _ => {}
                }
            }
        }
        stopped
    }

    fn insert(&mut self, at: usize, request: u64, key: u8) -> Vec<(usize, Stop)> {
        self.input(at, Input::Update(update(7, request, insert(key, 7))))
    }

    /// The value of a key is another at this member from now on, and its digest with it when the key is replaced.
    fn corrupt(&mut self, at: usize) {
        self.0[at].store.corrupt(&1, 99);
    }
}

#[test]
fn a_member_whose_map_differs_leaves_whoever_coordinates() {
    for (wrong, coordinator) in [(0, 0), (0, 1), (2, 0), (2, 2)] {
        let mut group = Group::of(3);
        assert_eq!(group.insert(coordinator, 0, 1), []);
        group.corrupt(wrong);
        let take = Operation::Remove { key: 1, version: None };
        assert_eq!(group.input(coordinator, Input::Update(update(7, 1, take))), []);
        assert_eq!(group.insert(coordinator, 2, 2), [(wrong, Stop::Diverged)]);
    }
}

#[test]
fn of_two_maps_that_differ_the_lower_members_stays() {
    for coordinator in [0, 1] {
        let mut group = Group::of(2);
        group.insert(coordinator, 0, 1);
        group.corrupt(1);
        group.input(coordinator, Input::Update(update(7, 1, Operation::Remove { key: 1, version: None })));
        assert_eq!(group.insert(coordinator, 2, 2), [(1, Stop::Diverged)]);
    }
}

#[test]
fn an_audit_finds_an_entry_that_changed_by_itself_and_no_other() {
    let mut group = Group::of(2);
    (0..5).for_each(|key| drop(group.insert(0, u64::from(key), key)));
    // Entries come and go before, at and after the place where the audit is.
    for (request, key) in [(5, 0), (6, 4), (7, 2)] {
        assert_eq!(group.input(0, Input::Audit), []);
        let take = Operation::Remove { key, version: None };
        assert_eq!(group.input(0, Input::Update(update(7, request, take))), []);
        assert_eq!(group.insert(0, request + 10, key + 10), []);
    }
    (0..10).for_each(|_| assert_eq!(group.input(0, Input::Audit), []));
    group.corrupt(0);
    let found: Vec<_> = (0..10).flat_map(|_| group.input(0, Input::Audit)).collect();
    assert_eq!(found, [(0, Stop::Diverged)]);
}

#[test]
fn the_log_is_cut_when_every_member_has_it() {
    let mut map = alone(Limits { log_kept: 3, ..small() });
    for request in 0..20 {
        ask(&mut map, 7, request, insert(request as u8, 7));
    }
    assert_eq!((map.log.base, map.log.len()), (Version(17), 3));
}

#[test]
fn turns_rotate() {
    let members = one_machine(3);
    let membership = membership(1, members.clone());
    let order = |last| {
        let mut order = members.clone();
        order.sort_by_key(|member| membership.turn(*member, last));
        order
    };
    assert_eq!(order(None), members);
    assert_eq!(order(Some(members[0])), [members[1], members[2], members[0]]);
    assert_eq!(order(Some(members[2])), members);
}

#[test]
fn messages_travel_as_postcard() {
    let updates = vec![Logged { origin: ME, update: update(7, 0, insert(1, 7)) }];
    let proposal = Proposal { coordinator: ME, base: Version(3), updates };
    let message = Message { epoch: Epoch(2), body: Body::Prepare(proposal) };
    let bytes = postcard::to_allocvec(&message).expect("it is written");
    assert_eq!(postcard::from_bytes::<Message<u8, u8>>(&bytes), Ok(message));
    for length in 0..bytes.len() {
        assert!(postcard::from_bytes::<Message<u8, u8>>(&bytes[..length]).is_err());
    }
}
