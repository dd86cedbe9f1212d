//! Lists of objects, each linked through a field of its own that `links` names. One core's, and what is in one is alive: who ends is
//! taken out first.

use core::cell::Cell;
use core::ptr;

/// An object's neighbours in a list; both null: it is the only one, or in none.
pub struct Links<T> {
    /// The one behind it.
    pub next: Cell<*const T>,
    previous: Cell<*const T>,
}

/// A list.
pub struct List<T> {
    first: Cell<*const T>,
    last: Cell<*const T>,
}

impl<T> List<T> {
    /// Whether there is none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    /// The first one.
    #[inline(always)]
    pub fn first(&self) -> Option<&'static T> {
        // SAFETY: what is in a list is alive.
        unsafe { self.first.get().as_ref() }
    }

    /// Puts one at the end that is in no list of these links.
    #[inline(always)]
    pub fn push(&self, item: &'static T, links: impl Fn(&T) -> &Links<T>) {
        let last = self.last.replace(item);
        links(item).next.set(ptr::null());
        links(item).previous.set(last);
        // SAFETY: as above.
        match unsafe { last.as_ref() } {
            Some(last) => links(last).next.set(item),
            None => self.first.set(item),
        }
    }

    /// Takes out one that is in it, or in none; says whether it was.
    #[inline(always)]
    pub fn remove(&self, item: &T, links: impl Fn(&T) -> &Links<T>) -> bool {
        let next = links(item).next.replace(ptr::null());
        let previous = links(item).previous.replace(ptr::null());
        if previous.is_null() && !ptr::eq(self.first.get(), item) {
            return false;
        }
        // SAFETY: as above, for both neighbours.
        match unsafe { previous.as_ref() } {
            Some(previous) => links(previous).next.set(next),
            None => self.first.set(next),
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => links(next).previous.set(previous),
            None => self.last.set(previous),
        }
        true
    }

    /// Takes out the first one.
    #[inline(always)]
    pub fn pop(&self, links: impl Fn(&T) -> &Links<T>) -> Option<&'static T> {
        let first = self.first()?;
        self.remove(first, links);
        Some(first)
    }

    /// Puts all of another, empty afterwards, into this one, which is empty.
    #[inline(always)]
    pub fn take(&self, other: &List<T>) {
        self.first.set(other.first.replace(ptr::null()));
        self.last.set(other.last.replace(ptr::null()));
    }
}
