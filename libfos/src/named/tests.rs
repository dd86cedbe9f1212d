//! A world of mailboxes that end and names that are late to notice.

use super::*;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_abi::key::MailboxId;
use proptest::prelude::*;

#[derive(Default)]
struct World {
    /// What a look-up answers: a mailbox.
    named: Option<u64>,
    /// What changes at pauses.
    later: Vec<Option<u64>>,
    /// Mailboxes that have not ended, and what they took.
    alive: BTreeMap<u64, Vec<Vec<u8>>>,
    /// Mailboxes without room.
    full: Vec<u64>,
    looks: usize,
    pauses_left: usize,
}

fn address(mailbox: u64) -> Address {
    Address { key: Key { mailbox: MailboxId(mailbox), ..Key::default() }, identity: Identity(mailbox) }
}

impl Ground for World {
    fn find(&mut self, name: &str, _: Deadline) -> Result<Address, RootError> {
        assert_eq!(name, "name");
        self.looks += 1;
        self.named.map(address).ok_or(RootError::Refused(Error::TimedOut))
    }
    fn send(&mut self, to: &Key, message: &[u8], _: Deadline) -> Result<(), Error> {
        let taken = self.alive.get_mut(&to.mailbox.0).ok_or(Error::Closed)?;
        if self.full.contains(&to.mailbox.0) {
            return Err(Error::Full);
        }
        taken.push(message.to_vec());
        Ok(())
    }
    fn pause(&mut self, _: Deadline) -> bool {
        if let Some(named) = self.later.pop() {
            self.named = named;
        }
        self.pauses_left = self.pauses_left.saturating_sub(1);
        self.pauses_left > 0
    }
}

fn world(alive: &[u64], named: u64) -> World {
    let alive = alive.iter().map(|mailbox| (*mailbox, Vec::new())).collect();
    World { alive, named: Some(named), pauses_left: 10, ..World::default() }
}

fn sent(sender: &mut NamedSender, world: &mut World, number: u8) -> Result<(), NamedError> {
    sender.send(world, &[number], Deadline::NEVER)
}

#[test]
fn a_name_is_looked_up_once_for_many_messages() {
    let (mut world, mut sender) = (world(&[1], 1), NamedSender::new("name"));
    (0..5).for_each(|number| assert_eq!(sent(&mut sender, &mut world, number), Ok(())));
    assert_eq!((world.looks, world.alive[&1].len(), sender.address()), (1, 5, Some(address(1))));
}

#[test]
fn a_stale_entry_is_looked_up_again_and_the_message_delivered_once() {
    let (mut world, mut sender) = (world(&[1, 2], 1), NamedSender::new("name"));
    assert_eq!(sent(&mut sender, &mut world, 1), Ok(()));
    world.alive.remove(&1);
    world.named = Some(2);
    assert_eq!(sent(&mut sender, &mut world, 2), Ok(()));
    assert_eq!((world.looks, &world.alive[&2]), (2, &[[2].to_vec()].to_vec()));
}

#[test]
fn names_that_are_late_to_notice_an_end_are_asked_again_until_the_deadline() {
    let (mut late, mut sender) = (world(&[2], 1), NamedSender::new("name"));
    late.later = [Some(2), Some(1), Some(1)].into();
    assert_eq!(sent(&mut sender, &mut late, 7), Ok(()));
    assert_eq!(late.alive[&2], [[7]]);
    let mut never = world(&[], 1);
    assert_eq!(sent(&mut NamedSender::new("name"), &mut never, 7), Err(NamedError::Send(Error::Closed)));
    never.named = None;
    let nobody = NamedError::Name(RootError::Refused(Error::TimedOut));
    assert_eq!(sent(&mut NamedSender::new("name"), &mut never, 7), Err(nobody));
}

#[test]
fn what_is_refused_for_another_reason_is_not_sent_elsewhere() {
    let (mut world, mut sender) = (world(&[1, 2], 1), NamedSender::new("name"));
    world.full.push(1);
    assert_eq!(sent(&mut sender, &mut world, 1), Err(NamedError::Send(Error::Full)));
    world.named = Some(2);
    assert_eq!((world.looks, sender.address()), (1, Some(address(1))));
    assert!(world.alive.values().all(Vec::is_empty));
}

proptest! {
    #[test]
    fn whoever_ends_and_whatever_is_found_nothing_is_delivered_twice(steps in prop::collection::vec((0u8..4, 0u64..4), 1..60)) {
        let (mut world, mut sender) = (world(&[0, 1], 0), NamedSender::new("name"));
        let mut accepted = Vec::new();
        let mut taken: Vec<Vec<u8>> = Vec::new();
        for (number, (step, mailbox)) in steps.into_iter().enumerate() {
            match step {
                0 => taken.extend(world.alive.remove(&mailbox).unwrap_or_default()),
                1 => { world.alive.entry(mailbox).or_default(); }
                2 => world.named = Some(mailbox),
                _ => {
                    world.pauses_left = 3;
                    if sent(&mut sender, &mut world, number as u8).is_ok() {
                        accepted.push([number as u8].to_vec());
                    }
                }
            }
        }
        taken.extend(world.alive.into_values().flatten());
        taken.sort();
        prop_assert_eq!(taken, accepted);
    }
}
