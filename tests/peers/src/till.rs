//! The server that is attacked: small, with one operation of each kind, and one that counts by who asks, so that a client
//! notices each message of its own that is lost, done twice, or done in its name by somebody else.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use fos_messages::rpc::{Context, Instead, Never, interface};
use fos_runtime::Runtime;

/// Bytes of the longest text that comes back.
pub const TEXT_BYTES_MAX: usize = 900;
/// Clients whose counts are kept.
const CLIENTS_MAX: usize = 64;
/// The longest that a request may ask to wait.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// No more clients are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, fos_messages::rpc::wire::Scalar)]
pub struct Full;

/// What clients ask.
#[interface(id = 0x7f21, version = 1)]
pub trait Till {
    /// The same number.
    #[operation(idempotent)]
    fn mirror(&self, number: u64) -> u64;

    /// Counts a call of the client: how many calls of it were counted.
    #[operation]
    fn count(&self) -> Result<u64, Full>;

    /// The same text, after the server has done something else; at most [`TEXT_BYTES_MAX`] bytes.
    #[operation(idempotent, answer_max = TEXT_BYTES_MAX + 4)]
    async fn echo(&self, text: &[u8]) -> Vec<u8>;

    /// Answers after so many microseconds, 20,000 at most.
    #[operation(idempotent)]
    async fn wait(&self, microseconds: u32) -> u32;

    /// Bytes that the server could still allocate at once.
    #[operation(idempotent)]
    fn room(&self) -> u64;
}

/// The server.
pub struct Honest {
    runtime: Runtime,
    counts: RefCell<BTreeMap<u64, u64>>,
}

impl Honest {
    /// A server that waits with this runtime.
    pub fn new(runtime: Runtime) -> Rc<Honest> {
        Rc::new(Honest { runtime, counts: RefCell::default() })
    }
}

impl Till for Honest {
    fn mirror(&self, _: Context, number: u64) -> Result<u64, Instead<Never>> {
        Ok(number)
    }

    fn count(&self, context: Context) -> Result<u64, Instead<Full>> {
        let mut counts = self.counts.borrow_mut();
        if counts.len() >= CLIENTS_MAX && !counts.contains_key(&context.sender.0) {
            return Err(Instead::Refused(Full));
        }
        let count = counts.entry(context.sender.0).or_default();
        *count += 1;
        Ok(*count)
    }

    async fn echo(&self, _: Context, text: Vec<u8>) -> Result<Vec<u8>, Instead<Never>> {
        self.runtime.sleep(Duration::from_micros(1)).await;
        Ok(text)
    }

    async fn wait(&self, _: Context, microseconds: u32) -> Result<u32, Instead<Never>> {
        self.runtime.sleep(Duration::from_micros(microseconds.into()).min(WAIT_MAX)).await;
        Ok(microseconds)
    }

    fn room(&self, _: Context) -> Result<u64, Instead<Never>> {
        Ok(largest_piece())
    }
}

/// The largest piece that can be allocated at once, to 4 KiB. What is scattered besides is not seen; what a heap loses is.
fn largest_piece() -> u64 {
    const UNIT: usize = 4 << 10;
    let fits = |units: usize| {
        let mut piece = Vec::<u8>::new();
        let is_there = piece.try_reserve_exact(units * UNIT).is_ok();
        core::hint::black_box(&mut piece);
        is_there
    };
    let (mut fit, mut too_many) = (0, (64 << 20) / UNIT);
    while fit + 1 < too_many {
        let middle = usize::midpoint(fit, too_many);
        if fits(middle) {
            fit = middle;
        } else {
            too_many = middle;
        }
    }
    (fit * UNIT) as u64
}
