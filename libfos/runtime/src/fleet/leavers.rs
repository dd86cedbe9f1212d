//! Whom the coordinator asks to leave. Who does not answer may have heard it all the same, late: so another is asked in its
//! place only while enough would be left if it did, and no member is asked again without end.

use alloc::collections::BTreeMap;
use fos_abi::Identity;
use fos_messages::fleet::Figure;

/// How often a member is asked in an epoch before it says something of itself again.
const TRIES_MAX: u32 = 3;

/// Who was asked in vain.
#[derive(Debug, Default)]
pub struct Leavers(BTreeMap<u64, Asked>);

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    tries: u32,
    /// It has not answered: it may leave yet.
    is_silent: bool,
}

impl Leavers {
    /// Whom of these to ask, when `members_min` are to stay: who was asked least often, of those the one with the least to
    /// do, of several the last. None, if none may be asked.
    pub fn choose(&self, staying: &[(Identity, Figure)], members_min: usize) -> Option<Identity> {
        let asked = |identity: Identity| self.0.get(&identity.0).copied().unwrap_or_default();
        let silent = staying.iter().filter(|(identity, _)| asked(*identity).is_silent).count();
        let may_go = |identity: Identity| {
            let others = silent - usize::from(asked(identity).is_silent);
            asked(identity).tries < TRIES_MAX && staying.len() - others > members_min
        };
        let able = staying.iter().rev().filter(|(identity, _)| may_go(*identity));
        let chosen = able.min_by_key(|(identity, figure)| (asked(*identity).tries, figure.requests_permille));
        chosen.map(|(identity, _)| *identity)
    }

    /// It is being asked.
    pub fn ask(&mut self, member: Identity) {
        let asked = self.0.entry(member.0).or_default();
        *asked = Asked { tries: asked.tries + 1, is_silent: true };
    }

    /// It answered: that it leaves, or that it does not.
    pub fn answered(&mut self, member: Identity, leaves: bool) {
        match self.0.get_mut(&member.0) {
            Some(asked) if !leaves => asked.is_silent = false,
            _ => _ = self.0.remove(&member.0),
        }
    }

    /// It says something of itself: it may be asked once more.
    pub fn heard_of(&mut self, member: Identity) {
        if let Some(asked) = self.0.get_mut(&member.0) {
            asked.tries = asked.tries.min(TRIES_MAX - 1);
        }
    }

    /// An epoch has begun: all who are in it may be asked again. Who was silent may leave still.
    pub fn begin(&mut self, is_in: impl Fn(u64) -> bool) {
        self.0.retain(|identity, asked| {
            asked.tries = 0;
            asked.is_silent && is_in(*identity)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Members 1, 2, ... with so many requests each.
    fn members(requests: &[u32]) -> Vec<(Identity, Figure)> {
        let figure = |requests| Figure { requests_permille: requests, ..Figure::default() };
        (1..).map(Identity).zip(requests.iter().copied().map(figure)).collect()
    }

    /// Who is asked, one after the other, when nobody answers.
    fn asked_in_vain(requests: &[u32], members_min: usize) -> Vec<u64> {
        let (mut leavers, staying) = (Leavers::default(), members(requests));
        let next = || {
            let chosen = leavers.choose(&staying, members_min)?;
            leavers.ask(chosen);
            Some(chosen.0)
        };
        core::iter::from_fn(next).collect()
    }

    #[test]
    fn the_idlest_is_asked_and_of_several_the_last() {
        assert_eq!(Leavers::default().choose(&members(&[5, 1, 3]), 1), Some(Identity(2)));
        assert_eq!(Leavers::default().choose(&members(&[1, 1, 3]), 1), Some(Identity(2)));
        assert_eq!(Leavers::default().choose(&members(&[1, 1]), 2), None);
    }

    #[test]
    fn who_is_silent_is_asked_a_few_times_and_others_while_enough_would_be_left() {
        assert_eq!(asked_in_vain(&[5, 1, 3, 4], 2), [2, 3, 2, 3, 2, 3]);
        assert_eq!(asked_in_vain(&[5, 1, 3], 2), [2, 2, 2]);
        assert_eq!(asked_in_vain(&[1], 1), []);
    }

    #[test]
    fn who_refuses_does_not_leave_so_another_is_asked() {
        let (mut leavers, staying) = (Leavers::default(), members(&[5, 1, 3]));
        leavers.ask(Identity(2));
        leavers.answered(Identity(2), false);
        assert_eq!(leavers.choose(&staying, 2), Some(Identity(3)));
        leavers.ask(Identity(3));
        leavers.answered(Identity(3), true);
        assert_eq!(leavers.choose(&staying[..2], 1), Some(Identity(1)), "the first was asked less often");
    }

    #[test]
    fn who_says_something_of_itself_is_asked_once_more_and_in_a_new_epoch_all_are() {
        let (mut leavers, staying) = (Leavers::default(), members(&[1, 5]));
        (0..TRIES_MAX).for_each(|_| leavers.ask(Identity(1)));
        assert_eq!(leavers.choose(&staying, 1), None, "it may leave yet");
        leavers.heard_of(Identity(1));
        assert_eq!(leavers.choose(&staying, 1), Some(Identity(1)));
        leavers.ask(Identity(1));
        assert_eq!(leavers.choose(&staying, 1), None);
        leavers.begin(|_| true);
        assert_eq!(leavers.choose(&staying, 1), Some(Identity(1)));
        leavers.begin(|identity| identity != 1);
        assert_eq!(leavers.choose(&members(&[5, 1]), 1), Some(Identity(2)));
    }
}
