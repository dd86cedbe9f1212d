//! Introduces the members of a fleet to each other: for the program that starts them. It hears only whom it expects, since
//! who enters is told the key of `/` and is written to by all members.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use fos_abi::Identity;
use fos_messages::names::{Beginning, DirectoryKey, NamesStarter, NamesStarterDispatcher, Peer, STARTED_MAX};
use fos_messages::rpc::{Address, Context, Instead, Never};
use fos_runtime::Runtime;
use fos_runtime::port::Class;

struct Expected {
    identity: Identity,
    peer: Option<Peer>,
    external: Option<Address>,
}

/// What a starter knows of the members it started, in the order in which it did.
pub struct Starter {
    root_key: DirectoryKey,
    expected: RefCell<Vec<Expected>>,
    entered: Cell<u32>,
}

impl Starter {
    /// Of a fleet whose first member makes `/` with this key.
    pub fn new(root_key: DirectoryKey) -> Rc<Starter> {
        Rc::new(Starter { root_key, expected: RefCell::default(), entered: Cell::new(0) })
    }

    /// One with a key of its own making, that hears whoever reaches this runtime from outside; how it is found is the caller's to
    /// see to ([`STARTER`](fos_messages::names::STARTER)).
    pub fn serve(runtime: &Runtime) -> (Rc<Starter>, DirectoryKey) {
        let port = runtime.port();
        let root_key = DirectoryKey([port.random(), port.random()]);
        let starter = Starter::new(root_key);
        let service = NamesStarterDispatcher::new(Rc::new(StarterService(starter.clone())));
        runtime.serve(Class::External, service);
        (starter, root_key)
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
        self.expected.borrow_mut().retain(|member| member.identity != identity);
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
            Peer { machine: 0, number: self.entered.get(), address: internal }
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
        let is_it = |member: &&mut Expected| member.identity == context.sender && member.peer.is_some();
        expected.iter_mut().find(is_it).ok_or(Instead::NotNow)?.external = Some(external);
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
    fn strangers_and_forgers_are_told_nothing() {
        let starter = Starter::new(DirectoryKey([1, 2]));
        starter.expect(Identity(10));
        assert_eq!(sponsors(&starter, 11), None);
        assert_eq!(starter.begin(Identity(10), address(11)), None);
    }
}
