//! How a member goes and leaves nothing behind: it says so, and everybody places its shards elsewhere. Whoever leads them, or it
//! itself, copies them; it has left when it has none, all know, and its own server's requests are answered.
//!
//! When nobody stays to whom it could hand on, the map ends: each member goes with what it has. What those that go later still
//! ask of it is interrupted; nobody answers as if nothing had ever been there. Who comes before they are gone is handed everything.

use crate::fault::Fault;
use crate::share::{Doing, Map, Standing};
use crate::{Body, Key};
use fos_container::{Effect, Member};

impl<K: Key, V: Clone> Map<K, V> {
    /// Tells everybody.
    pub(crate) fn say_leaving(&mut self, effects: &mut Doing<K, V>) {
        if self.leaves() {
            self.broadcast(&Body::Leaving, effects);
        }
    }

    pub(crate) fn other_leaves(&mut self, from: Member, effects: &mut Doing<K, V>) {
        if self.leaving.insert(from) {
            self.place_shards();
            self.all_are_due();
            self.requests.are_due();
        }
        self.say(from, Body::Heard, effects);
    }

    /// Whether it hands on what it has, or has.
    pub fn leaves(&self) -> bool {
        matches!(self.standing, Standing::Leaving | Standing::Left)
    }

    /// Whether all members leave, as far as is known here.
    pub(crate) fn nobody_stays(&self) -> bool {
        self.leaves() && self.others().all(|member| self.leaving.contains(&member))
    }

    /// It had gone with what it has, and somebody has come who can have it.
    pub(crate) fn return_to_hand_on(&mut self, effects: &mut Doing<K, V>) {
        if self.standing == Standing::Left && !self.has_none() && !self.nobody_stays() {
            self.standing = Standing::Leaving;
            effects.push(Effect::Returned);
        }
    }

    fn has_none(&self) -> bool {
        self.strong.replicas.is_empty() && self.eventual.shards.is_empty()
    }

    pub(crate) fn go_if_done(&mut self, effects: &mut Doing<K, V>) {
        let is_known = self.others().all(|member| self.heard.contains(&member));
        let may_go = self.standing == Standing::Leaving
            && self.requests.is_empty()
            && (self.has_none() || self.nobody_stays())
            && (is_known || self.faults.has(Fault::LeavesUnheard))
            && (self.strong.is_open || !self.is_strong());
        if may_go {
            self.standing = Standing::Left;
            effects.push(Effect::Left);
        }
    }
}
