//! What unmapping a page costs when other cores run the space and have used the page: as time on one core and on two,
//! as interrupts between cores on as many as there are. A partner on each core touches every page before it is
//! unmapped and spins in user mode, so that its core has to be interrupted: the common and dear case.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::thread::THREAD_FRAMES;
use libfos::clock::{Clock, Deadline};
use libfos::measure;
use libfos::spawn::{self, Frames};
use libfos::{calls, println};

use crate::ground::{Broken, During, Ground};
use crate::pages::{Field, touch};
use crate::sample::{Effort, Sample, sample};

/// Runs of a round: on a busy host each may wait a time slice or two until both cores get to run.
const TIMING: Effort = Effort { warm_up: 100, samples: 301 };
/// How often one core and two are measured in turn, so that a busy moment of the host does not fall on one of them
/// alone; the median of the rounds counts. Odd.
const ROUNDS: usize = 9;
/// Unmappings whose interrupts are counted.
const COUNTED: u64 = 256;
/// How long partners may take to touch a page.
const PATIENCE: Duration = Duration::from_secs(20);
/// Words of a partner's stack.
const STACK_WORDS: usize = 512;

/// Measures both.
pub fn measure(ground: &mut Ground) -> Result<(), Broken> {
    if ground.core_count < 2 {
        return Err(Broken { step: "measuring times on a machine with one core", error: Error::BadArgument });
    }
    let field = Field::new(ground)?;
    let mut crowd = Crowd::new(ground)?;
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (partners, times) in rounds.iter_mut().enumerate() {
            crowd.grow_to(partners)?;
            times.push(time(&field, &crowd).during("timing an unmapping")?);
        }
        crowd.dissolve()?;
    }
    let [alone, beside_one] = rounds.map(Sample::of);
    print_time(ground.clock, 1, alone, "no other core runs the space");
    print_time(
        ground.clock,
        2,
        beside_one,
        "a thread on another core has used the page too and spins in user mode",
    );
    for partners in 0..ground.core_count as usize {
        crowd.grow_to(partners)?;
        count(&field, &crowd, ground.core_count).during("counting an unmapping's interrupts")?;
    }
    crowd.dissolve()
}

/// The median ticks of one round.
fn time(field: &Field, crowd: &Crowd) -> Result<u64, Error> {
    let pair = sample(TIMING, || Ok(measure::count(|| ()).0))?;
    let unmap = sample(TIMING, || {
        field.map(1)?;
        field.touch();
        crowd.touch(field.address)?;
        let (ticks, unmapped) = measure::count(|| field.unmap(1));
        unmapped.map(|()| ticks)
    })?;
    Ok(unmap.less(pair.median).median)
}

fn print_time(clock: Clock, cores: usize, rounds: Sample, how: &str) {
    let [median, least, most] =
        [rounds.median, rounds.least, rounds.most].map(|ticks| clock.duration(ticks).as_nanos());
    println!("bench unmap_{cores}core_ns {median} ns one page of 4 KiB that was written to; {how}");
    println!("note unmap_{cores}core_ns: {least} to {most} ns over {ROUNDS} rounds");
}

/// Counts what cores took part in, over many unmappings, and prints it for each.
fn count(field: &Field, crowd: &Crowd, core_count: u64) -> Result<(), Error> {
    let mut total = Counters::default();
    for _ in 0..COUNTED {
        field.map(1)?;
        field.touch();
        crowd.touch(field.address)?;
        let before = Counters::read(core_count)?;
        field.unmap(1)?;
        total.add(before.until(Counters::read(core_count)?));
    }
    let cores = crowd.size + 1;
    let each = |key: &str, sum: u64, what: &str| {
        println!(
            "bench unmap_{cores}core_{key} {} {key} {what}, one page used on {cores} of {core_count} cores",
            sum.div_ceil(COUNTED)
        );
        if !sum.is_multiple_of(COUNTED) {
            println!("note unmap_{cores}core_{key}: {sum} in {COUNTED} unmappings");
        }
    };
    each("interrupts", total.kicks, "interrupts between cores, received by any");
    each("shootdowns", total.shootdowns, "shootdowns that a core took part in");
    Ok(())
}

/// What all cores together have counted since boot.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    kicks: u64,
    shootdowns: u64,
}

impl Counters {
    fn read(core_count: u64) -> Result<Counters, Error> {
        let mut all = Counters::default();
        for core in 0..core_count {
            let info = calls::core_read(core)?;
            all.add(Counters { kicks: info.kicks, shootdowns: info.shootdowns });
        }
        Ok(all)
    }

    fn until(self, after: Counters) -> Counters {
        Counters { kicks: after.kicks - self.kicks, shootdowns: after.shootdowns - self.shootdowns }
    }

    fn add(&mut self, more: Counters) {
        self.kicks += more.kicks;
        self.shootdowns += more.shootdowns;
    }
}

/// A partner's line to the program: the page it is asked to touch, and the last that it touched.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line {
    asked: AtomicU64,
    touched: AtomicU64,
}

/// A partner on another core.
#[derive(Debug)]
struct Partner {
    /// Frames, or the thread built in them while there is one.
    thread: Handle,
    core: u64,
    line: &'static Line,
    stack_top: u64,
}

/// The partners, of which the first `size` have a thread.
#[derive(Debug)]
struct Crowd {
    partners: Vec<Partner>,
    size: usize,
    cores: Handle,
    clock: Clock,
}

impl Crowd {
    /// One for every other core, none of them with a thread.
    fn new(ground: &mut Ground) -> Result<Crowd, Broken> {
        let mut partners = Vec::new();
        for core in (0..ground.core_count).filter(|core| *core != ground.core) {
            let thread = ground.supply.take(THREAD_FRAMES as u64).during("taking frames for a thread")?;
            let stack = Box::leak(alloc::vec![0u128; STACK_WORDS].into_boxed_slice());
            let line: &'static Line = Box::leak(Box::default());
            partners.push(Partner { thread, core, line, stack_top: stack.as_ptr_range().end as u64 });
        }
        Ok(Crowd { partners, size: 0, cores: ground.cores, clock: ground.clock })
    }

    /// Starts partners until there are `size`.
    fn grow_to(&mut self, size: usize) -> Result<(), Broken> {
        while self.size < size {
            self.partners[self.size].start(self.cores).during("starting a partner")?;
            self.size += 1;
        }
        Ok(())
    }

    /// Ends all partners' threads.
    fn dissolve(&mut self) -> Result<(), Broken> {
        for partner in &self.partners[..self.size] {
            calls::destroy(partner.thread).during("ending a partner")?;
        }
        self.size = 0;
        Ok(())
    }

    /// Has every partner touch a page.
    fn touch(&self, address: u64) -> Result<(), Error> {
        let deadline = self.clock.after(PATIENCE);
        for partner in &self.partners[..self.size] {
            partner.line.touched.store(0, Ordering::Relaxed);
            partner.line.asked.store(address, Ordering::Release);
        }
        self.partners[..self.size].iter().try_for_each(|partner| partner.wait(address, deadline))
    }
}

impl Partner {
    fn start(&mut self, cores: Handle) -> Result<(), Error> {
        let registers =
            spawn::registers(touch_what_is_asked, core::ptr::from_ref(self.line) as u64, self.stack_top);
        self.thread = calls::thread_create(self.thread, Handle::SELF, cores, self.core)?;
        calls::thread_write(self.thread, &registers)?;
        calls::thread_resume(self.thread)
    }

    fn wait(&self, address: u64, deadline: Deadline) -> Result<(), Error> {
        while self.line.touched.load(Ordering::Acquire) != address {
            if deadline.has_passed() {
                return Err(Error::TimedOut);
            }
            spin_loop();
        }
        Ok(())
    }
}

/// A partner's thread.
extern "C" fn touch_what_is_asked(line: u64) -> u64 {
    // SAFETY: `start` passed the address of a line that lasts as long as the program.
    let line = unsafe { &*(line as *const Line) };
    loop {
        match line.asked.swap(0, Ordering::AcqRel) {
            0 => spin_loop(),
            page => {
                touch(page);
                line.touched.store(page, Ordering::Release);
            }
        }
    }
}
