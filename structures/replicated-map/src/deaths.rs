//! Who is known to be dead, how members on other machines hear of it, and who leads to the next epoch then.

use crate::replica::{Outputs, Replica, Standing};
use crate::{Body, Key, Machine, Member, Value};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

impl<K: Key, V: Value> Replica<K, V> {
    /// A death notice.
    pub(crate) fn died(&mut self, member: Member, outputs: &mut Outputs<K, V>) {
        if matches!(self.standing, Standing::Stopped) || !self.dead.insert(member) {
            return;
        }
        self.forget_some_dead();
        self.sponsored.take_if(|joiner| joiner.member == member);
        self.sponsor_died(outputs);
        if self.membership.contains(member) {
            self.relay_deaths(member.machine, outputs);
            self.renew_lease();
            self.end_epoch(outputs);
        }
    }

    /// Only members of this machine are told by its kernel; others hear it from them.
    pub(crate) fn relay_deaths(&self, machine: Machine, outputs: &mut Outputs<K, V>) {
        if machine == self.me.machine {
            let dead = self.dead_members();
            let abroad =
                self.others().filter(|member| member.machine != machine && !self.dead.contains(member));
            abroad.for_each(|member| self.send(member, Body::Obituary { dead: dead.clone() }, outputs));
        }
    }

    pub(crate) fn mourn(&mut self, dead: Vec<Member>, outputs: &mut Outputs<K, V>) {
        let me = self.me;
        dead.into_iter().filter(|member| *member != me).for_each(|member| self.died(member, outputs));
    }

    pub(crate) fn dead_members(&self) -> Vec<Member> {
        self.membership.members.iter().copied().filter(|member| self.dead.contains(member)).collect()
    }

    /// Dead who are not members are remembered for a while: an epoch with them may be on its way.
    fn forget_some_dead(&mut self) {
        while self.dead.len() > self.limits.dead_max + self.membership.members.len() {
            let Some(oldest) = self.dead.iter().copied().find(|dead| !self.membership.contains(*dead)) else {
                return;
            };
            self.dead.remove(&oldest);
        }
    }

    /// Members that are neither dead nor on a silent machine.
    pub(crate) fn available(&self) -> BTreeSet<Member> {
        let here = |member: &Member| !self.dead.contains(member) && !self.is_silent(member.machine);
        self.membership.members.iter().copied().filter(here).collect()
    }

    /// The epoch cannot go on as it is: leads to the next, unless somebody else does.
    pub(crate) fn end_epoch(&mut self, outputs: &mut Outputs<K, V>) {
        let available = self.available();
        let led = self.election.promised.is_some_and(|ballot| available.contains(&ballot.leader));
        if self.election.leading.is_some() || !led && available.first() == Some(&self.me) {
            self.start_election(outputs);
        }
    }
}
