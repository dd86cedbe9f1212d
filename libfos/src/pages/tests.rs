//! The conversation over a fleet that a test plays: what is asked again, under which tag, and what is not.

use super::*;
use alloc::rc::Rc;
use alloc::vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use fos_abi::Identity;
use fos_messages::pages::{PagesInterface, Range};
use fos_messages::rpc::wire::{Scalar, write};
use fos_messages::rpc::{Answered, Interface, Operation, SendError, WriteBody};

/// What the fleet answers, from the last on; none: its member ends before it has.
type Answers = Vec<Option<Result<Vec<Run>, PagesError>>>;

#[derive(Clone, Default)]
struct Played {
    answers: Rc<RefCell<Answers>>,
    asked: Rc<RefCell<Vec<Wanted>>>,
    /// The same of what is given back, and what was said, as it was written.
    freed: Rc<RefCell<Vec<Option<Vec<Freed>>>>>,
    told: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Caller for Played {
    async fn call<'a, T>(
        &'a self,
        _: &'a Address,
        operation: &'a Operation,
        body: WriteBody<'a>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> T {
        let mut bytes = Vec::new();
        body(&mut bytes).unwrap();
        if operation.name == "give_back" {
            self.told.borrow_mut().push(bytes);
            let mut answer = Vec::new();
            match self.freed.borrow_mut().pop().unwrap() {
                None => return read(Err(CallError::PeerLost)),
                Some(freed) => write(&freed, &mut answer).unwrap(),
            }
            return read(Ok(&answer));
        }
        assert_eq!(operation.name, "allocate");
        self.asked.borrow_mut().push(Wanted::read(&mut &bytes[..]).unwrap());
        let mut answer = Vec::new();
        match self.answers.borrow_mut().pop().unwrap() {
            None => return read(Err(CallError::PeerLost)),
            Some(Ok(runs)) => write(&runs, &mut answer).unwrap(),
            Some(Err(error)) => {
                error.write(&mut answer);
                return read(Err(CallError::Refused(&answer)));
            }
        }
        read(Ok(&answer))
    }

    fn post(&self, _: &Address, _: &Operation, _: WriteBody<'_>) -> Result<(), SendError> {
        Err(SendError::Closed)
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a played fleet answers at once"),
    }
}

fn supply(mut answers: Answers) -> (Supply<Played>, Played) {
    answers.reverse();
    let played = Played { answers: Rc::new(RefCell::new(answers)), ..Played::default() };
    let member = Address { identity: Identity(7), ..Address::default() };
    (Supply::new(played.clone(), member, 3), played)
}

fn run(count: u64) -> Run {
    Run { handle: 5, range: Range { first: 64, count } }
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again_under_the_same_tag() {
    let (supply, played) = supply(vec![None, Some(Ok(vec![run(4)])), Some(Ok(vec![run(2)]))]);
    assert_eq!(now(supply.fetch(4, 0)), Ok(vec![run(4)]));
    assert_eq!(now(supply.fetch(2, 1)), Ok(vec![run(2)]));
    let tags: Vec<u64> = played.asked.borrow().iter().map(|wanted| wanted.tag).collect();
    assert_eq!(tags, [(3 << 48) + 1, (3 << 48) + 1, (3 << 48) + 2]);
}

#[test]
fn a_fleet_that_never_answers_is_given_up() {
    let (supply, played) = supply(vec![None; 5]);
    assert_eq!(now(supply.fetch(4, 0)), Err(SupplyError::Unreachable(CallError::PeerLost)));
    assert_eq!(played.asked.borrow().len(), TRIES as usize);
}

#[test]
fn a_refusal_is_told_at_once_and_as_it_is() {
    for error in [PagesError::OverQuota, PagesError::OutOfMemory, PagesError::TooManyRuns] {
        let (supply, played) = supply(vec![Some(Err(error))]);
        assert_eq!(now(supply.fetch(4, 0)), Err(SupplyError::Refused(error)));
        assert_eq!(played.asked.borrow().len(), 1);
    }
}

#[test]
fn an_answer_of_another_length_is_none() {
    let (supply, _) = supply(vec![Some(Ok(vec![run(3)]))]);
    assert_eq!(now(supply.fetch(4, 0)), Err(SupplyError::BadAnswer));
    assert_eq!(now(supply.fetch(1 << 40, 0)), Err(SupplyError::Refused(PagesError::BadRequest)));
}

#[test]
fn fewer_are_asked_for_when_there_are_not_as_many() {
    let none = Some(Err(PagesError::OutOfMemory));
    let (supply, played) = supply(vec![none.clone(), none, Some(Ok(vec![run(8)]))]);
    assert_eq!(now(supply.fetch_some(37, 2)), Ok(vec![run(8)]));
    let asked: Vec<u32> = played.asked.borrow().iter().map(|wanted| wanted.frames).collect();
    assert_eq!(asked, [36, 16, 8]);
}

#[test]
fn orders_hold_what_is_wanted() {
    assert_eq!([0, 1, 2, 3, 512, 513].map(order_of), [0, 0, 1, 2, 9, 10]);
    assert!(PagesInterface::OPERATIONS.iter().any(|operation| operation.name == "allocate"));
}

#[test]
fn what_was_given_up_is_said_again_when_no_answer_came_and_nothing_is_given_up_again() {
    // The first member takes it home and ends before it answers; for the next one it is not the asker's any more.
    let (supply, played) = supply(Vec::new());
    *played.freed.borrow_mut() = vec![Some(vec![Freed::NotYours]), None];
    assert_eq!(now(supply.tell_given_up(&[run(4)])), Ok(()));
    let told = played.told.borrow();
    assert_eq!((told.len(), &told[0]), (2, &told[1]));
    // What is still in use was never given up: that is no answer to this.
    *played.freed.borrow_mut() = vec![Some(vec![Freed::InUse])];
    drop(told);
    assert_eq!(now(supply.tell_given_up(&[run(4)])), Err(SupplyError::BadAnswer));
}

#[test]
fn what_nobody_heard_of_is_told_before_the_next_request() {
    let (supply, played) = supply(vec![Some(Ok(vec![run(8)]))]);
    let [one, other] = [64, 128].map(|first| Run { handle: 5, range: Range { first, count: 4 } });
    supply.untold.borrow_mut().push(one);
    *played.freed.borrow_mut() = vec![None; TRIES as usize];
    assert_eq!(now(supply.tell()), Err(SupplyError::Unreachable(CallError::PeerLost)));
    supply.untold.borrow_mut().push(other);
    // The first was heard after all.
    *played.freed.borrow_mut() = vec![Some(vec![Freed::NotYours, Freed::Done])];
    assert_eq!(now(supply.fetch(8, 0)), Ok(vec![run(8)]));
    assert_eq!(played.told.borrow().len(), TRIES as usize + 1);
    assert!(supply.untold.borrow().is_empty());
    assert_eq!(now(supply.tell()), Ok(()));
}
