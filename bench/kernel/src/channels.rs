//! Sending over a channel and taking from it, both ends in turn in one thread: no call, no cache that has to come
//! from elsewhere, only the instructions.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::AtomicU64;

use fos_abi::Error;
use libfos::channel::{ChannelError, Receiver, SLOT_PAYLOAD, Sender, Shared};
use libfos::measure;

use crate::ground::{Broken, During};
use crate::sample::{Sample, counted, print_count};

/// Words of the page that the channel lies in.
const PAGE_WORDS: usize = 512;
/// Bytes of the message that takes three slots.
const LONG: usize = 3 * SLOT_PAYLOAD;
/// Messages that are shown together.
const TOGETHER: u64 = 8;

/// Counts them.
pub fn measure() -> Result<(), Broken> {
    let words: Box<[AtomicU64]> = (0..PAGE_WORDS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().into();
    let shared = Shared::new(&words).ok_or(Error::BadArgument).during("making a channel")?;
    shared.open();
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    count_one::<SLOT_PAYLOAD>(&mut sender, &mut receiver, "56")?;
    count_one::<LONG>(&mut sender, &mut receiver, "168")?;
    let poll = counted(|| Ok(measure::count(|| black_box(receiver.receive(&mut [0; SLOT_PAYLOAD]))).0));
    print_count("channel_poll_empty", poll.during("polling")?, "a look at a channel that holds no message");
    let put = counted(|| put_together(&mut sender, &mut receiver));
    print_count(
        "channel_put_56",
        put.during("putting")?.per(TOGETHER),
        "each of 8 messages of 56 bytes that are put and shown together by one flush, the flush included",
    );
    Ok(())
}

/// One message of `BYTES`, sent and taken.
fn count_one<const BYTES: usize>(
    sender: &mut Sender<'_>,
    receiver: &mut Receiver<'_>,
    name: &str,
) -> Result<(), Broken> {
    let (mut message, mut buffer) = ([7_u8; BYTES], [0_u8; BYTES]);
    let send = counted(|| {
        let message = black_box(&mut message);
        let (ticks, sent) = measure::count(|| sender.send(message));
        sent.map_err(refused)?;
        receiver.receive(&mut buffer).map_err(refused)?;
        Ok(ticks)
    });
    print(
        send,
        &alloc::format!("channel_send_{name}"),
        "to a channel whose receiver is awake, with the look whether it is",
    )?;
    let take = counted(|| {
        sender.send(&message).map_err(refused)?;
        let buffer = black_box(&mut buffer);
        let (ticks, taken) = measure::count(|| receiver.receive(buffer));
        taken.map_err(refused)?.ok_or(Error::TimedOut)?;
        Ok(ticks)
    });
    print(
        take,
        &alloc::format!("channel_take_{name}"),
        "poll and find a message, copy it out, free its slots",
    )
}

fn print(sample: Result<Sample, Error>, key: &str, how: &str) -> Result<(), Broken> {
    print_count(key, sample.during("counting a channel")?, how);
    Ok(())
}

/// Ticks of [`TOGETHER`] messages put and flushed; takes them.
fn put_together(sender: &mut Sender<'_>, receiver: &mut Receiver<'_>) -> Result<u64, Error> {
    let message = black_box([7; SLOT_PAYLOAD]);
    let (ticks, put) = measure::count(|| {
        for _ in 0..TOGETHER {
            sender.put(&message)?;
        }
        Ok(sender.flush())
    });
    put.map_err(refused)?;
    for _ in 0..TOGETHER {
        receiver.receive(&mut [0; SLOT_PAYLOAD]).map_err(refused)?.ok_or(Error::TimedOut)?;
    }
    Ok(ticks)
}

/// A channel in private memory refuses nothing; an answer that it did ends the measurement.
fn refused(_: ChannelError) -> Error {
    Error::BadArgument
}
