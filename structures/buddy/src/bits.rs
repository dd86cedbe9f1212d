//! A set of small numbers as bits, of which one is found, put in or taken out in a few steps: 64 words of 64 bits are a page, and
//! a page that has none is not there. So a member with a few blocks of a gigabyte needs a page of 520 bytes for them, and one
//! with all of its 262,144 frames free 33 KiB.

use alloc::boxed::Box;
use alloc::vec::Vec;

const WORD: u32 = 64;
const PAGE: u32 = WORD * WORD;

/// 4,096 bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Page {
    words: [u64; 64],
    /// Which words have a bit.
    filled: u64,
}

/// Numbers below 64 pages' worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bits {
    /// Up to the last that has ever had a bit.
    pages: Vec<Option<Box<Page>>>,
    /// Which pages have a bit.
    filled: u64,
}

fn places(number: u32) -> (usize, usize, u64) {
    ((number / PAGE) as usize, (number % PAGE / WORD) as usize, 1 << (number % WORD))
}

/// The bits of a word from this one on.
fn from(bit: u32) -> u64 {
    u64::MAX.checked_shl(bit).unwrap_or(0)
}

impl Bits {
    /// Numbers must be below this.
    pub const END: u32 = 64 * PAGE;

    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub fn contains(&self, number: u32) -> bool {
        let (page, word, bit) = places(number);
        matches!(self.pages.get(page), Some(Some(page)) if page.words[word] & bit != 0)
    }

    /// Puts one in that is not.
    pub fn insert(&mut self, number: u32) {
        let (place, word, bit) = places(number);
        if self.pages.len() <= place {
            self.pages.resize(place + 1, None);
        }
        let page = self.pages[place].get_or_insert_with(|| Box::new(Page { words: [0; 64], filled: 0 }));
        page.words[word] |= bit;
        page.filled |= 1 << word;
        self.filled |= 1 << place;
    }

    /// Takes one out, if it is in.
    pub fn remove(&mut self, number: u32) -> bool {
        let (place, word, bit) = places(number);
        let Some(Some(page)) = self.pages.get_mut(place) else { return false };
        let was_in = page.words[word] & bit != 0;
        page.words[word] &= !bit;
        if page.words[word] == 0 {
            page.filled &= !(1 << word);
        }
        if page.filled == 0 {
            self.pages[place] = None;
            self.filled &= !(1 << place);
        }
        was_in
    }

    /// The least that is not below this.
    pub fn first_from(&self, number: u32) -> Option<u32> {
        if number >= Bits::END {
            return None;
        }
        let (place, word, _) = places(number);
        let here = self.pages.get(place).and_then(Option::as_deref);
        if let Some(found) = here.and_then(|page| page.first_from(word, number % WORD)) {
            return Some(place as u32 * PAGE + found);
        }
        let later = self.filled & from(place as u32 + 1);
        let place = (later != 0).then(|| later.trailing_zeros())?;
        let page = self.pages.get(place as usize)?.as_deref()?;
        page.first_from(0, 0).map(|found| place * PAGE + found)
    }
}

impl Page {
    fn first_from(&self, word: usize, bit: u32) -> Option<u32> {
        let rest = self.words[word] & from(bit);
        if rest != 0 {
            return Some(word as u32 * WORD + rest.trailing_zeros());
        }
        let later = self.filled & from(word as u32 + 1);
        let word = (later != 0).then(|| later.trailing_zeros())?;
        Some(word * WORD + self.words[word as usize].trailing_zeros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bits_are_a_set(
            steps in proptest::collection::vec((any::<bool>(), prop_oneof![0..200_u32, 0..Bits::END]), 0..200),
        ) {
            let (mut bits, mut twin) = (Bits::default(), BTreeSet::new());
            for (inserts, number) in steps {
                prop_assert_eq!(bits.contains(number), twin.contains(&number));
                if inserts {
                    bits.insert(number);
                    twin.insert(number);
                } else {
                    prop_assert_eq!(bits.remove(number), twin.remove(&number));
                }
                prop_assert_eq!(bits.first_from(number), twin.range(number..).next().copied());
                prop_assert_eq!(bits.first_from(0), twin.first().copied());
                prop_assert_eq!(bits.is_empty(), twin.is_empty());
            }
        }
    }
}
