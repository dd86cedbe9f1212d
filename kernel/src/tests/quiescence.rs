//! Grace periods: over when every core that takes part has been between two entries since.

use super::machine;
use crate::cores::core_state;
use crate::inbox::flag;
use crate::quiescence;
use std::sync::atomic::Ordering;

/// Another core, in some state.
fn peer(state: u32) -> machine::Seat {
    let peer = machine::peer();
    peer.0.state.store(state, Ordering::SeqCst);
    peer
}

#[test]
fn a_grace_period_waits_for_each_running_core_and_asks_it() {
    let _whole = machine::whole();
    let here = machine::here();
    let (one, two) = (peer(core_state::RUNNING), peer(core_state::RUNNING));
    let epoch = quiescence::begin(here);
    for peer in [&one, &two] {
        assert!(!quiescence::is_over(here, epoch));
        assert_eq!(peer.0.inbox.take_flags(), flag::QUIESCE);
        quiescence::pass(peer.0);
    }
    assert!(quiescence::is_over(here, epoch));
    let later = quiescence::begin(here);
    assert!(!quiescence::is_over(here, later), "what was passed before does not count");
    quiescence::pass(one.0);
    assert!(!quiescence::is_over(here, later));
}

#[test]
fn a_core_that_sleeps_or_has_failed_is_not_waited_for() {
    let _whole = machine::whole();
    let here = machine::here();
    for state in [core_state::IDLE, core_state::FAILED, core_state::ABSENT] {
        let peer = peer(state);
        let epoch = quiescence::begin(here);
        assert!(quiescence::is_over(here, epoch));
        assert_eq!(peer.0.inbox.take_flags(), 0, "it is left alone");
    }
}

#[test]
fn a_core_that_wakes_in_between_has_to_pass() {
    let _whole = machine::whole();
    let here = machine::here();
    let peer = peer(core_state::IDLE);
    let epoch = quiescence::begin(here);
    peer.0.state.store(core_state::RUNNING, Ordering::SeqCst);
    assert!(!quiescence::is_over(here, epoch));
    quiescence::pass(peer.0);
    assert!(quiescence::is_over(here, epoch));
}
