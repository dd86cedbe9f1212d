//! What the interface macro makes, between two runtimes: every way to call, what a server may answer instead of a value,
//! bodies of any form, versions, answers longer than promised, and an interface that is served from some moment on.

use super::world::{Node, World};
use crate::port::Class;
use crate::{Lost, Priority, Runtime, Within};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_messages::echo::{
    Echo, EchoClient, EchoDispatcher, EchoInterface, Overflow, Refusal, TEXT_BYTES_MAX,
};
use fos_messages::interfaces;
use fos_messages::rpc::wire::{OwnCodec, whole};
use fos_messages::rpc::{
    Address, CallError, Context, Envelope, Instead, Interface, Kind, Never, Part, Received, SendError,
    Status, broadcast, interface,
};
use proptest::prelude::*;

/// Answers what it is told, or sends its clients away.
#[derive(Default)]
struct Server {
    noted: Cell<u64>,
    elsewhere: Cell<Option<Address>>,
    texts: Cell<u32>,
}

impl Echo for Server {
    fn sum(&self, _: Context, left: u64, right: u64) -> Result<u64, Instead<Overflow>> {
        Ok(left.checked_add(right).ok_or(Overflow)?)
    }
    async fn echo(&self, _: Context, text: String) -> Result<String, Instead<Never>> {
        self.texts.set(self.texts.get() + 1);
        if text == "not now" {
            return Err(Instead::NotNow);
        }
        self.elsewhere.get().map_or(Ok(text), |address| Err(Instead::Redirected(address)))
    }
    fn note(&self, _: Context, number: u64) {
        self.noted.set(self.noted.get().wrapping_add(number));
    }
    async fn refuse(&self, _: Context, text: String) -> Result<(), Instead<Refusal>> {
        Err(Instead::Refused(match text.len() as u32 {
            0 => Refusal::Always,
            length => Refusal::LongerThan(length - 1),
        }))
    }
    fn noted(&self, _: Context) -> Result<u64, Instead<Never>> {
        Ok(self.noted.get())
    }
}

fn echo_server(world: &World) -> (Node, Rc<Server>) {
    let (node, server) = (world.node(), Rc::new(Server::default()));
    node.runtime.serve(Class::External, EchoDispatcher::new(server.clone()));
    (node, server)
}

fn client(node: &Node, to: &Node) -> EchoClient<Within> {
    EchoClient::new(node.runtime.within(Duration::from_millis(10)), to.address(Class::External))
}

/// Runs a client's code until nothing is left to do: what it gave.
fn run<T: 'static>(world: &World, runtime: &Runtime, work: impl Future<Output = T> + 'static) -> T {
    let place = Rc::new(RefCell::new(None));
    let result = place.clone();
    runtime.spawn(Priority::Normal, async move {
        let value = work.await;
        *result.borrow_mut() = Some(value);
    });
    world.run();
    place.borrow_mut().take().expect("the client is not done")
}

#[test]
fn values_and_errors_come_back() {
    let world = World::default();
    let (server, _) = echo_server(&world);
    let node = world.node();
    let echo = client(&node, &server);
    run(&world, &node.runtime, async move {
        assert_eq!(echo.sum(20, 22).await, Ok(42));
        assert_eq!(echo.sum(u64::MAX, 1).await, Err(CallError::Refused(Overflow)));
        assert_eq!(echo.echo("grüße").await.as_deref(), Ok("grüße"));
        assert_eq!(echo.echo("not now").await, Err(CallError::NotNow));
        assert_eq!(echo.refuse("").await, Err(CallError::Refused(Refusal::Always)));
        assert_eq!(echo.refuse("abc").await, Err(CallError::Refused(Refusal::LongerThan(2))));
        assert_eq!(echo.note(40), Ok(()));
        assert_eq!(echo.note(2), Ok(()));
        assert_eq!(echo.noted().await, Ok(42));
    });
    assert_eq!(server.runtime.load().answered, 9);
    assert_eq!(server.runtime.load().requests, 0);
}

#[test]
fn calls_are_pipelined() {
    let world = World::default();
    let (server, _) = echo_server(&world);
    let node = world.node();
    let echo = client(&node, &server);
    let sums = run(&world, &node.runtime, async move {
        let sums: Vec<_> = (0..32).map(|number| echo.sum(number, 1)).collect();
        let (sums, text) =
            futures_util::future::join(futures_util::future::join_all(sums), echo.echo("meanwhile")).await;
        assert_eq!(text.as_deref(), Ok("meanwhile"));
        sums
    });
    assert!(sums.iter().zip(1..).all(|(sum, expected)| *sum == Ok(expected)), "{sums:?}");
    assert_eq!(world.most_waiting(&server), 33, "all were sent before the first was answered");
}

#[test]
fn a_broadcast_gathers_by_member_whatever_becomes_of_them() {
    let world = World::default();
    let node = world.node();
    let members: Vec<_> = (0..4).map(|_| echo_server(&world)).collect();
    let deaf = world.node();
    let addresses: Vec<Address> = members
        .iter()
        .map(|(member, _)| member)
        .chain([&deaf])
        .map(|member| member.address(Class::External))
        .collect();
    for ((_, server), number) in members.iter().zip(1u64..) {
        server.noted.set(number * 10);
    }
    world.kill(&members[2].0);
    let (echo, all) = (client(&node, &deaf), addresses.clone());
    let noted = run(&world, &node.runtime, async move {
        broadcast(&all, |member| {
            let echo = echo.at(member);
            async move { echo.noted().await }
        })
        .await
    });
    assert!(noted.iter().map(|(address, _)| *address).eq(addresses));
    let said: Vec<_> = noted.into_iter().map(|(_, said)| said).collect();
    let lost = Err(CallError::NotSent(SendError::Closed));
    assert_eq!(said, [Ok(10), Ok(20), lost, Ok(40), Err(CallError::Unknown)]);
}

#[test]
fn a_server_sends_its_clients_elsewhere() {
    let world = World::default();
    let ((first, server), (second, other)) = (echo_server(&world), echo_server(&world));
    server.elsewhere.set(Some(second.address(Class::External)));
    let node = world.node();
    let echo = client(&node, &first);
    assert_eq!(run(&world, &node.runtime, async move { echo.echo("hello").await }).as_deref(), Ok("hello"));
    assert_eq!((server.texts.get(), other.texts.get()), (1, 1));
}

#[test]
fn an_answer_longer_than_promised_is_an_error_and_counted() {
    let world = World::default();
    let (server, counted) = echo_server(&world);
    let node = world.node();
    let fits = "x".repeat(TEXT_BYTES_MAX - 2);
    for (text, is_answered) in [(fits.clone(), true), (fits + "x", false)] {
        let echo = client(&node, &server);
        let said = run(&world, &node.runtime, async move { echo.echo(&text).await });
        assert_eq!(said.is_ok(), is_answered);
        assert!(said.is_ok() || said == Err(CallError::BadAnswer));
    }
    assert_eq!(counted.texts.get(), 2, "it was done");
    assert_eq!(server.runtime.lost(), Lost { unsendable_answers: 1, ..Lost::default() });
}

/// The same number as [`Echo`], another version, and the same first operation with another meaning.
mod newer {
    #![allow(missing_docs)]
    use super::*;

    #[interface(id = 2, version = 2)]
    pub trait Echo {
        #[operation(idempotent)]
        fn difference(&self, left: u64, right: u64) -> u64;
        #[operation(post)]
        fn forget(&self);
    }

    pub struct Server(pub Cell<u32>);

    impl Echo for Server {
        fn difference(&self, _: Context, left: u64, right: u64) -> Result<u64, Instead<Never>> {
            self.0.set(self.0.get() + 1);
            Ok(left - right)
        }
        fn forget(&self, _: Context) {
            self.0.set(self.0.get() + 1);
        }
    }
}

#[test]
fn another_version_does_nothing_and_says_which_it_is() {
    let world = World::default();
    let (server, node) = (world.node(), world.node());
    let newer = Rc::new(newer::Server(Cell::new(0)));
    server.runtime.serve(Class::External, newer::EchoDispatcher::new(newer.clone()));
    let echo = client(&node, &server);
    run(&world, &node.runtime, async move {
        assert_eq!(echo.sum(5, 3).await, Err(CallError::OtherVersion(2)));
        assert_eq!(echo.note(5), Ok(()));
    });
    assert_eq!(newer.0.get(), 0);
    let same =
        newer::EchoClient::new(node.runtime.within(Duration::from_secs(1)), server.address(Class::External));
    run(&world, &node.runtime, async move {
        assert_eq!(same.forget(), Ok(()));
        assert_eq!(same.difference(5, 3).await, Ok(2));
    });
    assert_eq!(newer.0.get(), 2);
}

/// A text that knows its length is at most 255: a byte and the bytes, where postcard would not give a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Short(String);

impl OwnCodec for Short {
    const SIZE_MAX: Option<usize> = Some(256);
    fn write(&self, bytes: &mut Vec<u8>) {
        let short = &self.0.as_bytes()[..self.0.len().min(255)];
        bytes.push(short.len() as u8);
        bytes.extend_from_slice(short);
    }
    fn read(bytes: &mut &[u8]) -> Option<Short> {
        let (length, rest) = bytes.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(*length))?;
        *bytes = rest;
        Some(Short(core::str::from_utf8(text).ok()?.to_string()))
    }
}

/// What a data structure asks of its own kind on other members.
#[interface(id = 900, version = 1)]
trait Pool {
    /// Takes something out.
    #[operation]
    fn take(&self) -> Option<u32>;
    /// Its name, by a codec of its own.
    #[operation(idempotent)]
    fn rename(&self, name: &Short) -> Short;
    /// Names that generated code might have used itself.
    #[operation(idempotent, answer_max = 400)]
    async fn odd(
        &self,
        body: &[u8],
        operation: (),
        context: bool,
        answer: Vec<u32>,
        server: u8,
        bytes: i64,
    ) -> String;
}

/// A data structure that is in no server's list of interfaces.
#[derive(Default)]
struct Items {
    items: RefCell<Vec<u32>>,
}

impl Items {
    /// Puts it beside whatever the runtime serves already, for the members of its fleet.
    fn attach(runtime: &Runtime, items: &[u32]) -> Rc<Items> {
        let pool = Rc::new(Items { items: RefCell::new(items.to_vec()) });
        runtime.serve(Class::Internal, PoolDispatcher::new(pool.clone()));
        pool
    }
}

impl Pool for Items {
    fn take(&self, _: Context) -> Result<Option<u32>, Instead<Never>> {
        Ok(self.items.borrow_mut().pop())
    }
    fn rename(&self, _: Context, name: Short) -> Result<Short, Instead<Never>> {
        Ok(name)
    }
    async fn odd(
        &self,
        context: Context,
        body: Vec<u8>,
        (): (),
        is: bool,
        answer: Vec<u32>,
        server: u8,
        bytes: i64,
    ) -> Result<String, Instead<Never>> {
        Ok(alloc::format!("{} {body:?} {is} {answer:?} {server} {bytes}", context.badge))
    }
}

#[test]
fn a_data_structure_serves_an_interface_of_its_own_from_some_moment_on() {
    let world = World::default();
    let ((member, _), node) = (echo_server(&world), world.node());
    let to = |class| PoolClient::new(node.runtime.within(Duration::from_secs(1)), member.address(class));
    let pool = to(Class::Internal);
    assert_eq!(run(&world, &node.runtime, async move { pool.take().await }), Err(CallError::Unknown));
    let items = Items::attach(&member.runtime, &[7, 8]);
    let (pool, outside) = (to(Class::Internal), to(Class::External));
    run(&world, &node.runtime, async move {
        assert_eq!(pool.take().await, Ok(Some(8)));
        assert_eq!(pool.rename(&Short("short".to_string())).await, Ok(Short("short".to_string())));
        let odd = pool.odd(&[1, 2], (), true, alloc::vec![3], 4, -5).await;
        assert_eq!(odd.as_deref(), Ok("0 [1, 2] true [3] 4 -5"));
        assert_eq!(outside.take().await, Err(CallError::Unknown));
    });
    assert_eq!(*items.items.borrow(), [7]);
    member.runtime.withdraw(Class::Internal, PoolInterface::ID);
    let pool = to(Class::Internal);
    assert_eq!(run(&world, &node.runtime, async move { pool.take().await }), Err(CallError::Unknown));
}

/// What is on the wire: changing a byte of this is a new version of the interface.
#[test]
fn the_form_on_the_wire_stays() {
    let world = World::default();
    let (server, _) = echo_server(&world);
    let node = world.node();
    let echo = client(&node, &server);
    run(&world, &node.runtime, async move {
        assert_eq!(echo.sum(1, 0x0203).await, Ok(0x0204));
        assert_eq!(echo.echo("hi").await.as_deref(), Ok("hi"));
        assert!(echo.refuse("abc").await.is_err());
        assert_eq!(echo.note(9), Ok(()));
    });
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect::<String>();
    let requests: Vec<String> = world
        .messages_to(&server, Class::External)
        .iter()
        .map(|bytes| {
            let Received { envelope, body, .. } = Envelope::read(bytes).unwrap();
            assert_eq!((envelope.interface, envelope.version), (2, 1));
            alloc::format!("{:?} {} {}", envelope.kind, envelope.operation, hex(body))
        })
        .collect();
    assert_eq!(
        requests,
        [
            "Request 0 01000000000000000302000000000000",
            "Request 1 026869",
            "Request 3 03616263",
            "Post 2 0900000000000000"
        ]
    );
    let answers: Vec<String> =
        world.messages_to(&node, Class::Response).iter().map(|bytes| hex(&bytes[4..])).collect();
    assert_eq!(
        answers,
        [
            "02000000000000000200000104".to_string() + "02000000000000",
            "020001000000000002000001026869".to_string(),
            "020003000000000002010001".to_string() + "0102"
        ]
    );
}

proptest! {
    /// Whatever comes for any interface's operations: the server goes on, and every request is answered.
    #[test]
    fn a_server_answers_any_body(
        bodies in proptest::collection::vec((0u16..8, proptest::collection::vec(any::<u8>(), 0..40)), 1..20),
        version in 0u8..3,
    ) {
        let world = World::default();
        let ((server, _), node) = (echo_server(&world), world.node());
        let requests: Vec<_> =
            interfaces::ALL.iter().flat_map(|interface| bodies.iter().map(move |body| (interface, body))).collect();
        for (interface, (operation, body)) in &requests {
            let (kind, status, operation) = (Kind::Request, Status::Done, *operation);
            let envelope = Envelope { request: 1, interface: interface.id, operation, epoch: 0, kind, status, version };
            let mut message = [&envelope.to_bytes(), &body[..]].concat();
            node.port().ask(&server.address(Class::External), &mut message).unwrap();
        }
        world.run();
        let answers = world.messages_to(&node, Class::Response);
        prop_assert_eq!(answers.len(), requests.len());
        for answer in answers {
            let Received { envelope, body: said, .. } = Envelope::read(&answer).unwrap();
            // Answers of tasks may overtake each other: any request for the operation may be the one.
            let asked: Vec<&[u8]> = requests
                .iter()
                .filter(|(interface, (operation, _))| (interface.id, *operation) == (envelope.interface, envelope.operation))
                .map(|(_, (_, body))| &body[..])
                .collect();
            let is_served = envelope.interface == EchoInterface::ID;
            let is_known = is_served && usize::from(envelope.operation) < EchoInterface::OPERATIONS.len();
            let reads = |body: &&[u8]| EchoInterface::reads(Part::Request, envelope.operation, body);
            match envelope.status {
                Status::OtherVersion => prop_assert!(is_served && version != EchoInterface::VERSION),
                Status::Unknown => prop_assert!(!is_known),
                Status::Malformed => prop_assert!(is_known && !asked.iter().all(reads)),
                Status::Done if envelope.operation == 1 => prop_assert!(asked.contains(&said)),
                Status::Done | Status::Refused => prop_assert!(is_known && asked.iter().any(reads)),
                other => prop_assert!(false, "{:?}", other),
            }
            prop_assert!(!is_served || envelope.version == EchoInterface::VERSION);
        }
    }

    /// Whatever a server answers to a call: a value, a refusal, or `BadAnswer`.
    #[test]
    fn a_client_survives_any_answer(body in proptest::collection::vec(any::<u8>(), 0..40), status in 0usize..10) {
        let world = World::default();
        let (liar, node) = (world.node(), world.node());
        let echo = client(&node, &liar);
        let place = Rc::new(RefCell::new(None));
        let result = place.clone();
        node.runtime.spawn(Priority::Normal, async move {
            let said = echo.sum(1, 2).await;
            *result.borrow_mut() = Some(said);
        });
        prop_assert_eq!(node.runtime.step(), crate::Step::Did(crate::Work::Task));
        let request = world.last_request(&liar);
        let (kind, status) = (Kind::Answer, Status::ALL[status]);
        let envelope = Envelope { request, interface: EchoInterface::ID, operation: 0, epoch: 0, kind, status, version: 9 };
        let answer = [&envelope.to_bytes(), &body[..]].concat();
        liar.port().send(&node.address(Class::Response), &answer).unwrap();
        while let crate::Step::Did(_) = node.runtime.step() {}
        let said = place.borrow_mut().take();
        let value = whole(&body, <u64 as OwnCodec>::read);
        match status {
            Status::Done => prop_assert_eq!(said, Some(value.ok_or(CallError::BadAnswer))),
            Status::Refused if body.is_empty() => prop_assert_eq!(said, Some(Err(CallError::Refused(Overflow)))),
            Status::Refused | Status::Unsendable => prop_assert_eq!(said, Some(Err(CallError::BadAnswer))),
            Status::OtherVersion => prop_assert_eq!(said, Some(Err(CallError::OtherVersion(9)))),
            Status::Redirected if body.len() == 40 => {}
            _ => prop_assert!(matches!(said, Some(Err(_))), "{:?}", said),
        }
    }
}
