//! A space's name cache: a name is found whole or not at all.

use super::machine;
use crate::names;
use fos_abi::Key;
use fos_abi::key::MailboxId;
use fos_abi::limits::NAMES_MAX;
use std::sync::atomic::{AtomicBool, Ordering};

fn key(number: u64) -> Key {
    Key { mailbox: MailboxId(number), entry: number as u32, machine: 0, secret: [number, number] }
}

#[test]
fn a_name_is_found_until_it_is_removed_or_another_takes_its_place() {
    let space = machine::space(0);
    assert_eq!(names::find(space, 5), None);
    names::set(space, 5, &key(1));
    names::set(space, 6, &key(2));
    assert_eq!((names::find(space, 5), names::find(space, 6)), (Some(key(1)), Some(key(2))));
    names::set(space, 5, &key(3));
    assert_eq!(names::find(space, 5), Some(key(3)));
    let same_place = 5 + NAMES_MAX as u64;
    names::set(space, same_place, &key(4));
    assert_eq!((names::find(space, 5), names::find(space, same_place)), (None, Some(key(4))));
    names::remove(space, 5);
    assert_eq!(names::find(space, same_place), Some(key(4)), "what took its place stays");
    names::remove(space, same_place);
    assert_eq!(names::find(space, same_place), None);
}

#[test]
fn no_key_takes_a_name_out_and_no_name_is_never_there() {
    let space = machine::space(0);
    names::set(space, 5, &key(1));
    names::set(space, 5, &Key::default());
    assert_eq!(names::find(space, 5), None);
    assert_eq!(names::find(space, 0), None);
    assert_eq!(names::find(space, NAMES_MAX as u64), None);
}

#[test]
fn a_name_that_changes_is_read_whole() {
    let space = machine::space(0);
    let (done, patience) = (AtomicBool::new(false), machine::Patience::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                patience.check();
                if let Some(found) = names::find(space, 9) {
                    assert_eq!(found, key(found.mailbox.0), "half of two keys");
                }
            }
        });
        (1..400_000).for_each(|number| names::set(space, 9, &key(number)));
        done.store(true, Ordering::Release);
    });
    assert_eq!(names::find(space, 9), Some(key(399_999)));
}
