//! The joiner's side of a join. It asks, piece by piece, so that a lost message costs one more question. Its pieces
//! are of different versions; with every update since the first piece done again on top, they are the map.
//!
//! A sponsor that has no time (it brings in another one) or is no member (any more, or yet) is asked again at a later
//! tick, and the others in between; who is refused for too long stops, so nobody waits for ever.
//!
//! If the sponsor dies before the copy is the map of one version, the joiner starts again with another member. After
//! that an epoch with it may already be agreed, so it never throws its copy away: it goes on with another member from
//! where it is, or, if that is not possible, stops; what was agreed about it then ends with its death.

use crate::interface::Stop;
use crate::log::Log;
use crate::replica::{Outputs, Replica, Standing};
use crate::{
    Body, Cursor, JoinRefusal, Key, Limit, Limits, Member, Membership, Part, Record, Store, Value, Version,
};
use alloc::vec::Vec;

/// How far a joiner has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Joiner<K> {
    /// Members to ask; the last one is asked now.
    pub sponsors: Vec<Member>,
    pub cursor: Cursor<K>,
    /// The version of the youngest piece.
    pub youngest: Version,
    /// Refusals since the last piece.
    pub refusals: u32,
}

impl<K: Key, V: Value> Replica<K, V> {
    /// A replica that joins: it asks the first of `sponsors`, and the next when that one dies. The caller watches them.
    pub fn join(
        me: Member,
        sponsors: &[Member],
        limits: Limits,
        outputs: &mut Outputs<K, V>,
    ) -> Replica<K, V> {
        let mut replica = Replica::new(me, Membership::none(), limits);
        let sponsors = sponsors.iter().rev().copied().collect();
        replica.standing =
            Standing::Joining(Joiner { sponsors, cursor: Cursor::Start, youngest: Version(0), refusals: 0 });
        replica.ask_sponsor(outputs);
        replica
    }

    /// Asks for the next piece, or again for the one that has not come.
    pub(crate) fn ask_sponsor(&mut self, outputs: &mut Outputs<K, V>) {
        let Standing::Joining(joiner) = &mut self.standing else { return };
        let Some(sponsor) = joiner.sponsors.last().copied() else {
            return self.stop(Stop::NoSponsor, outputs);
        };
        let cursor = joiner.cursor.clone();
        self.send(sponsor, Body::Fetch(cursor), outputs);
    }

    pub(crate) fn sponsor_died(&mut self, outputs: &mut Outputs<K, V>) {
        let dead = &self.dead;
        let Standing::Joining(joiner) = &mut self.standing else { return };
        let before = joiner.sponsors.last().copied();
        joiner.sponsors.retain(|member| !dead.contains(member));
        if before == joiner.sponsors.last().copied() {
            return;
        }
        self.begin_copy_again();
        self.ask_sponsor(outputs);
    }

    /// Forgets the copy, unless an epoch with it may already be agreed. Says whether it did.
    fn begin_copy_again(&mut self) -> bool {
        let Standing::Joining(joiner) = &mut self.standing else { return false };
        if matches!(joiner.cursor, Cursor::Log { settled: true, .. }) {
            return false;
        }
        (joiner.cursor, joiner.youngest) = (Cursor::Start, Version(0));
        self.store = Store::new();
        true
    }

    fn awaits(&mut self, from: Member) -> Option<&mut Joiner<K>> {
        match &mut self.standing {
            Standing::Joining(joiner) if joiner.sponsors.last() == Some(&from) => Some(joiner),
            _ => None,
        }
    }

    pub(crate) fn part(&mut self, from: Member, part: Part<K, V>, outputs: &mut Outputs<K, V>) {
        let Some(joiner) = self.awaits(from) else { return };
        if matches!(joiner.cursor, Cursor::Log { .. }) {
            return;
        }
        if joiner.cursor == Cursor::Start {
            self.store = Store::new();
            self.store.version = part.version;
        }
        part.entries.into_iter().for_each(|(key, entry)| self.store.put(&key, entry));
        self.store.requests.clients.extend(part.clients);
        self.store.ended.extend(part.ended);
        let after = self.store.version;
        let Some(joiner) = self.awaits(from) else { return };
        joiner.youngest = joiner.youngest.max(part.version);
        joiner.refusals = 0;
        joiner.cursor = part.next.unwrap_or(Cursor::Log { after, settled: after >= joiner.youngest });
        self.ask_sponsor(outputs);
    }

    pub(crate) fn records(
        &mut self,
        from: Member,
        after: Version,
        records: Vec<Record<K, V>>,
        outputs: &mut Outputs<K, V>,
    ) {
        let limits = self.limits;
        let version = self.store.version;
        let Some(joiner) = self.awaits(from) else { return };
        if !matches!(joiner.cursor, Cursor::Log { .. }) || after != version {
            return;
        }
        joiner.refusals = 0;
        let reached = version.after(records.len());
        joiner.cursor = Cursor::Log { after: reached, settled: reached >= joiner.youngest };
        records.iter().for_each(|record| self.store.replay(record, &limits));
        self.ask_sponsor(outputs);
    }

    pub(crate) fn refused(&mut self, from: Member, refusal: JoinRefusal, outputs: &mut Outputs<K, V>) {
        let refusals_max = self.limits.refusals_max;
        let Some(joiner) = self.awaits(from) else { return };
        joiner.refusals += 1;
        let is_patient = joiner.refusals < refusals_max;
        // The next tick asks somebody else.
        joiner.sponsors.rotate_right(1);
        let goes_on = match refusal {
            JoinRefusal::Full(Limit::Joiners) | JoinRefusal::NotMember => true,
            // What it copied is of no use any more.
            JoinRefusal::Gone | JoinRefusal::Full(Limit::Log) => self.begin_copy_again(),
            JoinRefusal::Full(_) => false,
        };
        if !goes_on || !is_patient {
            self.stop(Stop::Refused(refusal), outputs);
        }
    }

    /// Whether a decree can be gone on from.
    pub(crate) fn can_begin(&self, start: Version) -> bool {
        let whole = match &self.standing {
            Standing::Joining(joiner) => match joiner.cursor {
                Cursor::Log { settled, .. } => {
                    settled || self.faults.has(crate::fault::Fault::AdmitsUnsettled)
                }
                _ => false,
            },
            Standing::Member => true,
            Standing::Stopped => false,
        };
        whole && self.store.version >= start
    }

    /// A joiner's log begins with its epoch.
    pub(crate) fn begin_log(&mut self) {
        if matches!(self.standing, Standing::Joining(_)) {
            self.log = Log::new(self.store.version);
        }
    }
}
