//! How a fleet is to be looked after: a table `[[fleet]]` of an image. Root hands all of an image to the programs that may
//! start others, as one line of words each in their environment; the watchdog and the fleets' own members read them there.

use crate::names::{self, Path};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The variable of a program's environment that holds a policy. There is one for each fleet of the image.
pub const VARIABLE: &str = "FLEET";
/// Most members that a fleet may have.
pub const MEMBERS_MAX: u32 = 128;
/// Most fleets that an image may have.
pub const FLEETS_MAX: usize = 16;

/// A rule by which a look-up chooses a member of a fleet: those of [`names::Policy`] that need nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lookup {
    /// See [`names::Policy::LeastWait`].
    #[default]
    LeastWait,
    /// See [`names::Policy::RoundRobin`].
    RoundRobin,
    /// See [`names::Policy::Closest`].
    Closest,
    /// See [`names::Policy::ShortestQueue`].
    ShortestQueue,
    /// See [`names::Policy::Sticky`].
    Sticky,
}

impl Lookup {
    const WORDS: [(&str, Lookup, names::Policy); 5] = [
        ("least-wait", Lookup::LeastWait, names::Policy::LeastWait),
        ("round-robin", Lookup::RoundRobin, names::Policy::RoundRobin),
        ("closest", Lookup::Closest, names::Policy::Closest),
        ("shortest-queue", Lookup::ShortestQueue, names::Policy::ShortestQueue),
        ("sticky", Lookup::Sticky, names::Policy::Sticky),
    ];

    fn from_word(word: &str) -> Option<Lookup> {
        Lookup::WORDS.iter().find(|(known, _, _)| *known == word).map(|(_, lookup, _)| *lookup)
    }

    fn to_word(self) -> &'static str {
        Lookup::WORDS.iter().find(|(_, lookup, _)| *lookup == self).map_or("", |(word, _, _)| word)
    }

    /// The rule at naming.
    pub fn policy(self) -> names::Policy {
        let found = Lookup::WORDS.iter().find(|(_, lookup, _)| *lookup == self);
        found.map_or_else(names::Policy::default, |(_, _, policy)| *policy)
    }
}

/// A fleet's terms. Times have their units in their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name at naming.
    pub name: String,
    /// The program of the image that its members are.
    pub program: String,
    /// By which rule a look-up of its name chooses a member, where the image has its fleets founded.
    #[serde(default)]
    pub lookup: Lookup,
    /// Where its first member is started then.
    #[serde(default)]
    pub core: u16,
    /// Never fewer members.
    pub members_min: u32,
    /// Never more.
    pub members_max: u32,
    /// It shrinks when requests would wait less than this with one member less.
    pub shrink_below_us: u32,
    /// It grows when requests wait longer than this.
    pub grow_above_us: u32,
    /// Looks in a row that must agree.
    #[serde(default = "looks")]
    pub looks: u32,
    /// No change sooner than this after the last.
    #[serde(default = "rest_ms")]
    pub rest_ms: u32,
    /// How often a member says that it lives.
    #[serde(default = "beat_ms")]
    pub beat_ms: u32,
    /// A member that has said nothing for less than this is never taken for silent.
    #[serde(default = "silent_after_ms_min")]
    pub silent_after_ms_min: u32,
    /// A member that has said nothing for this long always is.
    #[serde(default = "silent_after_ms_max")]
    pub silent_after_ms_max: u32,
    /// So many ends within the time below, and the fleet is reported and given no more members.
    #[serde(default = "restarts_max")]
    pub restarts_max: u32,
    /// See `restarts_max`.
    #[serde(default = "restarts_within_ms")]
    pub restarts_within_ms: u32,
}

// What an image need not say. Why these: docs/watchdog.md, "The numbers".
fn looks() -> u32 {
    3
}
fn rest_ms() -> u32 {
    200
}
fn beat_ms() -> u32 {
    100
}
fn silent_after_ms_min() -> u32 {
    300
}
fn silent_after_ms_max() -> u32 {
    3000
}
fn restarts_max() -> u32 {
    8
}
fn restarts_within_ms() -> u32 {
    30_000
}

impl Policy {
    /// What is wrong with it, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        match Path::new(&self.name) {
            Ok(path) if path != Path::root() => {}
            Ok(_) => return Err("a fleet is not named \"/\"".to_string()),
            Err(error) => return Err(format!("{:?} is no name of a fleet: {error}", self.name)),
        }
        let bounds = [
            ("members_min", self.members_min, 1, MEMBERS_MAX),
            ("members_max", self.members_max, self.members_min, MEMBERS_MAX),
            ("grow_above_us", self.grow_above_us, self.shrink_below_us.saturating_add(1), 60_000_000),
            ("looks", self.looks, 1, 100),
            ("rest_ms", self.rest_ms, 1, 60_000),
            ("beat_ms", self.beat_ms, 10, 10_000),
            // A beat may come late by as much as it has after the one before.
            ("silent_after_ms_min", self.silent_after_ms_min, self.beat_ms.saturating_mul(2), 60_000),
            ("silent_after_ms_max", self.silent_after_ms_max, self.silent_after_ms_min, 60_000),
            ("restarts_max", self.restarts_max, 1, 100),
            ("restarts_within_ms", self.restarts_within_ms, 100, 3_600_000),
        ];
        for (field, value, least, most) in bounds {
            if value < least || value > most {
                let fleet = &self.name;
                return Err(format!("{field} = {value} of fleet {fleet:?} is not within {least} to {most}"));
            }
        }
        Ok(())
    }

    /// The path of a policy that was checked.
    pub fn path(&self) -> Path {
        Path::new(&self.name).unwrap_or_else(|_| Path::root())
    }

    /// How often a member says that it lives.
    pub fn beat(&self) -> Duration {
        Duration::from_millis(self.beat_ms.into())
    }

    /// Within which time the ends of members are counted.
    pub fn restarts_within(&self) -> Duration {
        Duration::from_millis(self.restarts_within_ms.into())
    }

    /// All that a program finds in its environment.
    pub fn all(environment: &[(String, String)]) -> Vec<Policy> {
        let of = environment.iter().filter(|(name, _)| name == VARIABLE);
        of.filter_map(|(_, words)| Policy::from_words(words)).collect()
    }

    /// As one line of words.
    pub fn to_words(&self) -> String {
        let (lookup, core) = (self.lookup.to_word(), self.core);
        let mut words = format!("{} {} {lookup} {core}", self.name, self.program);
        for number in self.numbers() {
            words += &format!(" {number}");
        }
        words
    }

    /// From such a line. None: it is none, or is not sound.
    pub fn from_words(words: &str) -> Option<Policy> {
        let mut words = words.split(' ');
        let (name, program) = (words.next()?.to_string(), words.next()?.to_string());
        let lookup = Lookup::from_word(words.next()?)?;
        let core = words.next()?.parse().ok()?;
        let mut next = || words.next()?.parse::<u32>().ok();
        let policy = Policy {
            name,
            program,
            lookup,
            core,
            members_min: next()?,
            members_max: next()?,
            shrink_below_us: next()?,
            grow_above_us: next()?,
            looks: next()?,
            rest_ms: next()?,
            beat_ms: next()?,
            silent_after_ms_min: next()?,
            silent_after_ms_max: next()?,
            restarts_max: next()?,
            restarts_within_ms: next()?,
        };
        (words.next().is_none() && policy.check().is_ok()).then_some(policy)
    }

    /// In the order in which they are written.
    fn numbers(&self) -> [u32; 11] {
        [
            self.members_min,
            self.members_max,
            self.shrink_below_us,
            self.grow_above_us,
            self.looks,
            self.rest_ms,
            self.beat_ms,
            self.silent_after_ms_min,
            self.silent_after_ms_max,
            self.restarts_max,
            self.restarts_within_ms,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sound() -> Policy {
        Policy {
            name: "/demo".to_string(),
            program: "demo-server".to_string(),
            lookup: Lookup::Closest,
            core: 3,
            members_min: 2,
            members_max: 4,
            shrink_below_us: 8000,
            grow_above_us: 23_000,
            looks: looks(),
            rest_ms: rest_ms(),
            beat_ms: beat_ms(),
            silent_after_ms_min: silent_after_ms_min(),
            silent_after_ms_max: silent_after_ms_max(),
            restarts_max: restarts_max(),
            restarts_within_ms: restarts_within_ms(),
        }
    }

    #[test]
    fn a_policy_reads_as_it_is_written() {
        assert_eq!(sound().check(), Ok(()));
        assert_eq!(Policy::from_words(&sound().to_words()), Some(sound()));
        let words = sound().to_words();
        assert_eq!(Policy::from_words(&format!("{words} 1")), None, "a word too many");
        assert_eq!(Policy::from_words(words.rsplit_once(' ').unwrap().0), None, "a word too few");
        assert_eq!(Policy::from_words(&words.replace("/demo", "demo")), None);
    }

    #[test]
    fn what_is_out_of_range_is_named_with_its_bounds() {
        type Change = fn(&mut Policy);
        let cases: [(&str, Change); 10] = [
            ("members_min = 0 of fleet \"/demo\" is not within 1 to 128", |policy| policy.members_min = 0),
            ("members_max = 1 of fleet \"/demo\" is not within 2 to 128", |policy| policy.members_max = 1),
            ("grow_above_us = 8000", |policy| policy.grow_above_us = 8000),
            ("looks = 0", |policy| policy.looks = 0),
            ("rest_ms = 0", |policy| policy.rest_ms = 0),
            ("beat_ms = 9", |policy| policy.beat_ms = 9),
            ("silent_after_ms_min = 199 of fleet \"/demo\" is not within 200 to", |policy| {
                policy.silent_after_ms_min = 199;
            }),
            ("silent_after_ms_max = 299", |policy| policy.silent_after_ms_max = 299),
            ("restarts_max = 101", |policy| policy.restarts_max = 101),
            ("restarts_within_ms = 99", |policy| policy.restarts_within_ms = 99),
        ];
        for (found, change) in cases {
            let mut policy = sound();
            change(&mut policy);
            let message = policy.check().unwrap_err();
            assert!(message.starts_with(found), "{message:?} instead of {found:?}");
            assert_eq!(Policy::from_words(&policy.to_words()), None);
        }
        for name in ["/", "demo", "/De mo", ""] {
            assert!(Policy { name: name.to_string(), ..sound() }.check().is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(words in "[ -~]{0,120}") {
            let _ = Policy::from_words(&words);
        }
    }
}
