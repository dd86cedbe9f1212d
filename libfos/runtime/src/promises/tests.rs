//! The checks find out every way that breaks a promise, and find nothing wrong with one that keeps them.

use super::*;
use alloc::collections::VecDeque;

/// How a way is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    Loses,
    Doubles,
    Reorders,
    Cuts,
    SaysAnother,
    NeverFull,
    HalfAccepts,
    StaysFull,
    TakesAnyLength,
    TakesAnyKey,
    EndsSilently,
    EndsTwice,
    EndsEarly,
    SendsToTheDead,
}

const FLAWS: [Flaw; 14] = [
    Flaw::Loses,
    Flaw::Doubles,
    Flaw::Reorders,
    Flaw::Cuts,
    Flaw::SaysAnother,
    Flaw::NeverFull,
    Flaw::HalfAccepts,
    Flaw::StaysFull,
    Flaw::TakesAnyLength,
    Flaw::TakesAnyKey,
    Flaw::EndsSilently,
    Flaw::EndsTwice,
    Flaw::EndsEarly,
    Flaw::SendsToTheDead,
];

const ROOM: usize = 8;
const LONGEST: usize = 992;

struct Queues {
    flaw: Flaw,
    to: [VecDeque<Came>; 2],
    sends: u32,
    was_full: bool,
    has_ended: bool,
}

impl Queues {
    fn new(flaw: Flaw) -> Queues {
        Queues { flaw, to: Default::default(), sends: 0, was_full: false, has_ended: false }
    }
}

impl Way for Queues {
    fn send(&mut self, from: Side, message: &[u8]) -> Result<(), SendError> {
        if message.len() > LONGEST && self.flaw != Flaw::TakesAnyLength {
            return Err(SendError::TooLong);
        }
        if self.has_ended && self.flaw != Flaw::SendsToTheDead {
            return Err(SendError::Closed);
        }
        let (place, sender) = match from {
            Side::First => (1, Identity(1)),
            Side::Second => (0, Identity(2)),
        };
        let sender = if self.flaw == Flaw::SaysAnother { Identity(3) } else { sender };
        let queue = &mut self.to[place];
        let is_full = queue.len() >= ROOM || self.was_full && self.flaw == Flaw::StaysFull;
        let came = Came::Message(sender, message.to_vec());
        if is_full && self.flaw != Flaw::NeverFull {
            self.was_full = true;
            if self.flaw == Flaw::HalfAccepts {
                queue.push_back(came);
            }
            return Err(SendError::Full);
        }
        self.sends += 1;
        match self.flaw {
            Flaw::Loses if self.sends == 500 => {}
            Flaw::Doubles if self.sends == 500 => queue.extend([came.clone(), came]),
            Flaw::Reorders if self.sends.is_multiple_of(100) => queue.push_front(came),
            Flaw::Cuts if message.len() > 100 => {
                queue.push_back(Came::Message(sender, message[..100].to_vec()))
            }
            _ => queue.push_back(came),
        }
        Ok(())
    }
    fn send_guessing(&mut self, message: &[u8]) -> Option<Result<(), SendError>> {
        Some(if self.flaw == Flaw::TakesAnyKey {
            self.send(Side::First, message)
        } else {
            Err(SendError::Closed)
        })
    }
    fn take(&mut self, at: Side) -> Option<Came> {
        self.to[at as usize].pop_front()
    }
    fn progress(&mut self) -> bool {
        false
    }
    fn identity(&self, side: Side) -> Identity {
        Identity(side as u64 + 1)
    }
    fn longest(&self) -> usize {
        LONGEST
    }
    fn end_second(&mut self) {
        self.has_ended = true;
        let ends = match self.flaw {
            Flaw::EndsSilently => 0,
            Flaw::EndsTwice => 2,
            _ => 1,
        };
        for _ in 0..ends {
            match self.flaw {
                Flaw::EndsEarly => self.to[0].push_front(Came::Ended),
                _ => self.to[0].push_back(Came::Ended),
            }
        }
    }
}

fn broken(flaw: Flaw) -> Vec<&'static str> {
    PROMISES
        .iter()
        .filter(|(_, check)| check(&mut Queues::new(flaw)).is_err())
        .map(|(name, _)| *name)
        .collect()
}

#[test]
fn a_way_that_keeps_its_promises_passes() {
    assert_eq!(broken(Flaw::None), Vec::<&str>::new());
}

#[test]
fn every_way_to_break_one_is_found_out() {
    for flaw in FLAWS {
        assert!(!broken(flaw).is_empty(), "{flaw:?}");
    }
}
