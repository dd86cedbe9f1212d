//! Stackful tasks: a long synchronous function of a library that knows nothing of `async` runs on a stack of its own, as a
//! task of the runtime. Where it has to wait it says [`Waits::block_on`], and the runtime goes on with other tasks
//! meanwhile; a function that only computes says [`Waits::pause`] now and then.
//!
//! ```text
//!  pages that are not mapped | stack, growing down | pages that are not mapped | stack | ...
//! ```
//!
//! A stack that overflows runs into the guard page below it, and the program ends by a fault: no other stack is touched.
//! Stacks are made once, a fixed number of them; a task that finds none free waits until one is.
//!
//! Nothing can take a half-finished function back off its stack (there is no unwinding), so a [`Stackful`] that is dropped
//! before it has ended keeps its stack for good, with all that lies on it.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use fos_abi::capability::Handle;
use fos_abi::limits::PAGE_SIZE;
use fos_abi::space::MapFlags;

use crate::arch::stack::{prepare, switch};
use crate::memory::{Memory, MemoryError};
use crate::pager::{Demand, Ground, Kind, PagingError};

/// Pages without memory below each stack: as many as one function's frame may skip over at once.
const GUARD_PAGES: usize = 16;

/// Memory for one stack.
#[derive(Debug)]
struct Stack {
    /// Its highest address, a multiple of 16.
    top: u64,
}

/// Stacks for tasks of one runtime. Clones are the same stacks.
#[derive(Clone, Debug, Default)]
pub struct Stacks(Rc<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    free: RefCell<Vec<Stack>>,
    /// Who waits for one.
    waiting: RefCell<Vec<Waker>>,
}

impl Stacks {
    /// Makes `count` stacks of `pages` pages, with guard pages. They stay for as long as the process.
    pub fn create(memory: &mut Memory, count: usize, pages: usize) -> Result<Stacks, MemoryError> {
        let stacks = Stacks::default();
        for _ in 0..count {
            let block = memory.frames.take(pages as u64)?;
            let guard = memory.reserve(GUARD_PAGES + pages)?;
            let bottom = guard + (GUARD_PAGES * PAGE_SIZE) as u64;
            memory
                .map_at(Handle::SELF, block.handle, 0, pages, bottom, MapFlags::WRITE)
                .map_err(|(_, error)| error)?;
            // SAFETY: mapped just now at addresses that nobody else has, and never unmapped.
            unsafe { stacks.add(bottom + (pages * PAGE_SIZE) as u64) };
        }
        Ok(stacks)
    }

    /// Stacks of up to `pages` pages each, which the pager puts behind them when they are touched.
    pub fn growing<G: Ground>(pager: &Demand<G>, count: usize, pages: usize) -> Result<Stacks, PagingError> {
        let stacks = Stacks::default();
        for _ in 0..count {
            let region = pager.make(Kind::Stack, pages as u64)?;
            // SAFETY: the pager has each of the region's pages there when it is touched; the region is never given back.
            unsafe { stacks.add(region.address() + region.length() as u64) };
        }
        Ok(stacks)
    }

    /// Adds a stack that ends at `top`.
    ///
    /// # Safety
    /// The memory below must be mapped, writable and nobody else's for good, and `top` a multiple of 16.
    unsafe fn add(&self, top: u64) {
        self.0.free.borrow_mut().push(Stack { top });
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.0.free.borrow().len()
    }

    /// Runs `work` on a stack of its own, as soon as there is one.
    pub fn run<T: 'static>(&self, work: impl FnOnce(&Waits) -> T + 'static) -> Stackful<T> {
        Stackful { stacks: self.clone(), state: State::NotBegun(Box::new(work)) }
    }

    fn give_back(&self, stack: Stack) {
        self.0.free.borrow_mut().push(stack);
        // All of them: one that was dropped meanwhile would keep the stack from the others.
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Wakes when a stack may be free.
    fn wait(&self, waker: &Waker) {
        let mut waiting = self.0.waiting.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

/// A synchronous function.
type Work<T> = Box<dyn FnOnce(&Waits) -> T>;

/// What both sides of a switch know.
#[derive(Default)]
struct Sides {
    /// Stack pointer of whoever polls, while the function runs.
    outside: Cell<u64>,
    /// Stack pointer of the function, while it waits.
    inside: Cell<u64>,
    /// Wakes the task that the function is.
    waker: RefCell<Option<Waker>>,
}

impl Sides {
    /// From the function's stack to the poller's.
    fn leave(&self) {
        // SAFETY: this runs on the function's stack, which `enter` alone goes to; `outside` was stored by that `enter`,
        // whose frame stays until it returns.
        unsafe { switch(self.inside.as_ptr(), self.outside.get()) }
    }

    /// From the poller's stack to the function's.
    fn enter(&self) {
        // SAFETY: `inside` is from `prepare` or from the last `leave`, the stack is the function's until it has ended, and
        // only one poll at a time is here, since it has the future to itself.
        unsafe { switch(self.outside.as_ptr(), self.inside.get()) }
    }
}

/// How a function on a stack of its own waits. Only that function has it.
pub struct Waits {
    sides: Rc<Sides>,
}

impl Waits {
    /// Waits for a future; other tasks run meanwhile.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            let waker = self.sides.waker.borrow().clone().unwrap_or_else(|| Waker::noop().clone());
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            self.sides.leave();
        }
    }

    /// Lets messages be taken and other tasks run, then goes on.
    pub fn pause(&self) {
        let mut has_paused = false;
        self.block_on(core::future::poll_fn(|context| {
            if core::mem::replace(&mut has_paused, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
    }
}

/// What a stack begins with.
struct Job<T> {
    sides: Rc<Sides>,
    work: Work<T>,
    result: Rc<RefCell<Option<T>>>,
}

/// The first function on a stack.
///
/// # Safety
/// `job` must be a boxed `Job<T>` that is this call's.
unsafe extern "C" fn begin<T>(job: u64) -> ! {
    // SAFETY: the caller's promise.
    let Job { sides, work, result } = *unsafe { Box::from_raw(job as *mut Job<T>) };
    let waits = Waits { sides };
    let value = work(&waits);
    *result.borrow_mut() = Some(value);
    drop(result);
    let sides = Rc::as_ptr(&waits.sides);
    // Nothing that is dropped may stay behind on a stack that nobody comes back to.
    drop(waits);
    loop {
        // SAFETY: the future that polls this holds the sides too.
        unsafe { (*sides).leave() };
    }
}

/// A synchronous function as a future.
pub struct Stackful<T> {
    stacks: Stacks,
    state: State<T>,
}

enum State<T> {
    NotBegun(Work<T>),
    Runs { stack: Stack, sides: Rc<Sides>, result: Rc<RefCell<Option<T>>> },
    Over,
}

// Nothing in it is pinned: the function lies on its stack.
impl<T> Unpin for Stackful<T> {}

impl<T: 'static> Future for Stackful<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if !self.begin(context) {
            return Poll::Pending;
        }
        let State::Runs { sides, result, .. } = &self.state else {
            panic!("a function that has ended was polled again");
        };
        sides.waker.replace(Some(context.waker().clone()));
        sides.enter();
        let Some(value) = result.take() else { return Poll::Pending };
        if let State::Runs { stack, .. } = core::mem::replace(&mut self.state, State::Over) {
            self.stacks.give_back(stack);
        }
        Poll::Ready(value)
    }
}

impl<T: 'static> Stackful<T> {
    /// Gives the function its stack, if it has none yet and one is free. Whether it has one.
    fn begin(&mut self, context: &Context<'_>) -> bool {
        let State::NotBegun(_) = &self.state else { return true };
        let Some(stack) = self.stacks.0.free.borrow_mut().pop() else {
            self.stacks.wait(context.waker());
            return false;
        };
        let (sides, result) = (Rc::new(Sides::default()), Rc::default());
        let next = State::Runs { sides: Rc::clone(&sides), result: Rc::clone(&result), stack };
        if let State::NotBegun(work) = core::mem::replace(&mut self.state, next) {
            let (job, top) = (Job { sides: Rc::clone(&sides), work, result }, self.top());
            // SAFETY: the stack was free, and is this function's from now on; `begin` does not return, and gets its job.
            sides.inside.set(unsafe { prepare(top, begin::<T>, Box::into_raw(Box::new(job)) as u64) });
        }
        true
    }

    fn top(&self) -> u64 {
        match &self.state {
            State::Runs { stack, .. } => stack.top,
            State::NotBegun(_) | State::Over => 0,
        }
    }
}

#[cfg(test)]
mod tests;
