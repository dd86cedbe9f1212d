//! When a fleet grows and shrinks: on the wait that a request has before it, between water marks, with hysteresis. A
//! burst of one look changes nothing, and after each change the figures get time to follow.

use crate::Instant;
use core::time::Duration;
use fos_messages::fleet::Figure;
use fos_messages::image::Policy;

/// The water marks of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Grow when the mean wait is above this.
    pub grow_above: Duration,
    /// Shrink when the mean wait would stay below this with one member less.
    pub shrink_below: Duration,
    /// Looks in a row that must agree.
    pub looks: u32,
    /// No change sooner than this after the last.
    pub rest: Duration,
    /// Never fewer members.
    pub members_min: usize,
    /// Never more.
    pub members_max: usize,
}

impl From<&Policy> for Marks {
    fn from(policy: &Policy) -> Marks {
        Marks {
            grow_above: Duration::from_micros(policy.grow_above_us.into()),
            shrink_below: Duration::from_micros(policy.shrink_below_us.into()),
            looks: policy.looks,
            rest: Duration::from_millis(policy.rest_ms.into()),
            members_min: policy.members_min as usize,
            members_max: policy.members_max as usize,
        }
    }
}

/// What a fleet should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    Stay,
    /// Add a member.
    Grow,
    /// Do with one member less.
    Shrink,
}

/// Watches one fleet's figures.
#[derive(Clone, Copy, Debug)]
pub struct Regulator {
    marks: Marks,
    above: u32,
    below: u32,
    not_before: Instant,
}

impl Regulator {
    /// A regulator that has seen nothing. Marks that touch would make it swing: `shrink_below` must be below.
    pub fn new(marks: Marks) -> Option<Regulator> {
        let is_sound = marks.shrink_below < marks.grow_above && marks.members_min <= marks.members_max;
        is_sound.then_some(Regulator { marks, above: 0, below: 0, not_before: Instant::default() })
    }

    /// Looks at the members' figures.
    pub fn look(&mut self, now: Instant, figures: &[Figure]) -> Advice {
        let Marks { looks, members_min, members_max, .. } = self.marks;
        if figures.len() < members_min {
            return self.change(now, Advice::Grow);
        }
        let total: Duration =
            figures.iter().map(|figure| Duration::from_nanos(figure.wait_nanoseconds)).sum();
        let share = |members: usize| total.checked_div(members as u32).unwrap_or(Duration::MAX);
        if figures.len() > members_max {
            return self.change(now, Advice::Shrink);
        }
        let is_above = share(figures.len()) > self.marks.grow_above && figures.len() < members_max;
        let is_below = figures.len() > members_min && share(figures.len() - 1) < self.marks.shrink_below;
        self.above = if is_above { self.above + 1 } else { 0 };
        self.below = if is_below { self.below + 1 } else { 0 };
        if now < self.not_before {
            return Advice::Stay;
        }
        if self.above >= looks {
            return self.change(now, Advice::Grow);
        }
        if self.below >= looks {
            return self.change(now, Advice::Shrink);
        }
        Advice::Stay
    }

    /// A member has ended and was not sent away: whether another is to take its place at once. Whether it is still needed
    /// is the next looks' business; members that end again and again are replaced once in a rest.
    pub fn lost(&mut self, now: Instant) -> Advice {
        self.change(now, Advice::Grow)
    }

    fn change(&mut self, now: Instant, advice: Advice) -> Advice {
        if now < self.not_before {
            return Advice::Stay;
        }
        (self.above, self.below) = (0, 0);
        self.not_before = now.after(self.marks.rest);
        advice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    const MARKS: Marks = Marks {
        grow_above: Duration::from_micros(100),
        shrink_below: Duration::from_micros(40),
        looks: 3,
        rest: Duration::from_millis(10),
        members_min: 1,
        members_max: 4,
    };

    fn figure(requests: u32) -> Figure {
        let (requests_permille, wait_nanoseconds) = (requests * 1000, u64::from(requests) * 20_000);
        Figure { requests_permille, wait_nanoseconds, ..Figure::default() }
    }

    fn figures(members: usize, requests: u32) -> Vec<Figure> {
        vec![figure(requests); members]
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::default().after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn marks_that_touch_are_refused() {
        assert!(Regulator::new(Marks { shrink_below: MARKS.grow_above, ..MARKS }).is_none());
        assert!(Regulator::new(Marks { members_min: 5, ..MARKS }).is_none());
    }

    #[test]
    fn it_grows_after_looks_that_agree_and_then_rests() {
        let mut regulator = Regulator::new(MARKS).unwrap();
        let advice: Vec<Advice> = (0..4).map(|look| regulator.look(at(look), &figures(1, 10))).collect();
        assert_eq!(advice, [Advice::Stay, Advice::Stay, Advice::Grow, Advice::Stay]);
        assert!((4..12).all(|look| regulator.look(at(look), &figures(2, 10)) == Advice::Stay));
        assert_eq!(regulator.look(at(12), &figures(2, 10)), Advice::Grow);
    }

    #[test]
    fn who_ended_is_replaced_at_once_but_not_again_and_again() {
        let mut regulator = Regulator::new(MARKS).unwrap();
        let replaced = (0..30).filter(|look| regulator.lost(at(*look)) == Advice::Grow).count();
        assert_eq!(replaced, 3, "once in each rest of 10 ms");
    }

    #[test]
    fn one_burst_changes_nothing() {
        let mut regulator = Regulator::new(MARKS).unwrap();
        for look in 0..20 {
            let requests = if look % 3 == 2 { 2 } else { 10 };
            assert_eq!(regulator.look(at(look), &figures(1, requests)), Advice::Stay);
        }
    }

    #[test]
    fn it_shrinks_only_if_fewer_would_do() {
        let mut regulator = Regulator::new(MARKS).unwrap();
        let mut busy = figures(3, 1);
        busy[1] = figure(0);
        let advice: Vec<Advice> = (0..3).map(|look| regulator.look(at(look), &busy)).collect();
        assert_eq!(advice, [Advice::Stay, Advice::Stay, Advice::Shrink]);
        // Two members share 3 requests: one alone would have 60 us of wait, over the mark.
        let mut regulator = Regulator::new(MARKS).unwrap();
        let mut enough = figures(2, 1);
        enough[0] = figure(2);
        assert!((0..10).all(|look| regulator.look(at(look), &enough) == Advice::Stay));
    }

    #[test]
    fn the_bounds_hold() {
        let mut regulator = Regulator::new(MARKS).unwrap();
        assert_eq!(regulator.look(at(0), &[]), Advice::Grow);
        assert!((20..40).all(|look| regulator.look(at(look), &figures(4, 100)) == Advice::Stay));
        assert!((60..80).all(|look| regulator.look(at(look), &figures(1, 0)) == Advice::Stay));
        assert_eq!(regulator.look(at(80), &figures(5, 100)), Advice::Shrink, "there is one too many");
    }

    /// How often a fleet changes under a load that is now above the one mark and now below the other.
    fn changes_under_noise(marks: Marks) -> usize {
        let mut regulator = Regulator::new(marks).unwrap();
        let (mut members, mut changes) = (2usize, 0);
        for look in 0..1000 {
            let requests = if look % 4 < 2 { 24u32 } else { 1 };
            match regulator.look(at(look), &figures(members, requests.div_ceil(members as u32))) {
                Advice::Grow => (members, changes) = (members + 1, changes + 1),
                Advice::Shrink => (members, changes) = (members - 1, changes + 1),
                Advice::Stay => {}
            }
        }
        changes
    }

    #[test]
    fn without_looks_that_agree_and_without_rest_it_would_swing() {
        assert_eq!(changes_under_noise(MARKS), 0);
        let hasty = Marks { looks: 1, rest: Duration::ZERO, ..MARKS };
        assert!(changes_under_noise(hasty) > 400, "{}", changes_under_noise(hasty));
    }

    #[test]
    fn a_steady_load_does_not_make_it_swing() {
        let mut regulator = Regulator::new(MARKS).unwrap();
        let (mut members, mut changes) = (1usize, 0);
        for look in 0..1000 {
            // 12 requests in all, shared evenly.
            let requests = 12u32.div_ceil(members as u32);
            match regulator.look(at(look), &figures(members, requests)) {
                Advice::Grow => (members, changes) = (members + 1, changes + 1),
                Advice::Shrink => (members, changes) = (members - 1, changes + 1),
                Advice::Stay => {}
            }
        }
        assert!(changes <= 3, "{changes} changes");
    }
}
