//! Any changes whatever, each made twice: the table stays sound, the second time comes to the same, members that take it
//! over piece by piece have the same, and of each process the parent is told exactly one end.

use super::*;
use crate::record::Record;
use crate::table::Head;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use fos_messages::processes::{Ended, ProcessError, Target};
use proptest::prelude::*;
use std::vec;

/// What a test does: who, to whom, in small numbers that mean somebody now and then.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Enroll(u64),
    Spawn(u64, u8),
    Start(u64),
    Fail(u64),
    End(u64, u8),
    Forget(u64),
    Leave(u64),
    Wait(u64, u8),
    Kill(u64, u32, u8),
    Group(u64, u32, u32),
    Session(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let who = || prop_oneof![Just(100u64), Just(101u64), (1u64..20).prop_map(|ticket| 1000 + ticket)];
    prop_oneof![
        1 => (100u64..102).prop_map(Deed::Enroll),
        6 => (who(), 0..4u8).prop_map(|(who, how)| Deed::Spawn(who, how)),
        6 => (1u64..20).prop_map(Deed::Start),
        1 => (1u64..20).prop_map(Deed::Fail),
        4 => (1u64..20, any::<u8>()).prop_map(|(ticket, status)| Deed::End(ticket, status)),
        2 => (1u64..20).prop_map(Deed::Forget),
        1 => (100u64..102).prop_map(Deed::Leave),
        5 => (who(), 0..3u8).prop_map(|(who, how)| Deed::Wait(who, how)),
        3 => (who(), 0..14u32, 0..70u8).prop_map(|(who, whom, signal)| Deed::Kill(who, whom, signal)),
        2 => (who(), 0..14u32, 0..14u32).prop_map(|(who, whom, group)| Deed::Group(who, whom, group)),
        1 => who().prop_map(Deed::Session),
    ]
}

fn change(deed: Deed, number: u64) -> Change {
    let asker = |identity| Asker { identity, number };
    match deed {
        Deed::Enroll(identity) => Change::Enroll { identity, own: Address::default() },
        Deed::Spawn(who, how) => {
            let group = [Grouping::Parents, Grouping::Own, Grouping::Of(Pid(3)), Grouping::Of(Pid(4))];
            let place = [Place::Anywhere, Place::Core(1), Place::Near(Pid(3)), Place::Core(9)];
            Change::Spawn(asker(who), order(place[usize::from(how)], group[usize::from(how)]))
        }
        Deed::Start(ticket) => Change::Started(Ticket(ticket), 1000 + ticket),
        Deed::Fail(ticket) => Change::NotStarted(Ticket(ticket), ProcessError::NoMemory),
        Deed::End(ticket, status) => Change::Ended(Ticket(ticket), Exit::Status(status).into()),
        Deed::Forget(ticket) => Change::Forgotten(Ticket(ticket)),
        Deed::Leave(identity) => Change::Left(identity),
        Deed::Wait(who, how) => {
            Change::Wait(asker(who), [Whom::Any, Whom::Child(Pid(4)), Whom::Group(Pid(3))][usize::from(how)])
        }
        Deed::Kill(who, whom, signal) if whom % 2 == 0 => {
            Change::Kill(asker(who), Target::Process(Pid(whom)), signal)
        }
        Deed::Kill(who, whom, signal) => Change::Kill(asker(who), Target::Group(Pid(whom)), signal),
        Deed::Group(who, whom, group) => Change::SetGroup(who, Pid(whom), Pid(group)),
        Deed::Session(who) => Change::BeginSession(who),
    }
}

/// The table as another member gets it.
fn copied(table: &Table) -> Table {
    let head = postcard::to_allocvec(table.head()).unwrap();
    let head: Head = postcard::from_bytes(&head).unwrap();
    let mut copy = Table::from_head(LIMITS, head);
    for (pid, record) in table.records() {
        let record = postcard::to_allocvec(record).unwrap();
        copy.take(*pid, postcard::from_bytes::<Record>(&record).unwrap());
    }
    copy
}

/// Whose end was told to whom, by ticket: from the outside.
#[derive(Default)]
struct Twin {
    ends: BTreeMap<Ticket, u8>,
    told: Vec<Ticket>,
}

impl Twin {
    fn note(&mut self, change: &Change, before: &Table) {
        let running =
            |ticket: &Ticket| before.started_by(*ticket).is_some_and(|pid| before.records()[&pid].lives());
        if let Change::Ended(ticket, Ended { exit: Exit::Status(status), .. }) = change
            && running(ticket)
        {
            self.ends.insert(*ticket, *status);
        }
    }

    fn told(&mut self, outcome: &Outcome, before: &Table) {
        if let Ok(Done::Waited(Waited::Ended(pid, ended))) = outcome
            && let Some(ticket) = before.records().get(pid).and_then(Record::ticket)
        {
            assert_eq!(self.ends.get(&ticket).map(|status| Exit::Status(*status)), Some(ended.exit));
            assert!(!self.told.contains(&ticket), "told twice");
            self.told.push(ticket);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_happens_the_table_is_sound(deeds in proptest::collection::vec(deed(), 1..150)) {
        let (mut table, mut twin) = (table(), Twin::default());
        for (number, deed) in deeds.iter().enumerate() {
            let change = change(*deed, number as u64 + 1);
            let before = table.clone();
            twin.note(&change, &before);
            let outcome = table.make(&change);
            twin.told(&outcome, &before);
            prop_assert_eq!(table.unsound(), None, "after {:?}", change);
            prop_assert!(table.records().len() <= LIMITS.processes_max);
            prop_assert_eq!(&copied(&table), &table);
            let after = table.clone();
            let again = table.make(&change);
            // Refusals may turn into others, and are counted; what was done is answered alike and changes nothing.
            if outcome.is_ok() && !matches!(outcome, Ok(Done::NotYet)) && !matches!(change, Change::Kill(..)) {
                prop_assert_eq!(again, outcome, "again {:?}", change);
                prop_assert_eq!(&table, &after, "again {:?}", change);
            }
            prop_assert!(table.records().values().all(|record| record.lives() || record.parent != Pid::INIT));
        }
    }
}
