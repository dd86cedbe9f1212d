//! A request that ends each member it reaches: two end, it is refused, a third is told, and the fleet goes on.

use super::world::{Node, World};
use super::{ADDER, Adder, DOUBLE, HANG, VERSION};
use crate::port::{Class, Poison};
use crate::{Names, Priority, Runtime};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, Entry, Found, NameError, NamesInterface, Path};
use fos_messages::rpc::wire::{self, Scalar};
use fos_messages::rpc::{
    Address, AnswerBody, Answered, CallError, Caller, Context, Envelope, Interface, Kind, Operation,
    Outgoing, Serve, Served, Status,
};

const MAKE: u16 = 3;

/// Ends its own process in the middle of one operation of an interface, and leaves the others to another server.
struct Frail {
    world: World,
    process: Identity,
    interface: (u16, u8),
    operation: u16,
    otherwise: Rc<dyn Serve>,
    /// Where it is registered, until it has ended.
    naming: Rc<Naming>,
}

impl Serve for Frail {
    fn speaks(&self) -> (u16, u8) {
        self.interface
    }
    fn serve(self: Rc<Self>, operation: u16, context: Context, body: &[u8], room: Outgoing) -> Served {
        if operation != self.operation {
            return self.otherwise.clone().serve(operation, context, body, room);
        }
        self.world.kill_process(self.process);
        self.naming.members.borrow_mut().retain(|member| member.identity != self.process);
        Served::Task(Box::pin(core::future::pending()))
    }
}

/// A member of naming that knows one name, whose members take turns.
#[derive(Default)]
struct Naming {
    members: RefCell<Vec<Address>>,
    turn: Cell<usize>,
}

impl Serve for Naming {
    fn speaks(&self) -> (u16, u8) {
        (NamesInterface::ID, NamesInterface::VERSION)
    }
    fn serve(self: Rc<Self>, operation: u16, _: Context, _: &[u8], _: Outgoing) -> Served {
        if operation != 0 {
            return Served::Unknown;
        }
        let members = self.members.borrow();
        if members.is_empty() {
            return Served::Answer(AnswerBody::NotNow);
        }
        self.turn.set(self.turn.get() + 1);
        let address = members[self.turn.get() % members.len()];
        let entry = Entry { address, machine: 0, core: 0, metadata: Vec::new() };
        let mut body = Outgoing::default();
        wire::write(&(Found::Member(entry), 1u64), body.end()).unwrap();
        Served::Answer(AnswerBody::Done(body))
    }
}

struct Fleet {
    world: World,
    members: Vec<Node>,
    client: Node,
    names: Rc<Names>,
}

impl Fleet {
    /// Five members under a name, each of which ends when it is asked to hang.
    fn new() -> Fleet {
        let world = World::default();
        let naming_node = world.node();
        let naming = Rc::new(Naming::default());
        naming_node.runtime.serve(Class::External, naming.clone());
        let members: Vec<Node> = (0..5).map(|_| world.node()).collect();
        for member in &members {
            naming.members.borrow_mut().push(member.address(Class::External));
            let (process, interface, otherwise) =
                (member.identity(), (ADDER, VERSION), Rc::new(Adder::default()));
            let (world, naming) = (world.clone(), naming.clone());
            let frail = Frail { world, process, interface, operation: HANG, otherwise, naming };
            member.runtime.serve(Class::External, Rc::new(frail));
        }
        let client = world.node();
        let names = Names::new(client.runtime.clone(), [naming_node.address(Class::External)].into(), (0, 0));
        Fleet { world, members, client, names }
    }

    /// What a call by name comes to.
    fn call(&self, operation: Operation) -> Result<Vec<u8>, CallError<Vec<u8>>> {
        let place = Rc::new(RefCell::new(None));
        let (named, outcome) = (self.names.at(Path::root(), Duration::from_secs(1)), place.clone());
        self.client.runtime.spawn(Priority::Normal, async move {
            let write = |bytes: &mut Vec<u8>| {
                Scalar::write(4u64, bytes);
                Ok(())
            };
            let read = |answered: Answered<'_>| {
                answered.map(<[u8]>::to_vec).map_err(|error| error.map(<[u8]>::to_vec))
            };
            let came = named.call(&Address::default(), &operation, &write, read).await;
            *outcome.borrow_mut() = Some(came);
        });
        self.world.run();
        place.borrow_mut().take().expect("a call ends")
    }

    fn living(&self) -> Vec<Identity> {
        let living = self.members.iter().filter(|member| self.world.is_alive(member));
        living.map(Node::identity).collect()
    }
}

#[test]
fn a_request_that_ends_each_member_it_reaches_ends_two_and_a_third_is_told() {
    let fleet = Fleet::new();
    assert_eq!(fleet.call(super::operation(HANG)), Err(CallError::Poisonous));
    let living = fleet.living();
    assert_eq!(living.len(), 3);
    let [(told, report)] = fleet.world.poisoned()[..] else { panic!("{:?}", fleet.world.poisoned()) };
    assert!(living.contains(&told));
    let sender = fleet.client.identity();
    assert_eq!(report, Poison { sender, interface: ADDER, operation: HANG });
    for _ in 0..10 {
        assert!(fleet.call(super::operation(DOUBLE)).is_ok());
    }
    assert_eq!(fleet.living().len(), 3);
}

#[test]
fn one_that_may_not_be_repeated_ends_one_member() {
    let fleet = Fleet::new();
    let once = Operation { is_idempotent: false, ..super::operation(HANG) };
    assert_eq!(fleet.call(once), Err(CallError::PeerLost));
    assert_eq!((fleet.living().len(), fleet.world.poisoned()), (4, Vec::new()));
}

#[test]
fn a_change_that_ends_each_member_of_naming_ends_two_and_a_third_is_told() {
    let world = World::default();
    let members: Vec<Node> = (0..4).map(|_| world.node()).collect();
    for member in &members {
        let interface = (NamesInterface::ID, NamesInterface::VERSION);
        let (world, process, naming) = (world.clone(), member.identity(), Rc::new(Naming::default()));
        let frail = Frail { world, process, interface, operation: MAKE, otherwise: naming.clone(), naming };
        member.runtime.serve(Class::External, Rc::new(frail));
    }
    let client = world.node();
    let servers = members.iter().map(|member| member.address(Class::External)).collect();
    let names = Names::new(client.runtime.clone(), servers, (0, 0));
    type Made = Result<(), CallError<NameError>>;
    let refused: Rc<RefCell<Option<Made>>> = Rc::default();
    let place = refused.clone();
    client.runtime.spawn(Priority::Normal, async move {
        let key = DirectoryKey([1, 2]);
        let made = names.make(&Path::root(), key, key, true).await;
        *place.borrow_mut() = Some(made);
    });
    world.run();
    assert_eq!(*refused.borrow(), Some(Err(CallError::Poisonous)));
    assert_eq!(members.iter().filter(|member| world.is_alive(member)).count(), 2);
    let [(told, report)] = world.poisoned()[..] else { panic!("{:?}", world.poisoned()) };
    assert!(members.iter().any(|member| world.is_alive(member) && member.identity() == told));
    assert_eq!((report.interface, report.operation), (NamesInterface::ID, MAKE));
    assert_eq!(NamesInterface::OPERATIONS[usize::from(MAKE)].name, "make");
}

/// Sends a request that says of itself that two members ended under it, and gives its answer's status.
fn marked(world: &World, client: &Node, server: &Node, runtime: &Runtime, body: &[u8]) -> (Status, u64) {
    let (kind, status) = (Kind::Request, Status::Poisonous);
    let (interface, operation, version) = (ADDER, DOUBLE, VERSION);
    let envelope = Envelope { request: 9, interface, operation, epoch: 0, kind, status, version };
    let mut request = [&envelope.to_bytes(), body].concat();
    client.port().ask(&server.address(Class::External), &mut request).unwrap();
    world.run();
    let answer = world.messages_to(client, Class::Response).pop().unwrap();
    (Envelope::read(&answer).unwrap().envelope.status, runtime.lost().poisonous)
}

#[test]
fn a_marked_request_is_not_done_whatever_it_holds() {
    let world = World::default();
    let (client, server) = (world.node(), world.node());
    let adder = Rc::new(Adder::default());
    server.runtime.serve(Class::External, adder.clone());
    for (count, body) in (1u64..).zip([&[][..], &[7; 8], &[1; 900]]) {
        assert_eq!(marked(&world, &client, &server, &server.runtime, body), (Status::Poisonous, count));
    }
    assert!(adder.askers.borrow().is_empty());
}
