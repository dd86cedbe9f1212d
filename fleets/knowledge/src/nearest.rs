//! Which cores are best for a process: least of what its messages take and of what it waits, as naming's policy has it for clients.

use crate::facts::{Core, Facts};
use crate::limits::CHANNEL_FROM;
use alloc::vec::Vec;
use fos_messages::knowledge::{Choice, Comparison, Near, Place, Way};

impl Facts {
    /// Usable cores but for `avoid`, the best first. Of equals, those on which least runs.
    pub fn nearest(&self, near: &[Near], avoid: &[Place]) -> Vec<Choice> {
        let usable = self.usable().filter(|(at, _)| !avoid.contains(at));
        let mut choices: Vec<(usize, Choice)> = usable
            .map(|(at, core)| {
                let processes = self.processes_at(at);
                let is_idle = processes == 0 && core.busy_permille == 0;
                let nanoseconds_per_second = self.cost_at(at, core, near);
                (processes, Choice { at, nanoseconds_per_second, is_idle })
            })
            .collect();
        choices.sort_by_key(|(processes, choice)| (choice.nanoseconds_per_second, *processes, choice.at));
        choices.into_iter().map(|(_, choice)| choice).collect()
    }

    /// How the core of a process compares with the best one but for `avoid`. What waits there waits for the process itself, which it
    /// would take along; so only messages count there. A core that nobody knows is as bad as can be.
    pub fn compare(&self, near: &[Near], at: Place, avoid: &[Place]) -> Comparison {
        let here = self.cores.get(&at).map(|core| Core { wait_nanoseconds: 0, ..*core });
        let now_nanoseconds = here.map_or(u64::MAX, |core| self.cost_at(at, &core, near));
        let best = self.nearest(near, avoid).first().copied();
        let better = best.filter(|choice| choice.nanoseconds_per_second < now_nanoseconds);
        let (best, then_nanoseconds) =
            better.map_or((at, now_nanoseconds), |choice| (choice.at, choice.nanoseconds_per_second));
        Comparison { best, now_nanoseconds, then_nanoseconds }
    }

    /// What a process with these peers would spend on a core in each second: each message and the wait before it. With no messages
    /// it would wait once.
    pub fn cost_at(&self, at: Place, core: &Core, near: &[Near]) -> u64 {
        let known =
            near.iter().filter_map(|near| Some((self.place_of(near.process)?, near.messages_per_second)));
        let each = |(to, rate): (Place, u32)| {
            let way = match () {
                () if to.machine != at.machine => Way::Network,
                () if rate >= CHANNEL_FROM && to != at => Way::Channel,
                () => Way::Kernel,
            };
            let (cost, _) = self.cost(at, to, way);
            u64::from(rate).saturating_mul(u64::from(cost) + u64::from(core.wait_nanoseconds))
        };
        let messages = known.map(each).fold(0, u64::saturating_add);
        messages.saturating_add(core.wait_nanoseconds.into())
    }
}
