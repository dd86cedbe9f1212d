//! iceoryx2's publish and subscribe between two cores of this host, beside fos's channels: 56 bytes there and back, and 56
//! bytes one way as fast as they go, in interleaved rounds, as in `bench/messages`, whose code this uses.
//!
//! iceoryx2 hands over places in shared memory and copies nothing; here each message is written and read once, as by the
//! rings. Its services are those for processes. Each result is a line `bench KEY VALUE UNIT HOW`, medians of the rounds.

#[allow(dead_code)] // not all that is measured there is measured here
#[path = "../../messages/src/channels.rs"]
mod channels;
#[allow(dead_code)] // not all that is measured there is measured here
#[path = "../../messages/src/lines.rs"]
mod lines;
#[path = "../../messages/src/stream.rs"]
mod stream;
#[path = "../../messages/src/two_cores.rs"]
mod two_cores;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use stream::{MESSAGE, SLOTS};
use two_cores::{Cores, Stop};

/// Rounds.
const PAIRS: usize = 15;
/// Round trips in a burst.
const BURST: u64 = 500;
/// Messages that are put before they are shown.
const TOGETHER: u64 = 16;

type Message = [u8; MESSAGE];

fn main() {
    let cores = Cores::choose();
    let mut rounds = [const { Vec::new() }; 4];
    for _ in 0..PAIRS {
        let picoseconds = [
            channels::round_trip(cores),
            round_trip(cores),
            channels::stream_put(cores, TOGETHER),
            one_way(cores),
        ];
        rounds.iter_mut().zip(picoseconds).for_each(|(round, value)| round.push(value as f64 / 1000.0));
    }
    let [channel, ours, channel_stream, our_stream] = &rounds;
    let print =
        |key, values: Vec<f64>, unit| println!("bench {key} {:.2} {unit} median of {PAIRS}", median(values));
    let ratio =
        |over: &[f64], under: &[f64]| over.iter().zip(under).map(|(over, under)| over / under).collect();
    print("channel_round_trip", channel.clone(), "ns");
    print("iceoryx2_round_trip", ours.clone(), "ns");
    print("channel_stream_put", channel_stream.clone(), "ns");
    print("iceoryx2_stream", our_stream.clone(), "ns");
    print("iceoryx2_round_trip_over_channel", ratio(ours, channel), "ratio");
    print("iceoryx2_stream_over_channel", ratio(our_stream, channel_stream), "ratio");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A service with room for as many messages as the rings have; a publisher that finds it full tries again.
struct Way {
    _node: Node<ipc::Service>,
    service: iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, Message, ()>,
}

impl Way {
    fn open(name: &str) -> Way {
        let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
        let name = format!("fos/bench/{}/{name}", std::process::id());
        let service = node
            .service_builder(&name.as_str().try_into().expect("a name"))
            .publish_subscribe::<Message>()
            .subscriber_max_buffer_size(SLOTS)
            .enable_safe_overflow(false)
            .open_or_create()
            .expect("a service");
        Way { _node: node, service }
    }

    fn publisher(&self) -> Publisher<ipc::Service, Message, ()> {
        let builder = self
            .service
            .publisher_builder()
            .unable_to_deliver_strategy(UnableToDeliverStrategy::DiscardSample);
        builder.create().expect("a publisher")
    }

    fn subscriber(&self) -> Subscriber<ipc::Service, Message, ()> {
        self.service.subscriber_builder().create().expect("a subscriber")
    }
}

fn send(publisher: &Publisher<ipc::Service, Message, ()>, message: &Message) {
    // To no receiver: it has no room. iceoryx2's own way to wait for room sleeps, and is slower.
    while publisher.loan_uninit().expect("a place").write_payload(*message).send().expect("sending") == 0 {
        spin_loop();
    }
}

fn receive(subscriber: &Subscriber<ipc::Service, Message, ()>, message: &mut Message) -> bool {
    let received = subscriber.receive().expect("receiving");
    received.map(|received| *message = *received).is_some()
}

fn round_trip(cores: Cores) -> u64 {
    let (there, back) = (Way::open("there"), Way::open("back"));
    let (publisher, subscriber) = (there.publisher(), back.subscriber());
    let is_ready = &AtomicBool::new(false);
    let partner = move |stop: &Stop| {
        let (there, back) = (Way::open("there"), Way::open("back"));
        let (subscriber, publisher) = (there.subscriber(), back.publisher());
        is_ready.store(true, Ordering::Release);
        let mut message = [0; MESSAGE];
        while !stop.asked() {
            match receive(&subscriber, &mut message) {
                true => send(&publisher, &message),
                false => spin_loop(),
            }
        }
    };
    let mut message = [7; MESSAGE];
    let operation = || {
        wait_for(is_ready);
        send(&publisher, &message);
        while !receive(&subscriber, &mut message) {
            spin_loop();
        }
    };
    cores.sample(BURST, partner, operation, || ())
}

fn one_way(cores: Cores) -> u64 {
    let way = Way::open("one-way");
    let publisher = way.publisher();
    let is_ready = &AtomicBool::new(false);
    let mut theirs = None;
    let receive = move |message: &mut Message| {
        // The receiver's ends belong to its own thread.
        let (_, subscriber) = theirs.get_or_insert_with(|| {
            let way = Way::open("one-way");
            let subscriber = way.subscriber();
            (Held(way), Held(subscriber))
        });
        is_ready.store(true, Ordering::Release);
        self::receive(&subscriber.0, message)
    };
    let send = |_, message: &Message| {
        wait_for(is_ready);
        self::send(&publisher, message);
    };
    stream::sample(cores, receive, send)
}

/// Made, used and dropped by one thread, inside of a closure that is moved to it before.
struct Held<T>(T);

// SAFETY: the closure that holds it is empty when it is moved, and stays with the thread that it was moved to.
unsafe impl<T> Send for Held<T> {}

fn wait_for(is_ready: &AtomicBool) {
    while !is_ready.load(Ordering::Acquire) {
        spin_loop();
    }
}
