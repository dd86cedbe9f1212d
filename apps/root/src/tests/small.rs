//! The command line, signals, and bytes waiting for the control link.

use crate::command_line::{Runs, runs};
use crate::outbox::{FULL_AT, LOST_ABOVE, Outbox};
use crate::signal;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

#[test]
fn the_last_word_about_run_counts() {
    assert_eq!(runs(b"image=hello panic=fence run=default"), Runs::Default);
    assert_eq!(runs(b"run=default run=control"), Runs::Control);
    assert_eq!(runs(b"image=run=default"), Runs::Control);
    assert_eq!(runs(b""), Runs::Control);
}

#[test]
fn a_bad_pointer_looks_as_in_a_shell() {
    assert_eq!(signal::status(signal::of_vector(signal::PAGE_FAULT)), 139);
    assert_eq!(signal::status(signal::of_vector(6)), 132);
    assert_eq!(signal::status(signal::of_vector(0)), 136);
}

#[test]
fn a_full_outbox_says_so() {
    let mut outbox = Outbox::default();
    assert!(outbox.is_empty() && outbox.has_room());
    outbox.push(&vec![0; FULL_AT]);
    assert!(!outbox.has_room() && !outbox.is_overfull());
    outbox.push(&vec![0; LOST_ABOVE]);
    assert!(outbox.is_overfull());
    outbox.drain(1000, |_| true);
    assert!(outbox.is_empty() && outbox.has_room());
}

proptest! {
    #[test]
    fn bytes_arrive_once_and_in_order(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..20),
        refusals in proptest::collection::vec(any::<bool>(), 200),
    ) {
        let mut outbox = Outbox::default();
        let mut arrived: Vec<u8> = Vec::new();
        let mut refusals = refusals.into_iter();
        for frame in &frames {
            outbox.push(frame);
            outbox.drain(7, |piece| {
                let taken = refusals.next().unwrap_or(true);
                if taken {
                    arrived.extend_from_slice(piece);
                }
                taken && piece.len() <= 7
            });
        }
        outbox.drain(usize::MAX, |piece| {
            arrived.extend_from_slice(piece);
            true
        });
        prop_assert_eq!(arrived, frames.concat());
    }
}
