//! Who gets a core, who yields one, what is taken back.

use super::{at, packages};
use crate::arbiter::{Arbiter, Measure};
use crate::facts::Facts;
use core::time::Duration;
use fos_messages::arbiter::{Advice, ArbiterError, Claim, Grant, LEASE_SECONDS};
use fos_messages::names::DirectoryKey;
use fos_runtime::Instant;
use std::vec::Vec;

const KEY: DirectoryKey = DirectoryKey([1, 2]);

/// An arbiter over some cores, and a clock.
struct Bench {
    arbiter: Arbiter,
    facts: Facts,
    now: Instant,
}

impl Bench {
    fn new(cores: u16) -> Bench {
        Bench { arbiter: Arbiter::default(), facts: packages(1, cores), now: Instant::default() }
    }

    fn ask_for(
        &mut self,
        owner: &str,
        number: u32,
        least: u16,
        wanted: Option<u16>,
    ) -> Result<Grant, ArbiterError> {
        let claim =
            Claim { owner: owner.into(), key: KEY, number, least, near: Vec::new(), wanted: wanted.map(at) };
        let ranked = self.facts.nearest(&claim.near, &[]);
        self.arbiter.ask(self.now, &claim, &ranked)
    }

    fn ask(&mut self, owner: &str, number: u32) -> Result<Grant, ArbiterError> {
        self.ask_for(owner, number, 1, None)
    }

    fn report(
        &mut self,
        owner: &str,
        work: u64,
        busy_permille: u16,
        wait: u64,
    ) -> Result<Advice, ArbiterError> {
        let measure = Measure { work_per_second: work, busy_permille, wait_nanoseconds: wait };
        let ranked = self.facts.nearest(&[], &[]);
        self.arbiter.report(self.now, (owner, KEY), measure, &ranked)
    }

    fn give_back(&mut self, owner: &str, core: u16) {
        self.arbiter.give_back(self.now, owner, KEY, at(core)).unwrap();
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now = self.now.after(Duration::from_millis(milliseconds));
    }
}

fn alone(core: u16) -> Result<Grant, ArbiterError> {
    Ok(Grant { at: at(core), is_alone: true })
}

#[test]
fn each_gets_a_core_of_its_own_while_there_are_any_and_shares_after() {
    let mut bench = Bench::new(2);
    assert_eq!(bench.ask("/a", 0), alone(0));
    assert_eq!(bench.ask("/a", 0), alone(0), "asked again, it is the same");
    assert_eq!(bench.ask("/b", 0), alone(1));
    assert_eq!(bench.ask("/c", 0), Ok(Grant { at: at(0), is_alone: false }), "nobody has more than it needs");
    assert_eq!(bench.ask("/a", 1), Ok(Grant { at: at(1), is_alone: false }));
    assert_eq!(bench.ask("/a", 2), Err(ArbiterError::NoCore), "it has them all");
}

#[test]
fn another_key_a_long_name_and_too_many_owners_are_refused() {
    let mut bench = Bench::new(1);
    bench.ask("/a", 0).unwrap();
    let other = DirectoryKey([3, 4]);
    assert_eq!(bench.arbiter.give_back(bench.now, "/a", other, at(0)), Err(ArbiterError::BadKey));
    let claim = Claim { owner: "/a".into(), key: other, number: 1, least: 1, near: Vec::new(), wanted: None };
    assert_eq!(bench.arbiter.ask(bench.now, &claim, &[]), Err(ArbiterError::BadKey));
    assert_eq!(bench.ask(&"n".repeat(65), 0), Err(ArbiterError::TooMany));
    let crowd: Vec<bool> = (0..100).map(|number| bench.ask(&std::format!("/{number}"), 0).is_ok()).collect();
    assert_eq!(crowd.iter().filter(|is_in| **is_in).count(), 63);
}

#[test]
fn who_has_most_to_spare_yields_and_the_asker_gets_it() {
    let mut bench = Bench::new(3);
    for number in 0..3 {
        bench.ask("/a", number).unwrap();
    }
    bench.report("/a", 100, 200, 10).unwrap();
    assert_eq!(bench.ask("/b", 0), Err(ArbiterError::Yielding));
    assert_eq!(bench.ask("/c", 0), Err(ArbiterError::Yielding), "one at a time");
    assert_eq!(bench.report("/a", 100, 200, 10), Ok(Advice::Yield(at(2))));
    assert_eq!(bench.report("/a", 100, 200, 10), Ok(Advice::Yield(at(2))), "as long as it has not");
    bench.give_back("/a", 2);
    assert_eq!(bench.ask("/b", 0), alone(2));
    assert_eq!(bench.ask("/c", 0), Err(ArbiterError::Yielding), "and the next one");
    assert_eq!(bench.report("/a", 100, 200, 10), Ok(Advice::Yield(at(1))));
    bench.give_back("/a", 1);
    assert_eq!(bench.ask("/c", 0), alone(1));
    assert_eq!(bench.ask("/d", 0), Ok(Grant { at: at(0), is_alone: false }), "nobody yields the last one");
}

#[test]
fn who_is_busy_yields_only_to_one_with_much_less() {
    let mut bench = Bench::new(3);
    bench.ask("/a", 0).unwrap();
    bench.ask("/a", 1).unwrap();
    bench.ask("/b", 0).unwrap();
    bench.report("/a", 100, 900, 10).unwrap();
    assert_eq!(
        bench.ask("/b", 1),
        Ok(Grant { at: at(0), is_alone: false }),
        "the two have one each and a half"
    );
    assert_eq!(bench.ask("/c", 0), Err(ArbiterError::Yielding), "two cores against none");
}

#[test]
fn a_core_that_does_not_help_is_taken_back_and_no_other_given_for_a_while() {
    let mut bench = Bench::new(4);
    bench.ask("/a", 0).unwrap();
    bench.report("/a", 1000, 1000, 1_000_000).unwrap();
    bench.ask("/a", 1).unwrap();
    bench.wait(500);
    assert_eq!(bench.report("/a", 1010, 1000, 990_000), Ok(Advice::Keep), "too early to tell");
    bench.wait(600);
    assert_eq!(bench.report("/a", 1010, 1000, 990_000), Ok(Advice::Undo(at(1))));
    bench.give_back("/a", 1);
    assert_eq!(bench.ask("/a", 2), Err(ArbiterError::DidNotHelp));
    bench.report("/a", 1010, 1000, 5_000_000).unwrap();
    assert_eq!(bench.ask("/a", 3), alone(1), "there is much more to do");
}

#[test]
fn a_core_that_helps_stays() {
    let mut bench = Bench::new(4);
    bench.ask("/a", 0).unwrap();
    bench.report("/a", 1000, 1000, 1_000_000).unwrap();
    bench.ask("/a", 1).unwrap();
    bench.wait(1100);
    assert_eq!(bench.report("/a", 1600, 1000, 900_000), Ok(Advice::Keep), "more work");
    bench.ask("/a", 2).unwrap();
    bench.wait(1100);
    assert_eq!(bench.report("/a", 1600, 600, 20_000), Ok(Advice::Keep), "less wait");
}

#[test]
fn at_low_load_two_go_together_and_apart_when_there_is_more() {
    let mut bench = Bench::new(3);
    bench.ask("/a", 0).unwrap();
    bench.ask("/b", 0).unwrap();
    bench.report("/a", 1, 10, 0).unwrap();
    assert_eq!(bench.report("/b", 1, 10, 0), Ok(Advice::Join(at(1), at(0))));
    assert_eq!(bench.ask_for("/b", 1, 1, Some(0)), Ok(Grant { at: at(0), is_alone: false }));
    bench.give_back("/b", 1);
    assert_eq!(bench.arbiter.holders(at(1)), 0, "it rests");
    bench.wait(3000);
    for busy in [100, 300] {
        assert_eq!(bench.report("/b", 1, busy, 0), Ok(Advice::Keep), "between the marks nothing happens");
    }
    assert_eq!(bench.report("/b", 1, 500, 0), Ok(Advice::Part(at(0), at(1))));
}

#[test]
fn the_silent_lose_their_cores_and_a_new_arbiter_gives_everybody_time() {
    let mut bench = Bench::new(2);
    bench.ask("/a", 0).unwrap();
    bench.ask("/b", 0).unwrap();
    bench.wait(LEASE_SECONDS * 1000 - 1);
    bench.report("/a", 1, 100, 0).unwrap();
    bench.wait(2);
    let freed = bench.arbiter.expire(bench.now);
    assert_eq!(freed.iter().map(|granted| granted.owner.as_str()).collect::<Vec<_>>(), ["/b"]);
    assert_eq!(bench.report("/b", 1, 100, 0), Err(ArbiterError::NoGrant));
    bench.wait(60_000);
    bench.arbiter.begin(bench.now);
    assert!(bench.arbiter.expire(bench.now).is_empty());
}

#[test]
fn who_keeps_what_was_granted_can_go_on_as_arbiter() {
    let mut bench = Bench::new(4);
    bench.ask("/a", 0).unwrap();
    bench.ask("/b", 7).unwrap();
    bench.ask("/a", 1).unwrap();
    let mut next = Arbiter::default();
    let mut kept = 0;
    while let Some(granted) = bench.arbiter.granted_from(kept) {
        next.keep(bench.now, &granted, true);
        kept += 1;
    }
    assert_eq!(next.holdings(at(0), 10), bench.arbiter.holdings(at(0), 10));
    bench.arbiter = next;
    assert_eq!(bench.ask("/b", 7), alone(1), "a claim that is repeated is the same to the next arbiter");
    assert_eq!(bench.ask("/c", 0), alone(3));
}

#[test]
fn what_an_owner_uses_is_its_own_and_what_it_does_not_use_is_free_after_a_while() {
    let mut bench = Bench::new(4);
    let uses = |bench: &mut Bench, cores: &[u16]| {
        let places: Vec<_> = cores.iter().map(|core| at(*core)).collect();
        let changes = bench.arbiter.reconcile(bench.now, ("/a", KEY), &places).unwrap();
        changes.into_iter().map(|(granted, is_granted)| (granted.at.core, is_granted)).collect::<Vec<_>>()
    };
    assert_eq!(uses(&mut bench, &[3, 1]), [(3, true), (1, true)], "it was started there");
    assert_eq!(uses(&mut bench, &[3, 1]), []);
    assert_eq!(bench.ask("/a", 9), alone(0));
    bench.wait(9_000);
    assert_eq!(uses(&mut bench, &[3, 1]), [], "the new one may yet come");
    bench.wait(2_000);
    assert_eq!(uses(&mut bench, &[3]), [(1, false), (0, false)]);
    let other = bench.arbiter.reconcile(bench.now, ("/a", DirectoryKey([9, 9])), &[]);
    assert_eq!(other, Err(ArbiterError::BadKey));
    let many: Vec<_> = (0..65).map(at).collect();
    assert_eq!(bench.arbiter.reconcile(bench.now, ("/b", KEY), &many), Err(ArbiterError::TooMany));
}
