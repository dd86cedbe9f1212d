//! Programs that are started again.

use crate::succession::{After, ENDS_MAX, NotKept, Succession, WITHIN};
use fos_messages::start::{KEPT_BYTES_MAX, KEPT_MAX, NAME_MAX};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

const SECOND: u64 = 1_000_000_000;

fn one() -> Succession {
    let mut succession = Succession::default();
    succession.add("init");
    succession
}

#[test]
fn the_first_end_is_made_good_at_once_and_each_more_after_twice_as_long() {
    let mut succession = one();
    assert_eq!(succession.ended("other", SECOND), After::Nothing);
    let millis = |millis| After::Another(Duration::from_millis(millis));
    for (end, pause) in [0, 100, 200, 400, 800, 1600, 3200].into_iter().enumerate() {
        assert_eq!(succession.ended("init", SECOND), millis(pause), "end {end}");
        let due = SECOND + pause * 1_000_000;
        assert_eq!(succession.next_due(), Some(due));
        assert_eq!(succession.take_due(due - 1), None);
        assert_eq!(succession.take_due(due).as_deref(), Some("init"));
        assert_eq!((succession.take_due(due), succession.next_due()), (None, None));
    }
    assert_eq!(succession.ended("init", SECOND), After::GivenUp, "end {ENDS_MAX}");
    assert_eq!(succession.take_due(u64::MAX), None);
}

#[test]
fn ends_that_are_long_ago_do_not_count() {
    let mut succession = one();
    let apart = WITHIN.as_nanos() as u64;
    for end in 1..100 {
        assert_eq!(succession.ended("init", end * apart), After::Another(Duration::ZERO));
    }
}

#[test]
fn what_is_too_long_or_too_much_is_not_kept_and_what_was_stays() {
    let mut succession = one();
    assert_eq!(succession.keep("other", String::new(), vec![1]), Err(NotKept::NoSuccessor));
    assert_eq!(succession.keep("init", "n".repeat(NAME_MAX + 1), vec![1]), Err(NotKept::TooLong));
    assert_eq!(succession.keep("init", "n".into(), vec![1; KEPT_BYTES_MAX + 1]), Err(NotKept::TooLong));
    for number in 0..KEPT_MAX {
        assert_eq!(succession.keep("init", number.to_string(), vec![number as u8]), Ok(()));
    }
    assert_eq!(succession.keep("init", "one more".into(), vec![1]), Err(NotKept::TooMany));
    assert_eq!(succession.keep("init", "one more".into(), vec![]), Ok(()), "nothing takes no room");
    assert_eq!(succession.keep("init", "0".into(), vec![7]), Ok(()));
    assert_eq!(succession.kept("init").len(), KEPT_MAX);
    assert!(succession.kept("init").contains(&("0".into(), vec![7])));
    assert_eq!(succession.kept("other"), []);
}

proptest! {
    #[test]
    fn the_last_of_each_name_is_kept(
        pieces in proptest::collection::vec((0u8..10, proptest::collection::vec(any::<u8>(), 0..4)), 0..40),
    ) {
        let mut succession = one();
        let mut model = BTreeMap::new();
        for (name, bytes) in pieces {
            succession.keep("init", name.to_string(), bytes.clone()).unwrap();
            model.insert(name.to_string(), bytes);
        }
        model.retain(|_, bytes| !bytes.is_empty());
        let kept: BTreeMap<String, Vec<u8>> = succession.kept("init").iter().cloned().collect();
        prop_assert_eq!(kept, model);
    }
}
