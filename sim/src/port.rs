//! What a runtime in the simulator stands on.

use crate::mailbox::Letter;
use crate::world::World;
use fos_abi::Identity;
use fos_messages::rpc::{Address, Envelope, SendError};
use fos_runtime::Instant;
use fos_runtime::port::{AnswerRoom, Class, Event, Incoming, Poison, Port, Route, Show};

/// One process's side of the world.
pub struct SimulatedPort {
    pub world: World,
    pub process: usize,
}

impl SimulatedPort {
    /// Does something in the world, which is not the server's time.
    fn world<T>(&self, work: impl FnOnce(&mut crate::world::Inner) -> T) -> T {
        self.world.0.stopwatch.outside(|| work(&mut self.world.0.inner.borrow_mut()))
    }
}

impl Port for SimulatedPort {
    fn now(&self) -> Instant {
        Instant { nanoseconds: self.world.now() }
    }
    fn random(&self) -> u64 {
        self.world(|world| world.members[self.process].random.next())
    }
    fn identity(&self) -> Identity {
        self.world(|world| world.members[self.process].identity)
    }
    fn address(&self, class: Class) -> Address {
        self.world(|world| world.members[self.process].addresses[class as usize])
    }
    fn ask(&self, to: &Address, request: &mut Vec<u8>) -> Result<(), SendError> {
        Envelope::add_reply(request, &self.address(Class::Response));
        self.send(to, request)
    }
    fn send(&self, to: &Address, message: &[u8]) -> Result<(), SendError> {
        // On the machine nothing unwinds: what a panic drops says nothing any more.
        if std::thread::panicking() {
            return Err(SendError::Closed);
        }
        self.world(|world| world.send(self.process, to, message))
    }
    fn send_back(&self, _: Route, _: &[u8]) -> Result<(), SendError> {
        Err(SendError::Closed)
    }
    fn take(&self, last: Class, show: &mut dyn Show) -> bool {
        let route = Route::MAILBOX;
        let taken = self.world(|world| {
            last.up_to().iter().find_map(|class| Some((*class, world.take(self.process, *class)?)))
        });
        match taken {
            None => return false,
            Some((class, Letter::Ended { cookie })) => {
                let event = Event::Ended { cookie };
                show.show(class, Incoming { sender: Identity::KERNEL, badge: 0, route, event });
            }
            Some((class, Letter::Message { from, badge, bytes, .. })) => {
                show.show(class, Incoming { sender: from, badge, route, event: Event::Message(&bytes) });
            }
        }
        true
    }
    fn watch(&self, peer: &Address, cookie: u64) -> Result<(), SendError> {
        self.world(|world| world.watch(self.process, peer, cookie))
    }
    fn unwatch(&self, cookie: u64) {
        self.world(|world| world.unwatch(self.process, cookie));
    }
    fn answer_room(&self) -> AnswerRoom {
        self.world(|world| world.answer_room(self.process))
    }
    fn poisoned(&self, report: &Poison) {
        self.world(|world| world.poisoned.push((world.members[self.process].identity, *report)));
    }
}
