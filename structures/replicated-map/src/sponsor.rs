//! A member's side of a join: it reads the map to the joiner piece by piece, without stopping anything, keeps the log
//! that long, and when the joiner is nearly there asks for an epoch with it. Only that epoch change stops updates.

use crate::fault::Fault;
use crate::replica::{Outputs, Replica, Standing};
use crate::{Body, Cursor, JoinRefusal, Key, Limit, Member, Part, Value, Version};
use alloc::vec::Vec;
use core::ops::Bound;

/// The joiner that a member looks after.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sponsored {
    pub member: Member,
    /// Records after this version are kept for it.
    pub needs: Version,
    /// Its copy is the map at `needs`: it can be let in.
    pub settled: bool,
    /// Ticks since it asked for something.
    pub quiet_ticks: u64,
}

impl<K: Key, V: Value> Replica<K, V> {
    pub(crate) fn fetch(&mut self, from: Member, cursor: Cursor<K>, outputs: &mut Outputs<K, V>) {
        if self.membership.contains(from) {
            // It does not know yet that it is in.
            return self.help(from, outputs);
        }
        if let Err(refusal) = self.look_after(from, &cursor) {
            return self.send(from, Body::Refused(refusal), outputs);
        }
        match cursor {
            Cursor::Log { after, settled } => self.advance(after, settled, outputs),
            cursor => {
                let part = self.read_part(cursor);
                self.send(from, Body::Part(part), outputs);
            }
        }
    }

    /// Makes `from` the joiner that this member looks after, if it is not yet and can be.
    fn look_after(&mut self, from: Member, cursor: &Cursor<K>) -> Result<(), JoinRefusal> {
        if !matches!(self.standing, Standing::Member) || self.dead.contains(&from) {
            return Err(JoinRefusal::NotMember);
        }
        if self.membership.members.len() >= self.limits.members_max {
            return Err(JoinRefusal::Full(Limit::Members));
        }
        let known = self.sponsored.as_ref().filter(|joiner| joiner.member == from);
        let needs = match cursor {
            Cursor::Start => known.map_or(self.store.version, |joiner| joiner.needs),
            Cursor::Log { after, .. } if *after >= self.log.base => *after,
            Cursor::Log { .. } => return Err(JoinRefusal::Gone),
            _ if known.is_some() => known.map_or(self.store.version, |joiner| joiner.needs),
            _ => return Err(JoinRefusal::Full(Limit::Log)),
        };
        if self.sponsored.is_some() && known.is_none() {
            return Err(JoinRefusal::Full(Limit::Joiners));
        }
        self.sponsored = Some(Sponsored { member: from, needs, settled: false, quiet_ticks: 0 });
        Ok(())
    }

    /// A joiner that has asked for nothing for long is looked after no more: others may come.
    pub(crate) fn age_joiner(&mut self) {
        let quiet_max = self.limits.quiet_ticks;
        self.sponsored.take_if(|joiner| {
            joiner.quiet_ticks += 1;
            joiner.quiet_ticks > quiet_max
        });
    }

    fn read_part(&self, cursor: Cursor<K>) -> Part<K, V> {
        let (mut room, version) = (self.limits.part_max, self.store.version);
        let (mut entries, mut clients) = (Vec::new(), Vec::new());
        let after_client = match cursor {
            Cursor::Clients(after) => after,
            cursor => {
                let after =
                    if let Cursor::Entries(key) = cursor { Bound::Excluded(key) } else { Bound::Unbounded };
                let rest = self.store.entries().range((after, Bound::Unbounded));
                entries.extend(rest.take(room).map(|(key, entry)| (key.clone(), entry.clone())));
                room -= entries.len();
                None
            }
        };
        if let Some((key, _)) = entries.last().filter(|_| room == 0) {
            let next = Some(Cursor::Entries(key.clone()));
            return Part { version, entries, clients, ended: Vec::new(), next };
        }
        let after = after_client.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.store.requests.clients.range((after, Bound::Unbounded));
        clients.extend(rest.take(room).map(|(client, memory)| (*client, memory.clone())));
        if let Some((client, _)) = clients.last().filter(|_| clients.len() == room) {
            let next = Some(Cursor::Clients(Some(*client)));
            return Part { version, entries, clients, ended: Vec::new(), next };
        }
        let ended = self.store.ended.iter().copied().collect();
        Part { version, entries, clients, ended, next: None }
    }

    /// The joiner has come this far: gives it what it lacks, or lets it in.
    fn advance(&mut self, after: Version, settled: bool, outputs: &mut Outputs<K, V>) {
        let settled = settled || self.faults.has(Fault::AdmitsUnsettled);
        let Some(joiner) = &mut self.sponsored else { return };
        (joiner.needs, joiner.settled) = (after, settled);
        self.let_in(outputs);
    }

    /// Lets the joiner in if it is ready and nothing else is being decided. Called again when that has been.
    pub(crate) fn let_in(&mut self, outputs: &mut Outputs<K, V>) {
        let Some(joiner) = &self.sponsored else { return };
        if self.election.promised.is_some() {
            return;
        }
        let near = self.store.version.since(joiner.needs) <= self.limits.tail_max;
        if joiner.settled && near {
            return self.start_election(outputs);
        }
        let (to, after) = (joiner.member, joiner.needs);
        if let Some(records) = self.log.after(after, self.limits.part_max) {
            self.send(to, Body::Records { after, records }, outputs);
        }
    }
}
