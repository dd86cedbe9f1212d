//! The one who answers. It waits for second, which waits for nobody else.

use fos_abi::space::MapFlags;
use libfos::mailbox::Sender;
use libfos::memory::Mapping;
use libfos::{Handle, Start, calls, println};

use crate::page::{self, Side};
use crate::protocol::{COUNT, Hello};
use crate::{Failure, NAME, Party};

/// Registers, answers through the kernel, then over the shared page.
pub fn run(start: &Start) -> Result<(), Failure> {
    let mut party = Party::new(start)?;
    party.root.register(NAME, party.key()?, party.deadline)?;
    let peer = meet(&mut party)?;
    let answered = answer_pings(&mut party, &peer)?;
    let page = take_page(&mut party)?;
    peer.send(&Hello::Mapped.encode()?)?;
    let mut side = Side::new(&page, false)?;
    for number in 0..COUNT {
        let got = side.receive(&party, &peer)?;
        if got != number {
            return Err(Failure::Protocol);
        }
        side.send(&party, &peer, got)?;
    }
    // Then as many again in a row: more than the page has room for.
    for number in 0..COUNT {
        if side.receive(&party, &peer)? != number {
            return Err(Failure::Protocol);
        }
    }
    side.send(&party, &peer, COUNT)?;
    println!(
        "hello: first on core {}: answered {answered} messages through the kernel, {COUNT} over a shared page",
        start.core
    );
    Ok(())
}

/// Waits for second to say who it is.
fn meet(party: &mut Party) -> Result<Sender, Failure> {
    match Hello::read(&party.mailbox.receive(party.deadline)?)? {
        Hello::Meet { answer } => Ok(Sender::new(answer.into())),
        _ => Err(Failure::Protocol),
    }
}

/// Answers every ping, in order; tells how many.
fn answer_pings(party: &mut Party, peer: &Sender) -> Result<u32, Failure> {
    for expected in 0..COUNT {
        match Hello::read(&party.mailbox.receive(party.deadline)?)? {
            Hello::Ping { number } if number == expected => peer.send(&Hello::Pong { number }.encode()?)?,
            _ => return Err(Failure::Protocol),
        };
    }
    Ok(COUNT)
}

/// Takes the page that second shares and maps it, with a frame of one's own to take its place should second go.
fn take_page(party: &mut Party) -> Result<Mapping, Failure> {
    let frames = accept_page(party)?;
    let spare = party.memory.frames.take(1)?;
    calls::frames_fallback(frames, spare.handle)?;
    let page = party.memory.map(frames, 0, 1, MapFlags::WRITE)?;
    page::check(&page)?;
    Ok(page)
}

fn accept_page(party: &mut Party) -> Result<Handle, Failure> {
    let message = party.mailbox.receive(party.deadline)?;
    match Hello::read(&message)? {
        Hello::Page if message.has_capability() => Ok(message.accept()?),
        _ => Err(Failure::Protocol),
    }
}
