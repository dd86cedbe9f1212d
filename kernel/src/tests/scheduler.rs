//! One core's queue and timer wheel, beside models of them: threads run in the order they became ready,
//! and each deadline ends its wait once, not before it and at the first look after it.

use super::{HORIZON_MICROSECONDS, SLOT_SHIFT, WHEEL_SLOTS};
use crate::arch::machine::clock;
use crate::cores::Core;
use crate::tests::machine;
use crate::thread::{State, Thread};
use fos_abi::Error;
use proptest::prelude::*;
use std::collections::VecDeque;

fn threads(count: usize) -> Vec<&'static Thread> {
    let space = machine::space(0);
    (0..count).map(|_| machine::thread(space)).collect()
}

/// Has a thread wait for a mailbox that never comes, until a deadline.
fn wait_until(here: &'static Core, thread: &'static Thread, deadline: u64) {
    thread.waiting_count.set(1);
    thread.state.set(State::Waiting);
    thread.deadline.set(deadline);
    here.scheduler.set_timer(thread);
}

/// Leaves the core without timers and ready threads, for the next case.
fn clear(here: &'static Core, threads: &[&'static Thread]) {
    for thread in threads {
        here.scheduler.cancel_timer(thread);
    }
    while here.scheduler.take_first(here).is_some() {}
    assert_eq!(here.scheduler.timers.get(), 0);
    assert!(here.scheduler.take_first(here).is_none());
}

const SLOT: u64 = 1 << SLOT_SHIFT;
const LAP: u64 = WHEEL_SLOTS as u64 * SLOT;

proptest! {
    #![proptest_config(machine::cases(300))]

    #[test]
    fn each_deadline_fires_once_and_not_early(
        begin in 0u64..1 << 44,
        deadlines in prop::collection::vec(prop_oneof![0..4 * SLOT, 0..3 * LAP, Just(LAP), Just(0)], 1..24),
        steps in prop::collection::vec((prop_oneof![0..SLOT, 0..40 * SLOT, 0..3 * LAP], any::<prop::sample::Index>()), 1..40),
    ) {
        let here = machine::here();
        let scheduler = &here.scheduler;
        let threads = threads(deadlines.len());
        let mut now = begin;
        scheduler.position.set(begin >> SLOT_SHIFT);
        for (thread, deadline) in threads.iter().zip(&deadlines) {
            wait_until(here, thread, begin + deadline);
        }
        let mut waiting: Vec<&'static Thread> = threads.clone();
        for (number, (step, which)) in steps.into_iter().enumerate() {
            if number % 5 == 4 && !waiting.is_empty() {
                // A message came first, or (every other time) the wait begins anew, later.
                let thread = waiting.swap_remove(which.index(waiting.len()));
                scheduler.cancel_timer(thread);
                if number % 2 == 0 {
                    wait_until(here, thread, now + step);
                    waiting.push(thread);
                }
            }
            now += step;
            scheduler.run_timers(here, now);
            for thread in &waiting {
                let due = thread.deadline.get() <= now;
                prop_assert_eq!(thread.state.get() == State::Ready, due, "deadline {}, now {}", thread.deadline.get(), now);
                prop_assert_eq!(thread.timer_slot.get() == 0, due);
                if due {
                    prop_assert_eq!(thread.saved().rax, Error::TimedOut as u64);
                    thread.saved().rax = 0;
                    scheduler.remove(here, thread);
                }
            }
            waiting.retain(|thread| thread.deadline.get() > now);
            prop_assert_eq!(scheduler.timers.get(), waiting.len());
            prop_assert!(scheduler.take_first(here).is_none(), "a thread was made ready that did not wait");
            let soonest = waiting.iter().map(|thread| thread.deadline.get()).min();
            let horizon = now + clock::ticks(HORIZON_MICROSECONDS);
            prop_assert_eq!(scheduler.next_timer(now), soonest.map_or(u64::MAX, |at| at.min(horizon)));
        }
        clear(here, &threads);
    }

    #[test]
    fn spaces_take_turns_and_the_threads_of_each_among_themselves(
        steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 1..160),
    ) {
        let here = machine::here();
        let threads: Vec<&'static Thread> = [5, 3, 1].into_iter().flat_map(threads).collect();
        // Each space with the threads of it that are ready, in the order in which the spaces' turns come.
        let mut turns: VecDeque<VecDeque<&'static Thread>> = VecDeque::new();
        let is_of = |turn: &VecDeque<&'static Thread>, thread: &Thread| std::ptr::eq(turn[0].space, thread.space);
        for (what, which) in steps {
            let chosen = threads[which.index(threads.len())];
            let place = turns.iter().position(|turn| is_of(turn, chosen));
            let queued = place.and_then(|at| turns[at].iter().position(|thread| std::ptr::eq(*thread, chosen)));
            match (what, place, queued) {
                (0 | 1, _, None) => {
                    here.scheduler.make_ready(here, chosen);
                    match place {
                        Some(at) => turns[at].push_back(chosen),
                        None => turns.push_back(VecDeque::from([chosen])),
                    }
                }
                (2, Some(at), Some(among)) => {
                    here.scheduler.remove(here, chosen);
                    turns[at].remove(among);
                    if among == 0 {
                        let rest = turns.remove(at).filter(|rest| !rest.is_empty());
                        turns.extend(rest);
                    }
                }
                (3, _, _) => {
                    let first = here.scheduler.take_first(here).map(std::ptr::from_ref);
                    let mut turn = turns.pop_front().unwrap_or_default();
                    prop_assert_eq!(first, turn.pop_front().map(std::ptr::from_ref));
                    turns.extend((!turn.is_empty()).then_some(turn));
                }
                _ => {}
            }
        }
        while let Some(mut turn) = turns.pop_front() {
            let expected = turn.pop_front().unwrap();
            prop_assert!(here.scheduler.take_first(here).is_some_and(|first| std::ptr::eq(first, expected)));
            turns.extend((!turn.is_empty()).then_some(turn));
        }
        clear(here, &threads);
    }
}

#[test]
fn a_thousand_threads_of_one_space_get_every_other_turn() {
    let here = machine::here();
    let (many, one) = (threads(1000), threads(1)[0]);
    many.iter().for_each(|thread| here.scheduler.make_ready(here, thread));
    here.scheduler.make_ready(here, one);
    for turn in 0..2000 {
        let Some(first) = here.scheduler.take_first(here) else { panic!("nobody is ready") };
        let expected = if turn % 2 == 0 { many[turn / 2 % many.len()] } else { one };
        assert!(std::ptr::eq(first, expected), "turn {turn}");
        here.scheduler.make_ready(here, first);
    }
    clear(here, &many);
}

/// More timers in one slot than one entry looks at: all fire, none twice, and those of later laps do not.
#[test]
fn a_long_slot_is_gone_over_in_chunks() {
    let here = machine::here();
    let begin = 1000 * LAP;
    here.scheduler.position.set(begin >> SLOT_SHIFT);
    let threads = threads(300);
    for (number, thread) in threads.iter().enumerate() {
        wait_until(here, thread, begin + number as u64 % 3 * LAP + 5);
    }
    let (mut calls, now) = (1, begin + 10);
    assert_eq!(here.scheduler.next_timer(begin), begin + 5, "the last ones come first, and are due");
    while !here.scheduler.run_timers(here, now) {
        calls += 1;
        // The very thread at which the chunk ended leaves.
        let rest = here.scheduler.walk.get();
        if calls == 3 {
            // SAFETY: one of the threads of this test.
            here.scheduler.cancel_timer(unsafe { &*rest });
            assert_ne!(here.scheduler.walk.get(), rest);
        }
        let late: Vec<_> = threads.iter().filter(|thread| thread.timer_slot.get() != 0).take(1).collect();
        assert!(!late.is_empty());
    }
    assert_eq!(calls, 5, "300 threads, 64 at a time");
    for (number, thread) in threads.iter().enumerate().filter(|(number, _)| number % 3 == 0) {
        let due = thread.state.get() == State::Ready || thread.timer_slot.get() == 0;
        assert!(due, "thread {number} still waits");
    }
    let left = threads.iter().filter(|thread| thread.timer_slot.get() != 0).count();
    assert!(left == 200 || left == 199, "{left} wait for later laps");
    assert!(here.scheduler.next_timer(now) <= now + SLOT, "too many to say which is next");
    clear(here, &threads);
}

#[test]
fn a_thread_that_is_still_current_is_not_queued() {
    let here = machine::here();
    let thread = threads(1)[0];
    here.current.set(thread);
    here.scheduler.make_ready(here, thread);
    assert_eq!(thread.state.get(), State::Ready);
    assert!(here.scheduler.take_first(here).is_none());
    here.current.set(std::ptr::null());
}
