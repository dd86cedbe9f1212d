//! A server that lies to its clients: whatever it answers goes out changed, twice, under other numbers, or not at all. It is
//! a port around a port, so the server behind it is any server, and the liar knows what only a server knows: where its
//! clients' answers go.

use crate::Random;
use alloc::rc::Rc;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_messages::rpc::{Address, Envelope, Kind, Received, SendError, Status};
use fos_runtime::Instant;
use fos_runtime::port::{AnswerRoom, Class, Port, Route, Show};

/// Numbers of other calls that are guessed at a time: as many answers as find room at once.
const GUESSES: usize = 60;
/// A number is a place and how often it was used. A client with few calls under way uses few places, some more than others.
const PLACES: usize = 4;
const PLACE_BITS: u32 = 12;

/// A port that lies in the answers that go through it.
pub struct Liar {
    below: Rc<dyn Port>,
    random: Random,
}

impl Liar {
    /// Around this port, with lies of this seed.
    pub fn new(below: Rc<dyn Port>, seed: u64) -> Liar {
        Liar { below, random: Random::new(seed) }
    }

    /// What goes out instead of an answer.
    fn lies(&self, envelope: &Envelope, body: &[u8]) -> Vec<Vec<u8>> {
        let uses = (envelope.request >> PLACE_BITS) as usize + 1;
        let with = |envelope: &Envelope, body: &[u8]| [&envelope.to_bytes(), body].concat();
        let truth = with(envelope, body);
        match self.random.below(8) {
            0 => Vec::new(),
            1 => [truth.clone(), truth].into(),
            2 => {
                let cut = truth[..self.random.below(truth.len() + 1)].to_vec();
                [cut, truth].into()
            }
            3 => {
                let status = *self.random.one_of(&Status::ALL).unwrap_or(&Status::Done);
                [with(&Envelope { status, ..*envelope }, body)].into()
            }
            4 => [with(envelope, &[body, &[0]].concat())].into(),
            // To calls that it was not asked: of the places that its client uses, and the uses that they may have had.
            5 => (0..GUESSES)
                .map(|_| {
                    self.random.below(PLACES) as u32 | (self.random.below(4 * uses) as u32) << PLACE_BITS
                })
                .map(|request| with(&Envelope { request, ..*envelope }, &666u64.to_le_bytes()))
                .collect(),
            6 => [(0..self.random.below(100)).map(|_| self.random.byte()).collect(), truth].into(),
            _ => [with(envelope, &self.random.next().to_le_bytes()), truth].into(),
        }
    }

    /// Sends what stands in for a message. What finds no room is dropped, as a server drops answers.
    fn instead(
        &self,
        message: &[u8],
        send: impl Fn(&[u8]) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        match Envelope::read(message) {
            Some(Received { envelope, body, .. }) if envelope.kind == Kind::Answer => {
                self.lies(&envelope, body).iter().for_each(|lie| _ = send(lie));
                Ok(())
            }
            _ => send(message),
        }
    }
}

impl Port for Liar {
    fn now(&self) -> Instant {
        self.below.now()
    }
    fn random(&self) -> u64 {
        self.below.random()
    }
    fn identity(&self) -> Identity {
        self.below.identity()
    }
    fn address(&self, class: Class) -> Address {
        self.below.address(class)
    }
    fn ask(&self, to: &Address, request: &mut Vec<u8>) -> Result<(), SendError> {
        self.below.ask(to, request)
    }
    fn send(&self, to: &Address, message: &[u8]) -> Result<(), SendError> {
        self.instead(message, |message| self.below.send(to, message))
    }
    fn send_back(&self, route: Route, message: &[u8]) -> Result<(), SendError> {
        self.instead(message, |message| self.below.send_back(route, message))
    }
    fn take(&self, last: Class, show: &mut dyn Show) -> bool {
        self.below.take(last, show)
    }
    fn watch(&self, peer: &Address, cookie: u64) -> Result<(), SendError> {
        self.below.watch(peer, cookie)
    }
    fn unwatch(&self, cookie: u64) {
        self.below.unwatch(cookie);
    }
    fn answer_room(&self) -> AnswerRoom {
        self.below.answer_room()
    }
}
