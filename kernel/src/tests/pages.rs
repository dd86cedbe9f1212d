//! Allegations of programs about addresses: runs of pages, ranges of bytes.

use crate::arch::machine::user_memory::{UserRange, check_aligned, is_user_address};
use crate::space::Pages;
use fos_abi::limits::{MAP_MAX, USER_END, USER_START};
use proptest::prelude::*;

/// What `Pages::new` promises, in numbers that can't overflow.
fn pages_allowed(address: u64, count: u64) -> bool {
    let (start, end) = (u128::from(address), u128::from(address) + u128::from(count) * 4096);
    address.is_multiple_of(4096)
        && (1..=MAP_MAX as u64).contains(&count)
        && start >= u128::from(USER_START)
        && end <= u128::from(USER_END)
}

/// Addresses and counts near every border.
fn near(borders: &'static [u64]) -> impl Strategy<Value = u64> {
    let close = (prop::sample::select(borders), -2i64..3).prop_map(|(at, by)| at.wrapping_add_signed(by));
    let pages =
        (prop::sample::select(borders), -3i64..4).prop_map(|(at, by)| at.wrapping_add_signed(by * 4096));
    prop_oneof![close, pages, any::<u64>()]
}

const ADDRESSES: &[u64] = &[0, USER_START, USER_END, USER_END - 512 * 4096, 1 << 47, 1 << 63, !4095];
const COUNTS: &[u64] = &[0, 1, MAP_MAX as u64, 1 << 52, u64::MAX / 4096, u64::MAX];

proptest! {
    #![proptest_config(super::machine::cases(4000))]

    #[test]
    fn a_run_of_pages_lies_in_user_space(address in near(ADDRESSES), count in near(COUNTS)) {
        let pages = Pages::new(address, count);
        prop_assert_eq!(pages.is_ok(), pages_allowed(address, count), "{:#x} + {:#x}", address, count);
        if let Ok(pages) = pages {
            prop_assert_eq!((pages.first * 4096, pages.count), (address, count));
        }
    }

    #[test]
    fn a_range_of_bytes_lies_in_user_space(address in near(ADDRESSES), length in near(COUNTS)) {
        let end = u128::from(address) + u128::from(length);
        let allowed = address >= USER_START && end <= u128::from(USER_END);
        prop_assert_eq!(UserRange::new(address, length as usize).is_ok(), allowed);
        prop_assert_eq!(UserRange::or_empty(address, length as usize).is_ok(), allowed || length == 0);
        prop_assert_eq!(check_aligned(address, length as usize).is_ok(), allowed && address.is_multiple_of(8));
        prop_assert_eq!(is_user_address(address), address < USER_END);
    }
}

#[test]
fn user_memory_is_copied_whole_or_its_fault_is_told() {
    super::machine::start();
    let from: Vec<u8> = (0..1000u32).map(|at| (at * 3) as u8).collect();
    for length in (0..200).chain([511, 512, 513, 1000]) {
        for shift in 0..8.min(1000 - length + 1) {
            let mut to = vec![0xee; 1100];
            let range = UserRange::or_empty(from[shift..].as_ptr() as u64, length).unwrap();
            // SAFETY: the destination is longer than any range here.
            assert_eq!(unsafe { range.read(to.as_mut_ptr()) }, Ok(()));
            assert_eq!(to[..length], from[shift..shift + length]);
            assert!(to[length..].iter().all(|byte| *byte == 0xee), "{length} bytes were copied and more");
        }
    }
    let nowhere = UserRange::new(USER_START, 100).unwrap();
    // SAFETY: both sides of the kernel are 100 bytes long.
    unsafe {
        assert_eq!(nowhere.read([0u8; 100].as_mut_ptr()), Err(fos_abi::Error::BadAddress));
        assert_eq!(nowhere.write([0u8; 100].as_ptr()), Err(fos_abi::Error::BadAddress));
    }
}
