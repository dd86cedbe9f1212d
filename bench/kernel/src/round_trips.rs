//! What a call that asks and answers nothing takes, to a server that is a process of its own on another core: by mailbox,
//! over a link, and over a link while both sides poll. Times, for comparison with Linux on the same emulator.
//!
//! Under an emulator a process does not poll before it sleeps (`libfos::port`), so by default each side sleeps until the
//! other wakes it, as both sides of a pipe do. The third case is what two processes with a core each do on hardware.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::Ordering;
use core::time::Duration;

use fos_abi::capability::Handle;
use fos_abi::{Error, Identity};
use fos_messages::rpc::{Address, Context, Instead, Never, interface};
use libfos::clock::Clock;
use libfos::frames::Pool;
use libfos::memory::Memory;
use libfos::port::thresholds::Thresholds;
use libfos::runtime::port::{Class, Port};
use libfos::runtime::{Priority, Step, Within};
use libfos::server::Server;
use libfos::spawn::{Block, Image, Plan, load_key, own_block, store_key};
use libfos::{Start, arch, calls, println};

use crate::ground::{Broken, During, Ground, refused, wait_until_ready};
use crate::sample::Sample;

/// Frames of the partner: three mailboxes, links and page tables.
const PARTNER_FRAMES: u64 = 256;
/// Frames of the partner's capability table.
const TABLE_FRAMES: usize = 4;
/// Calls of a round before the first that counts, and those that do. Odd.
const WARM_UP: usize = 100;
const SAMPLES: usize = 301;
/// How often the cases are measured in turn; the quickest round counts. On a host with more to run than cores most rounds
/// wait for its time slices, which is a thousand times what is measured. Odd.
const ROUNDS: usize = 9;
/// How long anything may take on a slow emulator with a busy host.
const PATIENCE: Duration = Duration::from_secs(20);
/// Links from the first message on, which stay while another case is measured.
const EAGER: Thresholds =
    Thresholds { sends: 1, patience: 1, idle: Duration::from_secs(3600), ..Thresholds::MACHINE };
/// No links.
const NEVER: Thresholds = Thresholds { sends: u32::MAX, ..Thresholds::MACHINE };

/// What is asked.
#[interface(id = 0x7f20, version = 1)]
pub trait Null {
    /// Does nothing.
    #[operation(idempotent)]
    fn nothing(&self);
}

struct Nothing;

impl Null for Nothing {
    fn nothing(&self, _: Context) -> Result<(), Instead<Never>> {
        Ok(())
    }
}

/// Words of the partner's block.
mod word {
    /// The handle of its frames.
    pub const FRAMES: usize = 0;
    /// Its identity.
    pub const IDENTITY: usize = 1;
    /// Ticks per second.
    pub const TSC_HZ: usize = 2;
    /// 1 once the partner serves, its error + 2 if it could not begin.
    pub const STATE: usize = 3;
    /// Not 0: it polls instead of sleeping.
    pub const POLLS: usize = 4;
    /// The key of its mailbox for clients, four words.
    pub const KEY: usize = 8;
}

/// Measures all cases.
pub fn measure(ground: &mut Ground, start: &Start) -> Result<(), Broken> {
    if ground.core_count < 2 {
        return Err(Broken { step: "calling another core on a machine with one", error: Error::BadArgument });
    }
    let (block, to) = start_partner(ground, start)?;
    let mut client = |thresholds| Client::create(ground, start, thresholds, to);
    let (by_mailbox, by_link) = (client(NEVER)?, client(EAGER)?);
    by_link.wait_for_link().during("waiting for a link")?;
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        rounds[0].push(by_mailbox.round(Waits::Asleep).during("calling by mailbox")?);
        rounds[1].push(by_link.round(Waits::Asleep).during("calling over a link")?);
        block[word::POLLS].store(1, Ordering::Release);
        rounds[2].push(by_link.round(Waits::Polling).during("calling over a link, polling")?);
        block[word::POLLS].store(0, Ordering::Release);
    }
    let [mailbox, link, polling] = rounds.map(Sample::of);
    print_time(ground.clock, "rpc_by_mailbox", mailbox, "by mailbox, both sides sleep until they are woken");
    print_time(ground.clock, "rpc", link, "over a link, both sides sleep until they are woken");
    print_time(ground.clock, "rpc_polling", polling, "over a link, both sides poll");
    Ok(())
}

fn print_time(clock: Clock, key: &str, rounds: Sample, how: &str) {
    let [median, least] = [rounds.median, rounds.least].map(|ticks| clock.duration(ticks).as_nanos());
    println!("bench guest_{key}_ns {least} ns a call of nothing to a process on another core, {how}");
    println!(
        "note guest_{key}_ns: quickest of {ROUNDS} rounds, each the median of {SAMPLES}; median round {median} ns"
    );
}

/// How a side waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    Asleep,
    Polling,
}

/// A runtime that asks, of this thread.
struct Client {
    server: Server,
    null: NullClient<Within>,
    to: Address,
}

impl Client {
    fn create(
        ground: &mut Ground,
        start: &Start,
        thresholds: Thresholds,
        to: Address,
    ) -> Result<Client, Broken> {
        let server = Server::with_thresholds(&mut ground.memory, start, thresholds);
        let server = server.during("making a client")?;
        Ok(Client { null: NullClient::new(server.runtime.within(PATIENCE), to), server, to })
    }

    /// Calls until messages go over a link.
    fn wait_for_link(&self) -> Result<(), Error> {
        let (null, port, to) = (self.null.clone(), self.server.port.clone(), self.to);
        self.drive(Waits::Asleep, async move {
            for _ in 0..SAMPLES {
                null.nothing().await.map_err(|_| Error::TimedOut)?;
                if port.has_way_back(&to) {
                    return Ok(());
                }
            }
            Err(Error::TimedOut)
        })
    }

    /// The median ticks of one round of calls.
    fn round(&self, waits: Waits) -> Result<u64, Error> {
        let null = self.null.clone();
        self.drive(waits, async move {
            for _ in 0..WARM_UP {
                null.nothing().await.map_err(|_| Error::TimedOut)?;
            }
            let mut ticks = Vec::with_capacity(SAMPLES);
            for _ in 0..SAMPLES {
                let began = arch::ticks();
                null.nothing().await.map_err(|_| Error::TimedOut)?;
                ticks.push(arch::ticks() - began);
            }
            Ok(Sample::of(ticks).median)
        })
    }

    /// Runs a task to its end.
    fn drive<T: 'static>(&self, waits: Waits, task: impl Future<Output = T> + 'static) -> T {
        let result = Rc::new(RefCell::new(None));
        let place = result.clone();
        self.server.runtime.spawn(Priority::Normal, async move {
            let value = task.await;
            *place.borrow_mut() = Some(value);
        });
        loop {
            if let Some(value) = result.take() {
                return value;
            }
            step(&self.server, waits);
        }
    }
}

fn step(server: &Server, waits: Waits) {
    match (server.runtime.step(), waits) {
        (Step::Idle(until), Waits::Asleep) => server.port.sleep(until),
        (Step::Idle(_), Waits::Polling) => core::hint::spin_loop(),
        (Step::Did(_), _) => {}
    }
}

/// Builds a process on another core that serves, and answers with its block and its address.
fn start_partner(ground: &mut Ground, start: &Start) -> Result<(&'static Block, Address), Broken> {
    let pages = Image::window_size().div_ceil(4096) as usize;
    let window = ground.memory.reserve(pages).during("reserving a window")?;
    let image = Image::copy(&mut ground.tables, window).during("copying the program")?;
    let core = (ground.core + 1) % ground.core_count;
    let plan = Plan { core, table_frames: TABLE_FRAMES, page_tables: 16, entry: serve, window };
    let process = image
        .start(&mut ground.tables, &mut ground.supply, ground.cores, &plan)
        .during("building the partner")?;
    let frames = ground.give_frames(process.space, PARTNER_FRAMES).during("giving the partner frames")?;
    let identity = calls::cap_read(process.space).during("reading the partner's identity")?.identity;
    let block = process.block();
    for (word, value) in
        [(word::FRAMES, u64::from(frames.0)), (word::IDENTITY, identity), (word::TSC_HZ, start.tsc_hz)]
    {
        block[word].store(value, Ordering::Relaxed);
    }
    calls::thread_resume(process.thread).during("starting the partner")?;
    wait_until_ready(&block[word::STATE], ground.clock.after(PATIENCE)).during("waiting for the partner")?;
    let key = load_key(&block[word::KEY..]);
    Ok((block, Address { key, identity: Identity(identity) }))
}

/// The partner: serves until it is ended.
extern "C" fn serve(block: u64) -> u64 {
    let block = own_block(block);
    let server = match create_server(block) {
        Ok(server) => server,
        Err(error) => {
            block[word::STATE].store(error as u64 + 2, Ordering::Release);
            return 1;
        }
    };
    server.runtime.serve(Class::External, NullDispatcher::new(Rc::new(Nothing)));
    store_key(&block[word::KEY..], &server.port.address(Class::External).key);
    block[word::STATE].store(1, Ordering::Release);
    loop {
        let polls = block[word::POLLS].load(Ordering::Acquire) != 0;
        step(&server, if polls { Waits::Polling } else { Waits::Asleep });
    }
}

fn create_server(block: &Block) -> Result<Server, Error> {
    let word = |index: usize| block[index].load(Ordering::Relaxed);
    let mut memory = Memory::new(Pool::new(Handle(word(word::FRAMES) as u32))?);
    let start = Start { identity: word(word::IDENTITY), tsc_hz: word(word::TSC_HZ), ..Start::default() };
    Server::create(&mut memory, &start).map_err(refused)
}
