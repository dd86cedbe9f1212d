//! What clients did and were told, and whether one map could have told them: each request was done at one moment between being
//! asked and being answered, or, if it was not answered, at any later one or never.

use crate::Operation;
use std::collections::BTreeSet;
use std::vec::Vec;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Call {
    operation: Operation<u8, u8>,
    /// Moments count questions and answers.
    asked: usize,
    answered: Option<(usize, Option<u8>)>,
}

/// All requests so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    calls: Vec<Call>,
    moments: usize,
}

impl History {
    /// A request. Answers which.
    pub fn ask(&mut self, operation: Operation<u8, u8>) -> usize {
        self.moments += 1;
        self.calls.push(Call { operation, asked: self.moments, answered: None });
        self.calls.len() - 1
    }

    /// Its answer.
    pub fn answer(&mut self, call: usize, value: Option<u8>) {
        self.moments += 1;
        self.calls[call].answered = Some((self.moments, value));
    }

    /// It was never done.
    pub fn withdraw(&mut self, call: usize) {
        self.calls[call].operation = Operation::Get(u8::MAX);
    }

    /// Whether one map could have told all this.
    pub fn is_linearizable(&self) -> bool {
        let keys: BTreeSet<u8> = self.calls.iter().map(|call| *call.operation.key()).collect();
        keys.into_iter().all(|key| {
            let calls = self.calls.iter().filter(|call| *call.operation.key() == key);
            // Reads that nobody answered say nothing.
            let calls: Vec<&Call> =
                calls.filter(|call| call.answered.is_some() || !call.operation.is_read()).collect();
            can_follow(&calls, None)
        })
    }
}

/// Whether these can be done one after the other, beginning with this value. After Wing and Gong, "Testing and verifying
/// concurrent objects" (1993).
fn can_follow(calls: &[&Call], value: Option<u8>) -> bool {
    let Some(first_answer) = calls.iter().filter_map(|call| call.answered.map(|(moment, _)| moment)).min()
    else {
        return true;
    };
    let may_be_next = calls.iter().enumerate().filter(|(_, call)| call.asked < first_answer);
    may_be_next.into_iter().any(|(place, call)| {
        if call.answered.is_some_and(|(_, told)| told != value) {
            return false;
        }
        let after = match call.operation {
            Operation::Get(_) => value,
            Operation::Put(_, new) => Some(new),
            Operation::Remove(_) => None,
        };
        let rest: Vec<&Call> =
            calls.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, call)| *call).collect();
        can_follow(&rest, after)
    })
}

#[test]
fn what_no_map_tells_is_noticed() {
    let put = |value| Operation::Put(0, value);
    let mut history = History::default();
    let first = history.ask(put(1));
    history.answer(first, None);
    let second = history.ask(put(2));
    let read = history.ask(Operation::Get(0));
    history.answer(read, Some(2));
    assert!(history.is_linearizable(), "a write may be seen before it is answered");
    let again = history.ask(Operation::Get(0));
    history.answer(again, Some(1));
    assert!(!history.is_linearizable(), "but not be unseen again");
    let _ = second;
}
