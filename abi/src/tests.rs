//! The tables agree with the numbers they index, and layouts with what the documents promise.

use crate::calls::CALLS;
use crate::capability::{Handle, KINDS, Rights};
use crate::error::{ERRORS, Error};
use crate::key::KeyRights;
use crate::limits::{CHUNK_STEPS, MAP_MAX, PAGE_SIZE, SLOTS_PER_FRAME, TABLE_FRAMES_MAX};
use crate::mailbox::{
    Control, HEADER_SIZE, KEYS_MAX, KEYS_MIN, MESSAGE_MAX, OBJECT_SIZE, SHARE, SLOT_SIZE, SLOTS_MAX,
    SLOTS_MIN, frames_for, pages_for, slots_for,
};
use crate::space::{MapFlags, SPACE_FRAMES};
use crate::thread::USER_RFLAGS;
use core::sync::atomic::{AtomicU32, AtomicU64};

#[test]
fn tables_are_in_the_order_of_their_numbers() {
    for (index, call) in CALLS.iter().enumerate() {
        assert_eq!(call.number as usize, index, "{}", call.name);
    }
    for (index, error) in ERRORS.iter().enumerate() {
        assert_eq!(*error as usize, index + 1);
        assert_eq!(Error::from_number(index as u32 + 1), Some(*error));
    }
    for (index, kind) in KINDS.iter().enumerate() {
        assert_eq!(*kind as usize, index);
    }
    assert_eq!(Error::from_number(0), None);
    assert_eq!(Error::from_number(25), None);
}

#[test]
fn a_handle_keeps_its_index_and_the_low_half_of_its_epoch() {
    let handle = Handle::new(0x1234, 0xabcd_ef01);
    assert_eq!(handle.index(), 0x1234);
    assert_eq!(handle.0 >> 16, 0xef01);
}

#[test]
fn messages_fill_their_slots_exactly() {
    assert_eq!(slots_for(0), 1);
    assert_eq!(slots_for(96), 1);
    assert_eq!(slots_for(97), 2);
    assert_eq!(slots_for(MESSAGE_MAX), 8);
}

#[test]
fn a_mailbox_is_built_in_private_control_and_ring_frames() {
    assert_eq!(frames_for(64, 16), Some((2 + 1 + 2, 2)));
    assert_eq!(pages_for(64), 5);
    assert_eq!(frames_for(63, 16), None);
    assert_eq!(frames_for(64, 8), None);
    assert_eq!(frames_for(16384, 16), None);
}

#[test]
fn every_call_is_named_once_and_lists_each_error_once() {
    for (index, call) in CALLS.iter().enumerate() {
        assert!(CALLS[..index].iter().all(|other| other.name != call.name), "{} twice", call.name);
        for (place, error) in call.errors.iter().enumerate() {
            assert!(!call.errors[..place].contains(error), "{} lists {error:?} twice", call.name);
        }
        assert!(!call.errors.contains(&Error::CoreFailed), "{}: said once for all", call.name);
    }
}

#[test]
fn every_error_is_some_calls() {
    let named = |error: &Error| CALLS.iter().any(|call| call.errors.contains(error));
    let general = [Error::BadCall, Error::CoreFailed, Error::Interrupted];
    for error in ERRORS.iter().filter(|error| !general.contains(error)) {
        assert!(named(error), "{error:?} is no call's");
    }
}

#[test]
fn sets_of_rights_contain_their_parts_and_nothing_else() {
    let key_rights =
        [KeyRights::SEND, KeyRights::ATTACH, KeyRights::RING, KeyRights::DERIVE, KeyRights::WATCH];
    let rights = [
        Rights::READ,
        Rights::WRITE,
        Rights::EXECUTE,
        Rights::DERIVE,
        Rights::MOVE,
        Rights::CONTROL,
        Rights::DESTROY,
        Rights::WATCH,
    ];
    for (index, right) in key_rights.iter().enumerate() {
        assert!(KeyRights::ALL.contains(*right) && right.contains(*right));
        assert!(key_rights[..index].iter().all(|other| !other.contains(*right) && !right.contains(*other)));
    }
    for (index, right) in rights.iter().enumerate() {
        assert!(Rights::ALL.contains(*right) && right.contains(Rights::NONE));
        assert!(
            rights[..index]
                .iter()
                .all(|other| !other.contains(*right) && other.with(*right).contains(*right))
        );
    }
    assert_eq!(key_rights.into_iter().fold(KeyRights::default(), KeyRights::with), KeyRights::ALL);
    assert_eq!(rights.into_iter().fold(Rights::NONE, Rights::with), Rights::ALL);
    let flags = [MapFlags::READ, MapFlags::WRITE, MapFlags::EXECUTE, MapFlags::HUGE];
    assert_eq!(flags.into_iter().fold(MapFlags::default(), MapFlags::with), MapFlags::ALL);
}

#[test]
fn a_message_has_exactly_the_slots_that_hold_it() {
    for length in 0..=MESSAGE_MAX {
        let bytes = HEADER_SIZE + length;
        let slots = slots_for(length);
        assert!(slots * SLOT_SIZE >= bytes && (slots - 1) * SLOT_SIZE < bytes, "{length} bytes");
        assert!(slots <= SLOTS_MIN / SHARE, "the smallest mailbox's share holds the longest message");
    }
}

#[test]
fn every_mailbox_fits_its_frames_and_can_be_claimed_and_mapped_at_once() {
    let mut allowed = 0;
    for slots in 0..=2 * SLOTS_MAX {
        for keys in [0, KEYS_MIN / 2, KEYS_MIN, 24, 64, KEYS_MAX, 2 * KEYS_MAX] {
            let Some((frames, private)) = frames_for(slots, keys) else { continue };
            allowed += 1;
            assert!(slots.is_power_of_two() && (SLOTS_MIN..=SLOTS_MAX).contains(&slots));
            assert!(keys.is_power_of_two() && (KEYS_MIN..=KEYS_MAX).contains(&keys));
            // Pairs of holders, attachments, payers, as the kernel lays them out.
            let needed = OBJECT_SIZE + 32 * keys + slots * (16 + 48 + 4);
            assert!(private * PAGE_SIZE >= needed, "{slots} slots, {keys} keys");
            assert_eq!((frames - private - 1) * PAGE_SIZE, slots * SLOT_SIZE);
            assert_eq!(pages_for(slots), 1 + 2 * (frames - private - 1));
            assert!(frames <= CHUNK_STEPS && pages_for(slots) <= MAP_MAX);
        }
    }
    assert_eq!(allowed, 4 * 3, "64 to 512 slots; 16, 64 and 1024 keys");
}

#[test]
fn each_slot_has_a_stamp_of_its_own() {
    let stamps = core::array::from_fn(|_| AtomicU32::new(0));
    let control = Control {
        head: AtomicU32::new(0),
        reserved: AtomicU32::new(0),
        bells: AtomicU64::new(0),
        padding: [0; 6],
        stamps,
    };
    for slots in [SLOTS_MIN, SLOTS_MAX] {
        let mask = slots as u32 - 1;
        let place = |ticket: u32| core::ptr::from_ref(control.stamp(ticket, mask)) as usize;
        let mut places: [usize; SLOTS_MAX] = core::array::from_fn(|slot| place(slot as u32 % slots as u32));
        places[..slots].sort_unstable();
        assert!(places[..slots].windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(place(u32::MAX), place(mask), "tickets wrap onto slots");
        assert_eq!(place(slots as u32), place(0));
    }
}

#[test]
fn a_space_with_the_largest_table_is_claimed_in_one_chunk() {
    const { assert!(SPACE_FRAMES + TABLE_FRAMES_MAX <= CHUNK_STEPS) };
    assert_eq!(
        Handle::new(TABLE_FRAMES_MAX * SLOTS_PER_FRAME - 1, 0).index(),
        TABLE_FRAMES_MAX * SLOTS_PER_FRAME - 1
    );
    for special in [Handle::SELF, Handle::NONE] {
        assert!(special.index() >= TABLE_FRAMES_MAX * SLOTS_PER_FRAME, "no slot is called {special:?}");
    }
}

#[test]
fn a_program_may_set_no_flag_that_gives_rights() {
    // Intel SDM vol. 1, 3.4.3: IF, IOPL, NT, RF, VM, VIF, VIP.
    for bit in [9, 12, 13, 14, 16, 17, 19, 20] {
        assert_eq!(USER_RFLAGS >> bit & 1, 0, "bit {bit}");
    }
}
