//! Two processes that do nothing wrong, on the workers' cores: they play ping-pong by messages for as long as the fuzzer
//! runs, and notice if anything about their world changes.

use core::sync::atomic::Ordering;

use fos_abi::Error;
use fos_abi::calls::WaitList;
use fos_abi::capability::Handle;
use libfos::calls;
use libfos::clock::Clock;
use libfos::measure::{Extended, hold};
use libfos::spawn::{Block, own_block};

use crate::ground::{Grant, Ground};
use crate::stage::{Inbox, full_key, load_key, store_key, word, word::FREE};

/// Words of a victim's block: its own key, its partner's, orders and counts.
pub mod place {
    use super::FREE;
    /// A key to its mailbox: four words, valid once `READY`.
    pub const OWN_KEY: usize = FREE;
    /// Its partner's key: four words, valid once `GO`.
    pub const PARTNER_KEY: usize = FREE + 4;
    /// Set by it, then by its parent.
    pub const READY: usize = FREE + 8;
    pub const GO: usize = FREE + 9;
    /// Set to end it.
    pub const STOP: usize = FREE + 10;
    /// 1 for the one that begins.
    pub const FIRST: usize = FREE + 11;
    /// Exchanges so far.
    pub const EXCHANGES: usize = FREE + 12;
    /// What it noticed: 0 nothing, see [`super::notice`].
    pub const NOTICED: usize = FREE + 13;
    /// With what detail.
    pub const DETAIL: usize = FREE + 14;
    /// Set when it has ended.
    pub const DONE: usize = FREE + 15;
    /// The identity it must see on every message.
    pub const PARTNER: usize = FREE + 16;
}

/// What a victim can notice.
pub mod notice {
    /// Its preparation was refused; the detail is the error.
    pub const PREPARATION: u64 = 1;
    /// A send was refused; the detail is the error.
    pub const SEND: u64 = 2;
    /// Its partner was silent for too long.
    pub const SILENCE: u64 = 3;
    /// A message was not the expected one; the detail is its number.
    pub const MESSAGE: u64 = 4;
    /// A message came from somebody else; the detail is the sender.
    pub const SENDER: u64 = 5;
    /// Its registers changed.
    pub const REGISTERS: u64 = 6;
    /// Its memory changed; the detail is where.
    pub const MEMORY: u64 = 7;
}

/// How long a partner may be silent: its core is shared with a worker, and the host is busy.
const SILENCE_SECONDS: u64 = 20;
/// Words of memory that must not change.
const CANARY_WORDS: usize = 4096;
/// Where a victim maps its mailbox.
const MAILBOX_WINDOW: u64 = 0x5100_0000_0000;

/// A victim's life.
pub extern "C" fn live(block: u64) -> u64 {
    let block = own_block(block);
    if let Err((notice, detail)) = exchange(block) {
        block[place::DETAIL].store(detail, Ordering::Relaxed);
        block[place::NOTICED].store(notice, Ordering::Release);
    }
    block[place::DONE].store(1, Ordering::Release);
    0
}

type Noticed = (u64, u64);

fn refused(error: Error) -> Noticed {
    (notice::PREPARATION, error as u64)
}

fn prepare(block: &Block) -> Result<Inbox, Error> {
    let grant = Grant {
        frames: Handle(block[word::FRAMES].load(Ordering::Relaxed) as u32),
        cores: Handle::NONE,
        core_count: block[word::CORE_COUNT].load(Ordering::Relaxed),
        core: block[word::CORE].load(Ordering::Relaxed),
        ports: Handle::NONE,
        interrupts: Handle::NONE,
        tsc_hz: block[word::TSC_HZ].load(Ordering::Relaxed),
    };
    let mut ground = Ground::new(grant).map_err(|broken| broken.error)?;
    ground.prepare_window(MAILBOX_WINDOW).map_err(|broken| broken.error)?;
    let mut plot = ground.plot(crate::fixture::MAILBOX_FRAMES).map_err(|broken| broken.error)?;
    let inbox = Inbox::create(&mut plot, MAILBOX_WINDOW)?;
    store_key(&block[place::OWN_KEY..], &full_key(inbox.mailbox, 0)?);
    Ok(inbox)
}

fn exchange(block: &'static Block) -> Result<(), Noticed> {
    let mut inbox = prepare(block).map_err(refused)?;
    let clock = Clock::new(block[word::TSC_HZ].load(Ordering::Relaxed));
    block[place::READY].store(1, Ordering::Release);
    while block[place::GO].load(Ordering::Acquire) == 0 {
        calls::thread_yield();
    }
    let key = load_key(&block[place::PARTNER_KEY..]);
    let partner = block[place::PARTNER].load(Ordering::Relaxed);
    let canary = alloc::vec![0x7e57_ab1e_0000_0000u64 | partner; CANARY_WORDS];
    let pattern = Extended::pattern(partner);
    let mut number = 0u64;
    let mut my_turn = block[place::FIRST].load(Ordering::Relaxed) == 1;
    loop {
        if my_turn {
            number += 1;
            send(&key, number)?;
            if block[place::STOP].load(Ordering::Acquire) != 0 {
                return Ok(());
            }
        }
        my_turn = true;
        let deadline = clock.after(core::time::Duration::from_secs(SILENCE_SECONDS));
        let letter = loop {
            if let Some(letter) = inbox.take() {
                break letter;
            }
            if block[place::STOP].load(Ordering::Acquire) != 0 {
                return Ok(());
            }
            let step = clock.after(core::time::Duration::from_millis(500)).min(deadline);
            let list = WaitList { deadline: step.0, mailboxes: [inbox.mailbox.0] };
            match calls::wait(&list) {
                Err(Error::TimedOut) if deadline.has_passed() => return Err((notice::SILENCE, number)),
                Ok(_) | Err(Error::TimedOut) => {}
                Err(error) => return Err((notice::PREPARATION, error as u64)),
            }
        };
        if letter.sender != partner {
            return Err((notice::SENDER, letter.sender));
        }
        number += 1;
        let whole =
            letter.length == 64 && (0..8).all(|index| letter.word(index) == number * 31 + index as u64);
        if !whole {
            return Err((notice::MESSAGE, letter.word(0)));
        }
        if hold(&pattern, 2_000, 0) != pattern {
            return Err((notice::REGISTERS, number));
        }
        let expected = 0x7e57_ab1e_0000_0000u64 | partner;
        if let Some(place) = canary.iter().position(|word| *word != expected) {
            return Err((notice::MEMORY, place as u64));
        }
        block[place::EXCHANGES].fetch_add(1, Ordering::Relaxed);
    }
}

fn send(key: &fos_abi::Key, number: u64) -> Result<(), Noticed> {
    let mut bytes = [0; 64];
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&(number * 31 + index as u64).to_le_bytes());
    }
    calls::send(key, &bytes).map(|_| ()).map_err(|error| (notice::SEND, error as u64))
}
