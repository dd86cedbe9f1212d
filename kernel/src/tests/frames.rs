//! The frame table: claims are whole or nothing, a mapped frame is never claimed and a claimed one never
//! mapped, whoever is faster; references die with their objects.

use super::machine;
use crate::frames::{self, frame_kind};
use crate::objects::{self, Reference, resolve};
use crate::space::Space;
use fos_abi::Error;
use fos_abi::limits::HUGE_PAGES;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

fn kinds(first: u64, count: u64) -> Vec<u8> {
    (first..first + count).map(|frame| frames::entry(frame).unwrap().kind()).collect()
}

#[test]
fn a_claim_takes_every_frame_and_a_release_gives_them_back() {
    let first = machine::frames(4);
    assert_eq!(frames::claim(first, 3), Ok(()));
    assert_eq!(kinds(first, 4), [frame_kind::PART, frame_kind::PART, frame_kind::PART, frame_kind::ORDINARY]);
    assert_eq!(frames::claim(first, 1), Err(Error::InUse));
    frames::release(first, 3);
    assert_eq!(kinds(first, 4), [frame_kind::ORDINARY; 4]);
}

#[test]
fn a_claim_that_fails_leaves_no_trace() {
    let first = machine::frames(4);
    frames::map(first + 2).unwrap();
    assert_eq!(frames::claim(first, 4), Err(Error::StillMapped));
    assert_eq!(kinds(first, 4), [frame_kind::ORDINARY; 4]);
    frames::unmap(first + 2);
    frames::claim(first + 3, 1).unwrap();
    assert_eq!(frames::claim(first, 4), Err(Error::InUse));
    assert_eq!(kinds(first, 4)[..3], [frame_kind::ORDINARY; 3]);
}

#[test]
fn frames_that_are_not_there_are_in_use() {
    machine::start();
    for frame in [0, machine::FRAMES, u64::from(u32::MAX), 1 << 52] {
        assert_eq!(frames::map(frame), Err(Error::InUse));
        assert_eq!(frames::claim(frame, 1), Err(Error::InUse));
    }
}

#[test]
fn mappings_are_counted_one_by_one() {
    let frame = machine::frames(1);
    for count in 1..5 {
        frames::map(frame).unwrap();
        assert_eq!(frames::mappings(frame), count);
    }
    (0..4).for_each(|_| frames::unmap(frame));
    assert_eq!(frames::claim(frame, 1), Ok(()));
    assert_eq!(frames::map(frame), Err(Error::InUse));
    assert_eq!(frames::mappings(frame), 0, "a refused mapping is not counted");
}

#[test]
fn a_huge_mapping_counts_for_each_of_its_frames() {
    let first = machine::aligned_frames(2 * HUGE_PAGES as u64, HUGE_PAGES as u64);
    frames::map_huge(first).unwrap();
    frames::map(first + 7).unwrap();
    for (frame, count) in [(first, 1), (first + 7, 2), (first + 511, 1), (first + 512, 0)] {
        assert_eq!(frames::mappings(frame), count);
    }
    assert_eq!(frames::claim(first + 511, 1), Err(Error::StillMapped));
    assert_eq!(frames::claim(first + 512, 1), Ok(()));
    frames::unmap_huge(first);
    assert_eq!(frames::claim(first + 511, 1), Ok(()));
    assert_eq!(frames::map_huge(first), Err(Error::InUse), "one of its frames is claimed");
    assert_eq!(frames::mappings(first), 0, "a refused mapping is not counted");
}

/// How often a race is run, and how often each side must have won in it.
const ROUNDS: u32 = 600_000;
const WINS: u32 = 50;

/// Says that this side has the frame, keeps it for a moment, and says whether the other has it too.
fn hold(own: &AtomicBool, others: &AtomicBool) -> bool {
    own.store(true, Ordering::SeqCst);
    let both = (0..8).any(|_| others.load(Ordering::SeqCst));
    own.store(false, Ordering::SeqCst);
    both
}

/// One thread maps and unmaps, one claims and releases `claimed`: never both at once. Between two mappings
/// is a pause of 0 to `pause` turns.
fn race(map: impl Fn() -> bool + Sync, unmap: impl Fn() + Sync, claimed: u64, pause: u32) {
    let (mapped, held) = (AtomicBool::new(false), AtomicBool::new(false));
    let (mappings, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let patience = machine::Patience::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if map() {
                    let both = hold(&mapped, &held);
                    unmap();
                    assert!(!both, "mapped while claimed");
                    mappings.fetch_add(1, Ordering::Relaxed);
                }
                // Time for the other to win, of every length.
                (0..round % pause).for_each(|_| std::hint::spin_loop());
                if done.load(Ordering::SeqCst) {
                    break;
                }
                patience.check();
            }
        });
        let (mut claims, mut rounds) = (0, 0);
        while rounds < ROUNDS || claims < WINS || mappings.load(Ordering::Relaxed) < WINS {
            if frames::claim(claimed, 1).is_ok() {
                let both = hold(&held, &mapped);
                frames::release(claimed, 1);
                assert!(!both, "claimed while mapped");
                claims += 1;
            }
            rounds += 1;
            if rounds % 1024 == 0 {
                std::thread::yield_now();
                patience.check();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(frames::mappings(claimed), 0);
}

#[test]
fn a_frame_is_never_mapped_and_claimed() {
    let frame = machine::frames(1);
    race(|| frames::map(frame).is_ok(), || frames::unmap(frame), frame, 16);
}

#[test]
fn a_frame_of_a_huge_mapping_is_never_claimed() {
    let first = machine::aligned_frames(HUGE_PAGES as u64, HUGE_PAGES as u64);
    race(|| frames::map_huge(first).is_ok(), || frames::unmap_huge(first), first + 300, 256);
}

#[test]
fn two_claimers_of_overlapping_runs_never_hold_the_same_frame() {
    let first = machine::frames(3);
    let owner = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for number in 1..=2u32 {
            let owner = &owner;
            scope.spawn(move || {
                for _ in 0..100_000 {
                    if frames::claim(first + u64::from(number) - 1, 2).is_ok() {
                        assert_eq!(
                            owner.swap(number, Ordering::SeqCst),
                            0,
                            "the middle frame is claimed twice"
                        );
                        owner.store(0, Ordering::SeqCst);
                        frames::release(first + u64::from(number) - 1, 2);
                    }
                }
            });
        }
    });
    assert_eq!(kinds(first, 3), [frame_kind::ORDINARY; 3]);
}

#[test]
fn a_reference_dies_with_its_object() {
    let space = machine::space(0);
    let reference = space.reference();
    assert!(resolve::<Space>(reference).is_some_and(|found| std::ptr::eq(found, space)));
    assert!(!objects::is_gone(reference));
    assert!(resolve::<crate::thread::Thread>(reference).is_none(), "another kind");
    assert!(resolve::<Space>(Reference(reference.0 + (1 << 32))).is_none(), "another incarnation");
    assert!(resolve::<Space>(Reference(reference.0 + 1)).is_none(), "not its first frame");
    objects::end(space);
    assert!(resolve::<Space>(reference).is_none());
    assert!(!objects::is_gone(reference), "its frames are not free yet");
    frames::entry(reference.frame()).unwrap().end_generation();
    frames::release(reference.frame(), 4);
    assert!(objects::is_gone(reference));
}
