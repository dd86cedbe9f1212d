//! A core's inbox: whatever others post arrives once, in each poster's order, and the core is interrupted
//! no more often than it must be.

use super::machine;
use crate::cores::Core;
use crate::inbox::{Inbox, flag, thread_post};
use crate::jobs::Job;
use crate::thread::Thread;
use fos_abi::limits::CHUNK_STEPS;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// A job that only carries who posted it and the how-manieth it is.
fn job(poster: u64, number: u64) -> &'static Job {
    // SAFETY: zero is a job that does nothing.
    let job: &'static Job = unsafe { &*machine::zeroed() };
    job.arguments[0].set(poster);
    job.arguments[1].set(number);
    job
}

#[test]
fn jobs_arrive_in_the_order_they_were_posted() {
    let here = machine::here();
    assert!(here.inbox.is_empty());
    (0..100).for_each(|number| Inbox::post_job(here, job(1, number)));
    assert!(!here.inbox.is_empty());
    let mut seen = vec![];
    for turn in 1.. {
        let before = seen.len();
        here.inbox.take_jobs(|job| seen.push(job.argument(1)));
        assert!(seen.len() - before <= CHUNK_STEPS && turn < 6, "a chunk at a time, and not for ever");
        if !here.inbox.has_more() {
            break;
        }
    }
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    here.inbox.take_jobs(|_| panic!("a job came twice"));
    assert!(here.inbox.is_empty());
}

#[test]
fn a_job_may_go_on_from_the_hand_that_takes_it() {
    // SAFETY: a list of nothing is null.
    let (here, list): (_, crate::list::List<Job>) = (machine::here(), unsafe { core::mem::zeroed() });
    (0..10).for_each(|number| Inbox::post_job(here, job(1, number)));
    here.inbox.take_jobs(|job| list.push(job, |job| &job.place));
    let order: Vec<u64> =
        std::iter::from_fn(|| list.pop(|job| &job.place)).map(|job| job.argument(1)).collect();
    assert_eq!(order, (0..10).collect::<Vec<_>>());
    assert!(list.is_empty());
}

#[test]
fn flags_are_raised_together_and_taken_once() {
    let here = machine::here();
    Inbox::post_flags(here, flag::FLUSH);
    Inbox::post_flags(here, flag::RECHECK | flag::FLUSH);
    assert!(!here.inbox.is_empty());
    assert_eq!(here.inbox.take_flags(), flag::FLUSH | flag::RECHECK);
    assert_eq!(here.inbox.take_flags(), 0);
}

#[test]
fn a_core_that_will_look_anyway_is_not_interrupted_again() {
    let here = machine::here();
    Inbox::post_flags(here, flag::FLUSH);
    assert!(here.kicked.load(Ordering::SeqCst));
    let asked = here.asked_at.swap(0, Ordering::SeqCst);
    assert_ne!(asked, 0);
    Inbox::post_flags(here, flag::QUIESCE);
    assert_eq!(here.asked_at.load(Ordering::SeqCst), 0, "the second post interrupted nobody");
}

#[test]
fn a_thread_is_listed_once_with_all_that_it_was_told() {
    let here = machine::here();
    let thread = machine::thread(machine::space(0));
    Inbox::post_thread(here, thread, thread_post::WAKE);
    Inbox::post_thread(here, thread, 2);
    let mut seen = vec![];
    here.inbox.take_threads(|thread, what| seen.push((std::ptr::from_ref(thread), what)));
    assert_eq!(seen, [(std::ptr::from_ref(thread), thread_post::WAKE | 2)]);
    Inbox::post_thread(here, thread, 4);
    here.inbox.take_threads(|_, what| assert_eq!(what, 4));
}

/// Four cores post to one that takes all the while.
#[test]
fn nothing_posted_is_lost_or_comes_twice() {
    const POSTERS: u64 = 4;
    const POSTS: u64 = 20_000;
    let here: &'static Core = machine::here();
    let space = machine::space(0);
    let threads: Vec<&'static Thread> = (0..3).map(|_| machine::thread(space)).collect();
    let (flags, posted) = (AtomicU64::new(0), AtomicU32::new(0));
    let (done, patience) = (AtomicBool::new(false), machine::Patience::new());
    let mut next = HashMap::new();
    let mut told = 0;
    std::thread::scope(|scope| {
        let posters: Vec<_> = (0..POSTERS)
            .map(|poster| {
                let (threads, flags, posted) = (&threads, &flags, &posted);
                scope.spawn(move || {
                    for number in 0..POSTS {
                        Inbox::post_job(here, job(poster, number));
                        let thread = threads[number as usize % threads.len()];
                        if thread.posted.load(Ordering::SeqCst) & (1 << poster) == 0 {
                            posted.fetch_add(1, Ordering::SeqCst);
                            Inbox::post_thread(here, thread, 1 << poster);
                        }
                        flags.fetch_or(1 << (number % 4), Ordering::SeqCst);
                        Inbox::post_flags(here, 1 << (number % 4));
                    }
                })
            })
            .collect();
        let waiter = scope.spawn(|| {
            posters.into_iter().for_each(|poster| poster.join().unwrap());
            done.store(true, Ordering::SeqCst);
        });
        let mut seen_flags = 0;
        loop {
            let last = done.load(Ordering::SeqCst);
            patience.check();
            here.kicked.store(false, Ordering::SeqCst);
            seen_flags |= here.inbox.take_flags();
            here.inbox.take_jobs(|job| {
                let expected: &mut u64 = next.entry(job.argument(0)).or_default();
                assert_eq!(job.argument(1), *expected, "poster {}", job.argument(0));
                *expected += 1;
            });
            here.inbox.take_threads(|thread, what| {
                assert!(threads.iter().any(|known| std::ptr::eq(*known, thread)));
                told += what.count_ones();
            });
            if last && here.inbox.is_empty() && !here.inbox.has_more() {
                break;
            }
        }
        assert_eq!(u64::from(seen_flags), flags.load(Ordering::SeqCst));
        waiter.join().unwrap();
    });
    assert!(here.inbox.is_empty());
    assert_eq!(next.values().copied().collect::<Vec<_>>(), [POSTS; POSTERS as usize]);
    assert_eq!(told, posted.load(Ordering::SeqCst), "every bit that was told arrived");
}
