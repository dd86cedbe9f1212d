//! fos's channels: 56 bytes there and back, and 56 bytes one way as fast as they go.

use crate::lines::Page;
use crate::stream::{self, MESSAGE};
use crate::two_cores::{Cores, Stop};
use fos_channel::{ChannelError, Receiver, Sender, Shared};
use std::hint::{black_box, spin_loop};

/// Round trips in a burst.
const BURST: u64 = 500;

/// 56 bytes to a partner that sends them back. Both ends look whether the other sleeps, as programs do.
pub fn round_trip(cores: Cores) -> u64 {
    answered(cores, |message| *message)
}

/// Messages there and answers back, over both halves of a page; `serve` makes the answer on the partner's core.
pub fn answered(cores: Cores, serve: impl Fn(&[u8; MESSAGE]) -> [u8; MESSAGE] + Send) -> u64 {
    let page = Page::new();
    let (there, back) = Shared::halves(page.words()).expect("a page holds two channels");
    there.open();
    back.open();
    let partner = move |stop: &Stop| {
        let (mut receiver, mut sender) = (Receiver::new(there), Sender::new(back));
        let mut message = [0; MESSAGE];
        while !stop.asked() {
            match receiver.receive(&mut message) {
                Ok(Some(_)) => assert_eq!(sender.send(&serve(&message)), Ok(false)),
                _ => spin_loop(),
            }
        }
    };
    let (mut sender, mut receiver) = (Sender::new(there), Receiver::new(back));
    let mut message = [7; MESSAGE];
    let operation = || {
        assert_eq!(sender.send(black_box(&message)), Ok(false));
        while receiver.receive(&mut message) == Ok(None) {
            spin_loop();
        }
    };
    cores.sample(BURST, partner, operation, || ())
}

/// One way over a channel that has a page to itself, `together` messages shown to the receiver at once.
pub fn stream_put(cores: Cores, together: u64) -> u64 {
    let page = Page::new();
    let (mut sender, mut receiver) = ends(&page);
    let receive = move |message: &mut [u8; MESSAGE]| matches!(receiver.receive(message), Ok(Some(_)));
    let send = |number: u64, message: &[u8; MESSAGE]| {
        while sender.put(message) == Err(ChannelError::Full) {
            sender.flush();
            spin_loop();
        }
        if number.is_multiple_of(together) {
            sender.flush();
        }
    };
    stream::sample(cores, receive, send)
}

/// One way, with a look whether the receiver sleeps at each message.
pub fn stream_sent(cores: Cores) -> u64 {
    let page = Page::new();
    let (mut sender, mut receiver) = ends(&page);
    let receive = move |message: &mut [u8; MESSAGE]| matches!(receiver.receive(message), Ok(Some(_)));
    let send = |_, message: &[u8; MESSAGE]| {
        while sender.send(message) == Err(ChannelError::Full) {
            spin_loop();
        }
    };
    stream::sample(cores, receive, send)
}

fn ends(page: &Page) -> (Sender<'_>, Receiver<'_>) {
    let shared = Shared::new(page.words()).expect("a page holds a channel");
    shared.open();
    (Sender::new(shared), Receiver::new(shared))
}
