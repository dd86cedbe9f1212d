//! Starts under tickets: each once, its end told whoever asks, and nothing kept of what is over.

use crate::tickets::{Book, FORGOTTEN_MAX, Known, Outlived, already};
use alloc::vec;
use alloc::vec::Vec;
use fos_messages::processes::{Ended, Exit, ProcessError};
use fos_messages::tickets::{PART_MAX, PREPARED_MAX, SURVEYED_MAX, SURVEYED_NAME_MAX, Survey};
use proptest::prelude::*;

fn by(status: u8) -> Ended {
    Exit::Status(status).into()
}

#[test]
fn a_ticket_is_started_once_and_its_end_told_to_whoever_asks() {
    let mut book: Book<&str> = Book::default();
    assert_eq!(already(book.known(7)), None);
    book.started(7, 70);
    assert_eq!(already(book.known(7)), Some(Ok(70)));
    assert_eq!(book.outlive(7, "one"), Outlived::Waits(None));
    assert_eq!(book.outlive(7, "other"), Outlived::Waits(Some("one")), "the last who asks is told");
    assert_eq!(book.ended(7, by(3)), Some("other"));
    assert_eq!(book.ended(7, by(9)), None);
    assert_eq!(book.outlive(7, "late"), Outlived::Ended("late", by(3)), "the first end counts");
    assert_eq!(book.outlive(8, "of none"), Outlived::Unknown("of none"));
}

#[test]
fn what_is_forgotten_is_not_started_again_and_what_runs_is_not_forgotten() {
    let mut book: Book<()> = Book::default();
    book.started(1, 10);
    book.forget(1);
    assert_eq!(book.known(1), Known::Started(10), "it runs");
    book.ended(1, by(0));
    book.forget(1);
    book.forget(2);
    assert_eq!(already(book.known(1)), Some(Err(ProcessError::NotStarted)));
    assert_eq!(already(book.known(2)), Some(Err(ProcessError::NotStarted)), "it could not be started");
    assert_eq!(book.counts(), (0, 0));
    for ticket in 3..3 + FORGOTTEN_MAX as u64 {
        book.forget(ticket);
    }
    assert_eq!((book.known(1), book.known(3)), (Known::Nothing, Known::Forgotten));
}

#[test]
fn a_fleet_that_lost_its_table_is_told_who_runs_and_which_tickets_were_used() {
    let mut book: Book<()> = Book::default();
    for ticket in 1..=20 {
        book.started(ticket, 10 * ticket);
    }
    book.ended(3, by(0));
    book.ended(20, by(0));
    book.forget(20);
    let long = "\u{e9}".repeat(SURVEYED_NAME_MAX);
    let program = |ticket| (ticket != 3).then(|| (7, long.clone()));
    let Survey { last, rows } = book.survey(0, program);
    assert_eq!((last, rows.len()), (20, SURVEYED_MAX));
    assert_eq!((rows[1].ticket, rows[1].identity, rows[1].core), (2, 20, 7));
    assert_eq!(rows[1].program.len(), SURVEYED_NAME_MAX);
    assert_eq!((rows[2].ticket, rows[2].program.as_str()), (3, ""));
    let rest: Vec<u64> = book.survey(16, program).rows.iter().map(|row| row.ticket).collect();
    assert_eq!(rest, [17, 18, 19]);
}

#[test]
fn an_order_is_whole_or_there_is_none() {
    let mut book: Book<()> = Book::default();
    assert_eq!(book.whole(1, 0, vec![1, 2]), Some(vec![1, 2]));
    assert_eq!(book.whole(1, 2, vec![3]), None, "its first part is missing");
    book.prepare(1, 0, &[1, 2]);
    book.prepare(1, 3, &[4]);
    book.prepare(1, 2, &[3]);
    book.prepare(1, 3, &[0; PART_MAX + 1]);
    assert_eq!(book.whole(1, 3, vec![4]), Some(vec![1, 2, 3, 4]));
    assert_eq!(book.counts(), (0, 0), "its parts are used up");
    book.prepare(1, 0, &[9]);
    book.prepare(1, 0, &[1]);
    assert_eq!(book.whole(1, 1, vec![2]), Some(vec![1, 2]), "sent again from the beginning");
    for ticket in 0..2 * PREPARED_MAX as u64 {
        book.prepare(ticket, 0, &[5]);
    }
    assert_eq!(book.counts(), (0, PREPARED_MAX));
    assert_eq!(
        (book.whole(0, 1, vec![]), book.whole(2 * PREPARED_MAX as u64 - 1, 1, vec![])),
        (None, Some(vec![5]))
    );
}

#[test]
fn no_order_grows_without_end() {
    let mut book: Book<()> = Book::default();
    book.prepare(1, 0, &[0; PART_MAX]);
    for part in 1..100 {
        book.prepare(1, (part * PART_MAX) as u32, &[0; PART_MAX]);
    }
    let whole = (1..100).filter_map(|parts| {
        let mut one: Book<()> = Book::default();
        (0..parts).for_each(|part| one.prepare(1, (part * PART_MAX) as u32, &[0; PART_MAX]));
        one.whole(1, (parts * PART_MAX) as u32, Vec::new())
    });
    assert_eq!(whole.count(), 10, "8 KiB");
}

#[derive(Clone, Debug)]
enum Deed {
    Start(u64),
    End(u64, u8),
    Outlive(u64),
    Forget(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0u64..8).prop_map(Deed::Start),
        (0u64..8, any::<u8>()).prop_map(|(ticket, status)| Deed::End(ticket, status)),
        (0u64..8).prop_map(Deed::Outlive),
        (0u64..8).prop_map(Deed::Forget),
    ]
}

proptest! {
    /// Whatever is asked: no ticket is two processes, each end is told as it was first, and who waits is answered or waits.
    #[test]
    fn each_ticket_is_one_process_with_one_end(deeds in proptest::collection::vec(deed(), 0..80)) {
        let mut book: Book<usize> = Book::default();
        let mut ends: alloc::collections::BTreeMap<u64, Ended> = Default::default();
        let mut starts = alloc::collections::BTreeMap::<u64, u64>::new();
        let mut waiting: alloc::collections::BTreeMap<u64, usize> = Default::default();
        for (number, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Start(ticket) => match book.known(ticket) {
                    Known::Nothing => {
                        prop_assert!(!starts.contains_key(&ticket), "started twice");
                        starts.insert(ticket, number as u64);
                        book.started(ticket, number as u64);
                    }
                    Known::Started(identity) => prop_assert_eq!(starts.get(&ticket), Some(&identity)),
                    Known::Forgotten => {}
                },
                Deed::End(ticket, status) => {
                    if book.runs(ticket) {
                        ends.insert(ticket, by(status));
                    }
                    prop_assert_eq!(book.ended(ticket, by(status)), waiting.remove(&ticket));
                }
                Deed::Outlive(ticket) => match book.outlive(ticket, number) {
                    Outlived::Ended(_, ended) => prop_assert_eq!(ends.get(&ticket), Some(&ended)),
                    Outlived::Waits(before) => prop_assert_eq!(waiting.insert(ticket, number), before),
                    Outlived::Unknown(_) => prop_assert!(!book.runs(ticket)),
                },
                Deed::Forget(ticket) => {
                    let runs = book.runs(ticket);
                    book.forget(ticket);
                    prop_assert_eq!(book.runs(ticket), runs);
                }
            }
        }
    }
}
