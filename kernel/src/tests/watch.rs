//! Watches: whoever watches is told once, however watchers come, go and are told.

use super::machine;
use crate::arch::machine::paging::frame_pointer;
use crate::capabilities::{Capability, NO_PARENT, Slot, insert};
use crate::mailbox::Mailbox;
use crate::objects::reference_to;
use crate::space::Space;
use crate::watch;
use fos_abi::Error;
use fos_abi::capability::{Kind, Rights};
use fos_abi::mailbox::{Control, Header, SLOT_SIZE};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A watch's slot, whose notice goes to the mailbox with this cookie.
pub fn watcher(space: &'static Space, mailbox: &'static Mailbox, cookie: u64) -> &'static Slot {
    mailbox.reserve_notice().unwrap();
    let capability = Capability {
        kind: Kind::Watch,
        rights: Rights::ALL,
        object: 0,
        length: reference_to(mailbox).0,
        parent: NO_PARENT,
        stamp: cookie,
    };
    space.slot(insert(space, &capability).unwrap().index()).unwrap()
}

/// The headers of all messages in a mailbox that nobody receives from, up to the first hole.
pub fn headers(mailbox: &'static Mailbox) -> Vec<&'static Header> {
    let first = reference_to(mailbox).frame() + mailbox.private_frames as u64;
    let slots = mailbox.slots();
    let there = |ticket: &u32| {
        // SAFETY: the control page is a frame of the mailbox, which stays.
        let control = unsafe { &*frame_pointer(first).cast::<Control>() };
        control.stamp(*ticket, slots - 1).load(Ordering::Acquire) == ticket + 1
    };
    // SAFETY: the ring follows the control page, and its stamp says that a header is there.
    let header =
        |ticket: u32| unsafe { &*frame_pointer(first + 1).add(ticket as usize * SLOT_SIZE).cast::<Header>() };
    (0..slots).take_while(there).map(header).collect()
}

/// The cookies of all notices in a mailbox that nobody receives from.
pub fn told(mailbox: &'static Mailbox) -> Vec<u64> {
    let mut cookies: Vec<u64> = headers(mailbox).iter().map(|header| header.badge).collect();
    cookies.sort_unstable();
    cookies
}

fn tell_all(watchers: &AtomicU64) -> usize {
    let pending = Cell::new(0);
    let mut turns = 1;
    while !watch::tell(watchers, &pending, 1, 0) {
        turns += 1;
    }
    turns
}

#[test]
fn every_watcher_is_told_once() {
    let space = machine::space(0);
    let mailbox = machine::mailbox(space, 128, 16);
    let watchers = AtomicU64::new(0);
    for cookie in 1..=60 {
        watch::add(&watchers, watcher(space, mailbox, cookie)).unwrap();
    }
    assert_eq!(tell_all(&watchers), 1);
    assert_eq!(told(mailbox), (1..=60).collect::<Vec<_>>());
    assert!(watch::has_ended(&watchers));
    tell_all(&watchers);
    assert_eq!(told(mailbox).len(), 60, "nobody is told twice");
    assert_eq!(watch::add(&watchers, watcher(space, mailbox, 61)), Err(Error::Closed));
}

#[test]
fn a_long_list_is_told_in_several_turns() {
    let (one, two) = (machine::space(0), machine::space(0));
    let mailbox = machine::mailbox(one, 256, 16);
    let watchers = AtomicU64::new(0);
    for cookie in 0..100 {
        let space = if cookie < 50 { one } else { two };
        watch::add(&watchers, watcher(space, mailbox, cookie)).unwrap();
    }
    assert_eq!(tell_all(&watchers), 2);
    assert_eq!(told(mailbox), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_watcher_that_left_is_not_told_and_the_others_are() {
    for leaving in 0..5usize {
        let space = machine::space(0);
        let mailbox = machine::mailbox(space, 64, 16);
        let watchers = AtomicU64::new(0);
        let slots: Vec<&Slot> = (0..5).map(|cookie| watcher(space, mailbox, cookie)).collect();
        slots.iter().for_each(|slot| watch::add(&watchers, slot).unwrap());
        watch::remove(&watchers, slots[leaving]);
        tell_all(&watchers);
        let expected: Vec<u64> = (0..5).filter(|cookie| *cookie != leaving as u64).collect();
        assert_eq!(told(mailbox), expected);
        assert!(!slots[leaving].was_told());
        watch::remove(&watchers, slots[leaving]);
        assert!(watch::has_ended(&watchers), "leaving a list that has ended changes nothing");
    }
}

/// Watchers come from two cores while the thing ends on a third: each is told, or refused.
#[test]
fn who_comes_while_it_ends_is_told_or_refused() {
    for _ in 0..200 {
        let watchers = AtomicU64::new(0);
        let home = machine::space(0);
        let mailbox = machine::mailbox(home, 128, 16);
        let accepted: Vec<u64> = std::thread::scope(|scope| {
            let adders: Vec<_> = (0..2u64)
                .map(|core| {
                    let watchers = &watchers;
                    scope.spawn(move || {
                        let space = machine::space(0);
                        let cookies = core * 30..core * 30 + 30;
                        let add =
                            |cookie: &u64| watch::add(watchers, watcher(space, mailbox, *cookie)).is_ok();
                        cookies.filter(add).collect::<Vec<u64>>()
                    })
                })
                .collect();
            let leaving = watcher(home, mailbox, 99);
            watch::add(&watchers, leaving).unwrap();
            watch::remove(&watchers, leaving);
            tell_all(&watchers);
            adders.into_iter().flat_map(|adder| adder.join().unwrap()).collect()
        });
        let mut expected = accepted;
        expected.sort_unstable();
        assert_eq!(told(mailbox), expected);
    }
}
