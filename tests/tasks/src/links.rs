//! Messages whose way is changed again and again, between threads on different cores.

use alloc::string::String;
use core::cell::Cell;
use core::time::Duration;

use fos_messages::rpc::{Caller, Context, Instead, Never, interface};
use libfos::arch::ticks;
use libfos::memory::Memory;
use libfos::port::thresholds::Thresholds;
use libfos::server::Server;
use libfos::{Start, println};

use crate::threads::begin_second;
use crate::{Outcome, line};

/// Takes numbers, and looks whether they come in order.
#[interface(id = 0x7f03, version = 1)]
pub trait Order {
    /// The next number.
    #[operation(post)]
    fn note(&self, number: u64);

    /// The next number; answers how many have come in order.
    #[operation]
    fn count(&self, number: u64) -> u64;
}

/// The server.
#[derive(Default)]
pub struct Counter {
    next: Cell<u64>,
}

impl Order for Counter {
    fn note(&self, context: Context, number: u64) {
        let _ = self.count(context, number);
    }

    fn count(&self, _: Context, number: u64) -> Result<u64, Instead<Never>> {
        if number == self.next.get() {
            self.next.set(number + 1);
        }
        Ok(self.next.get())
    }
}

/// Posts and calls, half each.
const MESSAGES: u64 = 4000;
/// The way is changed after each message, then after so many.
const PERIODS: [u64; 4] = [1, 2, 7, 60];
const PATIENCE: Duration = Duration::from_secs(20);
/// Links from the first message on.
const EAGER: Thresholds = Thresholds { sends: 1, patience: 1, ..Thresholds::MACHINE };

/// Sends numbers by post and by call; the answers tell how many came in order.
pub fn keep_order(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::with_thresholds(&mut memory, start, EAGER).map_err(line)?;
    let to = begin_second(start, &mut memory)?;
    let (port, order) = (server.port.clone(), OrderClient::new(server.runtime.within(PATIENCE), to));
    server.block_on(async move {
        let mut by_link = 0;
        for number in 0..MESSAGES {
            by_link += u64::from(port.has_way_back(&to));
            if number % 2 == 0 {
                order.note(number).map_err(line)?;
            } else {
                in_order(number, order.count(number).await)?;
            }
            let period = PERIODS[(number * PERIODS.len() as u64 / MESSAGES) as usize];
            if number % period == 0 {
                port.close_links();
            }
        }
        // Of the last quarter nearly all go by link.
        if by_link < MESSAGES / 8 {
            Err(alloc::format!("only {by_link} messages went by link"))
        } else {
            Ok(())
        }
    })
}

fn in_order<E: core::fmt::Debug>(number: u64, came: Result<u64, E>) -> Outcome {
    match came {
        Ok(count) if count == number + 1 => Ok(()),
        other => Err::<(), String>(alloc::format!("message {number} came out of order, or not: {other:?}")),
    }
}

/// Calls and links that are timed.
const TIMED: u64 = 1000;
const TIMED_LINKS: u64 = 100;

/// Prints what a call takes by either way, and what a link takes from its offer to its end beside the calls meanwhile: what
/// `libfos::port::thresholds` refers to.
pub fn costs(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let never = Thresholds { sends: u32::MAX, ..Thresholds::MACHINE };
    let by_mailbox = Server::with_thresholds(&mut memory, start, never).map_err(line)?;
    let to = begin_second(start, &mut memory)?;
    let order = OrderClient::new(by_mailbox.runtime.within(PATIENCE), to);
    let mailbox = by_mailbox.block_on(async move { ticks_per_call(&order).await })?;
    let by_link = Server::with_thresholds(&mut memory, start, EAGER).map_err(line)?;
    let (port, order) = (by_link.port.clone(), OrderClient::new(by_link.runtime.within(PATIENCE), to));
    let (link, change) = by_link.block_on(async move {
        while !port.has_way_back(&to) {
            order.count(0).await.map_err(line)?;
        }
        let link = ticks_per_call(&order).await?;
        let (mut calls, began) = (0, ticks());
        for _ in 0..TIMED_LINKS {
            port.close_links();
            while port.has_way_back(&to) || calls == 0 {
                order.count(0).await.map_err(line)?;
                calls += 1;
            }
            while !port.has_way_back(&to) {
                order.count(0).await.map_err(line)?;
                calls += 1;
            }
        }
        let change = (ticks() - began).saturating_sub(calls * mailbox) / TIMED_LINKS;
        Ok::<(u64, u64), String>((link, change))
    })?;
    println!("ticks: {mailbox} for a call by mailbox, {link} by link, {change} for a link from offer to end");
    Ok(())
}

async fn ticks_per_call<C: Caller>(order: &OrderClient<C>) -> Result<u64, String> {
    let began = ticks();
    for _ in 0..TIMED {
        order.count(0).await.map_err(line)?;
    }
    Ok((ticks() - began) / TIMED)
}
