//! Each rule by itself.

use super::*;
use crate::record::Life;
use alloc::vec::Vec;
use fos_messages::processes::{ANSWERS_KEPT, ORDER_BYTES_MAX, ProcessError, State, Target};
use fos_messages::tickets::{Survey, Surveyed};
use std::string::String;

const NOT_YET: Outcome = Ok(Done::Waited(Waited::NotYet));

#[test]
fn an_end_is_told_once_and_again_under_the_same_number_only() {
    let mut table = table();
    let (pid, ticket) = child(&mut table, 100, 1);
    assert_eq!(wait(&mut table, 100, 2, Whom::Any), NOT_YET);
    end(&mut table, ticket, 7);
    assert_eq!(wait(&mut table, 100, 2, Whom::Any), ended(pid, 7));
    assert_eq!(wait(&mut table, 100, 2, Whom::Any), ended(pid, 7), "asked again");
    assert_eq!(wait(&mut table, 100, 3, Whom::Any), Err(ProcessError::NoChildren));
    assert_eq!(table.unsound(), None);
}

#[test]
fn ends_are_told_in_their_order_and_of_whom_was_asked() {
    let mut table = table();
    let (first, one) = child(&mut table, 100, 1);
    let (second, other) = child(&mut table, 100, 2);
    end(&mut table, other, 2);
    end(&mut table, one, 1);
    assert_eq!(wait(&mut table, 100, 3, Whom::Child(first)), ended(first, 1));
    assert_eq!(wait(&mut table, 100, 4, Whom::Child(first)), Err(ProcessError::NoChildren));
    assert_eq!(wait(&mut table, 100, 5, Whom::Group(Pid(2))), ended(second, 2));
}

#[test]
fn a_spawn_that_is_asked_again_is_one_process() {
    let mut table = table();
    let first = spawn(&mut table, 100, 1);
    assert_eq!(spawn(&mut table, 100, 1), first);
    assert_ne!(spawn(&mut table, 100, 2), first);
    assert_eq!(table.records().len(), 4);
}

#[test]
fn what_could_not_be_started_is_gone_and_its_parent_told() {
    let mut table = table();
    let Ok(Done::Made(pid, ticket)) = spawn(&mut table, 100, 1) else { panic!() };
    assert_eq!(table.make(&Change::NotStarted(ticket, ProcessError::NoProgram)), Ok(Done::Plain));
    assert_eq!(spawn(&mut table, 100, 1), Err(ProcessError::NoProgram));
    assert!(!table.records().contains_key(&pid));
    assert_eq!(wait(&mut table, 100, 2, Whom::Any), Err(ProcessError::NoChildren));
    assert!(table.head().owed.contains(&ticket));
}

#[test]
fn orphans_are_inits_who_waits_for_nobody() {
    let mut table = table();
    let (parent, ticket) = child(&mut table, 100, 1);
    let (running, running_ticket) = child(&mut table, 1000 + ticket.0, 1);
    let (zombie, zombie_ticket) = child(&mut table, 1000 + ticket.0, 2);
    end(&mut table, zombie_ticket, 0);
    end(&mut table, ticket, 0);
    assert!(!table.records().contains_key(&zombie), "nobody could wait for it any more");
    assert_eq!(table.records()[&running].parent, Pid::INIT);
    assert!(table.records().contains_key(&parent), "its own parent may");
    end(&mut table, running_ticket, 0);
    assert!(!table.records().contains_key(&running));
    assert_eq!(table.unsound(), None);
}

#[test]
fn no_number_comes_back_while_a_zombie_or_a_group_has_it() {
    let mut table = table();
    let (leader, ticket) = child(&mut table, 100, 1);
    assert_eq!(table.make(&Change::SetGroup(100, leader, leader)), Ok(Done::Plain));
    let (member, _) = child(&mut table, 100, 2);
    assert_eq!(table.make(&Change::SetGroup(100, member, leader)), Ok(Done::Plain));
    end(&mut table, ticket, 0);
    let mut numbers = std::collections::BTreeSet::new();
    for number in 3..70_000u64 {
        let (pid, ticket) = child(&mut table, 100, number * 2);
        assert!(pid != leader && pid != member && pid != Pid::INIT && pid.number() != 0);
        numbers.insert(pid);
        end(&mut table, ticket, 0);
        assert_eq!(wait(&mut table, 100, number * 2 + 1, Whom::Child(pid)), ended(pid, 0));
        if number == 100 {
            assert_eq!(wait(&mut table, 100, 1_000_000, Whom::Child(leader)), ended(leader, 0));
        }
    }
    // All but 0, init, the one that was enrolled, the group and its member.
    assert_eq!(numbers.len(), 65_536 - 5);
}

#[test]
fn who_spawns_without_end_is_refused_and_others_are_not() {
    let mut table = table();
    table.make(&Change::Enroll { identity: 200, own: Address::default() }).unwrap();
    for number in 1..=LIMITS.children_max as u64 {
        child(&mut table, 100, number);
    }
    assert_eq!(spawn(&mut table, 100, 50), Err(ProcessError::TooManyChildren));
    for number in 1..=LIMITS.children_max as u64 {
        child(&mut table, 200, number);
    }
    let grandchild = 1001;
    assert!(spawn(&mut table, grandchild, 1).is_ok());
    assert_eq!(spawn(&mut table, grandchild, 2), Err(ProcessError::TooMany));
    assert_eq!(table.statistics().refused, 2);
    assert_eq!(table.unsound(), None);
}

#[test]
fn cores_are_given_out_before_they_are_shared() {
    let mut table = table();
    let core = |table: &Table, pid| table.records()[&pid].core;
    let spawned: Vec<(Pid, Ticket)> = (1..=4).map(|number| child(&mut table, 100, number)).collect();
    let cores: Vec<u16> = spawned.iter().map(|(pid, _)| core(&table, *pid)).collect();
    assert_eq!(cores, [0, 1, 2, 0]);
    assert_eq!(table.statistics().cores_busy, 3);
    end(&mut table, spawned[2].1, 0);
    assert!(wait(&mut table, 100, 9, Whom::Any).is_ok());
    let mut place = |place, number| {
        let asker = Asker { identity: 1000 + spawned[0].1.0, number };
        match table.make(&Change::Spawn(asker, order(place, Grouping::Parents))) {
            Ok(Done::Made(pid, _)) => Ok(core(&table, pid)),
            outcome => Err(outcome),
        }
    };
    assert_eq!(place(Place::Near(spawned[1].0), 1), Ok(2), "the one with room, although another is nearer");
    assert_eq!(place(Place::Core(1), 2), Ok(1));
    assert_eq!(place(Place::Near(spawned[1].0), 3), Ok(2), "all have two but this");
    for nowhere in [Place::Core(3), Place::Machine(1), Place::Near(Pid(77)), Place::Near(spawned[2].0)] {
        assert_eq!(place(nowhere, 4), Err(Err(ProcessError::NoSuchPlace)));
    }
}

#[test]
fn signals_do_what_they_do_where_nobody_handles_them() {
    let mut table = table();
    let (pid, ticket) = child(&mut table, 100, 1);
    let state = |table: &Table| table.records()[&pid].description(pid).state;
    let mut number = 1;
    let mut kill = |table: &mut Table, signal| {
        number += 1;
        table.make(&Change::Kill(Asker { identity: 100, number }, Target::Process(pid), signal))
    };
    assert_eq!(kill(&mut table, 0), Ok(Done::Signalled(1)));
    assert_eq!(kill(&mut table, 19), Ok(Done::Signalled(1)));
    assert_eq!(state(&table), State::Stopped);
    assert_eq!(kill(&mut table, 18), Ok(Done::Signalled(1)));
    assert_eq!(kill(&mut table, 17), Ok(Done::Signalled(1)));
    assert_eq!((state(&table), table.records()[&pid].doomed), (State::Running, None));
    assert_eq!(kill(&mut table, 15), Ok(Done::Signalled(1)));
    assert_eq!(kill(&mut table, 9), Ok(Done::Signalled(1)));
    assert_eq!(table.records()[&pid].doomed, Some(15), "the first counts");
    assert_eq!(kill(&mut table, 65), Err(ProcessError::NoSuchSignal));
    end(&mut table, ticket, 143);
    assert_eq!(kill(&mut table, 9), Ok(Done::Signalled(1)), "a zombie, which POSIX has be signalled");
}

#[test]
fn a_signal_reaches_the_own_session_and_descendants_and_nobody_else() {
    let mut table = table();
    table.make(&Change::Enroll { identity: 200, own: Address::default() }).unwrap();
    let (stranger, _) = child(&mut table, 200, 1);
    let (mine, ticket) = child(&mut table, 100, 1);
    let identity = 1000 + ticket.0;
    assert_eq!(table.make(&Change::BeginSession(identity)), Ok(Done::Process(mine)));
    let (grandchild, _) = child(&mut table, identity, 1);
    let mut kill =
        |identity, number, target| table.make(&Change::Kill(Asker { identity, number }, target, 9));
    assert_eq!(kill(100, 2, Target::Process(stranger)), Err(ProcessError::NotPermitted));
    assert_eq!(kill(100, 2, Target::Process(Pid::INIT)), Err(ProcessError::NotPermitted));
    assert_eq!(kill(100, 2, Target::Process(Pid(99))), Err(ProcessError::NoSuchProcess));
    assert_eq!(kill(100, 2, Target::Process(Pid(2))), Err(ProcessError::NotPermitted), "somebody else's");
    assert_eq!(kill(100, 2, Target::Process(grandchild)), Ok(Done::Signalled(1)));
    assert_eq!(kill(identity, 2, Target::Group(mine)), Ok(Done::Signalled(2)));
    assert_eq!(kill(100, 3, Target::Group(mine)), Ok(Done::Signalled(2)));
    assert_eq!(kill(7, 1, Target::Process(mine)), Err(ProcessError::Stranger));
}

#[test]
fn groups_stay_in_their_session() {
    let mut table = table();
    let (one, ticket) = child(&mut table, 100, 1);
    let (other, _) = child(&mut table, 100, 2);
    let identity = 1000 + ticket.0;
    let mut set = |asker, whom, group| table.make(&Change::SetGroup(asker, whom, group));
    assert_eq!(set(100, one, Pid(77)), Err(ProcessError::NoSuchGroup));
    assert_eq!(set(100, one, one), Ok(Done::Plain));
    assert_eq!(set(100, other, one), Ok(Done::Plain));
    assert_eq!(set(identity, other, other), Err(ProcessError::NoSuchProcess), "neither itself nor its child");
    assert_eq!(set(100, Pid(2), one), Err(ProcessError::NotPermitted), "who leads a session");
    assert_eq!(
        table.make(&Change::BeginSession(identity)),
        Err(ProcessError::NotPermitted),
        "who leads a group"
    );
    let other_identity = table.records()[&other].identity;
    assert_eq!(table.make(&Change::BeginSession(other_identity)), Ok(Done::Process(other)));
    assert_eq!(table.make(&Change::BeginSession(other_identity)), Ok(Done::Process(other)));
    assert_eq!(table.make(&Change::SetGroup(100, other, one)), Err(ProcessError::NotPermitted));
    let asker = Asker { identity: 100, number: 9 };
    let grouped = Change::Spawn(asker, order(Place::Anywhere, Grouping::Of(other)));
    assert_eq!(table.make(&grouped), Err(ProcessError::NoSuchGroup), "of another session");
}

#[test]
fn an_order_that_is_too_long_is_refused() {
    let mut table = table();
    let long: String = core::iter::repeat_n('x', ORDER_BYTES_MAX).collect();
    let order = SpawnOrder { program: "a".into(), arguments: [long].into(), ..SpawnOrder::default() };
    let outcome = table.make(&Change::Spawn(Asker { identity: 100, number: 1 }, order));
    assert_eq!(outcome, Err(ProcessError::TooLong));
}

#[test]
fn an_order_for_too_little_or_too_much_memory_is_refused() {
    let mut table = table();
    let mut spawn = |number, memory_frames| {
        let order = SpawnOrder { memory_frames, ..SpawnOrder::of("a", &[]) };
        table.make(&Change::Spawn(Asker { identity: 100, number }, order))
    };
    assert_eq!(spawn(1, Some(255)), Err(ProcessError::TooMuch));
    assert_eq!(spawn(2, Some(16_385)), Err(ProcessError::TooMuch));
    assert!(spawn(3, Some(256)).is_ok() && spawn(4, Some(16_384)).is_ok() && spawn(5, None).is_ok());
}

#[test]
fn a_request_from_long_ago_is_not_done_again() {
    let mut table = table();
    for number in 1..=ANSWERS_KEPT as u64 + 1 {
        let (pid, ticket) = child(&mut table, 100, 2 * number);
        end(&mut table, ticket, 0);
        assert_eq!(wait(&mut table, 100, 2 * number + 1, Whom::Any), ended(pid, 0));
    }
    assert_eq!(spawn(&mut table, 100, 2), Err(ProcessError::Forgotten));
}

#[test]
fn a_process_that_asks_before_its_start_was_told_is_no_stranger() {
    let mut table = table();
    assert_eq!(spawn(&mut table, 1001, 1), Err(ProcessError::Stranger));
    let Ok(Done::Made(_, ticket)) = spawn(&mut table, 100, 1) else { panic!() };
    assert_eq!(spawn(&mut table, 1001, 1), Ok(Done::NotYet));
    let enroll = Change::Enroll { identity: 1001, own: Address::default() };
    assert_eq!(table.make(&enroll), Ok(Done::NotYet), "it would be two processes");
    table.make(&Change::Started(ticket, 1001)).unwrap();
    assert_eq!(table.make(&enroll), Ok(Done::Process(table.started_by(ticket).unwrap())));
    assert!(matches!(spawn(&mut table, 1001, 1), Ok(Done::Made(..))));
}

#[test]
fn a_fleet_that_lost_its_table_finds_again_who_runs_and_uses_no_ticket_twice() {
    let row = |ticket| Surveyed { ticket, identity: 1000 + ticket, core: 1, program: String::from("a") };
    let survey = Survey { last: 9, rows: [row(4), row(7)].into() };
    let mut table = Table::found_again(LIMITS, &survey);
    assert_eq!(table.unsound(), None);
    let found = table.process(1004).unwrap();
    assert_eq!(table.records()[&found].parent, Pid::INIT);
    let enrolled = table.make(&Change::Enroll { identity: 100, own: Address::default() });
    assert!(matches!(enrolled, Ok(Done::Process(_))));
    let (_, ticket) = child(&mut table, 100, 1);
    assert_eq!(ticket, Ticket(10));
    let kill = |identity, number| Change::Kill(Asker { identity, number }, Target::Process(found), 9);
    assert_eq!(table.make(&kill(1007, 1)), Err(ProcessError::NotPermitted), "they are of no session");
    assert_eq!(table.make(&kill(1010, 1)), Err(ProcessError::NotPermitted));
    assert_eq!(table.make(&kill(100, 2)), Ok(Done::Signalled(1)), "it has the key");
    end(&mut table, Ticket(4), 137);
    assert!(table.process(1004).is_none() && table.head().owed.contains(&Ticket(4)));
    assert_eq!(table.unsound(), None);
}

#[test]
fn who_descends_from_a_confined_process_may_not_pass_on_what_the_image_grants() {
    let mut table = table();
    let mut spawn_as = |identity, number, is_confined| {
        let order = SpawnOrder { is_confined, is_trusted: true, ..SpawnOrder::of("a", &[]) };
        let made = table.make(&Change::Spawn(Asker { identity, number }, order));
        let Ok(Done::Made(pid, ticket)) = made else { panic!("{made:?}") };
        let Life::Starting { order, .. } = &table.records()[&pid].life else { panic!() };
        let is_trusted = order.is_trusted;
        assert_eq!(table.make(&Change::Started(ticket, 1000 + ticket.0)), Ok(Done::Plain));
        (1000 + ticket.0, is_trusted)
    };
    let (plain, trusted) = spawn_as(100, 1, false);
    assert!(trusted);
    assert!(spawn_as(plain, 1, false).1, "its children may");
    let (confined, trusted) = spawn_as(100, 2, true);
    assert!(trusted, "it is confined by its own order");
    let (below, trusted) = spawn_as(confined, 1, false);
    assert!(!trusted, "whatever it says");
    assert!(!spawn_as(below, 1, false).1);
}

#[test]
fn a_start_that_failed_is_never_told_as_one_that_went_well() {
    let mut table = table_within(Limits { processes_max: 64, children_max: 64, ..LIMITS });
    let spawn = |table: &mut Table, number| {
        let asker = Asker { identity: 100, number };
        match table.make(&Change::Spawn(asker, SpawnOrder::of("a", &[]))) {
            Ok(Done::Made(pid, ticket)) => (asker, pid, ticket),
            outcome => panic!("{outcome:?}"),
        }
    };
    let (asker, pid, ticket) = spawn(&mut table, 1);
    assert_eq!(table.became(asker, pid, ticket), None);
    assert_eq!(table.became(asker, pid, Ticket(ticket.0 + 1)), None, "not heard of yet");
    table.make(&Change::NotStarted(ticket, ProcessError::NoProgram)).unwrap();
    assert_eq!(table.became(asker, pid, ticket), Some(Err(ProcessError::NoProgram)));
    // With so many under way at once the first one's number is forgotten before it has failed.
    let all: Vec<_> = (2..=ANSWERS_KEPT as u64 + 3).map(|number| spawn(&mut table, number)).collect();
    let (asker, pid, ticket) = all[0];
    table.make(&Change::NotStarted(ticket, ProcessError::NoProgram)).unwrap();
    assert_eq!(table.became(asker, pid, ticket), Some(Err(ProcessError::Forgotten)));
    let (asker, pid, ticket) = all[1];
    table.make(&Change::Started(ticket, 500)).unwrap();
    assert_eq!(
        table.became(asker, pid, ticket).map(|became| became.map(|spawned| spawned.identity)),
        Some(Ok(500))
    );
}
