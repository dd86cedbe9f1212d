//! Halves that are free at two members come to one, in the background. Who has a free block whose buddy is not free here
//! tells the member that is *home* to their parent, by highest random weight. Home keeps in mind who said so of each half; when
//! it knows of both, it asks who has the upper half to bring it to who has the lower. That is a transfer like any other, and the
//! only thing in which blocks change hands: what home keeps in mind may be old, lost with its end, or wrong, and then nothing comes of
//! it. A half that was allocated, split or merged meanwhile is not brought; home hears of that, forgets who had it, and asks
//! everybody, since a newer word may have been overtaken by an older one. When halves change or an epoch begins, they are
//! named again, a few in each period, until a whole round has found nothing new. To who is crowded nothing of this is said; when there
//! is room, it and who had something to say begin a round again.

use crate::block::{Block, ORDER_MAX};
use crate::fault::Fault;
use crate::limits::{LONELY_MAX, PART, SWEEP};
use crate::peers::Peer;
use crate::share::{Buddy, Doing};
use crate::{Body, Store};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use fos_container::Member;

/// What home knows, and how far the own round is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Merge {
    /// By parent: who has the lower and the upper half, as far as is known.
    halves: BTreeMap<Block, [Option<Member>; 2]>,
    /// The next block that is looked at: order and first frame.
    next: (u8, u64),
    /// Rounds to the end, the one under way included.
    rounds: u8,
}

impl Merge {
    /// Something is free that was not, or the other way round: what is looked at now may have changed behind the round, so there
    /// is another after it.
    pub fn has_changed(&mut self) {
        self.rounds = 2;
    }

    /// An epoch begins: home is elsewhere.
    pub fn begin(&mut self) {
        self.halves.clear();
        self.rounds = 2;
    }

    pub fn is_under_way(&self) -> bool {
        self.rounds > 0
    }

    /// The next block of the round. None at its end.
    fn look(&mut self, store: &Store) -> Option<Block> {
        let (from, frame) = self.next;
        let found = (from..ORDER_MAX)
            .find_map(|order| store.first_from(order, if order == from { frame } else { 0 }));
        self.next = found.map_or((0, 0), |block| (block.order(), block.range().end));
        found
    }

    /// Keeps in mind who has this half. Answers who has both, the lower first.
    fn note(&mut self, half: Block, parent: Block, member: Member) -> Option<[Member; 2]> {
        if self.halves.len() >= LONELY_MAX && !self.halves.contains_key(&parent) {
            self.halves.pop_first();
        }
        let known = self.halves.entry(parent).or_default();
        known[usize::from(half.frame() != parent.frame())] = Some(member);
        match *known {
            [Some(lower), Some(upper)] => Some([lower, upper]),
            _ => None,
        }
    }

    fn forget(&mut self, parent: Block) {
        self.halves.remove(&parent);
    }
}

/// A number that looks random (the finalizer of splitmix64, by Sebastiano Vigna, public domain).
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Buddy {
    /// Who brings the halves of this block together.
    fn home(&self, parent: Block) -> Option<Member> {
        let place = mix(parent.frame() ^ u64::from(parent.order()) << 56);
        self.members.iter().copied().max_by_key(|member| mix(member.0 ^ place))
    }

    /// Looks at some blocks and tells where the lonely ones are.
    pub(crate) fn sweep(&mut self, effects: &mut Doing) {
        let mut lonely: BTreeMap<Member, Vec<Block>> = BTreeMap::new();
        if self.peers.is_empty() {
            self.merge.rounds = 0;
        }
        let is_whole = self.merge.next == (0, 0);
        for _ in 0..SWEEP {
            // Two free buddies here would be one block.
            let Some(half) = self.merge.look(&self.store) else {
                self.merge.rounds = if is_whole { 0 } else { self.merge.rounds.saturating_sub(1) };
                break;
            };
            if let Some(home) = half.parent().and_then(|parent| self.home(parent)) {
                lonely.entry(home).or_default().push(half);
            }
        }
        for (home, halves) in lonely {
            if home == self.me {
                self.hear_of_lonely(home, &halves, effects);
            } else {
                let parts = halves.chunks(PART).map(<[Block]>::to_vec);
                parts.for_each(|part| self.send_if_roomy(home, Body::Lonely(part), effects));
            }
        }
    }

    /// Says what can be said again later. What is not said to who is crowded, is looked after when there is room.
    fn send_if_roomy(&mut self, to: Member, body: Body, effects: &mut Doing) {
        match self.peers.get_mut(&to) {
            Some(peer) if peer.is_crowded => peer.was_spared = true,
            _ => self.send(to, body, effects),
        }
    }

    /// There is room again: both begin anew to name what is lonely.
    pub(crate) fn make_up_for_silence(&mut self, to: Member, effects: &mut Doing) {
        let was_spared = |peer: &mut Peer| core::mem::take(&mut peer.was_spared);
        if self.peers.get_mut(&to).is_some_and(was_spared) {
            self.merge.has_changed();
            self.send(to, Body::Again, effects);
        }
    }

    /// As home: halves are free at a member.
    pub(crate) fn hear_of_lonely(&mut self, from: Member, halves: &[Block], effects: &mut Doing) {
        for half in halves {
            let Some(parent) = half.parent() else { continue };
            let Some([lower, upper]) = self.merge.note(*half, parent, from) else { continue };
            let Some((_, moves)) = parent.halves() else { continue };
            match () {
                () if self.faults.has(Fault::NeverBrings) => {}
                // Nobody has both and does not merge them.
                () if lower == upper => self.ask_who_has(parent, effects),
                () if upper == self.me => self.bring(self.me, moves, lower, effects),
                () => self.send_if_roomy(upper, Body::Bring { half: moves, to: lower }, effects),
            }
        }
    }

    /// As home: what is kept in mind of this block is old.
    fn ask_who_has(&mut self, parent: Block, effects: &mut Doing) {
        if self.faults.has(Fault::BelievesTheOld) {
            return;
        }
        self.merge.forget(parent);
        let others: Vec<Member> = self.peers.keys().copied().collect();
        others.into_iter().for_each(|to| self.send_if_roomy(to, Body::Name { parent }, effects));
        self.name_half(self.me, parent, effects);
    }

    pub(crate) fn hear_of_lack(&mut self, half: Block, effects: &mut Doing) {
        half.parent().into_iter().for_each(|parent| self.ask_who_has(parent, effects));
    }

    /// Home asks for the halves of a block.
    pub(crate) fn name_half(&mut self, home: Member, parent: Block, effects: &mut Doing) {
        let halves = parent.halves().map(|(lower, upper)| [lower, upper]);
        let half = halves.into_iter().flatten().find(|half| self.is_serving() && self.store.contains(*half));
        match half {
            Some(half) if home == self.me => self.hear_of_lonely(home, &[half], effects),
            Some(half) => self.send(home, Body::Lonely([half].into()), effects),
            None => {}
        }
    }

    /// Brings a half to who has the other, if it is still free here as such.
    pub(crate) fn bring(&mut self, home: Member, half: Block, to: Member, effects: &mut Doing) {
        let has_gone = self.peers.get(&to).is_none_or(|peer| !peer.takes_part());
        if !self.is_serving() || has_gone {
            return;
        }
        if !self.has_room_for(to) {
            // Named again, and by then there may be room.
            return self.merge.has_changed();
        }
        let keeps = self.faults.has(Fault::BringsCopies) && self.store.contains(half);
        if keeps || self.store.take_exactly(half) || self.faults.has(Fault::BringsUnasked) {
            self.transfer(to, [half].into(), false, effects);
        } else if home == self.me {
            self.hear_of_lack(half, effects);
        } else {
            self.send(home, Body::Lacks(half), effects);
        }
    }
}
