//! What is measured and decided at a member's doors.

use super::seat;
use crate::fleet::admission::{Admission, Door};
use crate::fleet::gate::Gated;
use crate::fleet::meter::Meter;
use crate::fleet::{Agreement, Epoch, Figure, Roster};
use crate::tests::world::{Node, World};
use crate::{Instant, Priority};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::fleet::Seat;
use fos_messages::rpc::{AnswerBody, Context, Outgoing, Serve, Served};

/// Answers everything at once.
struct Yes;

impl Serve for Yes {
    fn speaks(&self) -> (u16, u8) {
        (9, 1)
    }
    fn serve(self: Rc<Self>, _: u16, _: Context, _: &[u8], _: Outgoing) -> Served {
        Served::Answer(AnswerBody::Done(Outgoing::default()))
    }
}

fn now() -> Instant {
    Instant::default()
}

fn open(wait_ms: u64, requests: u32) -> Figure {
    let (wait_nanoseconds, requests_permille) = (wait_ms * 1_000_000, requests * 1000);
    Figure { wait_nanoseconds, requests_permille, is_open: true, ..Figure::default() }
}

const ABOVE: Duration = Duration::from_millis(10);

/// Whom this client is sent to, after asking this often.
fn sent(door: &Admission, client: u64) -> Option<AnswerBody> {
    door.instead(Identity(client), now)
}

fn to(seat: &Seat) -> Option<AnswerBody> {
    Some(AnswerBody::Redirected(seat.external))
}

#[test]
fn a_shut_door_lets_nobody_in_and_a_leaving_member_sends_everybody_on() {
    let (door, other) = (Admission::default(), seat(2, 1));
    assert_eq!(sent(&door, 7), Some(AnswerBody::NotNow));
    door.set_door(Door::Open);
    assert_eq!(sent(&door, 7), None);
    door.set_door(Door::Leaving);
    assert_eq!(sent(&door, 7), Some(AnswerBody::NotNow), "there is nobody to send it to");
    door.steer(&open(0, 0), &[(other, open(50, 5))], ABOVE);
    assert_eq!(sent(&door, 7), to(&other));
    let leaves_too = Figure { is_leaving: true, ..open(0, 0) };
    door.steer(&open(0, 0), &[(other, leaves_too)], ABOVE);
    assert_eq!(sent(&door, 7), Some(AnswerBody::NotNow));
    door.set_door(Door::Open);
    assert_eq!(sent(&door, 7), Some(AnswerBody::NotNow), "who leaves opens no more");
}

#[test]
fn an_overloaded_member_sends_the_client_away_that_evens_it_out() {
    let (door, other) = (Admission::default(), seat(2, 1));
    door.set_door(Door::Open);
    let ask = |client, times| (0..times).for_each(|_| assert_eq!(sent(&door, client), None));
    // Eight under way here, two there: clients with three at most may go, and of those the one with most.
    [(7, 5), (8, 2), (9, 1)].into_iter().for_each(|(client, times)| ask(client, times));
    door.steer(&open(40, 8), &[(other, open(10, 2))], ABOVE);
    assert_eq!((sent(&door, 7), sent(&door, 9)), (None, None));
    assert_eq!(sent(&door, 8), to(&other));
    door.forget(Identity(2));
    assert_eq!(sent(&door, 8), None);
}

#[test]
fn load_is_not_carried_to_and_fro() {
    let (door, other) = (Admission::default(), seat(2, 1));
    door.set_door(Door::Open);
    let stays = |own: Figure, others: Figure| {
        (0..8).for_each(|_| assert_eq!(sent(&door, 7), None));
        door.steer(&own, &[(other, others)], ABOVE);
        sent(&door, 7).is_none()
    };
    assert!(stays(open(40, 8), open(0, 0)), "one client that is all the load would be all of it there");
    assert!(stays(open(9, 8), open(0, 0)), "below the mark");
    assert!(stays(open(40, 8), open(25, 5)), "there it would be little better");
    assert!(stays(open(40, 8), Figure { is_open: false, ..open(0, 0) }), "who serves nobody yet");
}

#[test]
fn a_newcomer_gets_its_share_of_the_clients_for_a_while() {
    let (door, seats) = (Admission::default(), [seat(1, 1), seat(2, 2)]);
    door.set_door(Door::Open);
    let roster = Roster::new(Epoch(2), seats.to_vec());
    door.welcome(seats[1], roster.clone(), now());
    let (mut moved, mut stayed) = (0, 0);
    for client in 100..200 {
        match sent(&door, client) {
            Some(answer) => {
                assert_eq!(Some(answer), to(&seats[1]));
                moved += 1;
            }
            None => stayed += 1,
        }
    }
    assert!((30..=70).contains(&moved) && moved + stayed == 100, "{moved}");
    let later = || Instant::default().after(Duration::from_secs(1));
    assert!((100..200).all(|client| door.instead(Identity(client), later).is_none()));
}

#[test]
fn the_gate_hears_members_of_the_epoch_in_force_and_nobody_else() {
    let agreement = Rc::new(RefCell::new(Agreement::new(Identity(1))));
    let gate = Rc::new(Gated { agreement: agreement.clone(), service: Rc::new(Yes) });
    let hears = |sender, epoch| {
        let context = Context { sender: Identity(sender), badge: 0, epoch };
        match gate.clone().serve(0, context, &[], Outgoing::default()) {
            Served::Answer(AnswerBody::Done(_)) => true,
            Served::Answer(AnswerBody::NotNow) => false,
            _ => panic!("the gate lets in or says not now"),
        }
    };
    assert!(!hears(2, 0), "a member of nothing hears nobody");
    let begin = |epoch, seats: &[Seat]| {
        agreement.borrow_mut().promise(Roster::new(Epoch(epoch), seats.to_vec())).unwrap();
    };
    begin(4, &[seat(1, 1), seat(2, 1)]);
    assert!(!hears(2, 4), "promised is not begun");
    agreement.borrow_mut().commit(Epoch(4)).unwrap();
    assert!(hears(2, 4));
    assert!(!hears(3, 4), "a stranger that knows the key and the epoch");
    assert!(!hears(2, 3) && !hears(2, 5) && !hears(2, 0), "another epoch");
    begin(5, &[seat(1, 1), seat(2, 1)]);
    assert!(!hears(2, 4) && !hears(2, 5), "no epoch acts while the next is agreed on");
}

/// Has a meter count requests that each take this long, all at once or one after the other.
fn figure_of(requests: u32, each: Duration, at_once: bool) -> Figure {
    let world = World::default();
    let Node { runtime, .. } = world.node();
    let meter = Rc::<Meter>::default();
    meter.figure(runtime.port().now(), Duration::ZERO);
    for number in 1..=requests {
        let (sleeper, time) = (runtime.clone(), each * if at_once { 1 } else { number });
        let request = Served::Task(Box::pin(async move {
            sleeper.sleep(time).await;
            AnswerBody::NotNow
        }));
        let Served::Task(counted) = meter.count(&runtime, runtime.port().now(), request) else {
            panic!("a task stays one")
        };
        runtime.spawn(Priority::Normal, async move { drop(counted.await) });
    }
    assert_eq!(meter.requests(), requests);
    world.run_for(each * requests);
    assert_eq!((meter.requests(), meter.histogram().count()), (0, requests.into()));
    meter.figure(runtime.port().now(), Duration::ZERO)
}

#[test]
fn service_time_is_of_one_request_however_many_wait() {
    let each = Duration::from_millis(2);
    let in_turn = figure_of(8, each, false);
    assert_eq!(in_turn.service_nanoseconds, 2_000_000);
    // From eight down to none: four and a half on average.
    assert_eq!(in_turn.requests_permille, 4500);
    assert_eq!(in_turn.wait_nanoseconds, 9_000_000);
    let at_once = figure_of(8, each, true);
    assert_eq!(at_once.service_nanoseconds, 250_000);
}

#[test]
fn a_member_that_answers_nothing_is_not_idle() {
    let world = World::default();
    let Node { runtime, .. } = world.node();
    let meter = Rc::<Meter>::default();
    let hanging = Served::Task(Box::pin(core::future::pending()));
    let held = meter.count(&runtime, runtime.port().now(), hanging);
    world.run_for(Duration::from_millis(20));
    let figure = meter.figure(runtime.port().now(), Duration::from_millis(1));
    assert!(figure.wait_nanoseconds >= 20_000_000, "{figure:?}");
    drop(held);
    assert_eq!(meter.requests(), 0);
    let lagging = meter.figure(runtime.port().now(), Duration::from_millis(7));
    assert_eq!(lagging.wait_nanoseconds, 7_000_000, "what lies in the mailbox counts too");
}

#[test]
fn a_request_that_waits_for_others_is_no_load() {
    let world = World::default();
    let Node { runtime, .. } = world.node();
    let meter = Rc::<Meter>::default();
    meter.figure(runtime.port().now(), Duration::ZERO);
    let (waiter, of) = (runtime.clone(), meter.clone());
    let request = Served::Task(Box::pin(async move {
        let waiting = of.waits(&waiter);
        waiter.sleep(Duration::from_millis(199)).await;
        drop(waiting);
        waiter.sleep(Duration::from_millis(1)).await;
        AnswerBody::NotNow
    }));
    let Served::Task(counted) = meter.count(&runtime, runtime.port().now(), request) else {
        panic!("a task stays one")
    };
    runtime.spawn(Priority::Normal, async move { drop(counted.await) });
    world.run_for(Duration::from_millis(200));
    let figure = meter.figure(runtime.port().now(), Duration::ZERO);
    assert_eq!((figure.service_nanoseconds, figure.requests_permille), (1_000_000, 5));
    // One that is given up while it waits leaves nothing behind.
    let (waiter, of) = (runtime.clone(), meter.clone());
    let request = Served::Task(Box::pin(async move {
        let _waiting = of.waits(&waiter);
        core::future::pending().await
    }));
    let Served::Task(mut counted) = meter.count(&runtime, runtime.port().now(), request) else {
        panic!("a task stays one")
    };
    let waker = core::task::Waker::noop();
    assert!(counted.as_mut().poll(&mut core::task::Context::from_waker(waker)).is_pending());
    world.run_for(Duration::from_millis(20));
    drop(counted);
    assert_eq!(
        (meter.requests(), meter.figure(runtime.port().now(), Duration::ZERO).requests_permille),
        (0, 0)
    );
}
