//! Faults of the plan, as they come about.

use super::Inner;
use crate::events::Event;
use crate::faults::{Fault, Mishap};
use crate::mailbox::Letter;
use crate::process::Member;
use crate::trace::What;

impl Inner {
    pub(super) fn fault(&mut self, number: usize) {
        let Fault { mishap, .. } = self.plan.0[number].clone();
        let text = self.plan.0[number].to_string();
        let process = match &mishap {
            Mishap::Kill { process } | Mishap::Fill { process, .. } => {
                let is_it = |member: &&Member| *member.name == **process && member.runtime.is_some();
                let found = self.members.iter().rev().position(|member| is_it(&member));
                found.map(|from_end| self.members.len() - 1 - from_end)
            }
            Mishap::Stop { core } | Mishap::Slow { core, .. } => {
                ((*core as usize) < self.cores.len()).then_some(0)
            }
        };
        let Some(process) = process else { return };
        self.came_about[number] = true;
        self.record(What::Fault { fault: &text });
        match mishap {
            Mishap::Kill { .. } => {
                self.members[process].was_planned = true;
                self.kill(process);
            }
            Mishap::Fill { class, nanoseconds, .. } => {
                let id = self.members[process].addresses[class as usize].key.mailbox.0;
                if let Some(mailbox) = self.mailboxes.get_mut(&id) {
                    mailbox.full_until = self.now + nanoseconds;
                }
            }
            Mishap::Slow { core, times } => self.cores[core as usize].slowness = times,
            Mishap::Stop { core } => {
                self.cores[core as usize].is_stopped = true;
                let at = self.now + self.costs.choice("bury_after");
                self.events.push(at, Event::Bury { core });
            }
        }
    }

    /// A core that has been silent for too long: what was on it is ended.
    pub(super) fn bury(&mut self, core: u32) {
        let here = |member: &Member| member.core == core && member.runtime.is_some();
        let dead: Vec<usize> =
            (0..self.members.len()).filter(|process| here(&self.members[*process])).collect();
        dead.into_iter().for_each(|process| self.kill(process));
    }

    /// Ends a process: its mailboxes end, and whoever watched them is told. What it sent before was accepted, and comes.
    pub(super) fn kill(&mut self, process: usize) {
        let Some(runtime) = self.members[process].runtime.take() else { return };
        self.graveyard.push(runtime);
        let name = self.members[process].name.clone();
        self.record(What::Ended { process: &name });
        self.members[process].watches.clear();
        for address in self.members[process].addresses {
            let Some(ended) = self.mailboxes.remove(&address.key.mailbox.0) else { continue };
            for (watcher, cookie) in ended.watchers {
                let Some(owner) = self.mailboxes.get(&watcher).map(|mailbox| mailbox.owner) else { continue };
                self.members[owner].watches.remove(&cookie);
                let at = self.now + self.costs.machine("ipi");
                self.leave(watcher, Letter::Ended { cookie }, at);
            }
        }
    }
}
