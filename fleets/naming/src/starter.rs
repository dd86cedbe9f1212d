//! Introduces the members of a fleet to each other: for the program that starts them. It hears only whom it expects, since
//! who enters is told the key of `/` and is written to by all members.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use fos_abi::Identity;
use fos_messages::names::{Beginning, DirectoryKey, NamesStarter, NamesStarterDispatcher, Peer, STARTED_MAX};
use fos_messages::rpc::{Address, Context, Instead, Never};
use fos_runtime::Runtime;
use fos_runtime::port::Class;
use serde::{Deserialize, Serialize};

struct Expected {
    identity: Identity,
    peer: Option<Peer>,
    external: Option<Address>,
}

/// A member that has entered, as a starter has it remembered for who comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduced {
    /// How the other members know it.
    pub peer: Peer,
    /// Where clients ask it, once it serves.
    pub external: Option<Address>,
}

/// What a starter has remembered before it answers by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memo {
    /// So many have entered: none of their numbers may be another's.
    Entered(u32),
    /// One of them, as it is now.
    Member(Introduced),
    /// The one with this number has ended.
    Forgotten(u32),
}

/// What a starter knows of the members it started, in the order in which it did.
pub struct Starter {
    root_key: DirectoryKey,
    expected: RefCell<Vec<Expected>>,
    entered: Cell<u32>,
    remember: Box<dyn Fn(Memo)>,
}

impl Starter {
    /// Of a fleet whose first member makes `/` with this key. Nobody comes after it.
    pub fn new(root_key: DirectoryKey) -> Rc<Starter> {
        Starter::after(root_key, 0, &[], |_| ())
    }

    /// One that comes after another, with what that one had remembered.
    pub fn after(
        root_key: DirectoryKey,
        entered: u32,
        members: &[Introduced],
        remember: impl Fn(Memo) + 'static,
    ) -> Rc<Starter> {
        let known = |member: &Introduced| {
            let Introduced { peer, external } = *member;
            Expected { identity: peer.address.identity, peer: Some(peer), external }
        };
        let expected = RefCell::new(members.iter().map(known).collect());
        Rc::new(Starter { root_key, expected, entered: Cell::new(entered), remember: Box::new(remember) })
    }

    /// One with a key of its own making, that [hears](Starter::hear) who reaches this runtime. Nobody comes after it.
    pub fn serve(runtime: &Runtime) -> (Rc<Starter>, DirectoryKey) {
        let port = runtime.port();
        let root_key = DirectoryKey([port.random(), port.random()]);
        let starter = Starter::new(root_key);
        starter.hear(runtime);
        (starter, root_key)
    }

    /// Hears whoever reaches this runtime from outside; how it is found is the caller's to see to
    /// ([`STARTER`](fos_messages::names::STARTER)).
    pub fn hear(self: &Rc<Self>, runtime: &Runtime) {
        let service = NamesStarterDispatcher::new(Rc::new(StarterService(self.clone())));
        runtime.serve(Class::External, service);
    }

    /// The members that have entered.
    pub fn members(&self) -> Vec<Identity> {
        let expected = self.expected.borrow();
        expected.iter().filter(|member| member.peer.is_some()).map(|member| member.identity).collect()
    }

    /// A process was started as a member. Those beyond [`STARTED_MAX`] are never heard.
    pub fn expect(&self, identity: Identity) {
        let mut expected = self.expected.borrow_mut();
        if expected.len() < STARTED_MAX {
            expected.push(Expected { identity, peer: None, external: None });
        }
    }

    /// A member has ended: nobody is sent to it any more.
    pub fn forget(&self, identity: Identity) {
        let mut expected = self.expected.borrow_mut();
        let Some(place) = expected.iter().position(|member| member.identity == identity) else { return };
        if let Some(peer) = expected.remove(place).peer {
            (self.remember)(Memo::Forgotten(peer.number));
        }
    }

    /// Where clients ask.
    pub fn serving(&self) -> Vec<Address> {
        self.expected.borrow().iter().filter_map(|member| member.external).collect()
    }

    /// Where other members write to a member that has entered.
    pub fn internal(&self, identity: Identity) -> Option<Address> {
        let expected = self.expected.borrow();
        expected.iter().find(|member| member.identity == identity)?.peer.map(|peer| peer.address)
    }

    /// Whether clients may ask this member.
    pub fn has_serving(&self, identity: Identity) -> bool {
        self.expected.borrow().iter().any(|member| member.identity == identity && member.external.is_some())
    }

    fn begin(&self, sender: Identity, internal: Address) -> Option<Beginning> {
        if internal.identity != sender {
            return None;
        }
        let mut expected = self.expected.borrow_mut();
        let member = expected.iter_mut().find(|member| member.identity == sender)?;
        let peer = *member.peer.get_or_insert_with(|| {
            self.entered.set(self.entered.get() + 1);
            let peer = Peer { machine: 0, number: self.entered.get(), address: internal };
            (self.remember)(Memo::Entered(peer.number));
            (self.remember)(Memo::Member(Introduced { peer, external: None }));
            peer
        });
        let earlier = |other: &Peer| other.number < peer.number;
        let sponsors = expected.iter().filter_map(|member| member.peer).filter(earlier).collect();
        Some(Beginning { number: peer.number, root_key: self.root_key, sponsors })
    }
}

/// The starter's conversation.
pub struct StarterService(pub Rc<Starter>);

impl NamesStarter for StarterService {
    fn enter(&self, context: Context, internal: Address) -> Result<Beginning, Instead<Never>> {
        self.0.begin(context.sender, internal).ok_or(Instead::NotNow)
    }

    fn serves(&self, context: Context, external: Address) -> Result<(), Instead<Never>> {
        let mut expected = self.0.expected.borrow_mut();
        let member = expected.iter_mut().find(|member| member.identity == context.sender);
        let member = member.ok_or(Instead::NotNow)?;
        let peer = member.peer.ok_or(Instead::NotNow)?;
        member.external = Some(external);
        (self.0.remember)(Memo::Member(Introduced { peer, external: Some(external) }));
        Ok(())
    }

    fn members(&self, _: Context) -> Result<Vec<Address>, Instead<Never>> {
        Ok(self.0.serving())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(identity: u64) -> Address {
        Address { identity: Identity(identity), ..Address::default() }
    }

    fn sponsors(starter: &Starter, identity: u64) -> Option<Vec<u64>> {
        let beginning = starter.begin(Identity(identity), address(identity))?;
        Some(beginning.sponsors.iter().map(|peer| peer.address.identity.0).collect())
    }

    #[test]
    fn one_is_the_first_and_the_others_join_who_came_earlier_and_lives() {
        let starter = Starter::new(DirectoryKey([1, 2]));
        [10, 20, 30].into_iter().for_each(|identity| starter.expect(Identity(identity)));
        assert_eq!(sponsors(&starter, 20), Some(Vec::new()));
        assert_eq!(sponsors(&starter, 10), Some([20].into()));
        assert_eq!(sponsors(&starter, 20), Some(Vec::new()), "asked again, the same");
        assert_eq!(starter.internal(Identity(20)), Some(address(20)));
        assert_eq!(starter.internal(Identity(30)), None, "it has not entered");
        starter.forget(Identity(20));
        assert_eq!(starter.internal(Identity(20)), None);
        assert_eq!(sponsors(&starter, 30), Some([10].into()));
        assert_eq!(starter.begin(Identity(30), address(30)).map(|beginning| beginning.number), Some(3));
    }

    #[test]
    fn one_that_comes_after_another_goes_on_where_that_was() {
        let memos: Rc<RefCell<Vec<Memo>>> = Rc::default();
        let own = memos.clone();
        let starter = Starter::after(DirectoryKey([1, 2]), 0, &[], move |memo| own.borrow_mut().push(memo));
        [10, 20, 30].into_iter().for_each(|identity| starter.expect(Identity(identity)));
        for identity in [10, 20] {
            starter.begin(Identity(identity), address(identity));
        }
        starter.forget(Identity(20));
        starter.forget(Identity(30));
        let introduced = |number: u32, identity| Introduced {
            peer: Peer { machine: 0, number, address: address(identity) },
            external: None,
        };
        let expected = [
            Memo::Entered(1),
            Memo::Member(introduced(1, 10)),
            Memo::Entered(2),
            Memo::Member(introduced(2, 20)),
            Memo::Forgotten(2),
        ];
        assert_eq!(*memos.borrow(), expected, "who did not enter is nobody's to remember");
        let next = Starter::after(DirectoryKey([1, 2]), 2, &[introduced(1, 10)], |_| ());
        assert_eq!(next.members(), [Identity(10)]);
        assert_eq!(sponsors(&next, 30), None, "it starts again whom the other one had only started");
        next.expect(Identity(40));
        assert_eq!(sponsors(&next, 40), Some([10].into()));
        assert_eq!(next.begin(Identity(40), address(40)).map(|beginning| beginning.number), Some(3));
    }

    #[test]
    fn strangers_and_forgers_are_told_nothing() {
        let starter = Starter::new(DirectoryKey([1, 2]));
        starter.expect(Identity(10));
        assert_eq!(sponsors(&starter, 11), None);
        assert_eq!(starter.begin(Identity(10), address(11)), None);
    }
}
