//! The one who asks. It waits until first has registered, and for first's answers.

use fos_abi::capability::Rights;
use libfos::mailbox::Sender;
use libfos::memory::Mapping;
use libfos::{Start, calls, println};

use crate::page::{self, Side};
use crate::protocol::{COUNT, Hello};
use crate::{Failure, NAME, Party};

/// Looks first up, asks through the kernel, then over a page of its own.
pub fn run(start: &Start) -> Result<(), Failure> {
    let mut party = Party::new(start)?;
    let peer = Sender::new(party.root.lookup(&mut party.mailbox, NAME, party.deadline)?.key);
    peer.send(&Hello::Meet { answer: party.key()?.into() }.encode()?)?;
    let answered = ping(&mut party, &peer)?;
    let page = share_page(&mut party, &peer)?;
    let mut side = Side::new(&page, true)?;
    for number in 0..COUNT {
        side.send(&party, &peer, number)?;
        if side.receive(&party, &peer)? != number {
            return Err(Failure::Protocol);
        }
    }
    (0..COUNT).try_for_each(|number| side.send(&party, &peer, number))?;
    if side.receive(&party, &peer)? != COUNT {
        return Err(Failure::Protocol);
    }
    println!(
        "hello: second on core {}: {answered} messages through the kernel, {COUNT} over a shared page",
        start.core
    );
    Ok(())
}

/// Sends ping after ping, each with one kernel entry that also waits for the answer; tells how many.
fn ping(party: &mut Party, peer: &Sender) -> Result<u32, Failure> {
    for number in 0..COUNT {
        peer.send_wait(&Hello::Ping { number }.encode()?, &party.mailbox, party.deadline)?;
        match Hello::read(&party.mailbox.receive(party.deadline)?)? {
            Hello::Pong { number: answer } if answer == number => {}
            _ => return Err(Failure::Protocol),
        }
    }
    Ok(COUNT)
}

/// Opens channels in a page and gives first the right to map it too.
fn share_page(party: &mut Party, peer: &Sender) -> Result<Mapping, Failure> {
    let (frames, page) = party.memory.allocate(1)?;
    page::open(&page)?;
    let rights = Rights::READ.with(Rights::WRITE).with(Rights::MOVE);
    let share = calls::cap_derive(frames.handle, rights, 0, 1)?;
    peer.send_with(&Hello::Page.encode()?, share)?;
    match Hello::read(&party.mailbox.receive(party.deadline)?)? {
        Hello::Mapped => Ok(page),
        _ => Err(Failure::Protocol),
    }
}
