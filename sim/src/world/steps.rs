//! One step of one process on one core: when it begins, what it costs, and who is woken when.

use super::{Inner, UnderWay};
use crate::events::Event;
use crate::trace::What;
use fos_messages::rpc::Operation;
use fos_runtime::{Runtime, Step, Work};

impl Inner {
    pub(super) fn begin_step(&mut self, core: u32) -> Option<(usize, Runtime)> {
        let here = &mut self.cores[core as usize];
        here.is_scheduled = false;
        if here.is_stopped {
            return None;
        }
        let members = &self.members;
        let process = std::iter::from_fn(|| here.ready.pop_front())
            .find(|process| members[*process].runtime.is_some())?;
        let switches = here.last.is_some_and(|last| last != process);
        here.last = Some(process);
        here.is_scheduled = true;
        let nanoseconds = if switches { self.costs.machine("switch") } else { 0 };
        self.step = Some(UnderWay { nanoseconds, outgoing: Vec::new() });
        Some((process, self.members[process].runtime.clone()?))
    }

    pub(super) fn end_step(&mut self, core: u32, process: usize, step: Step, took: Option<u64>) {
        let UnderWay { nanoseconds, outgoing } = self.step.take().unwrap_or_default();
        let is_alive = self.members[process].runtime.is_some();
        let ends = match step {
            Step::Did(work) => {
                self.counts.steps += 1;
                let price = self.price(process, work, took);
                let slowness = self.cores[core as usize].slowness;
                let nanoseconds = (nanoseconds + price) * slowness;
                self.members[process].account.busy += nanoseconds;
                let name = self.members[process].name.clone();
                self.record(What::Did { process: &name, work, nanoseconds });
                if is_alive {
                    self.cores[core as usize].ready.push_back(process);
                }
                self.now + nanoseconds.max(1)
            }
            Step::Idle(until) => {
                self.members[process].is_ready = false;
                if let Some(until) = until.filter(|_| is_alive) {
                    self.wake_at(process, until.nanoseconds);
                }
                self.now
            }
        };
        outgoing.into_iter().for_each(|(id, letter)| self.leave(id, letter, ends));
        let here = &mut self.cores[core as usize];
        here.busy_until = ends;
        here.is_scheduled = false;
        // A stopped core's step under way still counts as done, since what it sent was accepted.
        self.schedule(core, ends);
    }

    /// What a step costs beside its messages.
    fn price(&mut self, process: usize, work: Work, took: Option<u64>) -> u64 {
        let (interface, operation) = match work {
            Work::Request(_, interface, operation) => (interface, operation),
            other => {
                let key = match other {
                    Work::Response => "response",
                    Work::Answer => "answer",
                    Work::Task => "task",
                    Work::Background => "background",
                    _ => "garbage",
                };
                self.measure(key.to_owned(), took);
                return self.costs.step(key);
            }
        };
        if took.is_none()
            && let Some(price) = self.prices.get(&(interface, operation))
        {
            return *price;
        }
        let known = self.interfaces.get(&interface);
        let operation_of = |name: &'static str, all: &[Operation]| {
            all.get(usize::from(operation)).map(|known| format!("{name}.{}", known.name))
        };
        let garbage = self.costs.step("garbage");
        let Some(name) = known.and_then(|(name, all)| operation_of(name, all)) else {
            if self.takes_anything {
                return garbage;
            }
            let process = &self.members[process].name;
            self.broken(format!(
                "{process} was asked for operation {operation} of interface {interface:#x}, which the scenario does not \
                 name: call World::knows"
            ));
            return 0;
        };
        self.measure(name.clone(), took);
        match self.costs.handler(&name) {
            Some(price) => {
                self.prices.insert((interface, operation), price);
                price
            }
            None if took.is_some() => 0,
            None if self.takes_anything => garbage,
            None => {
                let file = &self.costs.name;
                self.broken(format!("the handler {name} has no measured cost in the cost file {file}"));
                0
            }
        }
    }

    fn measure(&mut self, name: String, took: Option<u64>) {
        if let Some(took) = took {
            self.measured.entry(name).or_default().push(took);
        }
    }

    /// There is something for it to do.
    pub fn wake(&mut self, process: usize) {
        let member = &mut self.members[process];
        if member.is_ready || member.runtime.is_none() {
            return;
        }
        member.is_ready = true;
        let core = member.core;
        let here = &mut self.cores[core as usize];
        here.ready.push_back(process);
        let is_new = here.busy_until == 0;
        let sleeps = !is_new && here.sleeps(self.now, self.costs.choice("poll"));
        let after = if sleeps { self.costs.machine("wake") } else { 0 };
        let at = here.busy_until.max(self.now + after);
        self.schedule(core, at);
    }

    /// The core's next step is due then, if there is anything to do.
    pub(super) fn schedule(&mut self, core: u32, at: u64) {
        let here = &mut self.cores[core as usize];
        if !here.is_scheduled && !here.is_stopped && !here.ready.is_empty() {
            here.is_scheduled = true;
            self.events.push(at, Event::Run { core });
        }
    }

    fn wake_at(&mut self, process: usize, at: u64) {
        let member = &mut self.members[process];
        if member.wakes_at.is_none_or(|known| at < known) {
            member.wakes_at = Some(at);
            self.events.push(at.max(self.now), Event::Wake { process, at });
        }
    }

    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Run { .. } => {}
            Event::Arrive { mailbox, letter } => {
                if let Some(found) = self.mailboxes.get_mut(&mailbox) {
                    found.put(letter);
                    let owner = found.owner;
                    self.wake(owner);
                }
            }
            Event::Wake { process, at } => {
                if self.members[process].wakes_at == Some(at) {
                    self.members[process].wakes_at = None;
                    self.wake(process);
                }
            }
            Event::Fault { number } => self.fault(number),
            Event::Bury { core } => self.bury(core),
        }
    }
}
