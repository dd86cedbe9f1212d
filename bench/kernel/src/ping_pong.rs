//! Two processes on one core that answer each other: the full round trip, each way one call that sends and sleeps.

use core::hint::black_box;
use core::sync::atomic::Ordering;
use core::time::Duration;

use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::{Error, Key};
use libfos::calls;
use libfos::clock::Deadline;
use libfos::frames::Pool;
use libfos::mailbox::{Mailbox, Sender};
use libfos::measure;
use libfos::memory::Memory;
use libfos::spawn::{Block, Image, Plan, Process, load_key, own_block, store_key};

use crate::ground::{Broken, During, Ground, refused, wait_until_ready};
use crate::messages::{KEYS, MESSAGE, SLOTS, take};
use crate::sample::{Sample, counted, print_count};

/// Frames that the partner gets for its mailbox and page tables.
const PARTNER_FRAMES: u64 = 64;
/// How long the partner may take to begin, on a slow emulator with a busy host.
const PATIENCE: Duration = Duration::from_secs(20);

/// Words of the partner's block.
mod word {
    /// The handle of its frames.
    pub const FRAMES: usize = 0;
    /// 1 once the partner's key is there, its error + 2 if it could not begin.
    pub const STATE: usize = 1;
    /// The measuring process's key, four words.
    pub const OUR_KEY: usize = 8;
    /// The partner's key, four words.
    pub const ITS_KEY: usize = 16;
}

/// Counts round trips, without and with a deadline.
pub fn measure(ground: &mut Ground) -> Result<(), Broken> {
    let mut mailbox = Mailbox::create(&mut ground.memory, SLOTS, KEYS).during("making a mailbox")?;
    let (process, key) = start_partner(ground, &mailbox)?;
    let partner = Sender::new(key);
    let forever = round_trips(&partner, &mut mailbox, || Deadline::NEVER).during("a round trip")?;
    print_count(
        "ping_pong_one_core",
        forever,
        "two processes on one core, 64 bytes each way, each way one send_wait, both messages taken: round trip",
    );
    let hour = ground.clock.ticks(Duration::from_secs(3600));
    let deadline = || Deadline(libfos::arch::ticks() + hour);
    let timed = round_trips(&partner, &mut mailbox, deadline).during("a round trip with a deadline")?;
    print_count(
        "ping_pong_deadline",
        timed,
        "as ping_pong_one_core, but the measuring process waits with a deadline, as servers do",
    );
    calls::destroy(process.space).during("ending the partner")?;
    mailbox.destroy(&mut ground.memory).during("ending a mailbox")
}

fn round_trips(
    partner: &Sender,
    mailbox: &mut Mailbox,
    deadline: impl Fn() -> Deadline,
) -> Result<Sample, Error> {
    let message = [7u8; MESSAGE];
    counted(|| {
        let (deadline, message) = (deadline(), black_box(&message));
        let (ticks, answer) = measure::count(|| {
            partner.send_wait(message, mailbox, deadline)?;
            take(mailbox)
        });
        answer.map(|_| ticks)
    })
}

/// Builds the partner on this core, lets it run until it waits, and answers it with its key.
fn start_partner(ground: &mut Ground, mailbox: &Mailbox) -> Result<(Process, Key), Broken> {
    let pages = Image::window_size().div_ceil(4096) as usize;
    let window = ground.memory.reserve(pages).during("reserving a window")?;
    let image = Image::copy(&mut ground.tables, window).during("copying the program")?;
    let plan = Plan { core: ground.core, table_frames: 1, page_tables: 16, entry: answer_all, window };
    let process = image
        .start(&mut ground.tables, &mut ground.supply, ground.cores, &plan)
        .during("building the partner")?;
    let frames = ground.give_frames(process.space, PARTNER_FRAMES).during("giving the partner frames")?;
    let block = process.block();
    block[word::FRAMES].store(u64::from(frames.0), Ordering::Relaxed);
    store_key(&block[word::OUR_KEY..], &mailbox.key(KeyRights::SEND, 1).during("making a key")?);
    calls::thread_resume(process.thread).during("starting the partner")?;
    wait_until_ready(&block[word::STATE], ground.clock.after(PATIENCE)).during("waiting for the partner")?;
    Ok((process, load_key(&block[word::ITS_KEY..])))
}

/// The partner: builds a mailbox, then answers every message with one as long, and sleeps in between.
extern "C" fn answer_all(block: u64) -> u64 {
    let block = own_block(block);
    let error = match answer_until_error(block) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    block[word::STATE].store(error as u64 + 2, Ordering::Release);
    1
}

fn answer_until_error(block: &Block) -> Result<core::convert::Infallible, Error> {
    let frames = Handle(block[word::FRAMES].load(Ordering::Relaxed) as u32);
    let mut memory = Memory::new(Pool::new(frames)?);
    let mut mailbox = Mailbox::create(&mut memory, SLOTS, KEYS).map_err(refused)?;
    let answer = Sender::new(load_key(&block[word::OUR_KEY..]));
    store_key(&block[word::ITS_KEY..], &mailbox.key(KeyRights::SEND, 2)?);
    block[word::STATE].store(1, Ordering::Release);
    let message = [9u8; MESSAGE];
    mailbox.wait(Deadline::NEVER)?;
    loop {
        take(&mut mailbox)?;
        answer.send_wait(&message, &mailbox, Deadline::NEVER)?;
    }
}
