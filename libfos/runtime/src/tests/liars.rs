//! Servers that answer what they should not: twice, late, under another call's number, to calls that nobody made, with
//! something else than an answer. Each costs its own call at most; everything else is a stray, and counted.

use super::world::{Node, World};
use super::{ADDER, DOUBLE, HANG, Outcome, VERSION, ask, pair};
use crate::port::Class;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::time::Duration;
use fos_messages::rpc::wire::Scalar;
use fos_messages::rpc::{CallError, Envelope, Kind, Status};
use proptest::prelude::*;

/// A client, and a server whose runtime serves nothing: what it answers the test sends.
struct Lied {
    world: World,
    client: Node,
    liar: Node,
}

impl Lied {
    fn new() -> Lied {
        let world = World::default();
        let (client, liar) = (world.node(), world.node());
        Lied { world, client, liar }
    }

    /// A call that has been sent, and its number. The liar's runtime does not run, so it is not answered.
    fn asked(&self) -> (Rc<RefCell<Option<Outcome>>>, u32) {
        let outcome = ask(&self.client.runtime, self.liar.address(Class::External), DOUBLE, 3);
        while let crate::Step::Did(_) = self.client.runtime.step() {}
        (outcome, self.world.last_request(&self.liar))
    }

    fn answer(&self, from: &Node, request: u32, value: u64) {
        let (kind, status) = (Kind::Answer, Status::Done);
        let (interface, operation, version) = (ADDER, DOUBLE, VERSION);
        let envelope = Envelope { request, interface, operation, epoch: 0, kind, status, version };
        let mut answer = envelope.to_bytes().to_vec();
        Scalar::write(value, &mut answer);
        self.send(from, &answer);
    }

    fn send(&self, from: &Node, answer: &[u8]) {
        from.port().send(&self.client.address(Class::Response), answer).unwrap();
        while let crate::Step::Did(_) = self.client.runtime.step() {}
    }

    fn strays(&self) -> u64 {
        self.client.runtime.lost().strays
    }
}

#[test]
fn the_first_answer_counts_and_a_second_is_a_stray() {
    let lied = Lied::new();
    let (outcome, request) = lied.asked();
    lied.answer(&lied.liar, request, 6);
    lied.answer(&lied.liar, request, 7);
    assert_eq!((outcome.take(), lied.strays()), (Some(Ok(6)), 1));
    // The place in which it was is used again; the number is another.
    let (next, number) = lied.asked();
    lied.answer(&lied.liar, request, 8);
    assert_eq!((next.take(), lied.strays()), (None, 2));
    lied.answer(&lied.liar, number, 9);
    assert_eq!((next.take(), lied.strays()), (Some(Ok(9)), 2));
}

#[test]
fn an_answer_after_the_deadline_is_not_the_next_calls() {
    let (world, client, server, _) = pair();
    let first = ask(&client.runtime, server.address(Class::External), HANG, 0);
    world.run_for(Duration::from_millis(1));
    let late = world.last_request(&server);
    world.run_for(Duration::from_millis(10));
    assert_eq!(first.take(), Some(Err(CallError::TimedOut)));
    let next = ask(&client.runtime, server.address(Class::External), HANG, 0);
    world.run_for(Duration::from_millis(1));
    let lied = Lied { world, client, liar: server };
    lied.answer(&lied.liar, late, 5);
    assert_eq!((next.take(), lied.strays()), (None, 1));
}

#[test]
fn an_answer_to_another_servers_call_is_a_stray_whatever_number_is_guessed() {
    let lied = Lied::new();
    let stranger = lied.world.node();
    let (outcome, request) = lied.asked();
    // Numbers are counted up, so they are easy to guess: it is the stamped identity that counts.
    for guess in request.saturating_sub(50)..request + 50 {
        lied.answer(&stranger, guess, 666);
    }
    assert_eq!(outcome.take(), None);
    lied.answer(&lied.liar, request, 6);
    assert_eq!(outcome.take(), Some(Ok(6)));
}

proptest! {
    /// Whatever the one that was asked sends: the call ends or goes on waiting, and the next call is answered.
    #[test]
    fn anything_from_who_was_asked_harms_at_most_its_own_call(
        messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80)), 1..20),
    ) {
        let lied = Lied::new();
        let (_, request) = lied.asked();
        for (is_like_an_answer, mut bytes) in messages {
            if is_like_an_answer && bytes.len() >= 13 {
                bytes[..4].copy_from_slice(&request.to_le_bytes());
                bytes[12] = Kind::Answer as u8;
            }
            lied.send(&lied.liar, &bytes);
        }
        let (outcome, request) = lied.asked();
        lied.answer(&lied.liar, request, 6);
        prop_assert_eq!(outcome.take(), Some(Ok(6)));
    }
}
