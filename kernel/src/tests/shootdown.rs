//! Shootdowns: only cores that run the space are asked and waited for; who sleeps with it sees when it wakes.

use super::Space;
use crate::cores::{Core, core_state};
use crate::inbox::flag;
use crate::tests::machine;
use std::sync::atomic::Ordering;

/// A core that runs a space, as `Space::enter` leaves it but for the tables.
fn running(space: &'static Space) -> machine::Seat {
    let seat = machine::peer();
    let number = usize::from(seat.0.number);
    seat.0.state.store(core_state::RUNNING, Ordering::SeqCst);
    space.active[number / 64].fetch_or(1 << (number % 64), Ordering::SeqCst);
    catch_up(space, seat.0);
    seat.0.loaded_shared.store(std::ptr::from_ref(space).cast_mut(), Ordering::SeqCst);
    seat
}

fn catch_up(space: &Space, core: &Core) {
    core.flushed.store(space.flush_generation.load(Ordering::SeqCst), Ordering::SeqCst);
}

#[test]
fn nobody_is_asked_when_nobody_else_runs_the_space() {
    let _whole = machine::whole();
    let (space, other) = (machine::space(0), machine::space(0));
    let here = machine::here();
    let elsewhere = running(other);
    space.active[usize::from(here.number) / 64].fetch_or(1 << (here.number % 64), Ordering::SeqCst);
    assert_eq!(space.begin_flush(here), 0);
    assert!(space.is_flushed(here, 0));
    assert_eq!(elsewhere.0.inbox.take_flags(), 0);
}

#[test]
fn every_core_that_runs_the_space_is_asked_and_waited_for() {
    let _whole = machine::whole();
    let space = machine::space(0);
    let here = machine::here();
    let (one, two) = (running(space), running(space));
    let generation = space.begin_flush(here);
    assert_ne!(generation, 0);
    for core in [&one, &two] {
        assert_eq!(core.0.inbox.take_flags(), flag::FLUSH);
        assert!(!space.is_flushed(here, generation));
        catch_up(space, core.0);
    }
    assert!(space.is_flushed(here, generation));
    let second = space.begin_flush(here);
    assert!(second > generation && !space.is_flushed(here, second) && space.is_flushed(here, generation));
}

#[test]
fn a_core_that_sleeps_is_left_alone_and_is_behind_when_it_wakes() {
    let _whole = machine::whole();
    let space = machine::space(0);
    let here = machine::here();
    let seat = running(space);
    let sleeper = seat.0;
    sleeper.state.store(core_state::IDLE, Ordering::SeqCst);
    assert!(!space.is_behind(sleeper));
    let generation = space.begin_flush(here);
    assert_ne!(generation, 0);
    assert_eq!(sleeper.inbox.take_flags(), 0);
    assert!(space.is_flushed(here, generation), "it uses nothing");
    sleeper.wake();
    assert!(space.is_behind(sleeper) && !space.is_flushed(here, generation));
    catch_up(space, sleeper);
    assert!(!space.is_behind(sleeper) && space.is_flushed(here, generation));
}

#[test]
fn the_core_that_unmaps_is_not_behind_itself() {
    let _whole = machine::whole();
    let (space, other) = (machine::space(0), machine::space(0));
    let here = machine::here();
    let _elsewhere = [running(space), running(other)];
    for (loaded, is_behind) in [(space, false), (other, true)] {
        catch_up(space, here);
        here.loaded.set(loaded);
        assert_ne!(space.begin_flush(here), 0);
        assert_eq!(space.is_behind(here), is_behind);
    }
    here.loaded.set(std::ptr::null());
}

#[test]
fn a_space_that_ends_is_taken_from_cores_that_sleep_with_it() {
    let _whole = machine::whole();
    let space = machine::space(0);
    let here = machine::here();
    assert!(space.let_go(here), "nobody has it");
    let seat = running(space);
    let sleeper = seat.0;
    sleeper.state.store(core_state::IDLE, Ordering::SeqCst);
    assert!(!space.let_go(here));
    assert_eq!(sleeper.inbox.take_flags(), flag::FLUSH);
    space.leave(sleeper);
    assert!(space.let_go(here));
}

#[test]
fn a_failed_core_does_not_wake() {
    let seat = machine::peer();
    seat.0.state.store(core_state::FAILED, Ordering::SeqCst);
    seat.0.wake();
    assert!(!seat.0.is_alive());
}

#[test]
fn a_core_that_left_or_failed_is_not_waited_for() {
    let _whole = machine::whole();
    let space = machine::space(0);
    let here = machine::here();
    let (one, two) = (running(space), running(space));
    let generation = space.begin_flush(here);
    assert!(!space.is_flushed(here, generation));
    one.0.loaded_shared.store(std::ptr::null_mut(), Ordering::SeqCst);
    space.leave(one.0);
    assert!(!space.is_flushed(here, generation) && !space.let_go(here));
    two.0.state.store(core_state::FAILED, Ordering::SeqCst);
    assert!(space.is_flushed(here, generation) && space.let_go(here));
}
