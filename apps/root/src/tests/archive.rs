//! Archives as the host writes them, cut at every byte, and of random bytes.

use crate::archive::{Archive, Entry};
use proptest::prelude::*;
use std::format;
use std::string::String;
use std::vec::Vec;

fn newc(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    let trailer = (String::from("TRAILER!!!"), Vec::new());
    for (name, bytes) in entries.iter().chain([&trailer]) {
        let mut fields = [0; 13];
        fields[6] = bytes.len();
        fields[11] = name.len() + 1;
        archive.extend_from_slice(b"070701");
        archive.extend(fields.iter().flat_map(|field| format!("{field:08X}").into_bytes()));
        archive.extend_from_slice(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

#[test]
fn sizes_that_reach_beyond_end_the_archive() {
    let mut archive = newc(&[("a".into(), std::vec![7; 5])]);
    assert_eq!(Archive(&archive).find("a"), Some(&[7; 5][..]));
    for digit in 6 + 6 * 8..6 + 7 * 8 {
        let mut bad = archive.clone();
        bad[digit] = b'F';
        let huge = digit < 6 + 6 * 8 + 7;
        assert_eq!(Archive(&bad).find("a").is_none(), huge, "digit {digit}");
    }
    archive[6 + 6 * 8] = b'g';
    assert_eq!(Archive(&archive).entries().next(), None, "not a digit");
}

proptest! {
    #[test]
    fn files_come_back(files in proptest::collection::vec(("[a-z.]{1,12}", proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
        let archive = newc(&files);
        let found: Vec<Entry> = Archive(&archive).entries().collect();
        prop_assert_eq!(found.len(), files.len());
        for (entry, (name, bytes)) in found.iter().zip(&files) {
            prop_assert_eq!((entry.name, entry.bytes), (name.as_bytes(), &bytes[..]));
        }
        for length in 0..archive.len() {
            let cut = Archive(&archive[..length]).entries().count();
            prop_assert!(cut <= files.len());
        }
    }

    #[test]
    fn noise_is_read_without_a_panic(mut noise in proptest::collection::vec(any::<u8>(), 0..400), digits in "[0-9a-fA-F]{104}") {
        let _ = Archive(&noise).entries().count();
        noise.splice(0..0, [b"070701", digits.as_bytes()].concat());
        let _ = Archive(&noise).entries().count();
    }
}
