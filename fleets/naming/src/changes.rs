//! The latest changes of names, and who waits for the next. A client asks for what came after a version and is answered when
//! there is something; between two questions nothing is kept of it. Changes that are no longer here, and those of one
//! version that do not fit into an answer, are told as "look again".

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::Waker;
use fos_messages::names::{CHANGES_TOLD_MAX, Change, News, Path};

/// Changes that are remembered.
pub const KEPT_MAX: usize = 1024;
/// Clients that wait at once.
pub const WAITING_MAX: usize = 128;

/// What a member remembers.
#[derive(Default)]
pub struct Changes {
    kept: RefCell<VecDeque<(u64, Change)>>,
    /// All changes after this version are in `kept`. Not known before the first.
    floor: Cell<Option<u64>>,
    waiting: RefCell<BTreeMap<u64, (Path, Option<Waker>)>>,
    last_ticket: Cell<u64>,
}

/// A client's place among those who wait.
pub struct Waiting {
    changes: Rc<Changes>,
    ticket: u64,
}

impl Changes {
    /// A change was applied, in the order of versions.
    pub fn note(&self, version: u64, change: Change) {
        let floor = self.floor.get().unwrap_or(version - 1);
        for (path, waker) in self.waiting.borrow_mut().values_mut() {
            if is_at_or_below(&change.path, path) {
                waker.take().into_iter().for_each(Waker::wake);
            }
        }
        let mut kept = self.kept.borrow_mut();
        kept.push_back((version, change));
        let gone = if kept.len() > KEPT_MAX { kept.pop_front() } else { None };
        self.floor.set(Some(gone.map_or(floor, |(version, _)| version)));
    }

    /// Whoever waits looks again.
    pub fn wake_all(&self) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.values_mut().filter_map(|(_, waker)| waker.take()).for_each(Waker::wake);
    }

    /// What came after a version, as far as an answer holds it. `None`: nothing. `now` is the map's version.
    pub fn since(&self, path: &Path, since: u64, now: u64) -> Option<News> {
        let floor = self.floor.get().unwrap_or(now);
        self.floor.set(Some(floor));
        let look_again = Some(News { until: now, look_again: true, changes: Vec::new() });
        if since < floor {
            return look_again;
        }
        let kept = self.kept.borrow();
        let start = kept.partition_point(|(version, _)| *version <= since);
        let new = || kept.range(start..).filter(|(_, change)| is_at_or_below(&change.path, path));
        let whole = match new().nth(CHANGES_TOLD_MAX) {
            None => now,
            // What does not fit is told next time, with all of its version.
            Some((version, _)) => version - 1,
        };
        let told = new().take_while(|(version, _)| *version <= whole);
        let changes: Vec<Change> = told.map(|(_, change)| change.clone()).collect();
        match (changes.is_empty(), whole == now) {
            (true, true) => None,
            (true, false) => look_again,
            (false, _) => Some(News { until: whole, look_again: false, changes }),
        }
    }

    /// A place to wait for changes of a name; `None` if all are taken.
    pub fn wait(self: &Rc<Self>, path: &Path) -> Option<Waiting> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= WAITING_MAX {
            return None;
        }
        let ticket = self.last_ticket.get() + 1;
        self.last_ticket.set(ticket);
        waiting.insert(ticket, (path.clone(), None));
        Some(Waiting { changes: self.clone(), ticket })
    }
}

impl Waiting {
    /// Wakes this one at the next change.
    pub fn wake(&self, waker: &Waker) {
        if let Some((_, place)) = self.changes.waiting.borrow_mut().get_mut(&self.ticket) {
            *place = Some(waker.clone());
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.changes.waiting.borrow_mut().remove(&self.ticket);
    }
}

fn is_at_or_below(path: &Path, top: &Path) -> bool {
    path == top || path.step_below(top).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn change(name: &str, member: u64) -> Change {
        Change { path: Path::new(name).unwrap(), member: Some(member), is_there: true }
    }

    fn told(changes: &Changes, since: u64, now: u64) -> Option<(u64, bool, Vec<u64>)> {
        let news = changes.since(&Path::new("/a").unwrap(), since, now)?;
        let members = news.changes.iter().filter_map(|change| change.member).collect();
        Some((news.until, news.look_again, members))
    }

    #[test]
    fn what_is_at_a_name_and_below_it_is_told_once_and_in_order() {
        let changes = Changes::default();
        for (version, name) in [(5, "/a"), (6, "/ab"), (7, "/a/b"), (9, "/")] {
            changes.note(version, change(name, version));
        }
        assert_eq!(told(&changes, 4, 9), Some((9, false, [5, 7].into())));
        assert_eq!(told(&changes, 5, 9), Some((9, false, [7].into())));
        assert_eq!(told(&changes, 7, 9), None);
        assert_eq!(told(&changes, 3, 9), Some((9, true, [].into())), "before the first that is remembered");
    }

    #[test]
    fn an_answer_ends_between_two_versions() {
        let changes = Changes::default();
        // Two changes in each version: a process that had two registrations ended.
        (0..20).for_each(|number| changes.note(1 + number / 2, change("/a", number)));
        let (mut since, mut all) = (0, Vec::new());
        while let Some((until, false, members)) = told(&changes, since, 10) {
            assert!(members.len() <= CHANGES_TOLD_MAX && members.len().is_multiple_of(2));
            all.extend(members);
            since = until;
        }
        assert_eq!((since, all), (10, (0..20).collect()));
        (0..20).for_each(|number| changes.note(11, change("/a", number)));
        assert_eq!(told(&changes, 10, 11), Some((11, true, [].into())), "one version that is too long");
    }

    #[test]
    fn what_is_forgotten_is_told_as_look_again() {
        let changes = Changes::default();
        assert_eq!(told(&changes, 3, 3), None);
        assert_eq!(told(&changes, 2, 3), Some((3, true, [].into())), "nothing was seen before 3");
        (4..2004).for_each(|version| changes.note(version, change(&format!("/b{version}"), version)));
        assert_eq!(told(&changes, 3, 2003), Some((2003, true, [].into())));
        assert_eq!(told(&changes, 2003 - KEPT_MAX as u64, 2003), None);
        assert_eq!(changes.kept.borrow().len(), KEPT_MAX);
    }

    #[test]
    fn places_to_wait_are_bounded_and_given_back() {
        let changes = Rc::new(Changes::default());
        let path = Path::root();
        let places: Vec<_> = (0..WAITING_MAX).map_while(|_| changes.wait(&path)).collect();
        assert_eq!(places.len(), WAITING_MAX);
        assert!(changes.wait(&path).is_none());
        drop(places);
        assert!(changes.wait(&path).is_some());
    }
}
