//! Cores that fail, at each other's side: what a dead core had at home ends, what it had begun is undone, and
//! nobody who watches goes without a notice, even when the core that buries it fails too.

use super::{begin, burial_step, notice, rescue, silence};
use crate::arch::machine::clock;
use crate::cores::{self, Core, core_state};
use crate::ends;
use crate::jobs::{self, Step};
use crate::mailbox::{Mailbox, taking};
use crate::quiescence;
use crate::space::Space;
use crate::tests::machine::{self, Seat};
use crate::tests::watch::{told, watcher};
use crate::thread::{State, Thread};
use crate::watch;
use fos_abi::mailbox::MessageKind;
use std::sync::atomic::Ordering;

fn running() -> Seat {
    let seat = machine::peer();
    seat.0.state.store(core_state::RUNNING, Ordering::SeqCst);
    seat
}

fn fails(core: &Core) {
    core.state.store(core_state::FAILED, Ordering::SeqCst);
}

/// Takes one step of a burial, as its undertaker would; peers pass when asked. Says whether there are more.
fn bury_on(undertaker: &'static Core, dead: &'static Core) -> bool {
    cores::alive().for_each(|core| {
        quiescence::pass(core);
    });
    burial_step(&dead.burial, undertaker) != Step::Done(Ok(0))
}

fn bury(undertaker: &'static Core, dead: &'static Core) {
    begin(undertaker, &dead.burial, burial_step);
    while bury_on(undertaker, dead) {}
    dead.burial.active.set(false);
}

fn thread_at(core: &Core) -> &'static Thread {
    let thread = machine::thread(machine::space(0));
    thread.home.store(core.number, Ordering::SeqCst);
    thread
}

fn has_ended_at(thread: &Thread, core: &Core) -> bool {
    thread.home.load(Ordering::SeqCst) == core.number && !thread.is_alive()
}

#[test]
fn the_next_core_takes_over_when_the_undertaker_fails() {
    let _whole = machine::whole();
    let (first, dead, second) = (running(), running(), running());
    let mut seats = [first, dead, second];
    seats.sort_by_key(|seat| seat.0.number);
    let [last, dead, undertaker] = &seats;
    let (old, own) = (thread_at(dead.0), thread_at(undertaker.0));
    let (one, two) = (machine::space(0), machine::space(0));
    let mailbox = machine::mailbox(one, 256, 16);
    for cookie in 0..100 {
        let space = if cookie < 50 { one } else { two };
        watch::add(&dead.0.watchers, watcher(space, mailbox, cookie)).unwrap();
    }
    fails(dead.0);
    notice(undertaker.0);
    notice(last.0);
    assert_eq!(dead.0.burial.at.load(Ordering::SeqCst), undertaker.0.number, "one core alone buries");
    // Until the first 64 watchers are told: then it fails.
    while told(mailbox).is_empty() {
        assert!(bury_on(undertaker.0, dead.0));
    }
    assert!(has_ended_at(old, undertaker.0) && own.is_alive());
    fails(undertaker.0);
    notice(last.0);
    assert_eq!(dead.0.burial.at.load(Ordering::SeqCst), last.0.number);
    while bury_on(last.0, dead.0) {}
    assert_eq!(told(mailbox), (0..100).collect::<Vec<_>>(), "each watcher is told, and once");
    while bury_on(last.0, undertaker.0) {}
    assert!(has_ended_at(old, last.0) && has_ended_at(own, last.0));
}

/// The end of a space had taken it out of its core's list when the core failed: it does not come into another's, where
/// nobody would take it out before its frames are free.
#[test]
fn a_space_that_has_left_the_list_stays_out_of_it() {
    let _whole = machine::whole();
    let (dead, undertaker) = (running(), running());
    let (leaving, staying) = (machine::space(0), machine::space(0));
    for (space, stage) in [(leaving, 7), (staying, 6)] {
        space.set_home(dead.0.number);
        space.ending.store(1, Ordering::SeqCst);
        space.teardown.active.set(true);
        space.teardown.stage.set(stage);
        space.teardown.at.store(undertaker.0.number, Ordering::SeqCst);
    }
    fails(dead.0);
    bury(undertaker.0, dead.0);
    // SAFETY: spaces of these tests stay for ever.
    let next = |space: &&'static Space| unsafe { space.at_home.next.get().as_ref() };
    let first = undertaker.0.spaces.first();
    let lists = |wanted: &Space| std::iter::successors(first, next).any(|space| std::ptr::eq(space, wanted));
    assert!(lists(staying) && !lists(leaving));
    [leaving, staying].iter().for_each(|space| space.teardown.active.set(false));
}

/// Between a core's failure and its burial somebody ends what is at home there.
#[test]
fn an_end_that_finds_its_home_dead_waits_for_the_burial() {
    let _whole = machine::whole();
    let (here, dead, undertaker) = (machine::here(), running(), running());
    let thread = thread_at(dead.0);
    fails(dead.0);
    ends::end_thread(here, thread, 1);
    jobs::run_one(here);
    assert!(here.work.is_empty() && !here.parked.is_empty() && thread.teardown.active.get());
    jobs::unpark_all(here);
    jobs::run_one(here);
    assert!(!here.parked.is_empty(), "nobody has buried it yet");
    bury(undertaker.0, dead.0);
    jobs::unpark_all(here);
    jobs::run_one(here);
    assert!(here.work.is_empty() && here.parked.is_empty());
    assert_eq!(
        thread.teardown.at.load(Ordering::SeqCst),
        undertaker.0.number,
        "it ends where it is at home now"
    );
    let mut arrived = 0;
    undertaker.0.inbox.take_jobs(|job| arrived += usize::from(std::ptr::eq(job, &thread.teardown)));
    assert_eq!(arrived, 1);
}

/// The messages of a mailbox, by kind.
fn kinds(mailbox: &'static Mailbox) -> Vec<u8> {
    crate::tests::watch::headers(mailbox).iter().map(|header| header.kind).collect()
}

#[test]
fn slots_that_a_dead_core_took_become_void_and_others_do_not() {
    let _whole = machine::whole();
    let (dead, undertaker) = (running(), running());
    for took in [true, false] {
        let mailbox = machine::mailbox(machine::space(0), 64, 16);
        let address = std::ptr::from_ref(mailbox) as u64;
        dead.0.state.store(core_state::RUNNING, Ordering::SeqCst);
        if took {
            mailbox.place(dead.0, 7, 1).unwrap();
        } else {
            // It had noted the ticket, and another core was faster.
            dead.0.sending.store(taking(0, 1, 1), Ordering::SeqCst);
            dead.0.sending_mailbox.store(address, Ordering::SeqCst);
            mailbox.notify(MessageKind::Fault, 1, &[]);
        }
        fails(dead.0);
        mailbox.notify(MessageKind::Interrupt, 2, &[]);
        bury(undertaker.0, dead.0);
        let first = if took { MessageKind::Void } else { MessageKind::Fault };
        assert_eq!(kinds(mailbox), [first as u8, MessageKind::Interrupt as u8]);
        assert_eq!(dead.0.sending_mailbox.load(Ordering::SeqCst), 0, "nobody looks a second time");
    }
}

#[test]
fn a_message_that_is_still_being_sent_elsewhere_is_waited_for() {
    let _whole = machine::whole();
    let (dead, undertaker, sender) = (running(), running(), running());
    let mailbox = machine::mailbox(machine::space(0), 64, 16);
    dead.0.sending.store(taking(0, 1, 1), Ordering::SeqCst);
    dead.0.sending_mailbox.store(std::ptr::from_ref(mailbox) as u64, Ordering::SeqCst);
    mailbox.place(sender.0, 7, 1).unwrap();
    fails(dead.0);
    begin(undertaker.0, &dead.0.burial, burial_step);
    assert_eq!(burial_step(&dead.0.burial, undertaker.0), Step::Park);
    assert!(kinds(mailbox).is_empty(), "the sender may be about to publish");
}

#[test]
fn a_call_at_a_dead_core_is_answered_or_goes_on() {
    let _whole = machine::whole();
    let (here, dead) = (machine::here(), running());
    for drop_stage in [0, 1] {
        let thread = machine::thread(machine::space(0));
        let call = &thread.jobs[0];
        call.prepare(burial_step);
        call.thread.set(thread);
        call.drop_stage.set(drop_stage);
        call.at.store(dead.0.number, Ordering::SeqCst);
        thread.state.set(State::Waiting);
        dead.0.state.store(core_state::RUNNING, Ordering::SeqCst);
        rescue(here, thread);
        assert!(call.active.get() && thread.state.get() == State::Waiting, "the core may still answer");
        fails(dead.0);
        rescue(here, thread);
        if drop_stage == 0 {
            assert_eq!(thread.saved().rax, fos_abi::Error::CoreFailed as u64);
            assert_eq!(thread.state.get(), State::Ready);
            here.scheduler.remove(here, thread);
        } else {
            assert!(call.active.get() && call.at.load(Ordering::SeqCst) == here.number);
            assert!(here.work.pop(|job| &job.place).is_some_and(|job| std::ptr::eq(job, call)));
        }
    }
}

#[test]
fn who_sleeps_although_there_is_a_message_wakes() {
    let _whole = machine::whole();
    let here = machine::here();
    let mailbox = machine::mailbox(machine::space(0), 64, 16);
    let thread = machine::thread(mailbox.space);
    thread.waiting[0].set(mailbox);
    thread.waiting_count.set(1);
    thread.state.set(State::Waiting);
    rescue(here, thread);
    assert_eq!(thread.state.get(), State::Waiting);
    // No waiter is noted: as if a core had taken it out and failed before it woke it.
    mailbox.notify(MessageKind::Data, 1, &[]);
    assert_eq!(thread.state.get(), State::Waiting);
    rescue(here, thread);
    assert_eq!((thread.state.get(), thread.saved().rdx), (State::Ready, 1));
    here.scheduler.remove(here, thread);
}

#[test]
fn only_time_that_was_lived_through_counts_as_silence() {
    let _whole = machine::whole();
    let (here, asked) = (machine::here(), running());
    let horizon = here.scheduler.horizon.get();
    assert_eq!(horizon, clock::ticks(100_000));
    let begin = asked.0.asked_at.load(Ordering::SeqCst);
    assert_eq!((begin, silence(here, asked.0, 5)), (0, None), "nobody asked");
    asked.0.kick();
    let mut now = asked.0.asked_at.load(Ordering::SeqCst);
    let mut silent = 0;
    for step in [horizon, horizon / 2, 3600 * clock::tsc_hz(), horizon] {
        now += step;
        let before = silent;
        silent = silence(here, asked.0, now).unwrap();
        let grown = step.min(2 * horizon);
        assert!(
            (grown - 1..=grown).contains(&(silent - before)),
            "a paused machine jumps: {step} counts {grown}"
        );
    }
    asked.0.asked_at.store(0, Ordering::SeqCst);
    assert_eq!(silence(here, asked.0, now), None, "it answered");
    asked.0.kicked.store(false, Ordering::SeqCst);
    asked.0.kick();
    let again = asked.0.asked_at.load(Ordering::SeqCst);
    assert_eq!(silence(here, asked.0, again), Some(0), "the next question counts from its own begin");
}
