//! Runtimes that talk to each other in a small world of mailboxes in memory: order of service, answers and who may give
//! them, deadlines, a peer's death, redirection, background work.

mod growing;
mod interfaces;
mod liars;
mod poison;
pub(crate) mod world;

use crate::port::Class;
use crate::{Priority, REQUESTS_MAX, REQUESTS_OF_ONE_MAX, Runtime, Serve, Step, Work};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::rpc::wire::{self, Scalar, whole};
use fos_messages::rpc::{
    Address, AnswerBody, Answered, CallError, Caller, Context, Envelope, Kind, Operation, Outgoing,
    SendError, Served, Status,
};
use world::{Node, World};

const ADDER: u16 = 7;
const VERSION: u8 = 3;
const DOUBLE: u16 = 1;
const HANG: u16 = 2;
const ELSEWHERE: u16 = 3;

/// Doubles numbers, hangs, or sends its clients elsewhere.
#[derive(Default)]
struct Adder {
    elsewhere: Cell<Address>,
    askers: RefCell<Vec<Identity>>,
}

impl Serve for Adder {
    fn speaks(&self) -> (u16, u8) {
        (ADDER, VERSION)
    }
    fn serve(self: Rc<Self>, operation: u16, context: Context, body: &[u8], mut doubled: Outgoing) -> Served {
        let Some(number) = whole(body, <u64 as Scalar>::read) else { return Served::Malformed };
        self.askers.borrow_mut().push(context.sender);
        match operation {
            DOUBLE => {
                Scalar::write(number * 2, doubled.end());
                Served::Task(Box::pin(async move { AnswerBody::Done(doubled) }))
            }
            HANG => Served::Task(Box::pin(core::future::pending())),
            ELSEWHERE => Served::Task(Box::pin(async move { AnswerBody::Redirected(self.elsewhere.get()) })),
            _ => Served::Unknown,
        }
    }
}

/// An operation of the adder.
fn operation(number: u16) -> Operation {
    let (interface, version, name) = (ADDER, VERSION, "operation");
    Operation { interface, version, number, name, is_post: false, is_idempotent: true, answer_max: 8 }
}

type Outcome = Result<u64, CallError<Vec<u8>>>;

/// Asks, and leaves the outcome in the cell.
fn ask(runtime: &Runtime, to: Address, operation: u16, number: u64) -> Rc<RefCell<Option<Outcome>>> {
    let place = Rc::new(RefCell::new(None));
    let (caller, result) = (runtime.within(Duration::from_millis(10)), place.clone());
    runtime.spawn(Priority::Normal, async move {
        let write = |bytes: &mut Vec<u8>| {
            Scalar::write(number, bytes);
            Ok(())
        };
        let read = |answered: Answered<'_>| match answered {
            Ok(bytes) => whole(bytes, <u64 as Scalar>::read).ok_or(CallError::BadAnswer),
            Err(error) => Err(error.map(<[u8]>::to_vec)),
        };
        let outcome = caller.call(&to, &self::operation(operation), &write, read).await;
        *result.borrow_mut() = Some(outcome);
    });
    place
}

fn pair() -> (World, Node, Node, Rc<Adder>) {
    let world = World::default();
    let (client, server) = (world.node(), world.node());
    let adder = Rc::new(Adder::default());
    server.runtime.serve(Class::External, adder.clone());
    (world, client, server, adder)
}

#[test]
fn a_call_is_answered() {
    let (world, client, server, adder) = pair();
    let outcome = ask(&client.runtime, server.address(Class::External), DOUBLE, 21);
    world.run();
    assert_eq!(*outcome.borrow(), Some(Ok(42)));
    assert_eq!(*adder.askers.borrow(), [client.identity()]);
    assert_eq!(server.runtime.load().requests, 0);
    assert_eq!(server.runtime.load().answered, 1);
}

#[test]
fn many_calls_are_under_way_at_once_but_no_more_than_their_answers_have_room() {
    let (world, client, server, _) = pair();
    let to = server.address(Class::External);
    let outcomes: Vec<_> = (0..100).map(|number| ask(&client.runtime, to, DOUBLE, number)).collect();
    world.run();
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(*outcome.borrow(), Some(Ok(number as u64 * 2)));
    }
    let hanging: Vec<_> = (0..100).map(|number| ask(&client.runtime, to, HANG, number)).collect();
    world.run();
    let ended = |error: CallError<Vec<u8>>| {
        hanging.iter().filter(|outcome| *outcome.borrow() == Some(Err(error.clone()))).count()
    };
    assert_eq!(ended(CallError::TimedOut), world::SLOTS_PER_SENDER as usize);
    assert_eq!(ended(CallError::TooManyCalls), 100 - world::SLOTS_PER_SENDER as usize);
    let again = ask(&client.runtime, to, DOUBLE, 5);
    world.run();
    assert_eq!(*again.borrow(), Some(Ok(10)));
}

#[test]
fn what_the_server_does_not_know_or_can_not_read_is_said() {
    let (world, client, server, _) = pair();
    let unknown = ask(&client.runtime, server.address(Class::External), 99, 0);
    let class = ask(&client.runtime, server.address(Class::Internal), DOUBLE, 0);
    let short = Rc::new(RefCell::new(None));
    let (caller, result, to) =
        (client.runtime.within(Duration::from_millis(1)), short.clone(), server.address(Class::External));
    client.runtime.spawn(Priority::Normal, async move {
        let write = |bytes: &mut Vec<u8>| wire::write(&1u8, bytes);
        *result.borrow_mut() = Some(
            caller
                .call(&to, &operation(DOUBLE), &write, |answered| {
                    answered.map(|_| ()).map_err(|error| error.map(|_| ()))
                })
                .await,
        );
    });
    world.run();
    assert_eq!(*unknown.borrow(), Some(Err(CallError::Unknown)));
    assert_eq!(*class.borrow(), Some(Err(CallError::Unknown)));
    assert_eq!(*short.borrow(), Some(Err(CallError::Malformed)));
}

/// Sends a request without a call of its own, as somebody who keeps no count does.
fn ask_carelessly(node: &Node, to: Address, request: u32, operation: u16) {
    send_carelessly(node, to, Kind::Request, request, operation);
}

fn send_carelessly(node: &Node, to: Address, kind: Kind, request: u32, operation: u16) {
    let (interface, version, status) = (ADDER, VERSION, Status::Done);
    let envelope = Envelope { request, interface, operation, epoch: 0, kind, status, version };
    let mut message = envelope.to_bytes().to_vec();
    Scalar::write(1u64, &mut message);
    node.port().ask(&to, &mut message).unwrap();
}

/// As many requests that take long as a member takes at once, and some more, of several.
fn flood(world: &World, to: Address) {
    for _ in 0..=REQUESTS_MAX / REQUESTS_OF_ONE_MAX {
        let greedy = world.node();
        (0..REQUESTS_OF_ONE_MAX).for_each(|request| ask_carelessly(&greedy, to, request, HANG));
    }
    world.run_for(Duration::from_millis(1));
}

#[test]
fn who_asks_for_what_takes_long_again_and_again_leaves_room_for_others() {
    let (world, client, server, _) = pair();
    let (greedy, to) = (world.node(), server.address(Class::External));
    for request in 0..3 * REQUESTS_OF_ONE_MAX {
        ask_carelessly(&greedy, to, request, HANG);
    }
    world.run_for(Duration::from_millis(1));
    assert_eq!(server.runtime.load().requests, REQUESTS_OF_ONE_MAX);
    let refused = world.messages_to(&greedy, Class::Response);
    assert_eq!(refused.len() as u32, 2 * REQUESTS_OF_ONE_MAX);
    for answer in refused {
        assert_eq!(Envelope::read(&answer).unwrap().envelope.status, Status::Overloaded);
    }
    let outcome = ask(&client.runtime, to, DOUBLE, 3);
    world.run_for(Duration::from_millis(1));
    assert_eq!(*outcome.borrow(), Some(Ok(6)));
}

#[test]
fn all_together_have_no_more_requests_under_way_than_a_member_takes() {
    let (world, client, server, _) = pair();
    let to = server.address(Class::External);
    flood(&world, to);
    assert_eq!(server.runtime.load().requests, REQUESTS_MAX);
    let outcome = ask(&client.runtime, to, DOUBLE, 3);
    world.run_for(Duration::from_millis(1));
    assert_eq!(*outcome.borrow(), Some(Err(CallError::Overloaded)));
}

#[test]
fn members_are_heard_however_many_requests_of_clients_are_under_way() {
    let (world, member, server, adder) = pair();
    server.runtime.serve(Class::Internal, adder.clone());
    let inside = server.address(Class::Internal);
    flood(&world, server.address(Class::External));
    let outcome = ask(&member.runtime, inside, DOUBLE, 3);
    world.run_for(Duration::from_millis(1));
    assert_eq!(*outcome.borrow(), Some(Ok(6)));

    flood(&world, inside);
    assert_eq!(server.runtime.load().requests, 2 * REQUESTS_MAX);
    let (outcome, heard) = (ask(&member.runtime, inside, DOUBLE, 3), adder.askers.borrow().len());
    world.run_for(Duration::from_millis(1));
    assert_eq!(*outcome.borrow(), Some(Err(CallError::Overloaded)));
    send_carelessly(&member, inside, Kind::Post, 0, DOUBLE);
    world.run_for(Duration::from_millis(1));
    assert_eq!(adder.askers.borrow().len(), heard + 1);
}

#[test]
fn a_call_ends_with_its_deadline_and_its_request_goes_on() {
    let (world, client, server, _) = pair();
    let outcome = ask(&client.runtime, server.address(Class::External), HANG, 0);
    world.run();
    assert_eq!(*outcome.borrow(), Some(Err(CallError::TimedOut)));
    assert_eq!(server.runtime.load().requests, 1);
}

#[test]
fn a_call_ends_when_its_peer_does() {
    let (world, client, server, _) = pair();
    let outcome = ask(&client.runtime, server.address(Class::External), HANG, 0);
    world.run_for(Duration::from_millis(1));
    assert_eq!(*outcome.borrow(), None);
    world.kill(&server);
    world.run_for(Duration::from_millis(1));
    assert_eq!(*outcome.borrow(), Some(Err(CallError::PeerLost)));
    let after = ask(&client.runtime, server.address(Class::External), DOUBLE, 0);
    world.run_for(Duration::from_millis(1));
    assert!(matches!(*after.borrow(), Some(Err(CallError::NotSent(_)))));
}

#[test]
fn an_end_is_waited_for() {
    let (world, client, server, _) = pair();
    let ended = client.runtime.ended(&server.address(Class::External)).unwrap();
    drop(client.runtime.ended(&server.address(Class::External)).unwrap());
    let told = Rc::new(Cell::new(false));
    let place = told.clone();
    client.runtime.spawn(Priority::Normal, async move {
        ended.await;
        place.set(true);
    });
    world.run_for(Duration::from_millis(1));
    assert!(!told.get());
    world.kill(&server);
    world.run_for(Duration::from_millis(1));
    assert!(told.get());
    assert!(client.runtime.ended(&server.address(Class::External)).is_err());
}

#[test]
fn a_request_that_finds_no_room_is_not_sent_and_holds_none_for_its_answer() {
    let (world, client, server, _) = pair();
    let to = server.address(Class::External);
    world.fill(true);
    for number in 0..2 * u64::from(world::SLOTS_PER_SENDER) {
        let outcome = ask(&client.runtime, to, DOUBLE, number);
        world.run();
        assert_eq!(*outcome.borrow(), Some(Err(CallError::NotSent(SendError::Full))));
    }
    world.fill(false);
    let outcome = ask(&client.runtime, to, DOUBLE, 3);
    world.run();
    assert_eq!(*outcome.borrow(), Some(Ok(6)));
}

#[test]
fn a_client_follows_a_redirection_but_not_in_a_circle() {
    let (world, client, server, adder) = pair();
    let other = world.node();
    let target = Rc::new(Adder::default());
    other.runtime.serve(Class::External, target.clone());
    target.elsewhere.set(server.address(Class::External));
    adder.elsewhere.set(other.address(Class::External));
    let circle = ask(&client.runtime, server.address(Class::External), ELSEWHERE, 1);
    world.run();
    assert!(matches!(*circle.borrow(), Some(Err(CallError::Redirected(_)))));
    assert!(!target.askers.borrow().is_empty());
}

#[test]
fn only_the_one_who_was_asked_can_answer() {
    let (world, client, server, _) = pair();
    let liar = world.node();
    let outcome = ask(&client.runtime, server.address(Class::External), HANG, 0);
    world.run_for(Duration::from_millis(1));
    let request = world.last_request(&server);
    let (kind, status) = (Kind::Answer, Status::Done);
    let (interface, operation, version) = (ADDER, HANG, VERSION);
    let envelope = Envelope { request, interface, operation, epoch: 0, kind, status, version };
    let mut forged = envelope.to_bytes().to_vec();
    Scalar::write(666u64, &mut forged);
    liar.port().send(&client.address(Class::Response), &forged).unwrap();
    world.run_for(Duration::from_millis(1));
    assert_eq!(*outcome.borrow(), None);
    assert_eq!(client.runtime.lost().strays, 1);
}

#[test]
fn garbage_is_dropped_whatever_it_is() {
    let (world, client, server, _) = pair();
    for length in 0..64 {
        for class in [Class::Response, Class::Internal, Class::External] {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 37 + length) as u8).collect();
            client.port().send(&server.address(class), &bytes).unwrap();
            world.run();
        }
    }
    let outcome = ask(&client.runtime, server.address(Class::External), DOUBLE, 4);
    world.run();
    assert_eq!(*outcome.borrow(), Some(Ok(8)));
}

#[test]
fn responses_come_before_internal_before_external_before_background() {
    let (_, client, server, _) = pair();
    server.runtime.serve(Class::Internal, Rc::new(Adder::default()));
    server.runtime.spawn(Priority::Idle, async {});
    for class in [Class::External, Class::Internal, Class::Response] {
        let (kind, status) = (Kind::Post, Status::Done);
        let (interface, operation, version) = (ADDER, DOUBLE, VERSION);
        let envelope = Envelope { request: 0, interface, operation, epoch: 0, kind, status, version };
        let mut request = envelope.to_bytes().to_vec();
        Scalar::write(1u64, &mut request);
        client.port().send(&server.address(class), &request).unwrap();
    }
    let expected = [
        Work::Response,
        Work::Request(Class::Internal, ADDER, DOUBLE),
        Work::Request(Class::External, ADDER, DOUBLE),
        Work::Background,
    ];
    assert_eq!(all_steps(&server.runtime), expected);
}

/// What a runtime does until it has nothing to do.
fn all_steps(runtime: &Runtime) -> Vec<Work> {
    let did = || match runtime.step() {
        Step::Did(work) => Some(work),
        Step::Idle(_) => None,
    };
    core::iter::from_fn(did).collect()
}

#[test]
fn an_answer_runs_its_task_unless_another_was_ready_before_it() {
    let (_, client, server, _) = pair();
    let to = server.address(Class::External);
    let first = ask(&client.runtime, to, DOUBLE, 1);
    assert_eq!(all_steps(&client.runtime), [Work::Task]);
    all_steps(&server.runtime);
    assert_eq!(all_steps(&client.runtime), [Work::Answer]);
    assert_eq!(*first.borrow(), Some(Ok(2)));

    let second = ask(&client.runtime, to, DOUBLE, 2);
    all_steps(&client.runtime);
    all_steps(&server.runtime);
    let seen = Rc::new(RefCell::new(None));
    let (earlier, later) = (seen.clone(), second.clone());
    client
        .runtime
        .spawn(Priority::Normal, async move { *earlier.borrow_mut() = Some(later.borrow().is_none()) });
    assert_eq!(all_steps(&client.runtime), [Work::Response, Work::Task, Work::Task]);
    assert_eq!(*seen.borrow(), Some(true), "who was ready before runs before");
    assert_eq!(*second.borrow(), Some(Ok(4)));
}

#[test]
fn an_answer_does_not_run_a_background_task_before_its_time() {
    let (_, client, server, _) = pair();
    client.runtime.serve(Class::External, Rc::new(Adder::default()));
    let (to, own) = (server.address(Class::External), client.address(Class::External));
    let caller = client.runtime.within(Duration::from_millis(1));
    client.runtime.spawn(Priority::Idle, async move {
        let write = |bytes: &mut Vec<u8>| {
            Scalar::write(1u64, bytes);
            Ok(())
        };
        caller.call(&to, &operation(DOUBLE), &write, |_| ()).await;
    });
    assert_eq!(all_steps(&client.runtime), [Work::Background]);
    all_steps(&server.runtime);
    ask(&server.runtime, own, DOUBLE, 1);
    all_steps(&server.runtime);
    let expected = [Work::Response, Work::Request(Class::External, ADDER, DOUBLE), Work::Background];
    assert_eq!(all_steps(&client.runtime), expected);
}

#[test]
fn sleepers_wake_in_order() {
    let world = World::default();
    let node = world.node();
    let woken = Rc::new(RefCell::new(Vec::new()));
    for milliseconds in [5, 1, 3] {
        let (runtime, woken) = (node.runtime.clone(), woken.clone());
        node.runtime.spawn(Priority::Normal, async move {
            runtime.sleep(Duration::from_millis(milliseconds)).await;
            woken.borrow_mut().push(milliseconds);
        });
    }
    world.run();
    assert_eq!(*woken.borrow(), [1, 3, 5]);
}

#[test]
fn an_ended_runtime_holds_nothing_and_its_askers_hear_of_it() {
    let (world, client, server, _) = pair();
    let outcome = ask(&client.runtime, server.address(Class::External), HANG, 0);
    let held = Rc::new(());
    let (runtime, task_holds) = (server.runtime.clone(), held.clone());
    server.runtime.spawn(Priority::Normal, async move {
        runtime.sleep(Duration::from_secs(3600)).await;
        drop(task_holds);
    });
    world.run_for(Duration::from_millis(1));
    assert_eq!(Rc::strong_count(&held), 2);
    server.runtime.end();
    assert_eq!(Rc::strong_count(&held), 1);
    world.run_for(Duration::from_millis(1));
    assert_eq!(*outcome.borrow(), Some(Err(CallError::NotNow)));
    let after = ask(&client.runtime, server.address(Class::External), DOUBLE, 0);
    world.run_for(Duration::from_millis(1));
    assert_eq!(*after.borrow(), Some(Err(CallError::Unknown)));
}
