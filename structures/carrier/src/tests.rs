//! A carrier beside members that hang, end, or read slowly. The container says as many things as it is asked to, and writes down
//! what it hears.

use crate::harness::{Process, Processes, ROOM};
use crate::{Carrier, Stopped, Switchboard};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use fos_container::{Container, Effect, Effects, Epoch, Member, Statistics, Ticket};
use fos_runtime::port::Class;
use fos_runtime::stream::{FRAGMENTS_WAITING_MAX, STREAM_MESSAGE_MAX};

const NUMBER: u16 = 1;
const PERIOD: Duration = Duration::from_millis(1);
/// More than mailbox and outbox take.
const MANY: u32 = 3 * (FRAGMENTS_WAITING_MAX + ROOM) as u32;

/// What is asked: to say something to a member, numbered.
enum Say {
    Numbers(Member, u32),
    Long(Member, usize),
}

struct Chatter {
    me: Member,
    said: u32,
    heard: Vec<(Member, u32)>,
    crowds: Vec<(Member, bool)>,
}

impl Container for Chatter {
    type Request = Say;
    type Answer = ();
    type Message = (u32, String);
    type Question = ();

    fn me(&self) -> Member {
        self.me
    }

    fn epoch(&mut self, _: Epoch, _: &[Member], _: &mut Effects<Self>) {}

    fn died(&mut self, _: Member, _: &mut Effects<Self>) {}

    fn crowded(&mut self, member: Member, is_crowded: bool, _: &mut Effects<Self>) {
        self.crowds.push((member, is_crowded));
    }

    fn leave(&mut self, _: &mut Effects<Self>) {}

    fn ask(&mut self, ticket: Ticket, request: Say, effects: &mut Effects<Self>) {
        let (to, count, length) = match request {
            Say::Numbers(to, count) => (to, count, 0),
            Say::Long(to, length) => (to, 1, length),
        };
        let numbers = self.said + 1..=self.said + count;
        self.said += count;
        effects.extend(numbers.map(|number| Effect::Send { to, message: (number, "x".repeat(length)) }));
        effects.push(Effect::Answer { ticket, answer: () });
    }

    fn hear(&mut self, from: Member, (number, _): (u32, String), _: &mut Effects<Self>) {
        self.heard.push((from, number));
    }

    fn tick(&mut self, _: &mut Effects<Self>) {}

    fn wants_ticks(&self) -> bool {
        false
    }

    fn statistics(&self) -> Statistics {
        Statistics::default()
    }
}

/// A process and its structure.
struct Place {
    process: Process,
    switchboard: Rc<Switchboard>,
    carrier: Rc<Carrier<Chatter>>,
}

impl Place {
    fn member(&self) -> Member {
        Member(self.process.identity.0)
    }

    fn say(&self, to: &Place, count: u32) -> Result<(), Stopped> {
        self.carrier.post(Say::Numbers(to.member(), count))
    }

    /// What it heard of another.
    fn heard(&self, from: &Place) -> Vec<u32> {
        let container = self.carrier.container();
        let heard = container.heard.iter().filter(|(member, _)| *member == from.member());
        heard.map(|(_, number)| *number).collect()
    }

    fn crowds(&self) -> Vec<(Member, bool)> {
        self.carrier.container().crowds.clone()
    }
}

fn fleet(world: &Processes, count: usize) -> Vec<Place> {
    let place = |_| {
        let process = world.start();
        let switchboard = Switchboard::new(&process.runtime);
        let me = Member(process.identity.0);
        let chatter = Chatter { me, said: 0, heard: Vec::new(), crowds: Vec::new() };
        let carrier = Carrier::new(&switchboard, NUMBER, PERIOD, chatter);
        Place { process, switchboard, carrier }
    };
    let places: Vec<Place> = (0..count).map(place).collect();
    begin(Epoch(1), &places.iter().collect::<Vec<_>>());
    places
}

fn begin(epoch: Epoch, places: &[&Place]) {
    let seats: Vec<_> =
        places.iter().map(|place| (place.member(), place.process.address(Class::Internal))).collect();
    places.iter().for_each(|place| place.carrier.begin(epoch, &seats));
}

#[test]
fn a_member_that_hangs_stops_nobody() {
    let world = Processes::default();
    let places = fleet(&world, 3);
    let [one, two, three] = &places[..] else { panic!() };
    two.process.hang(true);
    for _ in 0..MANY / 16 {
        assert_eq!(one.say(two, 16), Ok(()));
        world.run_for(Duration::from_micros(10));
    }
    assert_eq!(one.say(three, 5), Ok(()));
    world.run_for(Duration::from_millis(5));
    assert!(!one.carrier.has_stopped());
    assert_eq!(
        three.heard(one),
        (one.carrier.container().said - 4..=one.carrier.container().said).collect::<Vec<_>>()
    );
    assert_eq!(one.crowds(), [(two.member(), true)]);
    two.process.hang(false);
    world.run_for(Duration::from_secs(2));
    assert_eq!(two.heard(one), (1..=MANY / 16 * 16).collect::<Vec<_>>(), "in order, and all");
    assert_eq!(one.crowds(), [(two.member(), true), (two.member(), false)]);
    assert_eq!(one.switchboard.held(), 0);
}

#[test]
fn what_waits_for_who_ends_goes_with_it() {
    let world = Processes::default();
    let places = fleet(&world, 3);
    let [one, two, three] = &places[..] else { panic!() };
    two.process.hang(true);
    assert_eq!(one.say(two, MANY), Ok(()));
    world.run_for(Duration::from_millis(5));
    assert!(one.switchboard.held() > 0);
    world.end(&two.process);
    begin(Epoch(2), &[one, three]);
    world.run_for(Duration::from_millis(5));
    assert_eq!(one.switchboard.held(), 0);
    assert_eq!(one.say(three, 1), Ok(()));
    world.run_for(Duration::from_millis(5));
    assert_eq!(three.heard(one), [MANY + 1]);
    assert!(!one.carrier.has_stopped());
}

#[test]
fn what_fits_into_no_message_stops_its_sender() {
    let world = Processes::default();
    let places = fleet(&world, 2);
    let [one, two] = &places[..] else { panic!() };
    assert_eq!(one.carrier.post(Say::Long(two.member(), STREAM_MESSAGE_MAX - 16)), Ok(()));
    world.run_for(Duration::from_secs(1));
    assert_eq!(two.heard(one), vec![1]);
    let _ = one.carrier.post(Say::Long(two.member(), STREAM_MESSAGE_MAX));
    assert!(one.carrier.has_stopped());
    assert_eq!(one.say(two, 1), Err(Stopped));
}
