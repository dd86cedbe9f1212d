//! The simulator keeps what messages promise, as the machine does.

use super::small::{taken_events, world};
use crate::faults::{Fault, Plan};
use crate::world::{Process, World};
use fos_abi::Identity;
use fos_messages::rpc::SendError;
use fos_runtime::port::{Class, Event, LENT_MAX, Port};
use fos_runtime::promises::{Came, PROMISES, Side, Way};
use std::collections::VecDeque;

/// Two processes on cores of their own. The first receives where answers come, the second where requests do.
struct Simulated {
    world: World,
    processes: [Process; 2],
    /// Taken between steps: in one the runtime would take what it does not serve, and drop it.
    taken: [VecDeque<Came>; 2],
}

const CLASSES: [Class; 2] = [Class::Response, Class::External];

impl Simulated {
    fn new() -> Simulated {
        let world = world(1, 2);
        let processes = [world.start("first", 0), world.start("second", 1)];
        let to = processes[1].address(Class::External);
        processes[0].runtime.port().watch(&to, 1).unwrap();
        Simulated { world, processes, taken: Default::default() }
    }

    fn port(&self, side: Side) -> &dyn Port {
        self.processes[side as usize].runtime.port()
    }
}

impl Way for Simulated {
    fn send(&mut self, from: Side, message: &[u8]) -> Result<(), SendError> {
        let to = 1 - from as usize;
        self.port(from).send(&self.processes[to].address(CLASSES[to]), message)
    }
    fn send_guessing(&mut self, message: &[u8]) -> Option<Result<(), SendError>> {
        let mut to = self.processes[1].address(Class::External);
        to.key.secret[0] ^= 1;
        Some(self.port(Side::First).send(&to, message))
    }
    fn take(&mut self, at: Side) -> Option<Came> {
        self.taken[at as usize].pop_front()
    }
    fn progress(&mut self) -> bool {
        if !self.world.happen() {
            return false;
        }
        for (place, process) in self.processes.iter().enumerate() {
            taken_events(process, CLASSES[place], |sender, event| {
                self.taken[place].push_back(match event {
                    Event::Message(bytes) => Came::Message(sender, bytes.to_vec()),
                    Event::Ended { .. } => Came::Ended,
                });
            });
        }
        true
    }
    fn identity(&self, side: Side) -> Identity {
        self.processes[side as usize].identity
    }
    fn longest(&self) -> usize {
        LENT_MAX
    }
    fn end_second(&mut self) {
        let kill = format!("kill second at {}ns", self.world.now() + 1);
        self.world.plan(Plan(vec![Fault::parse(&kill).unwrap()]));
        while self.processes[1].is_alive() && self.progress() {}
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.world.close();
    }
}

#[test]
fn messages_keep_their_promises() {
    for (promise, check) in PROMISES {
        assert_eq!(check(&mut Simulated::new()), Ok(()), "{promise}");
    }
}
