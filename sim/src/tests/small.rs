//! The simulated machine through a few processes: identity, order, shares, deaths and notices.

use crate::Costs;
use crate::faults::{Fault, Plan};
use crate::world::{Process, World};
use fos_abi::Identity;
use fos_messages::names::DirectoryKey;
use fos_messages::rpc::{Address, Caller, Context, Operation, Outgoing, SendError, Serve, Served};
use fos_naming::member::Naming;
use fos_replicated_map::Member;
use fos_runtime::Priority;
use fos_runtime::port::{Class, Event, Incoming, LENT_MAX};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

pub(super) fn world(seed: u64, cores: u32) -> World {
    World::new(seed, cores, Costs::load("default").unwrap(), None, None)
}

fn run(world: &World) {
    while world.happen() {}
    assert_eq!(world.failure(), None);
}

/// Sends numbered messages from a task.
fn sends(from: &Process, to: Address, count: u8) -> Rc<Cell<u32>> {
    let (runtime, accepted) = (from.runtime.clone(), Rc::new(Cell::new(0)));
    let counted = accepted.clone();
    from.spawn(Priority::Normal, async move {
        for number in 0..count {
            let length = if number % 3 == 0 { 900 } else { 1 };
            if runtime.port().send(&to, &vec![number; length]).is_ok() {
                counted.set(counted.get() + 1);
            }
            runtime.sleep(Duration::from_nanos(10)).await;
        }
    });
    accepted
}

/// Takes all that lies in a mailbox.
pub(super) fn taken_events(process: &Process, class: Class, mut each: impl FnMut(Identity, Event<'_>)) {
    while process.runtime.port().take(class, &mut |found_in: Class, incoming: Incoming<'_>| {
        assert_eq!(found_in, class, "the mailboxes before it are empty");
        each(incoming.sender, incoming.event);
    }) {}
}

/// The messages that lie in a mailbox.
fn taken(process: &Process, class: Class) -> Vec<(u64, u8)> {
    let mut found = Vec::new();
    taken_events(process, class, |sender, event| {
        if let Event::Message(bytes) = event {
            found.push((sender.0, bytes[0]));
        }
    });
    found
}

#[test]
fn each_senders_messages_come_in_order_and_between_senders_the_seed_decides() {
    let order = |seed| {
        let world = world(seed, 4);
        let found = Rc::new(RefCell::new(Vec::new()));
        let receiver = world.start("receiver", 0);
        let senders: Vec<Process> = (1..4).map(|core| world.start("sender", core)).collect();
        senders.iter().for_each(|sender| drop(sends(sender, receiver.address(Class::Internal), 9)));
        // Between steps: in one the runtime would take what it does not serve, and drop it.
        while world.happen() {
            found.borrow_mut().extend(taken(&receiver, Class::Internal));
        }
        world.close();
        for sender in &senders {
            let found = found.borrow();
            let own = found.iter().filter(|(from, _)| *from == sender.identity.0).map(|(_, number)| *number);
            assert!(own.eq(0..9), "{found:?}");
        }
        found.take()
    };
    assert_eq!(order(1), order(1));
    assert!((2..10).any(|seed| order(seed) != order(1)));
}

#[test]
fn a_sender_that_floods_gets_its_share_and_no_more() {
    let world = world(1, 2);
    let (receiver, flood) = (world.start("receiver", 0), world.start("flood", 1));
    world.plan(Plan(vec![Fault::parse("stop core 0 at 0ns").unwrap()]));
    let (to, runtime, outcome) = (receiver.address(Class::External), flood.runtime.clone(), Rc::default());
    let kept: Rc<RefCell<Vec<Result<(), SendError>>>> = Rc::clone(&outcome);
    flood.spawn(Priority::Normal, async move {
        kept.borrow_mut().extend((0..100).map(|_| runtime.port().send(&to, &[1])));
        kept.borrow_mut().push(runtime.port().send(&to, &[0; LENT_MAX + 1]));
        let mut guess = to;
        guess.key.secret[0] ^= 1;
        kept.borrow_mut().push(runtime.port().send(&guess, &[1]));
    });
    run(&world);
    let outcome = outcome.borrow();
    assert_eq!(outcome.iter().filter(|sent| sent.is_ok()).count(), 64);
    assert_eq!(outcome[99..], [Err(SendError::Full), Err(SendError::TooLong), Err(SendError::Closed)]);
    world.close();
}

#[test]
fn who_watches_is_told_once_of_the_end_and_at_once_of_one_that_was() {
    let world = world(1, 3);
    let (watcher, watched) = (world.start("watcher", 0), world.start("watched", 1));
    world.plan(Plan(vec![Fault::parse("kill watched at 5us").unwrap()]));
    let (runtime, to) = (watcher.runtime.clone(), watched.address(Class::External));
    let told = Rc::new(Cell::new(0));
    let at = told.clone();
    watcher.spawn(Priority::Normal, async move {
        runtime.ended(&to).unwrap().await;
        at.set(runtime.port().now().nanoseconds);
        assert!(runtime.ended(&to).is_err());
    });
    run(&world);
    assert!((5_000..20_000).contains(&told.get()), "{}", told.get());
    assert!(!watched.is_alive() && watcher.is_alive());
    world.close();
}

#[test]
fn a_stopped_core_is_buried_after_its_silence() {
    let world = world(1, 3);
    let (watcher, watched) = (world.start("watcher", 0), world.start("watched", 1));
    world.plan(Plan(vec![Fault::parse("stop core 1 at 1us").unwrap()]));
    let (runtime, to) = (watcher.runtime.clone(), watched.address(Class::External));
    watcher.spawn(Priority::Normal, async move { runtime.ended(&to).unwrap().await });
    run(&world);
    assert!(world.now() >= 10_000_000_000 && !watched.is_alive());
    world.close();
}

#[test]
fn what_a_process_sent_before_its_end_comes() {
    let world = world(1, 2);
    let (receiver, sender) = (world.start("receiver", 0), world.start("sender", 1));
    let to = receiver.address(Class::Internal);
    let (runtime, outcome) = (sender.runtime.clone(), Rc::new(RefCell::new(Vec::new())));
    let kept = outcome.clone();
    sender.spawn(Priority::Normal, async move {
        // One step: it ends in the middle of it.
        kept.borrow_mut().extend((0..5).map(|number| runtime.port().send(&to, &[number])));
    });
    world.plan(Plan(vec![Fault::parse("kill sender at message 3").unwrap()]));
    let mut found = Vec::new();
    while world.happen() {
        found.extend(taken(&receiver, Class::Internal));
    }
    assert_eq!(*outcome.borrow(), [Ok(()), Ok(()), Ok(()), Err(SendError::Closed), Err(SendError::Closed)]);
    assert_eq!(found.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [0, 1, 2]);
    world.close();
}

#[test]
fn processes_of_one_core_share_it() {
    let took = |cores: u32| {
        let world = world(1, cores);
        for number in 0..2 {
            let process = world.start("busy", number % cores);
            (0..100).for_each(|_| process.spawn(Priority::Normal, async {}));
        }
        run(&world);
        world.close();
        world.now()
    };
    let task = Costs::load("default").unwrap().step("task");
    assert_eq!(took(2), 100 * task);
    assert!(took(1) > 200 * task, "the core also changes between them");
}

struct Nothing;

impl Serve for Nothing {
    fn speaks(&self) -> (u16, u8) {
        (9, 1)
    }
    fn serve(self: Rc<Self>, _: u16, _: Context, _: &[u8], _: Outgoing) -> Served {
        Served::Unknown
    }
}

#[test]
fn a_request_that_has_no_name_ends_the_run() {
    let world = world(1, 2);
    let (server, client) = (world.start("server", 0), world.start("client", 1));
    server.runtime.serve(Class::External, Rc::new(Nothing));
    let (caller, to) = (client.runtime.within(Duration::from_millis(1)), server.address(Class::External));
    client.spawn(Priority::Normal, async move {
        let (name, is_post, is_idempotent, answer_max) = ("none", false, false, 8);
        let nameless =
            Operation { interface: 9, version: 1, number: 3, name, is_post, is_idempotent, answer_max };
        caller.call(&to, &nameless, &|_| Ok(()), |_| ()).await;
    });
    while world.happen() {}
    let failure = world.failure().unwrap();
    assert!(failure.starts_with("server was asked for operation 3 of interface 0x9"), "{failure}");
    world.close();
}

#[test]
fn a_panic_ends_the_run_with_its_message() {
    let world = world(1, 1);
    let process = world.start("careless", 0);
    process.spawn(Priority::Normal, async { assert_eq!(1, 2, "a careless sum") });
    while world.happen() {}
    assert!(world.failure().unwrap().contains("a careless sum"));
    world.close();
}

#[test]
fn nothing_of_a_member_of_naming_is_left_when_its_process_has_ended() {
    let world = world(3, 1);
    let process = world.start("naming-0", 0);
    let (runtime, left) = (process.runtime.clone(), Rc::new(RefCell::new(Weak::new())));
    let member = left.clone();
    process.spawn(Priority::Normal, async move {
        let key = DirectoryKey([1, 2]);
        let naming = Naming::first(runtime, Member::new(0, 1), key).await;
        let naming = naming.unwrap_or_else(|_| panic!("nobody keeps it from beginning"));
        *member.borrow_mut() = Rc::downgrade(&naming.replication);
        std::future::pending::<()>().await;
    });
    run(&world);
    assert!(left.borrow().upgrade().is_some());
    world.close();
    assert!(left.borrow().upgrade().is_none());
}
