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
    while here.scheduler.take_first().is_some() {}
    assert_eq!(here.scheduler.timers.get(), 0);
    assert!(here.scheduler.take_first().is_none());
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
                    scheduler.remove(thread);
                }
            }
            waiting.retain(|thread| thread.deadline.get() > now);
            prop_assert_eq!(scheduler.timers.get(), waiting.len());
            prop_assert!(scheduler.take_first().is_none(), "a thread was made ready that did not wait");
            let soonest = waiting.iter().map(|thread| thread.deadline.get()).min();
            let horizon = now + clock::ticks(HORIZON_MICROSECONDS);
            prop_assert_eq!(scheduler.next_timer(now), soonest.map_or(u64::MAX, |at| at.min(horizon)));
        }
        clear(here, &threads);
    }

    #[test]
    fn threads_run_in_the_order_they_became_ready(
        steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 1..120),
    ) {
        let here = machine::here();
        let threads = threads(8);
        let mut queue: VecDeque<&'static Thread> = VecDeque::new();
        for (what, which) in steps {
            let chosen = threads[which.index(threads.len())];
            let queued = queue.iter().any(|thread| std::ptr::eq(*thread, chosen));
            match what {
                0 | 1 if !queued => {
                    here.scheduler.make_ready(here, chosen);
                    queue.push_back(chosen);
                }
                2 if queued => {
                    here.scheduler.remove(chosen);
                    queue.retain(|thread| !std::ptr::eq(*thread, chosen));
                }
                3 => {
                    let first = here.scheduler.take_first().map(std::ptr::from_ref);
                    prop_assert_eq!(first, queue.pop_front().map(std::ptr::from_ref));
                }
                _ => {}
            }
        }
        while let Some(expected) = queue.pop_front() {
            prop_assert!(here.scheduler.take_first().is_some_and(|first| std::ptr::eq(first, expected)));
        }
        clear(here, &threads);
    }
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
    assert!(here.scheduler.take_first().is_none());
    here.current.set(std::ptr::null());
}
